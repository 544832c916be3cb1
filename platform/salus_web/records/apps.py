"""Django's registration of the records app."""

from django.apps import AppConfig

from salus_web.records import checks  # noqa: F401 (importing it registers it)


class RecordsConfig(AppConfig):
    """The records app."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "salus_web.records"
    label = "records"
