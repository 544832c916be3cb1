"""Addresses of the screens."""

from django.urls import path

from salus_web.dashboard.views import clinician, home, risks

urlpatterns = [
    path("", home.home, name="home"),
    path("healthy/", home.healthy, name="healthy"),
    path("worklist/", clinician.worklist, name="worklist"),
    path("worklist/ask/", clinician.ask_for_all, name="worklist-ask"),
    path("patients/", clinician.patients, name="patients"),
    path("patients/<uuid:patient_id>/", clinician.patient, name="patient"),
    path("patients/<uuid:patient_id>/looked/", clinician.looked, name="looked"),
    path("patients/<uuid:patient_id>/ask/", risks.ask, name="ask"),
    path("patients/<uuid:patient_id>/waiting/<uuid:job_id>/", risks.waiting, name="waiting"),
    path("images/<uuid:instance_id>/display.png", clinician.film, {"kind": "display"}, name="film"),
    path("images/<uuid:instance_id>/thumbnail.png", clinician.film, {"kind": "thumbnail"}, name="thumbnail"),
    path("predictions/<uuid:prediction_id>/", risks.prediction, name="prediction"),
    path("predictions/<uuid:prediction_id>/review/", risks.judge, name="review"),
    path("predictions/<uuid:prediction_id>/replay/", risks.replay, name="replay"),
    path("predictions/<uuid:prediction_id>/replay/<uuid:job_id>/", risks.replayed, name="replayed"),
    path("predictions/<uuid:prediction_id>/receipt.json", risks.receipt, name="receipt"),
]
