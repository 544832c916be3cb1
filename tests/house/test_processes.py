"""What the web process never loads, what may not be installed, and migrations that match the models."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from importlib.metadata import distributions, version
from pathlib import Path

import pytest
from django.core.management import call_command
from salus_web.dashboard.processes import Household, Part, web_part, worker_part
from salus_web.jobs.celery import QUEUES
from salus_workers.pipelines.registry import PIPELINES

HEAVY = ("torch", "xgboost", "shap", "sklearn", "pandas", "onnxruntime", "salus_workers")
GPL = {"pylibjpeg-libjpeg", "scikit-survival"}
PROGRAM = """
import json, sys, django
django.setup()
import salus_web.config.urls, salus_web.config.wsgi
print(json.dumps(sorted(sys.modules)))
"""


def test_the_web_process_never_loads_a_model_library(repository_root: Path) -> None:
    environment = {"DJANGO_SETTINGS_MODULE": "salus_web.config.settings.test", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, cwd=repository_root, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert "salus_web.dashboard.views.clinician" in loaded
    assert loaded & set(HEAVY) == set()


def test_what_computes_in_the_background_gives_way_to_pages(tmp_path: Path) -> None:
    assert worker_part("gpu", threads=1).gives_way and not web_part(8000).gives_way
    household = Household(tmp_path)
    asleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    worker, page = Part("worker", asleep, gives_way=True), Part("page", asleep)
    try:
        for part in (worker, page):
            household.start(part)
        lower, ordinary = (os.getpriority(os.PRIO_PROCESS, part.process.pid) for part in (worker, page) if part.process)
        assert lower > ordinary == os.getpriority(os.PRIO_PROCESS, 0)
        group = Path(f"/proc/{worker.process.pid}/autogroup") if worker.process else Path()
        assert not group.exists() or group.read_text().split()[-1] == str(lower), "where Linux weighs sessions, the session too"
    finally:
        household.stop()


def test_dependencies_are_the_ones_that_were_chosen() -> None:
    names = {(entry.metadata["Name"] or "").lower() for entry in distributions()}
    assert version("torch").startswith("2.13.0")
    assert "torchvision" not in names
    assert {name for name in names if name.startswith("nvidia-")} == set()
    assert names & GPL == set()


@pytest.mark.django_db
def test_migrations_match_the_models() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_every_kind_of_job_that_is_queued_has_a_pipeline(repository_root: Path) -> None:
    queued = {"ingest_upload", "load_cases"}  # chosen by the upload's form
    for path in [*(repository_root / "platform").rglob("*.py"), *(repository_root / "workers").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "enqueue":
                kinds = [word.value for word in node.keywords if word.arg == "kind"]
                queued |= {kind.value for kind in kinds if isinstance(kind, ast.Constant)}
    assert queued == set(PIPELINES)
    assert QUEUES == ("cpu", "gpu")
