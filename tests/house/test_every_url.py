"""Every address × every role × {own, unrelated, other hospital, absent} × every method. A new address without a
declaration, or one that is not in the table below, fails."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError, transaction
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from salus_web.accounts.access import Declaration
from salus_web.accounts.models import RoleGrant, Site, User
from salus_web.accounts.permissions import RULES
from salus_web.audit.models import Event
from salus_web.cohorts.disclosure import SMALLEST
from salus_web.common.clock import now
from salus_web.jobs.models import Job
from salus_web.predictions.models import Review
from salus_web.records.models import CareTeamMembership, LegalHold
from salus_web.registry.services import store_reports
from salus_web.releases.models import ReleaseDecision, ReleaseState
from salus_web.stewardship.models import Erasure, FollowUp, RetentionItem, RetentionRule, RetentionRun

from tests.factories.cohorts import make_project
from tests.factories.emergencies import asked_for, broken
from tests.factories.hospital import (
    Person,
    judged,
    make_bundle,
    make_job,
    make_person,
    make_release,
    make_upload,
)
from tests.factories.people import SYSTEM, make_patient, make_site, make_user, relate

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
ROLES = ("nobody", "clinician", "administrator", "auditor", "researcher")
WHOSE = ("absent", "own", "unrelated", "other")
TOKENS = {"own": "QOWNTOKEN", "unrelated": "QUNRELATED", "other": "QOTHERSITE"}
METHODS = ("get", "post", "put", "patch", "delete", "options")
ABSENT = uuid.UUID(int=7)
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; script-src 'self'; style-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
TOKEN_OF = {role: {"role": role, "purpose": what} for role, what in (
    ("nobody", "care"), ("clinician", "care"), ("administrator", "integration"), ("auditor", "care"), ("researcher", "research"),
)}  # fmt: skip
WANTED_OF = {role: {"scope": "patient", "purpose": "consult"} for role in ROLES} | {"researcher": {"scope": "project", "purpose": "research"}}
LETTER = {"nobody": "n", "clinician": "c", "administrator": "a", "auditor": "u", "researcher": "r"}
# Who gets what: the letters of the roles that may GET and what they get, those that may POST and what they get.
# Everything else is refused. A new address is added here, by hand and on purpose.
TABLE: dict[str, tuple[str, int, str, int]] = {
    "home": ("ncaur", 302, "", 0), "healthy": ("ncaur", 200, "", 0),
    "account_login": ("ncaur", 200, "ncaur", 401), "account_logout": ("", 0, "ncaur", 302),
    "mfa_authenticate": ("ncaur", 302, "ncaur", 302), "mfa_login_webauthn": ("ncaur", 302, "ncaur", 401),
    "account_reauthenticate": ("caur", 200, "caur", 401), "mfa_reauthenticate": ("caur", 302, "caur", 302),
    "mfa_reauthenticate_webauthn": ("caur", 302, "caur", 302), "mfa_index": ("caur", 200, "", 0), "factor-setup": ("caur", 200, "", 0),
    "mfa_activate_totp": ("caur", 200, "caur", 200), "mfa_deactivate_totp": ("caur", 404, "caur", 404),
    "mfa_add_webauthn": ("caur", 200, "caur", 200), "mfa_remove_webauthn": ("caur", 404, "caur", 404),
    "mfa_view_recovery_codes": ("caur", 404, "", 0), "mfa_generate_recovery_codes": ("caur", 200, "caur", 200),
    "openid_connect_login": ("ncaur", 404, "", 0), "openid_connect_callback": ("ncaur", 404, "", 0),
    "token-make": ("", 0, "car", 200), "token-end": ("", 0, "caur", 404), "person-token-end": ("", 0, "a", 404),
    "account_change_password": ("caur", 200, "caur", 302), "own-session-end": ("", 0, "caur", 404),
    "worklist": ("c", 200, "", 0), "worklist-ask": ("", 0, "c", 302),
    "patients": ("c", 200, "c", 302), "patient": ("c", 200, "", 0), "looked": ("c", 200, "", 0), "ask": ("", 0, "c", 302),
    "consent": ("c", 200, "c", 302),
    "keeping": ("a", 200, "", 0), "add-hold": ("", 0, "a", 302), "lift-hold": ("", 0, "a", 302), "follow-up-done": ("", 0, "a", 302),
    "ask-erasure": ("", 0, "a", 302), "erasure": ("a", 200, "", 0), "decide-erasure": ("", 0, "a", 302),
    "retention-rule": ("", 0, "a", 302), "ask-run": ("", 0, "a", 302), "retention-run": ("a", 200, "", 0), "decide-run": ("", 0, "a", 302),
    "waiting": ("c", 200, "", 0), "film": ("c", 200, "", 0), "thumbnail": ("c", 200, "", 0),
    "prediction": ("c", 200, "", 0), "review": ("", 0, "c", 302), "receipt": ("c", 200, "", 0),
    "replay": ("", 0, "c", 200), "replayed": ("c", 200, "", 0),
    "uploads": ("ca", 200, "ca", 302), "upload-rows": ("ca", 200, "", 0),
    "jobs": ("car", 200, "", 0), "retry": ("", 0, "a", 302), "stop": ("", 0, "a", 302),
    "operations": ("a", 200, "", 0),
    "models": ("car", 200, "", 0), "model": ("car", 200, "a", 302),
    "model-report": ("car", 200, "", 0),
    "invitation": ("ncaur", 404, "ncaur", 404), "person": ("au", 200, "", 0), "invite": ("", 0, "a", 200), "person-until": ("", 0, "a", 302),
    "person-session-end": ("", 0, "a", 404), "person-factors-remove": ("", 0, "a", 409),
    "access": ("au", 200, "au", 200), "add-person": ("", 0, "a", 200), "add-role": ("", 0, "a", 302),
    "end-role": ("", 0, "a", 302), "add-member": ("", 0, "a", 302), "end-member": ("", 0, "a", 302), "team": ("au", 200, "", 0),
    "add-relation": ("", 0, "a", 302), "end-relation": ("", 0, "a", 302),
    "projects": ("au", 200, "", 0), "make-project": ("", 0, "a", 302), "project": ("au", 200, "", 0),
    "add-to-project": ("", 0, "a", 302), "take-from-project": ("", 0, "a", 302), "end-project": ("", 0, "a", 302),
    "audit": ("au", 200, "au", 302), "audit-export": ("", 0, "u", 200), "audit-searches": ("", 0, "au", 302),
    "audit-odd": ("au", 200, "", 0), "audit-watched": ("", 0, "au", 302),
    "looks-find": ("", 0, "au", 302), "looks-report": ("au", 200, "", 0), "looks-paper": ("au", 200, "", 0), "verify": ("", 0, "au", 200), "verified": ("au", 200, "", 0),
    "cohorts": ("r", 200, "", 0), "cohort": ("r", 200, "", 0), "save-cohort": ("", 0, "r", 302),
    "ask-release": ("", 0, "r", 302), "releases": ("ar", 200, "", 0), "release": ("ar", 200, "", 0),
    "decide-release": ("", 0, "ar", 302), "release-file": ("r", 200, "", 0),
    "requests": ("cr", 200, "cr", 302), "withdraw-request": ("", 0, "cr", 404), "decide-request": ("", 0, "a", 302),
    "emergency": ("c", 200, "c", 302), "emergency-back": ("", 0, "c", 302), "emergency-seen": ("", 0, "c", 302),
    "emergencies": ("au", 200, "", 0), "emergency-case": ("au", 200, "", 0), "emergency-review": ("", 0, "u", 302),
    # for programs: no session opens these, whoever's it is (tests/web/test_tokens.py)
    "api-worklist": ("", 0, "", 0), "api-projects": ("", 0, "", 0), "api-uploads": ("", 0, "", 0),
}  # fmt: skip
# Parameters by which an object is found only within somebody's reach; all other ids are open to whoever may use the page.
OF_A_PATIENT = {"patient_id", "prediction_id", "instance_id"}
OF_A_PROJECT = {"project_id", "cohort_id", "release_id"}
OF_A_SITE = {"grant_id", "membership_id", "team_id", "relation_id", "pseudonym", "hold_id", "follow_up_id", "erasure_id", "run_id", "glass_id", "request_id"}
OF_A_CARER = {"emergency-back", "emergency-seen"}  # one's own emergency access, or one to a patient in one's care
OF_A_PERSON = {"person", "invite", "person-until", "person-factors-remove"}


@dataclass
class Place:
    """The hospital of the walk: ids by whose they are, signed-in sessions by role, and forms that would succeed."""

    here: Site
    users: dict[str, User]
    people: dict[str, Person] = field(default_factory=dict)
    ids: dict[str, dict[str, Any]] = field(default_factory=dict)
    cookies: dict[str, SimpleCookie] = field(default_factory=dict)

    def client(self, role: str, **options: Any) -> Client:
        """A browser of this role with nothing left over from earlier answers."""
        client = Client(raise_request_exception=False, **options)
        client.cookies = SimpleCookie(self.cookies[role].output(header="", sep=";"))
        return client

    def ask(self, role: str, method: str, pattern: URLPattern, whose: str) -> Any:
        """One request, of which nothing stays."""
        point = transaction.savepoint()
        try:
            of_role = {"token-make": TOKEN_OF[role], "requests": WANTED_OF[role]}.get(pattern.name or "", {})
            data = self.form(pattern.name or "") | of_role if method == "post" else None
            return getattr(self.client(role), method)(self.address(pattern, whose), data)
        finally:
            transaction.savepoint_rollback(point)

    def address(self, pattern: URLPattern, whose: str) -> str:
        known = self.ids.get(whose, {})
        names = pattern.pattern.converters
        return reverse(
            pattern.name, kwargs={name: known.get(f"{pattern.name} {name}", known.get(name, 7 if name == "pk" else ABSENT)) for name in names}
        )

    def form(self, name: str) -> dict[str, Any]:
        """A form that would be accepted, so that whoever is refused is refused for who they are."""
        site, clinician = str(self.here.pk), str(self.users["clinician"].pk)
        return {
            "token-make": {"name": "Board", "purpose": "care", "days": "9"},
            "account_change_password": {"password": "a long enough one", "again": "a long enough one"},
            "worklist-ask": {"task": "t48"}, "ask": {"task": "t48"}, "review": {"decision": "accept", "reason": "agree"},
            "uploads": {"site": site, "files": SimpleUploadedFile("a.json", b"{}")},
            "model": {"to": "retired", "why": "older"}, "add-role": {"role": "auditor", "site": site},
            "add-person": {"username": "q", "display_name": "Q", "role": "auditor", "site": site},
            "add-member": {"person": clinician, "site": site, "team": "Night"},
            "add-relation": {"person": clinician, "site": site, "mrn": f"MRN{TOKENS['own']}", "reason": "consult"},
            "audit-searches": {"name": "refused", "outcome": "refused"}, "looks-find": {"mrn": f"MRN{TOKENS['own']}"},
            "consent": {"purpose": "research", "said": "no", "form": "Sheet 1"},
            "add-hold": {"site": site, "mrn": f"MRN{TOKENS['own']}", "reason": "a claim"}, "lift-hold": {"why": "settled"},
            "ask-erasure": {"site": site, "mrn": "MRNFREE", "reason": "asked for"}, "follow-up-done": {"words": "deleted"},
            "decide-erasure": {"decision": "refuse", "why": "not yet"}, "decide-run": {"decision": "refuse", "why": "not yet"},
            "retention-rule": {"kind": "record", "years": "30"}, "ask-run": {"site": site},
            "audit-watched": {"mrn": f"MRN{TOKENS['own']}", "why": "public"},
            "make-project": {"name": "Sepsis", "site": site, "member": str(self.users["newcomer"].pk)}, "add-to-project": {"person": str(self.users["newcomer"].pk)},
            "save-cohort": {"name": "Women", "sex": "female"}, "ask-release": {"purpose": "a table"},
            "emergency": {"site": site, "mrn": f"MRN{TOKENS['unrelated']}", "reason_code": "danger", "reason": "found on the floor"},
            "requests": {"site": site, "wanted": f"MRN{TOKENS['unrelated']}", "reason": "asked by the ward", "ends": (now() + timedelta(days=3)).date().isoformat()},
            "decide-request": {"decision": "refuse", "answer": "not at this time"}, "emergency-review": {"verdict": "justified", "finding": "nobody else was there"}, "decide-release": {"decision": "refuse", "why": "too few"},
        }.get(name, {})  # fmt: skip


@pytest.fixture
def place() -> Place:
    here, there, bundle = make_site(), make_site(), make_bundle()
    found = Place(here, {role: make_user(role, here) for role in ROLES[1:]})
    colleague, found.users["newcomer"] = make_user("researcher", here), make_user("researcher", here)
    for whose, site in (("own", here), ("unrelated", here), ("other", there)):
        person = make_person(site, TOKENS[whose], bundle)
        found.people[whose] = person
        members = [colleague, found.users["researcher"]] if whose == "own" else [colleague]
        found.ids[whose] = ids_of(person, make_project(site, members=members), colleague)
    store_reports(bundle=bundle, files={"json": b"{}"}, policy="default-src 'none'", by=SYSTEM)
    relate(found.users["clinician"], found.people["own"].patient)
    found.ids["own"]["emergency-back glass_id"] = broken(found.users["clinician"], found.people["own"].patient).pk
    make_upload(here)
    make_patient(here, mrn="MRNFREE")  # of whom nothing waits yet
    for _ in range(SMALLEST):  # enough people for a release to be asked for
        make_patient(here)
    RetentionRule.objects.create(kind="record", years=30, changed_by_name="X", changed_at=now())
    for role in ROLES:
        client = Client()
        if role in found.users:
            client.force_login(found.users[role])
        found.cookies[role] = client.cookies
    return found


def ids_of(person: Person, project: Any, researcher: User) -> dict[str, Any]:
    """The id of everything about one patient, with a colleague who cares for them, and about one project."""
    carer, patient, risk = make_user("clinician", person.patient.site), person.patient, person.prediction
    relation = relate(carer, patient)
    judged(person, carer)
    glass, over = (broken(make_user("clinician", patient.site), patient, ago=timedelta(hours=hours)).pk for hours in (0, 5))
    waits, gone = (make_release(project, researcher, state=state) for state in (ReleaseState.REQUESTED, ReleaseState.RELEASED))
    ReleaseDecision.objects.create(release=waits, person=make_user("administrator", patient.site), accepts=True, why="fine", at=now())
    return {
        "patient_id": patient.pk, "pseudonym": patient.pseudonym, "prediction_id": risk.pk, "instance_id": person.instance.pk, "bundle_id": risk.bundle_id,
        "waiting job_id": make_job("predict", "queued", patient_ids=[str(patient.pk)]).pk,
        "replayed job_id": make_job("replay", prediction_id=str(risk.pk)).pk,
        "retry job_id": make_job("ingest_upload", "failed").pk, "glass_id": glass, "decide-request request_id": asked_for(make_user("clinician", patient.site), patient.site, "a number").pk, "emergency-review glass_id": over, "stop job_id": make_job("train_task", "queued").pk, "verified job_id": make_job("verify_log").pk,
        "user_id": researcher.pk, **dict.fromkeys((f"{name} user_id" for name in OF_A_PERSON), carer.pk), "grant_id": RoleGrant.objects.get(user=carer).pk, "relation_id": relation.pk,
        "membership_id": CareTeamMembership.objects.get(user=carer).pk, "team_id": relation.team_id, "project_id": project.pk, "cohort_id": waits.cohort_id,
        **kept_of(patient, project), "model-report form": "json", "release_id": waits.pk, "release-file release_id": gone.pk, "file_id": gone.files.get().pk,
    }  # fmt: skip


def kept_of(patient: Any, project: Any) -> dict[str, Any]:
    """A hold that stands, an erasure that waits for a second person, something to do."""
    hold = LegalHold.objects.create(patient=patient, set_by="x", set_by_name="X", set_at=now(), until=now() + timedelta(days=1))
    waits = Erasure.objects.create(patient=patient, reason="r", asked_by="x", asked_by_name="X", asked_at=now())
    to_do = FollowUp.objects.create(patient=patient, why="research", kind="export", object_id=project.pk, title="t", found_at=now())
    run = RetentionRun.objects.create(site=patient.site, asked_by="x", asked_by_name="X", asked_at=now())
    RetentionItem.objects.create(run=run, patient=patient, kind="record", last_at=now())
    return {"hold_id": hold.pk, "erasure_id": waits.pk, "follow_up_id": to_do.pk, "run_id": run.pk}


def patterns(resolver: URLResolver | None = None) -> Iterator[URLPattern]:
    """Every leaf of Django's resolver."""
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            yield from patterns(entry)
        else:
            yield entry


