"""Makers of sites, people and patients for tests."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import count

from django.test import Client
from salus_web.accounts.actors import Actor, system
from salus_web.accounts.models import RoleGrant, Site, User
from salus_web.accounts.selectors import actor_for_user
from salus_web.common.clock import now
from salus_web.common.encryption import blind_index
from salus_web.records.models import CareRelation, CareTeam, CareTeamMembership, Patient

SYSTEM = system("test")
PASSWORD = "correct horse battery"
_numbers = count(1)


def make_site(code: str = "") -> Site:
    """A hospital with a code of its own."""
    code = code or f"site-{next(_numbers)}"
    return Site.objects.create(code=code, name=f"Hospital {code}")


def make_user(role: str, site: Site, username: str = "") -> User:
    """A person with one role at one site."""
    username = username or f"{role}-{next(_numbers)}"
    user = User.objects.create_user(username, PASSWORD, display_name=username.title())
    RoleGrant.objects.create(
        user=user, site=site, role=role, starts_at=now() - timedelta(days=1), granted_by="system:test"
    )
    return user


def actor_of(user: User) -> Actor:
    """The actor a person is."""
    return actor_for_user(user)


def make_patient(site: Site, *, name: str = "Planted Token", mrn: str = "") -> Patient:
    """A patient with sealed identifiers."""
    mrn = mrn or f"MRN{next(_numbers):06d}"
    patient = Patient(
        site=site,
        mrn_index=blind_index(mrn, purpose="mrn"),
        birth_date=date(1960, 5, 4),
        sex="female",
        created_at=now(),
    )
    patient.mrn, patient.name = mrn, name
    patient.save(force_insert=True)
    return patient


def relate(user: User, patient: Patient, *, team_name: str = "") -> CareRelation:
    """Put a person into the patient's care team."""
    start = now() - timedelta(hours=1)
    team = CareTeam.objects.create(site=patient.site, name=team_name or f"team-{next(_numbers)}")
    CareTeamMembership.objects.create(team=team, user=user, starts_at=start, added_by="system:test")
    return CareRelation.objects.create(patient=patient, team=team, starts_at=start, added_by="system:test")


def client_of(user: User) -> Client:
    """A browser in which this person is signed in."""
    client = Client()
    client.force_login(user)
    return client
