"""A day of one person at the pages of their role, for locust: sign in with password and code, then a click every one to two
seconds. Counts what it sees that must be on the log. Runs in locust's own environment, so it imports nothing of Salus.

SALUS_LOAD_ROSTER names the people, SALUS_LOAD_RESULT the file that is written at the end (and one with .in behind it once all
are signed in), SALUS_LOAD_PAUSE the seconds between two clicks, such as 1-2.
"""

from __future__ import annotations

import html
import json
import os
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import gevent
from locust import FastHttpUser, between, events, task

from tests.drills.load_totp import code_now

ROSTER = [row for row in json.loads(Path(os.environ["SALUS_LOAD_ROSTER"]).read_text()) if not row["hostile"]]
PAUSE = [float(word) for word in os.environ["SALUS_LOAD_PAUSE"].split("-")]
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
PATIENT, RISK = re.compile(r'href="(/patients/[0-9a-f-]{36}/)"'), re.compile(r'href="(/predictions/[0-9a-f-]{36}/)"')
IMAGES, ROWS_OF_RISKS = re.compile(r'(?:src|href)="(/images/[0-9a-f-]{36}/\w+\.png)"'), re.compile(r'<td><a (?:id="[^"]+" )?href="/predictions/')
ROWS_OF_PATIENTS, AGAIN = re.compile(r'<td><a href="/patients/[^"]+">([^<]*)</a>'), re.compile(r'hx-get="([^"]+)"')
PROJECT, OLDER = re.compile(r'href="(/cohorts/projects/[0-9a-f-]{36}/)"'), re.compile(r'<a href="(\?[^"]*before=\d+)">older')
STATIC = re.compile(r'(?:src|href)="(/static/[^"]+)"')
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
UNASKED = {"HX-Request": "true", "X-Salus-Unasked": "yes"}
# how often each page is clicked, by role
DAYS = {
    "clinician": {"worklist": 22, "poll": 12, "risk": 24, "patient": 16, "search": 8, "patients_in_care": 4, "looked": 2, "receipt": 1, "judge": 3, "jobs": 4, "uploads": 2, "models": 2},
    "administrator": {"operations": 30, "jobs": 25, "poll_jobs": 20, "access": 15, "models": 5, "uploads": 5},
    "auditor": {"audit": 55, "audit_person": 25, "access": 15, "odd": 5},
    "researcher": {"cohorts": 15, "cohort": 45, "releases": 15, "models": 10, "jobs": 5, "poll_jobs": 10},
}  # fmt: skip

seen: list[tuple[float, str, float, str]] = []  # when it began, which page, milliseconds, what was wrong
owed: dict[str, Counter[str]] = {}  # by person: lines that the log must hold
entered: list[str] = []
_next = iter(ROSTER)


@events.request.add_listener
def _noted(name: str, response_time: float, exception: Any, start_time: float, **_: Any) -> None:
    seen.append((start_time, name, response_time, str(exception) if exception else ""))


@events.quit.add_listener
def _written(**_: Any) -> None:
    Path(os.environ["SALUS_LOAD_RESULT"]).write_text(json.dumps({"seen": seen, "owed": owed}))


