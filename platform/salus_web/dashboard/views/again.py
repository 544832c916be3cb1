"""A form that was refused is shown again on its page, with what was wrong beside it and what was typed in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse

from salus_web.common.errors import BadInput, StateConflict


def shown_again(page: Callable[[HttpRequest, str], HttpResponse]) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """A view of a form that stands on `page`: what it refuses is answered with that page, which is told the problem."""

    def wrap(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def tried(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                return view(request, *args, **kwargs)
            except (BadInput, StateConflict) as problem:
                answer = page(request, str(problem))
            answer.status_code = 409
            return answer

        return tried

    return wrap


def typed(request: HttpRequest, problem: str) -> dict[str, Any]:
    """For the page: the problem, and under `again` what was typed, by the name of the form's address with low lines."""
    match = request.resolver_match
    return {"problem": problem, "again": {(match.url_name or "").replace("-", "_"): request.POST} if problem and match else {}}
