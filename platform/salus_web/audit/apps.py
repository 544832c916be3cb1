"""Django's registration of the audit app."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The audit app."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "salus_web.audit"
    label = "audit"