def declaration(pattern: URLPattern) -> Declaration:
    found = getattr(pattern.callback, "declaration", None)
    assert isinstance(found, Declaration), f"{pattern.name} does not declare who may use it and how it is logged"
    return found


def in_reach(pattern: URLPattern, role: str, whose: str) -> bool:
    """Whether a role that may use the page finds the object there."""
    names = set(pattern.pattern.converters)
    if not names:
        return True
    if names & OF_A_PATIENT or pattern.name in OF_A_CARER:
        return whose == "own"
    if names & OF_A_PROJECT:
        # administrators decide on what leaves their hospitals, and they and auditors see who is in their projects
        return whose == "own" or (whose == "unrelated" and (role == "administrator" or pattern.name == "project"))
    return whose in {"own", "unrelated"} if names & OF_A_SITE or pattern.name in OF_A_PERSON else whose != "absent"


def expected(pattern: URLPattern, role: str, method: str, whose: str) -> int:
    """The one status that is right."""
    if declaration(pattern).by_token:
        return 401 if method == "get" else 405
    get, got, post, posted = TABLE[pattern.name or ""]
    may, status = {"get": (get, got), "post": (post, posted)}.get(method, ("", 0))
    if LETTER[role] in may:
        return status if in_reach(pattern, role, whose) else 404
    if not at_the_door(pattern, role):
        return 302 if role == "nobody" else 403
    # they may use the page; what they ask for is done by nobody (405), or by others (403) if they may know of it at all
    return 405 if not may else 403 if in_reach(pattern, role, whose) else 404


