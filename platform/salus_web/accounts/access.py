"""How a view declares who may use it and how its use is logged. The decorator does both before the first byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse

from salus_web.accounts.permissions import Resource, authorize
from salus_web.audit.services import Act, record

NO_STORE = "no-store, private"


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a view said of itself: the action it asks leave for, and whether it shows a patient."""

    action: str | None
    audit: str | None
    shows_patient: bool


def declare(
    action: str | None, *, audit: str | None = None, shows_patient: bool = False
) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Declare a view. `action` None means open to all (login page, health).

    With `audit` the page view itself is logged once, before the view runs. A view that shows one patient
    says `shows_patient=True` and calls `records.selectors.open_patient`, which authorises and logs that patient.
    """

    def wrap(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            actor = request.actor  # type: ignore[attr-defined]
            if action is not None:
                authorize(actor, action, Resource(kind="page"))
            if audit is not None:
                record(Act(action=audit, object_kind="page", object_id=request.path[:80]), by=actor)
            response = view(request, *args, **kwargs)
            response.headers.setdefault("Cache-Control", NO_STORE)
            return response

        guarded.declaration = Declaration(action, audit, shows_patient)  # type: ignore[attr-defined]
        return guarded

    return wrap
