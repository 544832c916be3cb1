"""Addresses of the accounts app."""

from django.urls import path

from salus_web.accounts import views

urlpatterns = [
    path("login/", views.sign_in, name="login"),
    path("logout/", views.sign_out, name="logout"),
]