def at_the_door(pattern: URLPattern, role: str) -> bool:
    """Whether this role may do anything at all at this address."""
    get, _, post, _ = TABLE[pattern.name or ""]
    return LETTER[role] in get + post


def plain(answer: Any) -> tuple[int, bytes]:
    """Status and bytes, without form tokens, which differ from request to request."""
    body = re.sub(rb'name="csrfmiddlewaretoken" value="[^"]+"', b"", answer.content)
    return answer.status_code, re.sub(rb"was made on [^<;]* UTC", b"was made", body)  # a minute may pass between two answers


def test_every_address_declares_itself_and_is_in_the_table() -> None:
    found = list(patterns())
    assert sorted(pattern.name or "" for pattern in found) == sorted(TABLE)
    for pattern in found:
        said, (get, _, post, _) = declaration(pattern), TABLE[pattern.name or ""]
        assert said.action is None or said.action in RULES
        assert (said.action is None) == ("n" in get + post), pattern.name
        if OF_A_PATIENT & set(pattern.pattern.converters):
            assert said.shows_patient and said.action in {"patient.read", "prediction.request", "prediction.review", "consent.record"}


@pytest.mark.parametrize("role", ROLES)
def test_nobody_gets_what_is_not_theirs(place: Place, role: str) -> None:
    """Status, words, headers; and what is out of reach answers byte for byte like what is not there."""
    for pattern in patterns():
        for method in METHODS:
            absent = None
            for whose in WHOSE if pattern.pattern.converters else ("own",):
                answer = place.ask(role, method, pattern, whose)
                absent = absent or plain(answer)
                where = f"{method} {pattern.name} as {role} about {whose}"
                assert answer.status_code == expected(pattern, role, method, whose), where
                if role == "nobody" and declaration(pattern).action and not declaration(pattern).by_token:
                    assert answer.headers["Location"].startswith("/login/?next="), where
                check_headers(answer, pattern, where)
                check_words(answer, role, where)
                if not (at_the_door(pattern, role) and in_reach(pattern, role, whose)):
                    assert plain(answer) == absent, f"{where} is told from absent"


