"""Django's registration of the registry app."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """The registry app."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "salus_web.registry"
    label = "registry"
