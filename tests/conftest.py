"""Fixtures every kind of test may use: where the shared development data lies."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.signals import user_logged_in
from django.db import connection
from salus_web.accounts import sessions
from salus_web.accounts.proofs import PASSWORD, record_authentication

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository_root() -> Path:
    """The checkout under test."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The shared development data, or a skip that says what is absent."""
    folder = Path(os.environ.get("SALUS_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the shared development data is not at {folder.name}/ beside the project")
    return folder


def _lines_left_behind() -> int:
    """How many lines of the log outlived the test, on SQLite; none where there is no database yet."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor != "sqlite" or not Path(name).is_file():
        return 0
    with closing(sqlite3.connect(f"file:{name}?mode=ro", uri=True, timeout=20)) as looking:
        if not looking.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit_event'").fetchone():
            return 0
        return int(looking.execute("SELECT count(*) FROM audit_event").fetchone()[0])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """A line of the log cannot be deleted: one that a test left behind would fail others, whose names say nothing of it."""
    answer = yield
    if lines := _lines_left_behind():
        pytest.fail(f"{lines} lines of the log outlived this test, or the one before it", pytrace=False)
    return answer


def _as_if_at_the_door(sender: Any, request: Any, user: Any, **_: Any) -> None:
    """`client.force_login` opens a session past the sign-in page; here it becomes one of a person who has just signed in."""
    if sessions.KEY not in request.session and not request.META.get("PATH_INFO"):
        sessions.begin(request.session, user)
        request.user = user
        record_authentication(request, user, PASSWORD)


user_logged_in.connect(_as_if_at_the_door, dispatch_uid="tests-as-if-at-the-door")
