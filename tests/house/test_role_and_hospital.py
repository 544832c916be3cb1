"""A role is asked together with its hospital: who reads the pairs is listed here, and nobody else takes them apart."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from salus_web.accounts.actors import Actor

# file: why it reads the pairs of roles and hospitals itself
READERS = {
    "platform/salus_web/accounts/actors.py": "keeps them, and says which roles there are",
    "platform/salus_web/accounts/places.py": "answers where a person may do something, by the rule of the action",
    "platform/salus_web/accounts/selectors.py": "reads them from the database",
    "platform/salus_web/accounts/tokens.py": "leaves a program those of one role",
}


def test_nobody_else_takes_roles_and_hospitals_apart(repository_root: Path) -> None:
    found = {
        str(path.relative_to(repository_root))
        for root in ("platform", "workers")
        for path in (repository_root / root).rglob("*.py")
        if "roles_at" in path.read_text(encoding="utf-8")
    }
    assert found == set(READERS)


def test_an_actor_has_no_list_of_hospitals_without_roles() -> None:
    assert [field.name for field in dataclasses.fields(Actor) if "site" in field.name or "role" in field.name] == ["roles_at"]
