"""The last answer, when nothing else could be said. Asks no database: it may be what is broken."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.template import loader

from salus_web.common.trouble import sentence_for

SECONDS = "30"


def server_error(request: HttpRequest) -> HttpResponse:
    """503 with what happened, what is safe and what to do when the machine is at fault; otherwise the plain 500 page."""
    sentence = sentence_for(sys.exc_info()[1])
    if not sentence:
        return HttpResponse(loader.get_template("500.html").render(), status=500)
    page = loader.get_template("503.html").render({"sentence": sentence})
    return HttpResponse(page, status=503, headers={"Retry-After": SECONDS})
