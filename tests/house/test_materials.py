"""The bill of materials is valid by its schema, whole and true; and nothing under the GPL is in the core."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from django.core.management import CommandError, call_command
from referencing import Registry, Resource
from salus_web.dashboard import materials
from salus_web.dashboard.materials import bill, licence_of, locked

# under the LGPL, which lets a program use it as it is: the driver of PostgreSQL (ADR 1 of the stack, requirements/core.in)
LGPL = {"psycopg", "psycopg-binary", "psycopg-pool"}


@pytest.fixture(scope="module")
def made(repository_root: Path) -> dict[str, Any]:
    return bill(repository_root, version="0.1.0", made_at=datetime(2026, 1, 2, tzinfo=UTC))


def test_it_is_valid_by_the_schema(made: dict[str, Any]) -> None:
    folder = Path(str(distribution("cyclonedx-python-lib").locate_file("cyclonedx/schema/_res")))
    schemas = {path.name: json.loads(path.read_text()) for path in folder.glob("*.SNAPSHOT.schema.json")}
    main = schemas["bom-1.6.SNAPSHOT.schema.json"]
    registry: Registry[Any] = Registry().with_resources(
        [(f"http://cyclonedx.org/schema/{name}", Resource.from_contents(body)) for name, body in schemas.items()]
    )
    check = jsonschema.Draft7Validator(main, registry=registry)
    assert [error.message for error in check.iter_errors(made)] == []
    assert list(check.iter_errors(made | {"specVersion": 6})), "the schema refuses nothing"


def test_every_package_of_the_lock_and_every_file_of_others_is_in_it(made: dict[str, Any], repository_root: Path) -> None:
    there = {one["name"]: one for one in made["components"]}
    for name, number in locked(repository_root / "requirements/core.lock"):
        assert there[name]["version"] == number and version(name).partition("+")[0] == number
        assert re.fullmatch("[0-9a-f]{64}", there[name]["properties"][0]["value"]) and there[name]["licenses"]
    assert len(there) > 60 and "django" in there and there["htmx"]["hashes"]
    refs = {one["bom-ref"] for one in made["components"]} | {"salus"}
    assert {one["ref"] for one in made["dependencies"]} <= refs
    needs = {one["ref"]: one["dependsOn"] for one in made["dependencies"]}
    assert any("cryptography" in other for ref in needs for other in needs[ref] if ref != "salus"), "no package needs another?"


def test_the_same_parts_have_the_same_number(made: dict[str, Any], repository_root: Path) -> None:
    again = bill(repository_root, version="0.1.0", made_at=datetime(2027, 1, 2, tzinfo=UTC))
    assert again["serialNumber"] == made["serialNumber"] and again["metadata"] != made["metadata"]


def test_nothing_under_the_gpl_is_in_the_core(repository_root: Path) -> None:
    found = {}
    for name, _ in locked(repository_root / "requirements/core.lock"):
        licence = licence_of(distribution(name))
        if re.search(r"GPL|GNU|not stated|proprietary|non-?commercial", licence, re.IGNORECASE):
            found[name] = licence
    assert {name for name, licence in found.items() if "LGPL" in licence or "Lesser" in licence} == LGPL
    assert {name: licence for name, licence in found.items() if name not in LGPL} == {}


def test_another_version_than_the_locks_is_a_sentence(repository_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(materials, "locked", lambda path: iter([("django", "1.0")]))
    with pytest.raises(CommandError, match="django is installed as"):
        call_command("sbom")
    monkeypatch.setattr(materials, "locked", lambda path: iter([("no-such-package", "1.0")]))
    with pytest.raises(CommandError, match="not installed"):
        call_command("sbom")


def test_the_command_writes_it(tmp_path: Path) -> None:
    call_command("sbom", out=tmp_path / "sbom.json")
    stream = io.StringIO()
    call_command("sbom", stdout=stream)
    assert json.loads((tmp_path / "sbom.json").read_text())["components"] == json.loads(stream.getvalue())["components"]
