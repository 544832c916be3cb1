"""Django's registration of the releases app."""

from django.apps import AppConfig


class ReleasesConfig(AppConfig):
    """The releases app."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "salus_web.releases"
    label = "releases"
