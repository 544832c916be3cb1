"""Django's registration of the imaging app."""

from django.apps import AppConfig


class ImagingConfig(AppConfig):
    """The imaging app."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "salus_web.imaging"
    label = "imaging"
