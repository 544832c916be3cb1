"""Django's registration of the access app."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """The access app."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "salus_web.access"
    label = "access"
