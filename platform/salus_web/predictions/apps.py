"""Django's registration of the predictions app."""

from django.apps import AppConfig


class PredictionsConfig(AppConfig):
    """The predictions app."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "salus_web.predictions"
    label = "predictions"
