"""Reading task files and bundles."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from salus_web.accounts.permissions import Resource, authorize
from salus_web.registry.models import BundleState, ModelBundle, TaskFile


def live_bundle(task_id: str) -> ModelBundle | None:
    """The bundle that speaks for a task (1 query)."""
    return ModelBundle.objects.select_related("task").filter(task__task_id=task_id, state=BundleState.LIVE).first()


def live_bundles() -> list[ModelBundle]:
    """Every bundle that speaks (1 query)."""
    return list(ModelBundle.objects.select_related("task").filter(state=BundleState.LIVE).order_by("task__title"))


def bundles(*, viewer: Any) -> QuerySet[ModelBundle]:
    """All bundles, newest first."""
    authorize(viewer, "models.read", Resource("bundle"))
    return ModelBundle.objects.select_related("task").prefetch_related("bundlestep_set").order_by("-trained_at")


def task_file(task_file_id: str) -> TaskFile:
    """One task file."""
    return TaskFile.objects.get(pk=task_file_id)
