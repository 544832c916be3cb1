"""A person's own page: how they sign in, where they are signed in, their password."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from salus_web.accounts import sessions
from salus_web.accounts.access import declare
from salus_web.accounts.models import ApiToken, Invitation, SignIn
from salus_web.accounts.one_time import hash_of
from salus_web.accounts.permissions import can
from salus_web.accounts.selectors import actor_for_user, live_sessions
from salus_web.accounts.services import accept_invitation
from salus_web.accounts.standing import may_sign_in
from salus_web.accounts.tokens import WORDS, end_token, end_tokens, make_token, purposes_of, tokens_of
from salus_web.audit.services import Act, record
from salus_web.common.clock import now
from salus_web.common.errors import BadInput

NAMES = {"totp": "Authenticator app", "webauthn": "Key or passkey", "recovery_codes": "Recovery codes"}


@declare("self.read", audit="account.read")
@require_GET
def account(request: HttpRequest) -> HttpResponse:
    """Second factors and sessions."""
    held = Authenticator.objects.filter(user=request.user).order_by("created_at")
    factors = [{"row": row, "name": NAMES[row.type], "said": _said(row)} for row in held]
    context: dict[str, Any] = {
        "factors": factors, "has_app": any(row["row"].type == "totp" for row in factors),
        "has_codes": any(row["row"].type == "recovery_codes" for row in factors),
        "sessions": live_sessions(user=request.user), "here": request.session.get(sessions.KEY, ""),
        "has_password": request.user.has_usable_password(), "tokens": tokens_of(user=request.user),
        "may_make": can(request.actor, "token.make"),  # type: ignore[attr-defined]
        "purposes": [(key, WORDS[key]) for key in purposes_of(request.actor.roles)],  # type: ignore[attr-defined]
        "roles": sorted(request.actor.roles),  # type: ignore[attr-defined]
    }  # fmt: skip
    return render(request, "accounts/account.html", context)


def _said(row: Authenticator) -> str:
    """What tells one factor from another of its kind."""
    if row.type == Authenticator.Type.WEBAUTHN:
        return row.wrap().name
    return f"{len(row.wrap().get_unused_codes())} left" if row.type == Authenticator.Type.RECOVERY_CODES else ""


@declare("self.read", step_up=True)
@require_http_methods(["GET", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """A new password; other sessions of the person end, and all tokens."""
    user: Any = request.user
    if request.method == "GET":
        context = {"address": "/account/password/", "has_tokens": bool(tokens_of(user=user))}
        return render(request, "accounts/password.html", context)
    chosen = chosen_password(request, user)
    with transaction.atomic():
        user.set_password(chosen)
        user.save(update_fields=["password"])
        record(Act("password.change", "user", str(user.pk)), by=request.actor)  # type: ignore[attr-defined]
        sessions.end_all(user, why="password changed", by=request.actor, but=request.session.get(sessions.KEY, ""))  # type: ignore[attr-defined]
        ended = end_tokens(user=user, why="password changed", by=request.actor)  # type: ignore[attr-defined]
    update_session_auth_hash(request, user)
    tokens = " Your tokens for programs have ended; make new ones where a program still needs one." if ended else ""
    messages.info(request, f"Your password was changed, and you were signed out everywhere else.{tokens}")
    return HttpResponseRedirect("/account/")


def chosen_password(request: HttpRequest, user: Any) -> str:
    """The password of a form with two fields. Raises BadInput with what is wrong with it."""
    first, second = request.POST.get("password", ""), request.POST.get("again", "")
    if first != second:
        raise BadInput("The two passwords are not the same.")
    if len(first) > 1000:
        raise BadInput("A password has at most 1,000 letters.")
    try:
        validate_password(first, user)
    except ValidationError as problem:
        raise BadInput(" ".join(problem.messages)) from None
    return first


@declare("self.read")
@require_POST
def end_session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """End one of one's own sessions."""
    row = get_object_or_404(SignIn, pk=session_id, user=request.user)
    sessions.end(row, why="person", by=request.actor)  # type: ignore[attr-defined]
    messages.info(request, "That session has ended.")
    return HttpResponseRedirect("/account/")


@declare(None)
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest, secret: str) -> HttpResponse:
    """The page behind an invitation: choose a password. It works once."""
    row = Invitation.objects.select_related("user").filter(secret_hash=hash_of(secret, purpose="invitation")).first()
    if row is None or row.used_at is not None or row.expires_at <= now() or not may_sign_in(row.user):
        reason = "This link was used already, is older than three days, or is not whole. Ask your administrator for a new one."
        return render(request, "refused.html", {"reason": reason}, status=404)
    context = {
        "address": request.path, "invited": row.user.display_name, "username": row.user.username,
        "has_tokens": bool(tokens_of(user=row.user)),
    }  # fmt: skip
    if request.method == "GET":
        return render(request, "accounts/password.html", context)
    try:
        chosen = chosen_password(request, row.user)
    except BadInput as problem:
        return render(request, "accounts/password.html", context | {"problem": str(problem)}, status=409)
    user = accept_invitation(secret=secret, password=chosen, by=actor_for_user(row.user))
    messages.info(request, f"Your password is kept. Sign in as {user.username}.")
    return HttpResponseRedirect("/login/")


@declare("token.make", step_up=True)
@require_POST
def add_token(request: HttpRequest) -> HttpResponse:
    """A token for a program; its secret is on the answer and nowhere else."""
    post, by = request.POST, request.actor  # type: ignore[attr-defined]
    days = int(post["days"]) if post.get("days", "").isdecimal() and len(post["days"]) < 5 else 0
    user: Any = request.user
    row, secret = make_token(
        user=user, name=post.get("name", ""), purpose=post.get("purpose", ""), role=post.get("role", ""), days=days, by=by
    )
    return render(request, "accounts/token.html", {"token": row, "secret": secret})


@declare("self.read")
@require_POST
def remove_token(request: HttpRequest, token_id: UUID) -> HttpResponse:
    """End one of one's own tokens."""
    end_token(token=get_object_or_404(ApiToken, pk=token_id, user=request.user), by=request.actor)  # type: ignore[attr-defined]
    messages.info(request, "The token has ended.")
    return HttpResponseRedirect("/account/")
