"""Where a request comes from. Behind a proxy the connection is the proxy's own; the proxy says whose it passes on."""

from __future__ import annotations

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The address of the browser. Only as many hops of X-Forwarded-For are believed as there are proxies of our own
    (SALUS_PROXIES), counted from the right: what stands left of them was written by the browser itself."""
    nearest = request.META.get("REMOTE_ADDR", "")
    hops = settings.SALUS_PROXIES
    told = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    found = told[-hops] if 0 < hops <= len(told) else nearest
    try:
        return str(ip_address(found))
    except ValueError:
        return nearest[:45]
