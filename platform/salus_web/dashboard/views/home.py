"""The first page, and health."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_safe

from salus_web.accounts.access import declare
from salus_web.dashboard.context import first_page


@declare(None)
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """To the first page of this person's role, or to the sign-in."""
    return HttpResponseRedirect(first_page(request.actor))  # type: ignore[attr-defined]


@declare(None)
@require_safe
def healthy(request: HttpRequest) -> HttpResponse:
    """For the proxy: the web process answers."""
    return HttpResponse("ok", content_type="text/plain")
