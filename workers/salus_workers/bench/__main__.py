"""`python -m salus_workers.bench [--quick]`: one JSON document on standard output, progress on standard error."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

from salus_learn import console

from salus_workers.runtime.environment import prepare

if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="bench")
    options.add_argument("--quick", action="store_true", help="small sizes, about a minute")
    chosen = options.parse_args()
    place = tempfile.TemporaryDirectory(prefix="salus-bench-")
    # the bench has a hospital of its own; nothing of an installation is read or changed
    os.environ["SALUS_DATA_DIR"] = place.name
    os.environ["DJANGO_SETTINGS_MODULE"] = "salus_web.config.settings.local"
    os.environ.setdefault("SALUS_WORKER_THREADS", str(min(os.cpu_count() or 1, 2)))
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    prepare()

import django

if __name__ == "__main__":
    django.setup()

    from salus_workers.bench.story import tell

    found = tell(Path(place.name), quick=chosen.quick, say=console.tell)
    console.say(json.dumps(found, indent=1))
    place.cleanup()
