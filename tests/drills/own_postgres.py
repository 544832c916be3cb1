"""A PostgreSQL server of a drill's own, in a temporary folder, on a port of its own, which may be killed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import psycopg

PLACES = Path("/usr/lib/postgresql")
PERSON = "postgres"  # the server refuses to run as root


def binaries() -> Path | None:
    """The newest server on this machine, or None."""
    found = sorted((path.parent for path in PLACES.glob("*/bin/initdb")), key=lambda path: int(path.parent.name))
    return found[-1] if found else None


class OwnPostgres:
    """Made at the start, stopped and removed at the end, whatever became of it."""

    def __init__(self) -> None:
        place = binaries()
        assert place is not None, "there is no PostgreSQL server on this machine"
        self.place, self.folder = place, Path(tempfile.mkdtemp(prefix="salus-postgres-"))
        self.user = PERSON if os.geteuid() == 0 else None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"postgresql://salus@127.0.0.1:{self.port}/salus"
        self.server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> OwnPostgres:
        if self.user:
            shutil.chown(self.folder, self.user)
        self._run("initdb", "--pgdata", str(self.folder / "data"), "--auth", "trust", "--username", "owner", "--encoding", "UTF8", "--no-locale")
        self.start()
        with psycopg.connect(self.url.replace("salus@", "owner@").replace("/salus", "/postgres"), autocommit=True) as link:
            link.execute("CREATE ROLE salus LOGIN CREATEDB NOSUPERUSER")
            link.execute("CREATE DATABASE salus OWNER salus")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run([str(self.place / name), *arguments], user=self.user, cwd=self.folder, check=True, capture_output=True)

    def start(self) -> None:
        """Start it, as often as needed: what a killed one left may still be going."""
        deadline = time.monotonic() + 120
        while not self.answers():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            if self.server is None or self.server.poll() is not None:
                command = [str(self.place / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), "-k", str(self.folder), "-h", "127.0.0.1"]
                with (self.folder / "log").open("ab") as log:
                    self.server = subprocess.Popen(command, user=self.user, cwd=self.folder, stdout=log, stderr=log, start_new_session=True)
            time.sleep(0.2)

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            psycopg.connect(self.url.replace("salus@", "owner@").replace("/salus", "/postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL to the server. What it started finds out by itself, as after a crash."""
        if self.server is not None and self.server.poll() is None:
            self.server.kill()
            self.server.wait()
