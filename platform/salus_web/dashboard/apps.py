"""Django's registration of the dashboard app."""

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """The dashboard app: no tables of its own."""

    name = "salus_web.dashboard"
    label = "dashboard"
