"""Making people, inviting them, granting roles, ending both. Each act is logged in its own transaction."""

from __future__ import annotations

from datetime import datetime, timedelta

from allauth.mfa.models import Authenticator
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from salus_web.accounts import sessions
from salus_web.accounts.actors import Actor
from salus_web.accounts.models import Invitation, Role, RoleGrant, Site, User
from salus_web.accounts.one_time import hash_of, new_secret
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.places import allowed_at
from salus_web.accounts.tokens import end_tokens
from salus_web.audit.services import Act, record
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden, StateConflict

INVITED_FOR = timedelta(hours=72)


@transaction.atomic
def create_site(*, code: str, name: str, by: Actor) -> Site:
    """A new hospital."""
    authorize(by, "access.manage", Resource("site"))
    if Site.objects.filter(code=code).exists():
        raise BadInput(f"There is already a hospital with the code “{code}”.")
    site = Site.objects.create(code=code, name=name)
    record(Act("site.create", "site", str(site.pk), detail={"code": code}), by=by)
    return site


@transaction.atomic
def create_user(*, username: str, display_name: str, password: str | None, by: Actor) -> User:
    """A new person, without any role yet."""
    authorize(by, "access.manage", Resource("user"))
    if User.objects.filter(username__iexact=username).exists():
        raise BadInput(f"There is already a person with the sign-in name “{username}”.")
    if not username.strip() or not display_name.strip():
        raise BadInput("A person needs a sign-in name and a name.")
    if len(username) > 150 or len(display_name) > 200:
        raise BadInput("A sign-in name has at most 150 letters, and a name at most 200.")
    if password is not None:
        try:
            validate_password(password)
        except ValidationError as problem:
            raise BadInput(" ".join(problem.messages)) from None
    user = User.objects.create_user(username, password, display_name=display_name)
    record(Act("user.create", "user", str(user.pk)), by=by)
    return user


@transaction.atomic
def grant_role(*, user: User, site: Site, role: str, ends_at: datetime | None = None, by: Actor) -> RoleGrant:
    """Give a person a role at a site from now on."""
    authorize(by, "access.manage", Resource("user", str(user.pk), in_scope=allowed_at(by, "access.manage", site.pk)))
    check_not_oneself(user=user, by=by)
    if role not in Role.values:
        raise BadInput(f"“{role}” is not a role. Roles are: {', '.join(Role.values)}.")
    if ends_at is not None and ends_at <= now():
        raise BadInput("The end of a role must lie ahead.")
    held = RoleGrant.objects.filter(user=user, site=site, role=role, starts_at__lte=now())
    if held.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=now())).exists():
        raise StateConflict(f"{user.display_name} already holds this role there.")
    grant = RoleGrant.objects.create(
        user=user, site=site, role=role, starts_at=now(), ends_at=ends_at, granted_by=by.id
    )
    record(Act("role.grant", "user", str(user.pk), detail={"role": role, "site": site.code}), by=by)
    return grant


@transaction.atomic
def end_role(*, grant: RoleGrant, by: Actor) -> None:
    """End a role now."""
    authorize(by, "access.manage", Resource("user", str(grant.user_id), in_scope=allowed_at(by, "access.manage", grant.site_id)))
    if grant.ends_at is not None and grant.ends_at <= now():
        raise StateConflict("This role has already ended.")
    grant.ends_at = now()
    grant.save(update_fields=["ends_at"])
    record(Act("role.end", "user", str(grant.user_id), detail={"role": grant.role}), by=by)


@transaction.atomic
def invite(*, user: User, by: Actor) -> tuple[Invitation, str]:
    """A link's secret, good once within 72 hours, with which the person chooses a password. Earlier links end now; the old
    password and the sessions end when the link is used."""
    authorize(by, "access.manage", Resource("user", str(user.pk)))
    check_not_oneself(user=user, by=by)
    moment, secret = now(), new_secret()
    Invitation.objects.filter(user=user, used_at__isnull=True, expires_at__gt=moment).update(expires_at=moment)
    row = Invitation.objects.create(
        user=user, secret_hash=hash_of(secret, purpose="invitation"), made_at=moment, expires_at=moment + INVITED_FOR, made_by=by.id
    )
    record(Act("user.invite", "user", str(user.pk)), by=by)
    return row, secret


@transaction.atomic
def accept_invitation(*, secret: str, password: str, by: Actor) -> User:
    """Keep the password a person chose, and end their sessions and tokens. Raises Hidden for a link that is used, over, or was never made."""
    row = Invitation.objects.select_for_update().filter(secret_hash=hash_of(secret, purpose="invitation")).first()
    if row is None or row.used_at is not None or row.expires_at <= now():
        raise Hidden("This link is not good any more.")
    user = User.objects.select_for_update().get(pk=row.user_id)
    user.set_password(password)
    user.save(update_fields=["password"])
    row.used_at = now()
    row.save(update_fields=["used_at"])
    sessions.end_all(user, why="password changed", by=by)
    end_tokens(user=user, why="password changed", by=by)
    record(Act("user.invitation.used", "user", str(user.pk)), by=by)
    return user


@transaction.atomic
def let_until(*, user: User, expires_at: datetime | None, by: Actor) -> None:
    """The last moment at which a person may sign in; None: open. A past one ends their sessions now."""
    authorize(by, "access.manage", Resource("user", str(user.pk)))
    check_not_oneself(user=user, by=by)
    before, user.expires_at = user.expires_at, expires_at
    user.save(update_fields=["expires_at"])
    if expires_at is not None and expires_at <= now():
        sessions.end_all(user, why="account ended", by=by)
    said = {"until": expires_at.isoformat() if expires_at else "open", "before": before.isoformat() if before else "open"}
    record(Act("user.until", "user", str(user.pk), detail=said), by=by)


@transaction.atomic
def remove_factors(*, user: User, by: Actor) -> int:
    """Take away every second factor of a person who lost theirs; they set up a new one at the next sign-in."""
    authorize(by, "access.manage", Resource("user", str(user.pk)))
    check_not_oneself(user=user, by=by)
    held = Authenticator.objects.filter(user=user)
    count = held.count()
    if not count:
        raise StateConflict(f"{user.display_name} has no second factor.")
    held.delete()
    sessions.end_all(user, why="second factor taken away", by=by)
    record(Act("factor.remove", "user", str(user.pk), detail={"kind": "all", "count": count}), by=by)
    return count


def check_not_oneself(*, user: User, by: Actor) -> None:
    """Nobody widens or changes their own account: it takes a second administrator."""
    if str(user.pk) == by.id:
        raise StateConflict("This is your own account. Ask another administrator to change it.")
