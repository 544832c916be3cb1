"""Django's registration of the cohorts app."""

from django.apps import AppConfig


class CohortsConfig(AppConfig):
    """The cohorts app."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "salus_web.cohorts"
    label = "cohorts"
