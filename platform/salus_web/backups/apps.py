"""Django's registration of the backups app."""

from django.apps import AppConfig


class BackupsConfig(AppConfig):
    """The backups app."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "salus_web.backups"
    label = "backups"
