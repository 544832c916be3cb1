"""Making people and granting roles; signing in and out. Each act is logged in its own transaction."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from salus_web.accounts.actors import Actor
from salus_web.accounts.models import Role, RoleGrant, Site, User
from salus_web.accounts.permissions import Resource, authorize
from salus_web.audit.services import Act, record
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, StateConflict


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
    if User.objects.filter(username=username).exists():
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
    authorize(by, "access.manage", Resource("user", str(user.pk)))
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
    authorize(by, "access.manage", Resource("user", str(grant.user_id)))
    if grant.ends_at is not None and grant.ends_at <= now():
        raise StateConflict("This role has already ended.")
    grant.ends_at = now()
    grant.save(update_fields=["ends_at"])
    record(Act("role.end", "user", str(grant.user_id), detail={"role": grant.role}), by=by)
