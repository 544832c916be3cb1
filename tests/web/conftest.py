"""What the tests of the platform begin with: a hospital, a clinician of it with a patient, and keys that no other test has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from salus_web.accounts.models import Site, User
from salus_web.common import keyring
from salus_web.registry.models import ModelBundle

from tests.factories.hospital import Person, make_bundle, make_person
from tests.factories.people import client_of, make_site, make_user, relate


@pytest.fixture
def site(db: None) -> Site:
    return make_site()


@pytest.fixture
def clinician(site: Site) -> User:
    return make_user("clinician", site)


@pytest.fixture
def bundle(db: None) -> ModelBundle:
    return make_bundle()


@pytest.fixture
def person(site: Site, clinician: User, bundle: ModelBundle) -> Person:
    """In the clinician's care, with a live risk of 31 % by the bundle."""
    found = make_person(site, "Qcurrent", bundle)
    relate(clinician, found.patient)
    return found


@pytest.fixture
def browser(clinician: User) -> Client:
    return client_of(clinician)


@pytest.fixture
def own_places(tmp_path: Path, settings: Any) -> Iterator[None]:
    """Keys and the list of the erased of this test alone."""
    settings.SALUS_PERSON_KEYS_FILE = str(tmp_path / "keys" / "persons.sqlite3")
    settings.SALUS_ERASED_FILE = str(tmp_path / "elsewhere" / "erased.jsonl")
    keyring.forget()
    yield
    keyring.forget()
