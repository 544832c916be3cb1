"""Reading task files and bundles."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Case, QuerySet, Value, When

from salus_web.accounts.permissions import Resource, authorize
from salus_web.common.errors import StateConflict
from salus_web.registry.models import BundleReport, BundleState, BundleStep, ModelBundle, TaskFile


class NotLive(StateConflict):
    """A model was asked that answers no request now. The sentence is that of `why_silent`."""


def live_bundle(task_id: str) -> ModelBundle | None:
    """The bundle that speaks for a task (1 query)."""
    return ModelBundle.objects.select_related("task").filter(task__task_id=task_id, state=BundleState.LIVE).first()


def live_bundles() -> list[ModelBundle]:
    """Every bundle that speaks (1 query)."""
    return list(ModelBundle.objects.select_related("task").filter(state=BundleState.LIVE).order_by("task__title"))


def _in_order_of_speech() -> QuerySet[ModelBundle]:
    """Bundles with the one that speaks for its question last: the live one, or else the newest. What a question is called and
    asks is in that one's own task file, whatever file came after it."""
    speaks = Case(When(state=BundleState.LIVE, then=Value(1)), default=Value(0))
    return ModelBundle.objects.select_related("task").order_by(speaks, "trained_at", "pk")


def speaking_bundle(task_id: str) -> ModelBundle | None:
    """The live bundle of a question, or else the newest; None where there is none (1 query)."""
    return _in_order_of_speech().filter(task__task_id=task_id).defer("card", "crossval").last()


def titles() -> dict[str, str]:
    """What each question that has a bundle is called, by task id (1 query)."""
    return dict(_in_order_of_speech().values_list("task__task_id", "task__title"))


def live_since(bundle: ModelBundle) -> datetime | None:
    """When a bundle was last made live (1 query)."""
    steps = BundleStep.objects.filter(bundle=bundle, to_state=BundleState.LIVE)
    return steps.order_by("-at").values_list("at", flat=True).first()


def why_silent(bundle: ModelBundle) -> str:
    """Why a bundle answers no request now, in a sentence; empty for one that is live."""
    if bundle.state == BundleState.LIVE:
        return ""
    if bundle.state == BundleState.WITHDRAWN:
        return "This model was withdrawn, so it gives no more risks."
    return "This model is not the live one for its question, so it gives no risks now. Please ask again."


def bundles(*, viewer: Any) -> QuerySet[ModelBundle]:
    """All bundles, newest first."""
    authorize(viewer, "models.read", Resource("bundle"))
    return ModelBundle.objects.select_related("task").order_by("-trained_at")


def bundle_for(*, viewer: Any, bundle_id: Any) -> ModelBundle | None:
    """One bundle (1 query)."""
    return bundles(viewer=viewer).filter(pk=bundle_id).first()


def report_for(*, viewer: Any, bundle_id: Any, form: str) -> BundleReport | None:
    """One form of a bundle's report (1 query)."""
    authorize(viewer, "models.read", Resource("bundle", str(bundle_id)))
    return BundleReport.objects.filter(bundle_id=bundle_id, form=form).first()


def report_forms(*, viewer: Any, bundle: ModelBundle) -> list[str]:
    """Which forms of the report there are (1 query)."""
    authorize(viewer, "models.read", Resource("bundle", str(bundle.pk)))
    return sorted(bundle.reports.values_list("form", flat=True))


def task_file(task_file_id: str) -> TaskFile:
    """One task file."""
    return TaskFile.objects.get(pk=task_file_id)


def tasks() -> list[tuple[str, str]]:
    """(task id, title) of every task that has a bundle, by title (1 query)."""
    return sorted(titles().items(), key=lambda pair: pair[1])