def check_headers(answer: Any, pattern: URLPattern, where: str) -> None:
    """The strict policy on every answer, and nothing of a declared page in a browser's store, refused or not."""
    assert answer.headers["Content-Security-Policy"] == POLICY, where
    if declaration(pattern).action:
        assert "no-store" in answer.headers.get("Cache-Control", ""), where


def check_words(answer: Any, role: str, where: str) -> None:
    """No planted word of somebody else's patient, nor of any patient for those who see none."""
    for whose in ["unrelated", "other"] if role == "clinician" else list(TOKENS):
        assert TOKENS[whose].encode() not in answer.content, f"{where}: shows the {whose} patient"
        assert TOKENS[whose] not in str(answer.headers), f"{where}: shows the {whose} patient in a header"


def test_the_planted_words_are_there_to_be_found(place: Place) -> None:
    """Were they not shown to those who may see them, the walk above would prove nothing."""
    token, page = TOKENS["own"], {}
    for pattern in patterns():
        if pattern.name in {"patient", "prediction", "receipt", "worklist", "patients"}:
            page[pattern.name] = place.ask("clinician", "get", pattern, "own").content.decode()
    for words in (f"Name{token}", f"{token} word", f"{token} display", f"{token} allergy", f"Ward{token}"):
        assert words in page["patient"], words
    assert f"{token} note" in page["prediction"] and token in page["receipt"]
    assert f"Name{token}" in page["worklist"] and f"MRN{token}" in page["patients"]


