"""One person who means harm, for locust, beside the people of load_people: a signed-in clinician who asks as fast as answers come,
over eight connections: pages, searches of many words, ids of strangers, files that are refused, files too large, wrong passwords.

SALUS_LOAD_ROSTER names the person, SALUS_LOAD_RESULT the file that is written at the end.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import socket
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlparse

import gevent
from locust import FastHttpUser, constant, events, task

from tests.drills.load_totp import code_now

ME = next(row for row in json.loads(Path(os.environ["SALUS_LOAD_ROSTER"]).read_text()) if row["hostile"])
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
PATIENT, SITE = re.compile(r'<td><a href="(/patients/[0-9a-f-]{36}/)">'), re.compile(r'<option value="([0-9a-f-]{36})"')
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CONNECTIONS = 8
# what is done, how often in a hundred
HARM = {"page": 40, "search": 20, "stranger": 15, "file": 5, "huge": 5, "password": 15}
FILE_BYTES, HUGE_BYTES = 4 << 20, 8 << 30
LOST = "lost"
EMPTY: Mapping[str, str] = {}

statuses: dict[str, Counter[str]] = {name: Counter() for name in HARM}
owed: dict[str, Counter[str]] = {ME["username"]: Counter()}
unclear: dict[str, Counter[str]] = {ME["username"]: Counter()}


@events.quit.add_listener
def _written(**_: Any) -> None:
    Path(os.environ["SALUS_LOAD_RESULT"]).write_text(json.dumps({"statuses": statuses, "owed": owed, "unclear": unclear}))


class Hostile(FastHttpUser):
    """One session, eight connections, no pause."""

    wait_time = constant(0)
    concurrency = CONNECTIONS
    network_timeout = connection_timeout = 60.0

    def on_start(self) -> None:
        """Sign in as anybody does."""
        self.owed, self.unclear = owed[ME["username"]], unclear[ME["username"]]
        page = self.client.get("/login/").text
        self._form("/login/", page, {"username": ME["username"], "password": ME["password"]})
        page = self.client.get("/login/code/").text
        self._form("/login/code/", page, {"code": code_now(ME["secret"])})
        self.patients = PATIENT.findall(self.client.get("/patients/").text)
        self.owed["session.start done"] += 1
        self.owed["patient.list done"] += len(self.patients)
        upload = self.client.get("/uploads/").text
        self.owed["uploads.list done"] += 1
        self.token, self.site = TOKEN.findall(upload)[0], SITE.findall(upload)[0]

    @task
    def at_once(self) -> None:
        """Eight things at a time."""
        gevent.joinall([gevent.spawn(self._harm) for _ in range(CONNECTIONS)])

    def _harm(self) -> None:
        what = random.choices(list(HARM), list(HARM.values()))[0]
        status = getattr(self, f"_{what}")()
        statuses[what][status] += 1

    def _form(self, path: str, page: str, form: dict[str, str]) -> int:
        found = TOKEN.search(page)
        body = urlencode(form | {"csrfmiddlewaretoken": found.group(1) if found else ""})
        return int(self.client.post(path, data=body, headers=FORM, allow_redirects=False).status_code or 0)

    def _page(self) -> str:
        return self._counted("patient.read done", "200", self._sent("GET", random.choice(self.patients)))

    def _search(self) -> str:
        """Twenty words that nobody has, or two thousand."""
        words = " ".join(secrets.token_hex(4) for _ in range(random.choice((20, 2_000))))
        form = urlencode({"q": words, "csrfmiddlewaretoken": self.token}).encode()
        return self._counted("search.read nothing found", "200", self._sent("POST", "/patients/", FORM, form))

    def _stranger(self) -> str:
        """A patient of another hospital, or nobody."""
        patient = random.choice([*ME["strangers"], str(uuid.uuid4())])
        return self._counted("patient.read refused", "404", self._sent("GET", f"/patients/{patient}/"))

    def _counted(self, act: str, right: str, status: str) -> str:
        """The status, after counting the line that it owes; of an answer that was lost nobody can say here what it owed."""
        self.owed[act] += status == right
        self.unclear[act] += status == LOST
        return status

    def _file(self) -> str:
        """A file of four megabytes that is no picture and no record."""
        mark = secrets.token_hex(16)
        parts = {"csrfmiddlewaretoken": self.token, "site": self.site}
        fields = "".join(f'--{mark}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in parts.items())
        head = f'{fields}--{mark}\r\nContent-Disposition: form-data; name="files"; filename="a.dcm"\r\n\r\n'
        body = head.encode() + secrets.token_bytes(FILE_BYTES) + f"\r\n--{mark}--\r\n".encode()
        status = self._sent("POST", "/uploads/", {"Content-Type": f"multipart/form-data; boundary={mark}"}, body)
        for act in ("uploads.list done", "upload.receive done", "job.queue done"):
            self._counted(act, "302", status)
        return status

    def _huge(self) -> str:
        """A body that says it is eight gigabytes, of which little comes."""
        headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(HUGE_BYTES)}
        return self._counted("upload.receive refused", "413", self._sent("POST", "/uploads/", headers, b"--x\r\n" + bytes(100_000)))

    def _password(self) -> str:
        """A password of somebody whom there is not."""
        name = secrets.token_hex(6)
        body = urlencode({"username": name, "password": name, "csrfmiddlewaretoken": self.token})
        return self._sent("POST", "/login/", FORM, body.encode(), only="csrf")

    def _sent(self, method: str, path: str, headers: Mapping[str, str] = EMPTY, body: bytes = b"", only: str = "") -> str:
        """Ask over a connection of its own, with those cookies whose names hold `only`; the answer's status, or LOST. Locust's
        client would ask again by itself where an answer was lost."""
        to = urlparse(self.host or "")
        cookie = "; ".join(f"{one.name}={one.value}" for one in self.client.cookiejar if only in one.name)
        lines = {"Host": to.netloc, "Cookie": cookie, "Connection": "close", "Content-Length": str(len(body))} | dict(headers)
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{key}: {value}\r\n" for key, value in lines.items()) + "\r\n"
        first = b""
        with suppress(OSError), socket.create_connection((to.hostname or "", to.port or 80), timeout=60) as link:
            with suppress(OSError):  # it may have answered before all of it came
                link.sendall(head.encode() + body)
            first = link.recv(1 << 16)
            while link.recv(1 << 16):
                pass
        return first[9:12].decode(errors="replace") or LOST
