"""What Django shows when it gives up by itself: our own pages in place of its bare ones. No word of the error is shown."""

from __future__ import annotations

import sys
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.views.defaults import page_not_found

from salus_web.common.errors import LogNotWritten
from salus_web.common.plain_pages import API, plain_page
from salus_web.common.trouble import sentence_for

AGAIN_SECONDS = 30


def not_understood(request: HttpRequest, exception: Any = None) -> HttpResponse:
    """400, or 413 for what is too large."""
    return plain_page(request, 413 if isinstance(exception, RequestDataTooBig) else 400)


def not_allowed(request: HttpRequest, exception: Any = None) -> HttpResponse:
    """403."""
    return plain_page(request, 403)


def not_here(request: HttpRequest, exception: Any = None) -> HttpResponse:
    """404; programs read a sentence."""
    if request.path.startswith(API):
        return JsonResponse({"problem": "There is nothing at this address."}, status=404)
    return page_not_found(request, exception)


def form_not_ours(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form that this site did not show to this browser, or too long ago."""
    return plain_page(request, 403, reason="This form is too old, or it was not shown by this site. Nothing was changed.", mark="CSRF")


def gave_up(request: HttpRequest) -> HttpResponse:
    """500; 503 with what happened when the machine is at fault or the log is away; 400 when the browser went away in the middle."""
    error = sys.exc_info()[1]
    if (sentence := sentence_for(error)) or isinstance(error, LogNotWritten):
        return plain_page(request, 503, reason=sentence, retry_seconds=AGAIN_SECONDS)
    return plain_page(request, 400 if isinstance(error, UnreadablePostError) else 500)
