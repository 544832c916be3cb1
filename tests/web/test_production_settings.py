"""Production does not start with DEBUG, a missing key or a default key; the sentence names what is wrong."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from salus_web.ingest.door import FORM_AROUND_BYTES

GOOD = {
    "DATABASE_URL": "postgresql://salus:x@127.0.0.1/salus",
    "REDIS_URL": "redis://127.0.0.1/0",
    "SALUS_HOSTS": "salus.example.org",
    "SECRET_KEY": secrets.token_hex(40),
    "SALUS_INDEX_KEY": secrets.token_hex(32),
    "SALUS_DATA_KEYS": '{"k1": "' + secrets.token_hex(32) + '"}',
    "SALUS_CURRENT_DATA_KEY": "k1",
}


def start(environment: dict[str, str], *, check: bool = False, after: str = "") -> subprocess.CompletedProcess[str]:
    """Load the production settings in a process of their own."""
    base = {key: value for key, value in os.environ.items() if not key.startswith(("SALUS_", "DATABASE", "REDIS"))}
    code = "import django; django.setup(); from django.core.management import call_command"
    code += "; call_command('check', deploy=True, fail_level='WARNING')" if check else ""
    code += f"; from django.conf import settings; {after}" if after else ""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=base | {"DJANGO_SETTINGS_MODULE": "salus_web.config.settings.production"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_proxy_lets_through_what_the_door_takes_and_both_read_the_hosts_alike(repository_root: Path) -> None:
    said = re.search(r"max_size (\d+)MiB", (repository_root / "deploy/Caddyfile").read_text())
    assert said is not None and int(said[1]) << 20 == settings.SALUS_UPLOAD_LIMIT_BYTES + FORM_AROUND_BYTES
    done = start(GOOD | {"SALUS_HOSTS": "a.example.org, b.example.org"}, after="print(settings.ALLOWED_HOSTS, settings.CSRF_TRUSTED_ORIGINS)")
    assert done.stdout.split() == ["['a.example.org',", "'b.example.org']", "['https://a.example.org',", "'https://b.example.org']"], done.stderr[-800:]


def test_good_settings_start_and_pass_the_deployment_check() -> None:
    done = start(GOOD, check=True)
    assert done.returncode == 0, done.stderr[-800:]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"DEBUG": "true"}, "does not start with DEBUG"),
        ({"SALUS_MFA": "demo"}, "Production does not start with it relaxed"),
        ({"SECRET_KEY": ""}, "SECRET_KEY (or SECRET_KEY_FILE) is not set"),
        ({"SECRET_KEY": "changeme" * 10}, "SECRET_KEY is a default or too short"),
        ({"SALUS_INDEX_KEY": "ab"}, "SALUS_INDEX_KEY is a default or too short"),
        ({"SALUS_DATA_KEYS": ""}, "SALUS_DATA_KEYS (or SALUS_DATA_KEYS_FILE) is not set"),
        ({"SALUS_CURRENT_DATA_KEY": "k9"}, "does not name one of SALUS_DATA_KEYS"),
        ({"DATABASE_URL": ""}, "DATABASE_URL is not set"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_a_sentence(change: dict[str, str], says: str) -> None:
    done = start(GOOD | change)
    assert done.returncode != 0
    assert says in done.stderr
