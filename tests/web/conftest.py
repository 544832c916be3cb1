"""What the tests of the platform begin with: a hospital, a clinician of it, and keys that no other test has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from salus_web.accounts.models import Site, User
from salus_web.common import keyring

from tests.factories.people import make_site, make_user


@pytest.fixture
def site(db: None) -> Site:
    return make_site()


@pytest.fixture
def clinician(site: Site) -> User:
    return make_user("clinician", site)


@pytest.fixture
def own_places(tmp_path: Path, settings: Any) -> Iterator[None]:
    """Keys and the list of the erased of this test alone."""
    settings.SALUS_PERSON_KEYS_FILE = str(tmp_path / "keys" / "persons.sqlite3")
    settings.SALUS_ERASED_FILE = str(tmp_path / "elsewhere" / "erased.jsonl")
    keyring.forget()
    yield
    keyring.forget()
