"""Every address of the platform. Each view behind it is declared (see accounts.access)."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("", include("salus_web.accounts.urls")),
    path("", include("salus_web.dashboard.urls")),
]
handler400 = "salus_web.dashboard.views.wrong.not_understood"
handler403 = "salus_web.dashboard.views.wrong.not_allowed"
handler404 = "salus_web.dashboard.views.wrong.not_here"
handler500 = "salus_web.dashboard.views.wrong.gave_up"
