"""docker-compose.yml is valid by the compose specification's schema and holds every part the issue of running needs."""

from __future__ import annotations

import json
import re
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from django.core.management import call_command
from salus_web.ingest.management.commands import make_vault

PARTS = {"proxy", "web", "worker-cpu", "worker-gpu", "beat", "database", "queue", "objects"}


@pytest.fixture(scope="module")
def compose(repository_root: Path) -> dict[str, Any]:
    """The file as read, anchors resolved."""
    return yaml.safe_load((repository_root / "docker-compose.yml").read_text())


def test_the_file_is_valid_by_the_schema(compose: dict[str, Any]) -> None:
    schema_path = Path(str(distribution("docker-compose").locate_file("compose/config/compose_spec.json")))
    schema = json.loads(schema_path.read_text())
    body = {key: value for key, value in compose.items() if key != "name"}  # `name` is younger than the schema
    jsonschema.validate(body, schema)


def test_every_part_is_there_and_the_gpu_is_reserved(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) >= PARTS
    device = services["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"][0]
    assert device["driver"] == "nvidia" and "gpu" in device["capabilities"]


def test_every_secret_named_is_made_by_the_script(compose: dict[str, Any], repository_root: Path) -> None:
    script = (repository_root / "deploy" / "make_secrets.sh").read_text()
    for name, secret in compose["secrets"].items():
        assert secret["file"] == f"./secrets/{name}"
        assert f"> secrets/{name}" in script


def test_no_secret_stands_in_the_file(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, value in (service.get("environment") or {}).items():
            if any(word in name for word in ("PASSWORD", "SECRET", "KEYS", "ACCESS_KEY")):
                assert name.endswith("_FILE"), name
                assert value.startswith("/run/secrets/") or name == "SALUS_PERSON_KEYS_FILE", name


def test_persons_keys_lie_on_a_volume_of_their_own(compose: dict[str, Any]) -> None:
    """They change with each new patient, so they cannot be a secret of Docker's; a copy of the data must miss them."""
    holders = [s for s in compose["services"].values() if "SALUS_PERSON_KEYS_FILE" in (s.get("environment") or {})]
    assert holders
    for service in holders:
        place = service["environment"]["SALUS_PERSON_KEYS_FILE"]
        mounts = dict(reversed(volume.split(":")[:2]) for volume in service["volumes"])
        holding = [volume for folder, volume in mounts.items() if place.startswith(folder.rstrip("/") + "/")]
        assert holding == ["person-keys"]


NOT_PASSED = {"SALUS_MFA": "production refuses to relax it", "SALUS_AUDIT_DIR": "lies in the data folder"}


def test_every_setting_that_an_administrator_reads_of_reaches_the_containers(compose: dict[str, Any], repository_root: Path) -> None:
    """A documented setting that the file did not pass on changed nothing, in silence."""
    told = set(re.findall(r"SALUS_[A-Z_]*[A-Z]", (repository_root / "docs/administrator/running.md").read_text())) - {"SALUS_OIDC"}
    passed = {name for service in compose["services"].values() for name in (service.get("environment") or {})}
    missing = {name for name in told if not {name, f"{name}_FILE"} & passed}
    assert missing == set(NOT_PASSED)
    web = compose["services"]["web"]["environment"]
    assert {"SALUS_REQUESTS_PER_ADDRESS", "SALUS_PROXIES", "SALUS_DEVICE"} <= set(web)


def test_the_vault_s_bucket_is_made_before_anything_is_brought_in(compose: dict[str, Any]) -> None:
    assert "manage.py make_vault" in compose["services"]["migrate"]["command"][-1]
    for name in ("web", "door"):
        assert compose["services"][name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


class Store:
    """As much of an object store's client as `make_vault` asks."""

    bucket_name = "salus-vault"

    def __init__(self) -> None:
        self.buckets = ["another"]
        self.connection = self.meta = self.client = self

    def list_buckets(self) -> dict[str, Any]:
        return {"Buckets": [{"Name": name} for name in self.buckets]}

    def create_bucket(self, *, Bucket: str) -> None:
        assert Bucket not in self.buckets
        self.buckets.append(Bucket)


def test_the_bucket_is_made_once_and_a_folder_needs_none(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("make_vault")
    store = Store()
    monkeypatch.setattr(make_vault, "storages", {"vault": store})
    call_command("make_vault")
    call_command("make_vault")
    assert store.buckets == ["another", "salus-vault"]
    assert capsys.readouterr().out.splitlines() == [
        "The vault is a folder; there is nothing to make.", "The bucket salus-vault was made.", "The bucket salus-vault is there.",
    ]  # fmt: skip
