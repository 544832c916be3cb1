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

statuses: dict[str, Counter[str]] = {name: Counter() for name in HARM}
owed: dict[str, Counter[str]] = {ME["username"]: Counter()}


@events.quit.add_listener
def _written(**_: Any) -> None:
    Path(os.environ["SALUS_LOAD_RESULT"]).write_text(json.dumps({"statuses": statuses, "owed": owed}))


class Hostile(FastHttpUser):
    """One session, eight connections, no pause."""

    wait_time = constant(0)
    concurrency = CONNECTIONS
    network_timeout = connection_timeout = 60.0

    def on_start(self) -> None:
        """Sign in as anybody does."""
        self.owed = owed[ME["username"]]
        page = self.client.get("/login/").text
        self._form("/login/", page, {"username": ME["username"], "password": ME["password"]})
        page = self.client.get("/login/code/").text
        self._form("/login/code/", page, {"code": code_now(ME["secret"])})
        self.page = self.client.get("/patients/").text
        self.patients = PATIENT.findall(self.page)
        self.owed["session.start done"] += 1
        self.owed["patient.list done"] += len(self.patients)
        upload = self.client.get("/uploads/").text
        self.owed["uploads.list done"] += 1
        self.upload, self.site = upload, next(iter(SITE.findall(upload)), "")

    @task
    def at_once(self) -> None:
        """Eight things at a time."""
        gevent.joinall([gevent.spawn(self._harm) for _ in range(CONNECTIONS)])

    def _harm(self) -> None:
        what = random.choices(list(HARM), list(HARM.values()))[0]
        status = getattr(self, f"_{what}")()
        statuses[what][str(status)] += 1

    def _form(self, path: str, page: str, form: dict[str, str]) -> int:
        found = TOKEN.search(page)
        body = urlencode(form | {"csrfmiddlewaretoken": found.group(1) if found else ""})
        return int(self.client.post(path, data=body, headers=FORM, allow_redirects=False).status_code or 0)

    def _page(self) -> int:
        status = int(self.client.get(random.choice(self.patients), allow_redirects=False, name="page").status_code or 0)
        self.owed["patient.read done"] += status == 200
        return status

    def _search(self) -> int:
        """Twenty words that nobody has, or two thousand."""
        words = " ".join(secrets.token_hex(4) for _ in range(random.choice((20, 2_000))))
        if 'class="search" method="post"' in self.page:
            status = self._form("/patients/", self.page, {"q": words})
        else:
            status = int(self.client.get(f"/patients/?{urlencode({'q': words[:3_000]})}", name="search").status_code or 0)
        self.owed["search.read nothing found"] += status == 200
        return status

    def _stranger(self) -> int:
        """A patient of another hospital, or nobody."""
        patient = random.choice([*ME["strangers"], str(uuid.uuid4())])
        status = int(self.client.get(f"/patients/{patient}/", name="stranger").status_code or 0)
        self.owed["patient.read refused"] += status == 404
        return status

    def _file(self) -> int:
        """A file of four megabytes that is no picture and no record."""
        mark = secrets.token_hex(16)
        parts = {"csrfmiddlewaretoken": TOKEN.search(self.upload).group(1), "site": self.site}  # type: ignore[union-attr]
        fields = "".join(f'--{mark}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in parts.items())
        head = f'{fields}--{mark}\r\nContent-Disposition: form-data; name="files"; filename="a.dcm"\r\n\r\n'
        body = head.encode() + secrets.token_bytes(FILE_BYTES) + f"\r\n--{mark}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        status = int(self.client.post("/uploads/", data=body, headers=headers, allow_redirects=False, name="file").status_code or 0)
        self.owed["uploads.list done"] += status == 302
        self.owed["upload.receive done"] += status == 302
        self.owed["job.queue done"] += status == 302
        return status

    def _huge(self) -> str:
        """A body that says it is eight gigabytes, of which little comes."""
        to = urlparse(self.host or "")
        cookie = "; ".join(f"{one.name}={one.value}" for one in self.client.cookiejar)
        head = f"POST /uploads/ HTTP/1.1\r\nHost: {to.netloc}\r\nCookie: {cookie}\r\nContent-Length: {HUGE_BYTES}\r\n"
        try:
            with socket.create_connection((to.hostname or "", to.port or 80), timeout=30) as link:
                link.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode() + bytes(100_000))
                status = link.recv(64).decode(errors="replace")[9:12]
        except OSError:
            return "closed"
        self.owed["upload.receive refused"] += status == "413"
        return status

    def _password(self) -> int:
        """A password of somebody whom there is not."""
        name = secrets.token_hex(6)
        body = urlencode({"username": name, "password": name, "csrfmiddlewaretoken": TOKEN.search(self.page).group(1)})  # type: ignore[union-attr]
        cookie = "; ".join(f"{one.name}={one.value}" for one in self.client.cookiejar if "csrf" in one.name)
        headers = FORM | {"Cookie": cookie}
        to = urlparse(self.host or "")
        request = f"POST /login/ HTTP/1.1\r\nHost: {to.netloc}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        try:
            with socket.create_connection((to.hostname or "", to.port or 80), timeout=60) as link:
                link.sendall((request + "".join(f"{key}: {value}\r\n" for key, value in headers.items()) + "\r\n" + body).encode())
                return int(link.recv(64).decode()[9:12])
        except (OSError, ValueError):
            return 0
