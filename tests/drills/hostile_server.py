"""A real web process for drills of bodies: gunicorn on a database and data folder of its own, a signed-in session, raw sockets."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from salus_web.dashboard.processes import WORKER

from tests.drills.jobs_house import children_of

PERSON = """
import django; django.setup()
from salus_web.accounts.models import RoleGrant, Site, User
from salus_web.common.clock import now
site = Site.objects.create(code="drill", name="Drill")
user = User.objects.create_user("drill", "correct horse battery", display_name="Drill")
RoleGrant.objects.create(user=user, site=site, role="clinician", starts_at=now(), granted_by="drill")
print(site.pk)
"""


class Server:
    """Started by `with`; every process of it is gone afterwards."""

    def __init__(self, folder: Path, root: Path, *, threads: int = 4, **more: str) -> None:
        left_out = {"DATABASE_URL", "REDIS_URL"}
        self.data, self.root, self.threads = folder / "data", root, threads
        self.environment = {name: value for name, value in os.environ.items() if name not in left_out} | {
            "SALUS_DATA_DIR": str(self.data), "DJANGO_SETTINGS_MODULE": "salus_web.config.settings.local", "SALUS_MFA": "demo",
        } | more  # fmt: skip
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.cookie, self.token = "", ""

    def __enter__(self) -> Server:
        subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], env=self.environment, cwd=self.root, check=True)
        made = subprocess.run([sys.executable, "-c", PERSON], env=self.environment, cwd=self.root, check=True, capture_output=True, text=True)
        self.site = made.stdout.split()[-1]
        self.log = (self.data / "web.log").open("ab")
        self.start()
        self.sign_in()
        return self

    def start(self) -> None:
        """The web processes; returns when they answer."""
        command = [
            sys.executable, "-m", "gunicorn", "salus_web.config.wsgi:application", "--bind", f"127.0.0.1:{self.port}", "--workers", "1",
            "--timeout", "120", *(("--threads", str(self.threads), "--worker-class", "gthread") if self.threads > 1 else ("--worker-class", WORKER)),
        ]  # fmt: skip
        self.process = subprocess.Popen(command, env=self.environment, cwd=self.root, stdout=self.log, stderr=self.log, start_new_session=True)
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", self.port)):
            assert time.monotonic() < deadline, "the web process does not start"
            time.sleep(0.2)

    def kill(self) -> None:
        """SIGKILL to all of them at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __exit__(self, *reason: object) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()

    def sign_in(self) -> None:
        """A session, and a form token that fits it."""
        page = self.ask(b"GET /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        cookie = re.findall(r"Set-Cookie: (csrftoken=[^;]+)", page)[0]
        token = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[0]
        form = f"csrfmiddlewaretoken={token}&username=drill&password=correct+horse+battery".encode()
        head = self.head("/login/", len(form), kind="application/x-www-form-urlencoded", cookie=cookie)
        self.cookie = "; ".join(part for part in re.findall(r"Set-Cookie: ((?:sessionid|csrftoken)=[^;]+)", self.ask(head + form)))
        assert "sessionid" in self.cookie
        self.token = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.ask(self.head("/uploads/", 0, verb="GET")))[0]

    def head(self, path: str, length: int, *, kind: str = "", cookie: str = "", verb: str = "POST") -> bytes:
        """The head of a request of this session."""
        lines = [f"{verb} {path} HTTP/1.1", "Host: 127.0.0.1", f"Cookie: {cookie or self.cookie}", f"Content-Length: {length}"]
        return "\r\n".join([*lines, *([f"Content-Type: {kind}"] if kind else []), "", ""]).encode()

    def open(self) -> socket.socket:
        """A connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=120)

    def ask(self, request: bytes) -> str:
        """Send, and read the whole answer."""
        with self.open() as line:
            line.sendall(request)
            return answer_of(line)

    def parts(self, filename: str) -> tuple[bytes, bytes]:
        """What stands before and after a file in the form of the uploads page."""
        field = 'Content-Disposition: form-data; name="{}"'
        before = "".join(
            f"--drill\r\n{field.format(name)}\r\n\r\n{value}\r\n" for name, value in (("csrfmiddlewaretoken", self.token), ("site", self.site))
        )
        before += f'--drill\r\n{field.format("files")}; filename="{filename}"\r\nContent-Type: application/octet-stream\r\n\r\n'
        return before.encode(), b"\r\n--drill--\r\n"

    def forget_peak(self) -> None:
        """Measure the peak from here on; signing in alone takes 100 MB for a moment, which would hide much."""
        for pid in [self.process.pid, *children_of(self.process.pid)]:
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak_bytes(self) -> int:
        """The largest resident memory of any of its processes since `forget_peak`."""
        found = 0
        for pid in [self.process.pid, *children_of(self.process.pid)]:
            with suppress(OSError):
                found = max(found, *(int(kb) << 10 for kb in re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())))
        return found


def answer_of(line: socket.socket) -> str:
    """Everything until the other side is done; what was read when it hangs up."""
    got, deadline = bytearray(), time.monotonic() + 120
    with suppress(ConnectionError):
        while time.monotonic() < deadline:
            if b"\r\n\r\n" in got:
                head, _, body = bytes(got).partition(b"\r\n\r\n")
                said = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                if said and len(body) >= int(said[1]):
                    break
            piece = line.recv(1 << 16)
            if not piece:
                break
            got += piece
    return got.decode("utf-8", "replace")
