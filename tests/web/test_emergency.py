"""Breaking the glass: who may, what is said before a reason is given, the four hours, and what they open."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from salus_web.access.models import BreakGlass
from salus_web.accounts import proofs
from salus_web.accounts.models import ApiToken, RoleGrant
from salus_web.accounts.tokens import make_token
from salus_web.audit.models import Event
from salus_web.common import clock
from salus_web.records.models import CareRelation
from salus_web.records.scopes import EMERGENCY

from tests.factories.cohorts import say
from tests.factories.emergencies import broken
from tests.factories.hospital import make_bundle, make_person
from tests.factories.people import SYSTEM, actor_of, client_of, make_site, make_user, relate
from tests.house.test_every_url import plain
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db
REASON = {"reason_code": "danger", "reason": "found on the floor, no relatives"}


class Ward:
    """A clinician who cares for one patient, and one patient who is in the care of others."""

    def __init__(self) -> None:
        self.site, bundle = make_site(), make_bundle()
        self.user, self.carer = make_user("clinician", self.site), make_user("clinician", self.site)
        self.mine, self.other = make_person(self.site, "QMINE", bundle), make_person(self.site, "QOTHER", bundle)
        relate(self.user, self.mine.patient)
        relate(self.carer, self.other.patient)
        self.client, self.team = client_of(self.user), client_of(self.carer)

    def open(self, mrn: str = "MRNQOTHER", **changes: str) -> Any:
        return self.client.post("/emergency/", {"site": str(self.site.pk), "mrn": mrn} | REASON | changes)

    @property
    def page(self) -> str:
        return f"/patients/{self.other.patient.pk}/"

    def pages(self) -> dict[str, str]:
        """Every page about the other patient that is a page of words."""
        patient, risk = {"patient_id": self.other.patient.pk}, {"prediction_id": self.other.prediction.pk}
        waits = patient | {"job_id": self.other.job.pk}
        return {
            "patient": reverse("patient", kwargs=patient), "looked": reverse("looked", kwargs=patient),
            "prediction": reverse("prediction", kwargs=risk), "waiting": reverse("waiting", kwargs=waits),
        }  # fmt: skip


@pytest.fixture
def ward() -> Ward:
    return Ward()


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Set the clock of everything that asks whether an emergency access is over."""

    def set_to(moment: datetime) -> None:
        for place in ("records.scopes", "records.selectors", "access.selectors", "access.services"):
            monkeypatch.setattr(f"salus_web.{place}.now", lambda: moment)

    return set_to


def lines(action: str) -> list[tuple[str, str, str]]:
    rows = Event.objects.filter(action=action).order_by("number")
    return list(rows.values_list("outcome", "purpose", "patient"))


# refused


@pytest.mark.parametrize("role", ["administrator", "auditor", "researcher"])
def test_other_roles_cannot_break_the_glass(ward: Ward, role: str) -> None:
    client = client_of(make_user(role, ward.site))
    form = {"site": str(ward.site.pk), "mrn": "MRNQOTHER"} | REASON
    assert client.get("/emergency/").status_code == client.post("/emergency/", form).status_code == 403
    assert not CareRelation.objects.filter(kind=EMERGENCY).exists()


