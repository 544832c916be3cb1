"""Django's registration of the stewardship app."""

from django.apps import AppConfig


class StewardshipConfig(AppConfig):
    """The stewardship app."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "salus_web.stewardship"
    label = "stewardship"
