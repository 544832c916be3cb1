"""Django's registration of the ingest app."""

from django.apps import AppConfig


class IngestConfig(AppConfig):
    """The ingest app."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "salus_web.ingest"
    label = "ingest"