WRONG = [
    {"reason_code": ""}, {"reason_code": "curious"}, {"reason": ""}, {"reason": "  short   "}, {"reason": "x" * 1001}, {"site": "7"},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_without_a_whole_reason_a_known_number_answers_like_an_unknown_one(ward: Ward, wrong: dict[str, str]) -> None:
    known, unknown = (plain(ward.open(mrn, **wrong)) for mrn in ("MRNQOTHER", "MRNNOBODY"))
    assert known[0] == unknown[0] == 409
    assert known[1].replace(b"MRNQOTHER", b"") == unknown[1].replace(b"MRNNOBODY", b""), "the answer tells which numbers exist"
    assert not BreakGlass.objects.for_actor(SYSTEM).exists() and not Event.objects.filter(action="emergency.break").exists()


def test_without_having_shown_who_one_is_no_number_is_looked_at(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = clock.now() + timedelta(minutes=11)
    monkeypatch.setattr(proofs, "now", lambda: moment)
    known, unknown = (ward.open(mrn) for mrn in ("MRNQOTHER", "MRNNOBODY"))
    assert known.status_code == 302 and known.headers["Location"].startswith("/again/")
    assert (plain(known), known.headers["Location"]) == (plain(unknown), unknown.headers["Location"])
    assert ward.client.get("/emergency/").headers["Location"] == "/again/?next=%2Femergency%2F"
    assert not BreakGlass.objects.for_actor(SYSTEM).exists()


def test_a_number_of_nobody_opens_nothing_and_is_on_the_log(ward: Ward) -> None:
    answer = ward.open("MRNNOBODY")
    assert answer.status_code == 409 and "Nobody at this hospital has this record number" in text_of(answer)
    assert lines("emergency.break") == [("nothing found", "emergency", "")]
    assert not re.search("MRNNOBODY|floor", str(list(Event.objects.values()))), "the log holds what was typed"


def test_a_patient_of_another_hospital_answers_like_nobody(ward: Ward) -> None:
    there = make_site()
    make_person(there, "QTHERE", ward.mine.prediction.bundle)
    abroad, nobody = plain(ward.open("MRNQTHERE")), plain(ward.open("MRNNOBODY"))
    assert abroad[1].replace(b"MRNQTHERE", b"") == nobody[1].replace(b"MRNNOBODY", b"") and abroad[0] == nobody[0]
    assert "Choose one of your hospitals" in text_of(ward.open("MRNQTHERE", site=str(there.pk)))
    RoleGrant.objects.create(user=ward.user, site=there, role="researcher", starts_at=clock.now(), granted_by="x")
    assert "Choose one of your hospitals" in text_of(ward.open("MRNQTHERE", site=str(there.pk))), "a researcher there is no clinician there"
    assert not BreakGlass.objects.for_actor(SYSTEM).exists()


def test_nobody_goes_through_numbers_one_by_one(ward: Ward) -> None:
    answers = [ward.open(f"MRN{number}").status_code for number in range(11)]
    assert answers == [409] * 10 + [403]
    assert [outcome for outcome, _, _ in lines("emergency.break")] == ["nothing found"] * 10 + ["refused"], "each try is one line"
    locked = ward.open("MRNQOTHER")
    assert locked.status_code == 403 and "too many" in text_of(locked) and ward.client.get(ward.page).status_code == 404
    assert lines("emergency.break")[-1] == ("refused", "emergency", "")
    assert client_of(ward.carer).get(ward.page).status_code == 200, "others go on working"


def test_a_right_number_gives_back_its_own_try_and_no_other(ward: Ward) -> None:
    for number in range(9):
        ward.open(f"MRN{number}")
    assert ward.open().status_code == 302
    assert ward.open("MRN9").status_code == 409
    assert ward.open("MRN10").status_code == 403


def test_a_patient_of_ones_own_begins_no_count_anew(ward: Ward) -> None:
    for number in range(8):
        ward.open(f"MRN{number}")
    assert ward.open("MRNQMINE").status_code == 302
    assert [ward.open(f"MRN{number}").status_code for number in (8, 9)] == [409, 403]


def test_opening_and_handing_back_begins_no_count_anew(ward: Ward) -> None:
    for number in range(8):
        ward.open(f"MRN{number}")
    for _ in range(3):
        assert ward.open().status_code == 302
        glass = BreakGlass.objects.for_actor(SYSTEM).latest("started_at")
        assert ward.client.post(f"/emergency/{glass.pk}/back/").status_code == 302
    assert [ward.open(f"MRN{number}").status_code for number in (8, 9, 10)] == [409, 409, 403]


def test_who_is_in_care_already_needs_no_emergency(ward: Ward) -> None:
    answer = ward.open("MRNQMINE")
    assert answer.headers["Location"] == f"/patients/{ward.mine.patient.pk}/" and not BreakGlass.objects.for_actor(SYSTEM).exists()
    assert "open to you already" in text_of(ward.client.get(answer.headers["Location"]))
    assert lines("emergency.break") == [("refused", "emergency", ward.mine.patient.pseudonym)]


# the four hours


def test_one_record_opens_for_four_hours_and_no_other(ward: Ward, at: Any) -> None:
    third = make_person(ward.site, "QTHIRD", ward.mine.prediction.bundle)
    assert ward.client.get(ward.page).status_code == 404
    assert ward.open().headers["Location"] == ward.page
    assert all(ward.client.get(page).status_code in {200, 302} for page in ward.pages().values())
    assert ward.client.get(f"/patients/{third.patient.pk}/").status_code == 404
    relation = CareRelation.objects.get(kind=EMERGENCY)
    assert relation.ends_at is not None and relation.ends_at - relation.starts_at == timedelta(hours=4)
    at(relation.ends_at - timedelta(microseconds=1))
    assert ward.client.get(ward.page).status_code == 200
    at(relation.ends_at)
    hidden, absent = ward.client.get(ward.page), ward.client.get("/patients/00000000-0000-0000-0000-000000000007/")
    assert plain(hidden) == plain(absent) and hidden.status_code == 404
    for page in ward.pages().values():
        assert ward.client.get(page).status_code == 404, page
    assert "QOTHER" not in text_of(ward.client.get("/patients/")) + text_of(ward.client.get("/worklist/"))


def test_every_look_under_it_has_the_purpose_emergency_and_no_other_look(ward: Ward) -> None:
    ward.open()
    for address in [*ward.pages().values(), "/worklist/", "/patients/", f"/patients/{ward.mine.patient.pk}/"]:
        ward.client.get(address)
    ward.client.post("/patients/", {"q": "MRNQOTHER"}, follow=True)
    ward.client.post(f"{ward.page}ask/", {"task": "t48"})
    review = {"decision": "accept", "reason": "agree"}
    ward.client.post(f"/predictions/{ward.other.prediction.pk}/review/", review)
    found = Event.objects.filter(actor_id=str(ward.user.pk)).exclude(patient="")
    acts = set(found.filter(patient=ward.other.patient.pseudonym).values_list("action", flat=True))
    assert acts >= {"emergency.break", "patient.read", "prediction.read", "worklist.read", "patient.list", "search.read", "prediction.request", "prediction.review"}
    assert set(found.filter(patient=ward.other.patient.pseudonym).values_list("purpose", flat=True)) == {"emergency"}
    assert set(found.filter(patient=ward.mine.patient.pseudonym).values_list("purpose", flat=True)) == {"care"}


def test_who_comes_to_care_meanwhile_looks_as_one_who_cares(ward: Ward) -> None:
    ward.open()
    relate(ward.user, ward.other.patient)
    page = text_of(ward.client.get(ward.page))
    assert "Emergency access" not in page
    assert Event.objects.filter(action="patient.read").latest("number").purpose == "care"


def test_the_red_banner_and_its_clock_stand_on_every_page_of_that_patient_alone(ward: Ward) -> None:
    ward.open()
    ward.other.job.state = "running"
    ward.other.job.save()
    for name, address in ward.pages().items():
        answer = ward.client.get(address)
        page = answer.content.decode()
        assert answer.status_code == 200 and "⚠ Emergency access" in page and "Hand back now" in page, name
        left = re.search(r'data-seconds-left="(\d+)">3 h 59 min', page)
        assert left and 14_300 < int(left.group(1)) <= 14_400, name
    assert "Emergency access" not in text_of(ward.client.get(f"/patients/{ward.mine.patient.pk}/"))
    assert "⚠ Emergency access" not in text_of(ward.team.get(ward.page)), "those who care see who is there, not a clock of their own"


def test_a_list_marks_whom_only_the_emergency_put_on_it(ward: Ward) -> None:
    ward.open()
    for address in ("/worklist/", "/patients/"):
        rows = re.findall(r"<tr>.*?</tr>", ward.client.get(address).content.decode(), re.S)
        marked = {token for token in ("QMINE", "QOTHER") for row in rows if f"Name{token}" in row and "⚠ emergency" in row}
        assert marked == {"QOTHER"}, address


def test_handing_it_back_closes_the_record_at_once_and_only_ones_own(ward: Ward) -> None:
    ward.open()
    glass = BreakGlass.objects.for_actor(SYSTEM).get()
    address = f"/emergency/{glass.pk}/back/"
    absent = ward.team.post("/emergency/00000000-0000-0000-0000-000000000007/back/")
    assert plain(ward.team.post(address)) == plain(absent) and absent.status_code == 404
    assert ward.client.get(ward.page).status_code == 200
    assert ward.client.post(address).headers["Location"] == "/emergency/"
    assert ward.client.get(ward.page).status_code == 404
    assert ward.client.post(address).status_code == 409, "it has ended"
    assert lines("emergency.hand_back") == [("done", "emergency", ward.other.patient.pseudonym)]


def test_it_can_be_broken_again_with_a_new_reason(ward: Ward) -> None:
    broken(ward.user, ward.other.patient, ago=timedelta(hours=5))
    assert ward.client.get(ward.page).status_code == 404
    ward.open()
    ward.open()
    assert BreakGlass.objects.for_actor(SYSTEM).count() == 2, "while it is open nothing more is opened"


def test_a_role_or_account_that_ends_takes_the_four_hours_with_it(ward: Ward) -> None:
    ward.open()
    RoleGrant.objects.filter(user=ward.user).update(ends_at=clock.now())
    assert ward.client.get(ward.page).status_code == 403


def test_a_program_does_not_get_what_its_person_opened_in_an_emergency(ward: Ward) -> None:
    ward.open()
    _, secret = make_token(user=ward.user, name="board", purpose="care", role="clinician", days=1, by=actor_of(ward.user))
    said = Client().get("/api/worklist/", headers={"authorization": f"Bearer {secret}"}).json()
    assert [row["name"] for row in said["rows"]] == ["QMINE NameQMINE"] and ApiToken.objects.count() == 1


def test_what_is_written_is_sealed(ward: Ward) -> None:
    ward.open()
    glass = BreakGlass.objects.for_actor(SYSTEM).get()
    assert b"floor" not in bytes(glass.reason_sealed) and glass.reason == REASON["reason"]
    assert "floor" not in CareRelation.objects.get(kind=EMERGENCY).reason and "floor" not in str(list(Event.objects.values()))


# who said no to care


def test_who_does_not_allow_care_is_not_overruled_by_an_emergency(ward: Ward) -> None:
    """The glass is broken and reviewed, the page says why it shows nothing, and whoever then records another word of the
    patient does that under the reviewer's eyes."""
    patient = ward.other.patient
    say(patient, False, purpose="care")
    assert plain(ward.client.get(ward.page)) == plain(ward.client.get("/patients/00000000-0000-0000-0000-000000000007/")), "a stranger"
    assert ward.open().headers["Location"] == ward.page
    answer = ward.client.get(ward.page)
    assert answer.status_code == 200 and "⊘ not allowed" in text_of(answer)
    pages = [*ward.pages().values(), "/worklist/", "/patients/"]
    assert not [page for page in pages if b"QOTHER" in ward.client.get(page).content], "shown against the patient's word"
    assert b"NameQOTHER" not in ward.client.post("/patients/", {"q": "MRNQOTHER"}, follow=True).content
    assert "in an emergency" not in text_of(ward.team.get("/worklist/")), "a notice names the patient, so it waits as the record does"
    assert "To the record" in text_of(ward.client.get("/emergency/")), "it can be handed back"
    said = {"purpose": "care", "said": "yes", "form": "By word of mouth", "day": ""}
    assert ward.client.post(f"{ward.page}consent/", said).status_code == 302
    assert "⚠ Emergency access" in text_of(ward.client.get(ward.page)) and "in an emergency" in text_of(ward.team.get("/worklist/"))
    lines_of = Event.objects.filter(actor_id=str(ward.user.pk), patient=patient.pseudonym, number__gt=_broken_at()).order_by("number")
    acts = list(lines_of.values_list("action", "purpose", "outcome"))
    assert ("patient.read", "emergency", "withheld") in acts and ("consent.record", "emergency", "done") in acts
    assert ("consent.read", "emergency", "done") in acts
    assert {purpose for _, purpose, outcome in acts if outcome != "refused"} == {"emergency"}


def _broken_at() -> int:
    return Event.objects.get(action="emergency.break").number


# the care team


def test_the_care_team_is_told_and_takes_note(ward: Ward) -> None:
    stranger = client_of(make_user("clinician", ward.site))
    ward.open()
    glass = BreakGlass.objects.for_actor(SYSTEM).get()
    said = text_of(ward.team.get("/worklist/"))
    assert f"{ward.user.display_name} opened the record of QOTHER NameQOTHER in an emergency" in said and "floor" not in said
    assert f"{ward.user.display_name} has this record open in an emergency" in text_of(ward.team.get(ward.page))
    assert lines("emergency.notice") == [("done", "care", ward.other.patient.pseudonym)]
    for client in (stranger, ward.client):
        assert "in an emergency" not in text_of(client.get("/worklist/")), "told to somebody who does not care for the patient"
        assert client.post(f"/emergency/{glass.pk}/seen/").status_code == 404
    for _ in range(2):
        assert ward.team.post(f"/emergency/{glass.pk}/seen/").status_code == 302
    assert "in an emergency" not in text_of(ward.team.get("/worklist/"))
    assert lines("emergency.seen") == [("done", "care", ward.other.patient.pseudonym)]


def test_two_who_broke_the_same_glass_are_not_each_others_care_team(ward: Ward) -> None:
    ward.open()
    broken(make_user("clinician", ward.site), ward.other.patient)
    assert "in an emergency" not in text_of(ward.client.get("/worklist/"))


@pytest.mark.parametrize("address", ["/worklist/", "/emergency/", "page"])
def test_queries_do_not_grow_with_emergencies(ward: Ward, address: str) -> None:
    ward.open()
    client, where = (ward.client, address) if address == "/emergency/" else (ward.team, ward.page if address == "page" else address)
    client.get(where)
    with CaptureQueriesContext(connection) as few:
        client.get(where)
    for _ in range(4):
        broken(make_user("clinician", ward.site), ward.other.patient)
        broken(ward.user, ward.other.patient, ago=timedelta(hours=5))
    with CaptureQueriesContext(connection) as many:
        client.get(where)
    assert len(few) == len(many) <= 32
