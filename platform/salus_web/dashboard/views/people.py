"""The administrator's page of one person: invitation, last day, roles, sessions, second factors."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_POST

from salus_web.accounts import sessions
from salus_web.accounts.access import declare
from salus_web.accounts.models import ApiToken, SignIn, User
from salus_web.accounts.permissions import can
from salus_web.accounts.places import site_ids_for
from salus_web.accounts.selectors import (
    ALSO_ELSEWHERE,
    holds_whole,
    live_sessions,
    open_invitation,
    person_for,
    person_to_change,
)
from salus_web.accounts.services import create_user, grant_role, invite, let_until, remove_factors
from salus_web.accounts.tokens import end_token, tokens_of
from salus_web.common.clock import now
from salus_web.common.errors import BadInput
from salus_web.dashboard.views.access import access, last_moment, managed_site
from salus_web.dashboard.views.again import shown_again
from salus_web.records.selectors import memberships_of


@declare("access.read", audit="person.read")
@require_GET
def person(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """Everything about how one person comes in; nothing of what they did inside."""
    viewer = request.actor  # type: ignore[attr-defined]
    found = person_for(viewer=viewer, user_id=user_id)
    may_change = can(viewer, "access.manage") and holds_whole(viewer=viewer, user=found)
    context: dict[str, Any] = {
        "user": found, "sessions": live_sessions(user=found), "invitation": open_invitation(user=found), "over": _is_over(found),
        "factors": Authenticator.objects.filter(user=found).exclude(type=Authenticator.Type.RECOVERY_CODES).count(),
        "may_change": may_change, "elsewhere": "" if may_change or not can(viewer, "access.manage") else ALSO_ELSEWHERE,
        "managed": site_ids_for(viewer, "access.manage"), "is_self": str(found.pk) == viewer.id,
        "has_password": found.has_usable_password(), "user_key": str(found.pk), "tokens": tokens_of(user=found),
        "memberships": memberships_of(viewer=viewer, user=found),
    }  # fmt: skip
    return render(request, "dashboard/person.html", context)


def _is_over(user: User) -> bool:
    return user.expires_at is not None and user.expires_at <= now()


@declare("access.manage", step_up=True, form_on="/access/")
@require_POST
@shown_again(access)
def add_person(request: HttpRequest) -> HttpResponse:
    """A new person with a first role and a link to choose a password, shown once."""
    viewer, post = request.actor, request.POST  # type: ignore[attr-defined]
    if not post.get("username", "").strip() or not post.get("display_name", "").strip():
        raise BadInput("A person needs a sign-in name and a name.")
    site, ends_at = managed_site(request), last_moment(post.get("ends", ""))
    with transaction.atomic():
        user = create_user(username=post["username"].strip(), display_name=post["display_name"].strip(), password=None, by=viewer)
        grant_role(user=user, site=site, role=post.get("role", ""), ends_at=ends_at, by=viewer)
        if ends_at is not None:
            let_until(user=user, expires_at=ends_at, by=viewer)
        row, secret = invite(user=user, by=viewer)
    return _show_link(request, user, row, secret)


@declare("access.manage", step_up=True)
@require_POST
def invite_again(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """A new link; the earlier ones are worth nothing from then on."""
    viewer = request.actor  # type: ignore[attr-defined]
    user = person_to_change(viewer=viewer, user_id=user_id)
    row, secret = invite(user=user, by=viewer)
    return _show_link(request, user, row, secret)


def _show_link(request: HttpRequest, user: User, row: Any, secret: str) -> HttpResponse:
    link = request.build_absolute_uri(f"/invitation/{secret}/")
    return render(request, "dashboard/invited.html", {"user": user, "invitation": row, "link": link})


@declare("access.manage", step_up=True)
@require_POST
def until(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """Set or lift the last day of a person, or end the account now."""
    viewer, post = request.actor, request.POST  # type: ignore[attr-defined]
    user = person_to_change(viewer=viewer, user_id=user_id)
    let_until(user=user, expires_at=now() if post.get("now") else last_moment(post.get("ends", "")), by=viewer)
    messages.info(request, "The account has ended, and with it every session." if post.get("now") else "The last day was set.")
    return HttpResponseRedirect(f"/access/people/{user.pk}/")


@declare("access.manage", step_up=True)
@require_POST
def end_session(request: HttpRequest, user_id: UUID, session_id: UUID) -> HttpResponse:
    """End one session of a person now."""
    viewer = request.actor  # type: ignore[attr-defined]
    user = person_to_change(viewer=viewer, user_id=user_id)
    sessions.end(get_object_or_404(SignIn, pk=session_id, user=user), why="administrator", by=viewer)
    messages.info(request, "That session has ended.")
    return HttpResponseRedirect(f"/access/people/{user.pk}/")


@declare("access.manage", step_up=True)
@require_POST
def take_factors(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """For a person who lost telephone, key and codes."""
    viewer = request.actor  # type: ignore[attr-defined]
    user = person_to_change(viewer=viewer, user_id=user_id)
    remove_factors(user=user, by=viewer)
    messages.info(request, f"{user.display_name} sets up a new second factor at the next sign-in.")
    return HttpResponseRedirect(f"/access/people/{user.pk}/")


@declare("access.manage", step_up=True)
@require_POST
def remove_token(request: HttpRequest, user_id: UUID, token_id: UUID) -> HttpResponse:
    """End a token of a person now."""
    viewer = request.actor  # type: ignore[attr-defined]
    user = person_to_change(viewer=viewer, user_id=user_id)
    end_token(token=get_object_or_404(ApiToken, pk=token_id, user=user), by=viewer)
    messages.info(request, "The token has ended.")
    return HttpResponseRedirect(f"/access/people/{user.pk}/")