class Person(FastHttpUser):
    """One person at one browser."""

    wait_time = between(*PAUSE)
    concurrency = 6  # what a browser opens to one host
    network_timeout = connection_timeout = 60.0

    def on_start(self) -> None:
        """Sign in at the door, with the second factor."""
        self.me = next(_next)
        self.owed = owed.setdefault(self.me["username"], Counter())
        self.risks: list[str] = []
        self.cared_for: list[str] = []
        self.names: list[str] = []
        self.search_form = ""
        self.poll_at = self.project = ""
        self.unopened = list(DAYS[self.me["role"]])
        page = self.get("sign in: page", "/login/")
        for asset in sorted(set(STATIC.findall(page))):
            self.get("style and script", asset)
        self.post("sign in: password", "/login/", page, {"username": self.me["username"], "password": self.me["password"]})
        page = self.get("sign in: page", "/login/code/")
        self.post("sign in: code", "/login/code/", page, {"code": code_now(self.me["secret"])})
        self.owed["session.start done"] += 1
        self.click()
        entered.append(self.me["username"])
        if len(entered) == len(ROSTER):
            Path(os.environ["SALUS_LOAD_RESULT"] + ".in").touch()

    @task
    def click(self) -> None:
        """One page of the day: each of them once, then by chance."""
        day = DAYS[self.me["role"]]
        page = self.unopened.pop(0) if self.unopened else random.choices(list(day), list(day.values()))[0]
        getattr(self, page)()

    def ask(self, method: str, name: str, path: str, right: tuple[int, ...], **options: Any) -> Any:
        """One request; any other answer than the right ones is an error."""
        with self.client.request(method, path, name=name, catch_response=True, allow_redirects=False, **options) as answer:
            if answer.status_code not in right:
                answer.failure(f"{answer.status_code} {(answer.text or '')[:80]}")
                answer.is_right = False
            else:
                answer.success()
                answer.is_right = True
            return answer

    def get(self, name: str, path: str, owes: str = "", **options: Any) -> str:
        """A page, and the line that it owes."""
        answer = self.ask("get", name, path, (200,), **options)
        if answer.is_right and owes:
            self.owed[f"{owes} done"] += 1
        text = answer.text or ""
        if 'class="search" method="post"' in text:
            self.search_form = text
        return text if answer.is_right else ""

    def post(self, name: str, path: str, page: str, form: dict[str, str], right: tuple[int, ...] = (302,)) -> Any:
        """A form with the token of the page it stood on."""
        found = TOKEN.search(page)
        body = urlencode(form | {"csrfmiddlewaretoken": found.group(1) if found else ""})
        return self.ask("post", name, path, right, data=body, headers=FORM)

    def images(self, page: str) -> None:
        """The pictures of a page, side by side as a browser gets them; each is a look."""
        gevent.joinall([gevent.spawn(self._image, path) for path in sorted(set(IMAGES.findall(page)))])

    def _image(self, path: str) -> None:
        if self.ask("get", "image", path, (200,)).is_right:
            self.owed["image.read done"] += 1

    # clinician

    def worklist(self) -> None:
        """My patients, one line each."""
        order = random.choice(("risk", "change"))
        page = self.get("worklist", f"/worklist/?order={order}")
        self.owed["worklist.read done"] += len(ROWS_OF_RISKS.findall(page))
        self.risks = RISK.findall(page) or self.risks
        found = AGAIN.search(page)
        self.poll_at = html.unescape(found.group(1)) if found else ""

    def poll(self) -> None:
        """The open work list asks by itself whether anything changed."""
        if self.poll_at:
            answer = self.ask("get", "worklist, asks again", self.poll_at, (200, 204), headers=UNASKED)
            self.owed["worklist.read done"] += len(ROWS_OF_RISKS.findall(answer.text or "")) if answer.is_right else 0

    def risk(self) -> str:
        """One risk with its images and maps."""
        if not self.risks:
            return ""
        page = self.get("prediction", random.choice(self.risks), "prediction.read")
        self.images(page)
        self.cared_for = list({*self.cared_for, *PATIENT.findall(page)})
        return page

    def judge(self) -> None:
        """Agree with a risk."""
        page = self.risk()
        action = re.search(r'action="(/predictions/[^"]+/review/)"', page)
        if action is None:
            return
        answer = self.post("judgement", action.group(1), page, {"decision": "accept", "reason": "agree", "note": ""})
        if answer.is_right:
            self.owed["prediction.read done"] += 1
            self.owed["prediction.review done"] += 1

    def receipt(self) -> None:
        """A risk's receipt."""
        if self.risks:
            self.get("receipt", random.choice(self.risks) + "receipt.json", "receipt.read")

    def patient(self) -> None:
        """One patient, with thumbnails."""
        if self.cared_for:
            self.images(self.get("patient", random.choice(self.cared_for), "patient.read"))

    def looked(self) -> None:
        """Who looked at this patient."""
        if self.cared_for:
            self.get("who looked", random.choice(self.cared_for) + "looked/", "who_looked.read")

    def patients_in_care(self) -> str:
        """The list of patients, one line each."""
        page = self.get("patients", "/patients/")
        found = ROWS_OF_PATIENTS.findall(page)
        self.owed["patient.list done"] += len(found)
        self.names = [html.unescape(name) for name in found] or self.names
        return page

    def search(self) -> None:
        """Somebody by a word of their name."""
        if not self.names:
            self.patients_in_care()
            return
        word = random.choice(random.choice(self.names).split())
        answer = self.post("search", "/patients/", self.search_form, {"q": word})
        if answer.is_right and answer.headers["Location"] != "/patients/":  # where what was searched for has an address
            answer = self.ask("get", "search, found", answer.headers["Location"], (200, 302))
        if not answer.is_right:
            return
        self.owed["search.read done"] += 1 if answer.status_code == 302 else len(ROWS_OF_PATIENTS.findall(answer.text))
        if answer.status_code == 302:  # found one: the browser goes there
            self.images(self.get("patient", answer.headers["Location"], "patient.read"))

    # everybody else

    def jobs(self) -> None:
        """What the workers do."""
        self.get("jobs", "/jobs/")

    def poll_jobs(self) -> None:
        """The open page of jobs asks every two seconds."""
        self.get("jobs, asks again", "/jobs/?fragment&state=&page=1", headers=UNASKED)

    def uploads(self) -> None:
        """What came in."""
        self.get("uploads", "/uploads/", "uploads.list")

    def models(self) -> None:
        """Every model."""
        self.get("models", "/models/")

    def operations(self) -> None:
        """Whether everything runs."""
        self.get("operations", "/operations/", "operations.read")

    def access(self) -> None:
        """People and teams."""
        self.get("access", "/access/", "access.read")

    def audit(self) -> None:
        """The log, and sometimes an older page of it."""
        page = self.get("audit", "/audit/", "audit.read")
        older = OLDER.search(page)
        if older and random.random() < 0.3:
            self.get("audit, older", f"/audit/{html.unescape(older.group(1))}", "audit.read")

    def audit_person(self) -> None:
        """The lines of one person."""
        self.get("audit, a person", f"/audit/?person={random.choice(ROSTER)['id']}", "audit.read")

    def odd(self) -> None:
        """Looks worth a second look."""
        self.get("audit, odd looks", "/audit/odd/", "audit.odd")

    def cohorts(self) -> None:
        """My projects."""
        page = self.get("cohorts", "/cohorts/", "projects.list")
        found = PROJECT.search(page)
        self.project = found.group(1) if found else ""

    def cohort(self) -> None:
        """Counts of a cohort, as the form changes."""
        asked = random.choice(({}, {"sex": "female"}, {"age_low": "50", "age_high": "80"}, {"sex": "male", "modality": "DX"}))
        if self.project:
            self.get("cohort", f"{self.project}?{urlencode({**asked, 'fragment': ''})}", "cohort.read")

    def releases(self) -> None:
        """Releases."""
        self.get("releases", "/releases/", "releases.list")
