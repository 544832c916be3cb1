"""How a view declares who may use it and how its use is logged. The decorator does both before the first byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.http import urlencode

from salus_web.accounts import proofs
from salus_web.accounts.demand import away, has_factor, page_of_form
from salus_web.accounts.permissions import Resource, authorize
from salus_web.audit.services import Act, record
from salus_web.common.errors import Refused

NO_STORE = "no-store, private"


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a view said of itself: the action it asks leave for, and whether it shows a patient."""

    action: str | None
    audit: str | None
    shows_patient: bool
    step_up: bool = False
    by_token: bool = False
    form_on: str = ""  # the address of the page that a form for this view stands on, where answers to the form are no page to come back to


def declare(
    action: str | None, *, audit: str | None = None, shows_patient: bool = False, step_up: bool = False, form_on: str = "",
    detail: Callable[[HttpRequest], dict[str, Any]] | None = None,
) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:  # fmt: skip
    """Declare a view. `action` None means open to all (login page, health).

    With `audit` the page view itself is logged once, before the view runs, with what `detail` says was asked. A view that shows one patient
    says `shows_patient=True` and calls `records.selectors.open_patient`, which authorises and logs that patient.
    A view behind which much can be done or taken away says `step_up=True`: the person shows who they are once more
    unless they did in the last ten minutes. One that answers a form anew with what was typed says which page the form stands on.
    """

    def wrap(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                response = _let_in(request, *args, **kwargs)
            except (Refused, Http404) as refusal:
                _note_try(request, guarded.declaration, refusal)  # type: ignore[attr-defined]
                raise
            response.headers.setdefault("Cache-Control", NO_STORE)
            return response

        def _let_in(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            actor = request.actor  # type: ignore[attr-defined]
            if action is not None:
                authorize(actor, action, Resource(kind="page"))
            if step_up and not proofs.is_fresh(request):
                return show_again(request)
            if audit is not None:
                asked = detail(request) if detail is not None else {}
                record(Act(action=audit, object_kind="page", object_id=request.path[:80], detail=asked), by=actor)
            return view(request, *args, **kwargs)

        guarded.declaration = Declaration(action, audit, shows_patient, step_up, form_on=form_on)  # type: ignore[attr-defined]
        return guarded

    return wrap


def _note_try(request: HttpRequest, declared: Declaration, refusal: Exception) -> None:
    """What somebody tried and did not get is a line too: of a page that is not theirs, and of an id that is not there for them.

    Whoever is not signed in is nobody in particular, and the pages of the door count their wrong tries themselves.
    """
    actor = request.actor  # type: ignore[attr-defined]
    if actor.is_anonymous or declared.action is None or getattr(refusal, "is_logged", False):
        return
    purpose = "care" if declared.shows_patient else ""
    record(Act(declared.audit or declared.action, "page", request.path[:80], outcome="refused", purpose=purpose), by=actor)


def show_again(request: HttpRequest) -> HttpResponse:
    """To where a person shows who they are, and from there back. What a form held is not kept: it may name a patient."""
    target = request.get_full_path() if request.method == "GET" else page_of_form(request)
    if request.method != "GET":
        messages.warning(request, "Please show once more that it is you; then send the form again. Nothing was done yet.")
    factor = has_factor(request.user)
    # who has neither a password nor a factor came through the hospital's directory, and does so again
    page = "/again/code/" if factor else "/again/" if request.user.has_usable_password() else "/login/"
    return away(request, f"{page}?{urlencode({'next': target})}")
