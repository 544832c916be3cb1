"""Signing in and out."""

from __future__ import annotations

from django.contrib.auth import authenticate, login, logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from salus_web.accounts.access import declare
from salus_web.accounts.selectors import actor_for_user
from salus_web.audit.services import Act, record


@declare(None)
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """The login page. A failed try is logged without the name that was typed."""
    target = request.POST.get("next") or request.GET.get("next") or "/"
    if not url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        target = "/"
    if request.method == "POST":
        user = authenticate(request, username=request.POST.get("username"), password=request.POST.get("password"))
        if user is not None:
            login(request, user)
            record(Act("session.start", "user", str(user.pk)), by=actor_for_user(user))
            return HttpResponseRedirect(target)
        record(Act("session.refused", outcome="refused"), by=request.actor)  # type: ignore[attr-defined]
        problem = "That name and password do not belong together."
        return render(request, "accounts/login.html", {"problem": problem, "next": target}, status=401)
    return render(request, "accounts/login.html", {"next": target})


@declare(None)
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    if not request.actor.is_anonymous:  # type: ignore[attr-defined]
        record(Act("session.end", "user", request.actor.id), by=request.actor)  # type: ignore[attr-defined]
    logout(request)
    return HttpResponseRedirect("/login/")