def of_a_patient() -> list[tuple[URLPattern, str]]:
    """Every address that shows a patient, with the method it is for."""
    found = [pattern for pattern in patterns() if declaration(pattern).shows_patient and not declaration(pattern).by_token]
    assert len(found) > 12
    return [(pattern, "get" if TABLE[pattern.name or ""][0] else "post") for pattern in found]


def test_every_look_is_on_the_log_before_the_answer_is_made(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    pseudonym, who = place.people["own"].patient.pseudonym, str(place.users["clinician"].pk)
    make, before = HttpResponseBase.__init__, Event.objects.count()

    def noting(self: Any, *args: Any, **options: Any) -> None:
        """The answer remembers which lines about the patient were on the log when it was made."""
        lines = Event.objects.filter(patient=pseudonym, actor_id=who, number__gt=before)
        self.lines = list(lines.values_list("action", flat=True))
        make(self, *args, **options)

    monkeypatch.setattr(HttpResponseBase, "__init__", noting)
    for pattern, method in of_a_patient():
        answer = place.ask("clinician", method, pattern, "own")
        assert answer.status_code < 400, pattern.name
        assert answer.lines, f"{pattern.name} showed a patient and nothing was written before"


def test_nothing_is_shown_or_changed_while_the_log_cannot_be_written(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr("salus_web.audit.services.append", refuse)
    kept = Job.objects.count(), Review.objects.for_actor(SYSTEM).count()
    for pattern, method in of_a_patient():
        client = place.client("clinician")
        answer = getattr(client, method)(place.address(pattern, "own"), place.form(pattern.name or ""))
        assert answer.status_code == 503, pattern.name
        assert TOKENS["own"].encode() not in answer.content and TOKENS["own"] not in str(answer.headers), pattern.name
    assert (Job.objects.count(), Review.objects.for_actor(SYSTEM).count()) == kept


def test_a_refused_look_is_on_the_log_too(place: Place) -> None:
    unrelated = place.people["unrelated"].patient
    assert place.client("clinician").get(f"/patients/{unrelated.pk}/").status_code == 404
    line = Event.objects.filter(object_id=str(unrelated.pk)).latest("number")
    assert (line.outcome, line.action, line.actor_id) == ("refused", "patient.read", str(place.users["clinician"].pk))


def test_a_form_that_was_not_shown_by_this_site_is_refused(place: Place) -> None:
    for pattern in patterns():
        for role in (role for role in ROLES if LETTER[role] in TABLE[pattern.name or ""][2]):
            client = place.client(role, enforce_csrf_checks=True)
            answer = client.post(place.address(pattern, "own"), place.form(pattern.name or ""))
            assert answer.status_code == 403 and b"CSRF" in answer.content, f"{pattern.name} as {role}"
            assert answer.headers["Content-Security-Policy"] == POLICY


def test_what_is_no_address_is_refused_with_the_same_headers(place: Place) -> None:
    for role in ROLES:
        answer = place.client(role).get("/nothing/here/")
        assert answer.status_code == 404 and answer.headers["Content-Security-Policy"] == POLICY, role
    hidden, nothing = (place.client("clinician").get(f"/patients/{what}/") for what in (ABSENT, "nothing-here"))
    assert plain(hidden) == plain(nothing), "a patient who is hidden is told from an address that does not exist"
