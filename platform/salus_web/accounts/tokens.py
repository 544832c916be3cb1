"""Programs: tokens in place of a password, each for one purpose and in one role of its person, who answers for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from salus_web.accounts.actors import Actor
from salus_web.accounts.models import ApiToken, User
from salus_web.accounts.one_time import hash_of, new_secret
from salus_web.accounts.permissions import RULES, Resource, authorize
from salus_web.accounts.selectors import actor_for_user
from salus_web.accounts.standing import may_sign_in
from salus_web.audit.services import Act, record, record_many
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, StateConflict

PREFIX = "salus_"
DAYS_AT_MOST = 365
NOTED_EVERY = timedelta(seconds=60)
# What a token of a purpose may be used for at all; the rules for the role are asked as well, as for anybody.
PURPOSES: dict[str, frozenset[str]] = {
    "care": frozenset({"patient.read"}),
    "research": frozenset({"cohort.use"}),
    "integration": frozenset({"upload.read"}),
}
WORDS = {
    "care": "care: the work list of the person", "research": "research: the person's projects",
    "integration": "integration: what came in and how it was read",
}  # fmt: skip


@transaction.atomic
def make_token(*, user: User, name: str, purpose: str, role: str, days: int, by: Actor) -> tuple[ApiToken, str]:
    """A token of one's own and its secret, which is shown once. Raises BadInput for what is not offered."""
    authorize(by, "token.make", Resource("user", str(user.pk)))
    if str(user.pk) != by.id and not by.is_system:
        raise BadInput("A token is made by the person who answers for it.")
    if not name.strip() or len(name) > 80:
        raise BadInput("Give the token a name of at most 80 letters, such as the program that uses it.")
    if purpose not in PURPOSES:
        raise BadInput(f"Choose what the token is for: {', '.join(PURPOSES)}.")
    if not 1 <= days <= DAYS_AT_MOST:
        raise BadInput(f"A token lasts from 1 to {DAYS_AT_MOST} days.")
    if role not in actor_for_user(user).roles:
        raise BadInput("Choose one of your roles.")
    if purpose not in purposes_of({role}):
        raise BadInput(f"A token in the role {role} cannot be for {purpose}: that role may do nothing of it.")
    secret, moment = new_secret(PREFIX), now()
    row = ApiToken.objects.create(
        user=user, name=name.strip(), purpose=purpose, role=role, secret_hash=hash_of(secret, purpose="token"),
        made_at=moment, expires_at=moment + timedelta(days=days),
    )  # fmt: skip
    said = {"name": row.name, "purpose": purpose, "role": role, "until": row.expires_at.isoformat()}
    record(Act("token.make", "token", str(row.pk), detail=said), by=by)
    return row, secret


def purposes_of(roles: Iterable[str]) -> list[str]:
    """The purposes for which these roles may do anything at all."""
    held = set(roles)
    return [purpose for purpose, actions in PURPOSES.items() if any(RULES[action] & held for action in actions)]


@transaction.atomic
def end_token(*, token: ApiToken, by: Actor) -> None:
    """It opens nothing from now on: one's own, or, for administrators, anybody's."""
    authorize(by, "token.make" if str(token.user_id) == by.id else "access.manage", Resource("token", str(token.pk)))
    if not ApiToken.objects.filter(pk=token.pk, ended_at__isnull=True).update(ended_at=now()):
        raise StateConflict("This token has already ended.")
    record(Act("token.end", "token", str(token.pk), detail={"name": token.name}), by=by)


@transaction.atomic
def end_tokens(*, user: User, why: str, by: Actor) -> int:
    """End every token of a person, as their sessions end, whatever roles they hold now; how many there were."""
    held = list(ApiToken.objects.select_for_update().filter(user=user, ended_at__isnull=True, expires_at__gt=now()))
    ApiToken.objects.filter(pk__in=[row.pk for row in held]).update(ended_at=now())
    record_many([Act("token.end", "token", str(row.pk), detail={"name": row.name, "why": why}) for row in held], by=by)
    return len(held)


def tokens_of(*, user: Any) -> list[ApiToken]:
    """A person's tokens that open something, newest first (1 query)."""
    rows = ApiToken.objects.filter(user=user, ended_at__isnull=True, expires_at__gt=now())
    return list(rows.order_by("-made_at"))


def bearer(request: HttpRequest) -> Actor | None:
    """The person of the token that a request shows, in the token's one role; None without a good one (2 queries)."""
    kind, _, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind.lower() != "bearer" or not secret.startswith(PREFIX) or len(secret) > 100:
        return None
    row = ApiToken.objects.select_related("user").filter(secret_hash=hash_of(secret, purpose="token")).first()
    moment = now()
    if row is None or row.ended_at is not None or row.expires_at <= moment or not may_sign_in(row.user):
        return None
    if row.last_used_at is None or moment - row.last_used_at >= NOTED_EVERY:
        ApiToken.objects.filter(pk=row.pk).update(last_used_at=moment)
    actor = actor_for_user(row.user)
    return replace(
        actor, roles_at=frozenset((role, site) for role, site in actor.roles_at if role == row.role),
        name=f"{actor.name} (token “{row.name}”)"[:200], session=f"token {row.pk}", token_purpose=row.purpose,
    )  # fmt: skip
