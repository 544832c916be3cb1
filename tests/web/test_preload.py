"""What the web server loads before it forks its workers opens nothing that must not be shared: no connection, no thread, no torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from salus_web.dashboard.processes import web_part

# no sockets and no regular files but the three that every process has: what a worker inherits open, it shares
PROGRAM = """
import json, os, sys
from importlib import import_module
before = {os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}
import_module(sys.argv[1])
from django.db import connections
from django.urls import get_resolver
opened = {os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")} - before
print(json.dumps({
    "threads": len(os.listdir("/proc/self/task")), "connections": [one.alias for one in connections.all() if one.connection is not None],
    "heavy": sorted({"torch", "onnxruntime", "xgboost", "sklearn"} & set(sys.modules)), "opened": sorted(opened),
    "loaded": "url_patterns" in get_resolver().__dict__,
}))
"""


def test_nothing_is_open_when_the_server_forks(tmp_path: Path) -> None:
    part = web_part(8000)
    assert "--preload" in part.command
    module = next(word for word in part.command if word.endswith(":application")).partition(":")[0]
    around = os.environ | part.environment | {"SALUS_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "salus_web.config.settings.local"}
    done = subprocess.run([sys.executable, "-c", PROGRAM, module], env=around, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found == {"threads": 1, "connections": [], "heavy": [], "opened": [], "loaded": True}
