"""What a clinician brings in is of new people or of their own patients: a file is no way round the walls, and no way to ask who is here."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from salus_web.accounts import lockout
from salus_web.accounts.actors import system
from salus_web.accounts.models import RoleGrant, User
from salus_web.accounts.services import let_until
from salus_web.audit.models import Event
from salus_web.common import clock
from salus_web.common.errors import BadInput
from salus_web.imaging.models import Instance
from salus_web.ingest.models import Upload, UploadState
from salus_web.ingest.services import read_and_store, receive
from salus_web.jobs.services import claim
from salus_web.records.models import CareRelation, Encounter, Observation, Patient
from salus_web.records.services import join_team
from salus_workers.pipelines import load_cases

from tests.factories.cases import make_cases
from tests.factories.cohorts import say
from tests.factories.emergencies import broken
from tests.factories.people import SYSTEM, actor_of, client_of, make_patient, make_site, make_user, relate
from tests.flow.test_cases_to_risks import packed, quiet
from tests.web.test_ingest_door import archive, film
from tests.web.test_ingest_parsers import bundle

pytestmark = pytest.mark.django_db
WORKER = system("ingest")
STAY = {
    "resourceType": "Encounter", "id": "evil", "status": "in-progress", "class": {"code": "IMP"}, "subject": {"reference": "urn:uuid:p"},
    "period": {"start": "2026-01-03T10:00:00Z"}, "location": [{"location": {"display": "Ward 2A"}}],
}  # fmt: skip
ERROR = {"resourceType": "Observation", "id": "o1", "status": "entered-in-error", "subject": {"reference": "urn:uuid:p"}}


def said(*extra: dict[str, Any], mrn: str = "4417", **patient: Any) -> bytes:
    """A bundle of a person of whom nothing but the record number is said, beside these changes and entries."""
    named = {"resourceType": "Patient", "id": "p", "identifier": [{"value": mrn}]} | patient
    entries = [{"fullUrl": "urn:uuid:p", "resource": named}, *({"resource": one} for one in extra)]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()


class House:
    """A hospital with one patient (record number 4417), in the care of others, and a clinician of Ward 2A."""

    def __init__(self) -> None:
        self.site = make_site()
        self.nurse, self.chief = make_user("clinician", self.site), make_user("administrator", self.site)
        join_team(site=self.site, team_name="Ward 2A", user=self.nurse, by=SYSTEM)
        assert self.bring(self.chief, json.dumps(bundle()).encode()).state == "stored"
        self.stranger = Patient.objects.for_actor(SYSTEM).get()

    def bring(self, user: User, content: bytes, name: str = "b.json") -> Upload:
        """What became of a file that this person sent and a worker read."""
        upload = receive(filename=name, content=content, site=self.site, by=actor_of(user))
        if upload.state != UploadState.UNCHANGED:
            read_and_store(upload=upload, by=WORKER)
        return Upload.objects.get(pk=upload.pk)

    def refusal(self, content: bytes, user: User | None = None) -> str:
        """Why a file of the clinician was refused."""
        kept = self.bring(user or self.nurse, content)
        assert kept.state == "refused", kept.counts
        return " ".join(kept.problems)

    def sees(self, patient: Patient | None = None) -> bool:
        """Whether the clinician may open the patient's page."""
        return client_of(self.nurse).get(f"/patients/{(patient or self.stranger).pk}/").status_code == 200


@pytest.fixture
def house() -> House:
    return House()


NOT_OPEN = "One of the record numbers of this file belongs to a patient who is already here"


# nobody's patient


def test_a_file_gives_nobody_a_patient(house: House) -> None:
    """A record number and a stay on one's own ward opened the record, without a reason and without a review."""
    told = house.refusal(said(STAY))
    assert told.startswith(NOT_OPEN) and "Break the glass first" in told and "an administrator" in told
    assert not house.sees() and not CareRelation.objects.exists() and not Encounter.objects.for_actor(SYSTEM).exists()


def test_a_file_takes_nothing_of_a_stranger_back(house: House) -> None:
    assert house.refusal(said(ERROR)).startswith(NOT_OPEN)
    assert Observation.objects.for_actor(SYSTEM).get().value_number == 88.0


def test_the_answer_is_the_same_whatever_else_fits(house: House) -> None:
    """Sex, birth date, number system and two people's numbers were told apart by their sentences."""
    house.bring(house.chief, said(mrn="4418"))
    two = [{"value": number, "type": {"coding": [{"code": "MR"}]}} for number in ("4417", "4418")]
    files = [
        said(gender="female"), said(gender="male"), said(birthDate="1963-04-02"), said(birthDate="1950-01-01"), said(birthDate="2999-01-01"),
        said(identifier=[{"value": "4417", "system": "urn:another"}]), said(identifier=two), said(STAY), said(ERROR),
    ]  # fmt: skip
    assert len({house.refusal(content) for content in files}) == 1


def test_one_stranger_among_new_people_refuses_the_whole_file(house: House) -> None:
    """Also where another person of the file would be refused for another reason."""
    mine = house.bring(house.nurse, said(STAY, mrn="1", gender="male"))
    assert mine.state == "stored"
    other = said(STAY, mrn="1", gender="female")
    told = house.refusal(archive(("a.json", other), ("b.json", said(mrn="new")), ("c.json", said())))
    assert told.startswith(NOT_OPEN)
    assert Patient.objects.for_actor(SYSTEM).count() == 2


def test_a_film_comes_to_nobody_else_s_patient(house: House) -> None:
    assert house.refusal(film("4417")).startswith(NOT_OPEN)
    assert house.refusal(archive(("a.json", said(mrn="new")), ("b.dcm", film("4417")))).startswith(NOT_OPEN)
    assert not Instance.objects.for_actor(SYSTEM).exists()
    relate(house.nurse, house.stranger)
    assert house.bring(house.nurse, film("4417"), "f.dcm").state == "stored"


def test_a_case_table_comes_to_nobody_else_s_cases(house: House, tmp_path: Path) -> None:
    """Its people have numbers of their own, and are somebody's all the same; a patient of the hospital they never meet."""
    folder = make_cases(tmp_path / "data", people=4)

    def bring(user: User) -> Upload:
        upload = receive(filename="cases.zip", content=packed(folder), site=house.site, by=actor_of(user))
        held = claim(job_id=str(upload.job.pk), worker="test") if upload.job else None
        assert held is not None
        with suppress(BadInput):
            load_cases.run(held, quiet)
        return Upload.objects.get(pk=upload.pk)

    first = make_user("clinician", house.site)
    assert bring(first).state == "stored", "new people"
    task = folder / "task.toml"
    task.write_text(task.read_text().replace('id = "tiny"', 'id = "tiny-2"\ndata = "tiny"'))
    refused = bring(house.nurse)
    assert refused.state == "refused" and refused.problems[0].startswith(NOT_OPEN)
    assert Encounter.objects.for_actor(SYSTEM).count() == 4
    for _ in range(9):
        lockout.take([lockout.limit_of_numbers(house.nurse.pk, "file")])
    join_team(site=house.site, team_name="Case review tiny", user=house.nurse, by=SYSTEM)
    assert bring(house.nurse).state == "stored", "those who look after the cases bring more of them in"
    assert Encounter.objects.for_actor(SYSTEM).count() == 8


# one's own


def test_what_is_of_new_people_and_of_one_s_own_is_stored(house: House) -> None:
    new = house.bring(house.nurse, said(STAY, mrn="77"))
    assert new.state == "stored"
    patient = Patient.objects.for_actor(SYSTEM).exclude(pk=house.stranger.pk).get()
    assert house.sees(patient)
    assert house.bring(house.nurse, said(mrn="77", gender="male")).state == "stored", "in care through the ward"
    assert "another sex" in house.refusal(said(mrn="77", gender="female")), "of one's own patient everything is told"


def test_whoever_broke_the_glass_brings_files_in_until_it_is_over(house: House) -> None:
    glass = broken(house.nurse, house.stranger)
    assert house.bring(house.nurse, film("4417"), "f.dcm").state == "stored"
    CareRelation.objects.filter(pk=glass.relation_id).update(ends_at=clock.now())
    assert house.refusal(said()).startswith(NOT_OPEN)


def test_the_rights_that_count_are_those_of_the_moment_of_storing(house: House) -> None:
    relation = relate(house.nurse, house.stranger)
    upload = receive(filename="b.json", content=said(gender="female"), site=house.site, by=actor_of(house.nurse))
    CareRelation.objects.filter(pk=relation.pk).update(ends_at=clock.now())
    read_and_store(upload=upload, by=WORKER)
    upload.refresh_from_db()
    assert upload.state == "refused" and upload.problems[0].startswith(NOT_OPEN)


def test_a_patient_who_does_not_allow_it_is_not_open_either(house: House) -> None:
    relate(house.nurse, house.stranger)
    say(house.stranger, False, purpose="care")
    assert house.refusal(said()).startswith(NOT_OPEN)


# who acts for the hospital


def test_the_hospital_s_own_files_come_as_before(house: House) -> None:
    assert house.bring(house.chief, said(STAY)).state == "stored"
    upload = receive(filename="b.json", content=said(ERROR), site=house.site, by=system("command line"))
    read_and_store(upload=upload, by=WORKER)
    upload.refresh_from_db()
    assert upload.state == "stored" and upload.counts["taken back"] == 1


def test_an_administrator_elsewhere_or_one_who_has_left_acts_for_nobody_here(house: House) -> None:
    start = clock.now() - timedelta(days=1)
    RoleGrant.objects.create(user=house.nurse, site=make_site(), role="administrator", starts_at=start, granted_by="x")
    assert house.refusal(said()).startswith(NOT_OPEN)
    upload = receive(filename="b.json", content=said(gender="female"), site=house.site, by=actor_of(house.chief))
    let_until(user=house.chief, expires_at=clock.now(), by=SYSTEM)
    read_and_store(upload=upload, by=WORKER)
    upload.refresh_from_db()
    assert upload.state == "refused"


# the log and the limit


def test_a_refused_file_names_who_sent_it_and_whose_it_was(house: House) -> None:
    house.refusal(said(STAY))
    line = Event.objects.get(action="record.store", outcome="refused")
    assert (line.actor_id, line.patient) == (str(house.nurse.pk), house.stranger.pseudonym)
    auditor = client_of(make_user("auditor", house.site))
    report = auditor.get(f"/audit/looked/{house.stranger.pseudonym}/").content.decode()
    assert house.nurse.display_name in report and "tried, and was refused: brought in a file" in report


def test_what_was_stored_says_who_brought_the_file(house: House) -> None:
    line = Event.objects.get(action="record.store")
    assert line.actor_id == WORKER.id and line.detail["brought_by"] == str(house.chief.pk)


def test_nobody_goes_through_record_numbers_by_files(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [house.refusal(said(gender=("male", "female")[number % 2], name=[{"text": f"x{number}"}])) for number in range(10)]
    assert len(set(told)) == 1
    mine = make_patient(house.site, mrn="mine")
    relate(house.nurse, mine)
    beside = [{"value": number, "type": {"coding": [{"code": "MR"}]}} for number in ("mine", "nobody")]
    later_told = {house.refusal(said(STAY)), house.refusal(said(STAY, mrn="nobody")), house.refusal(said(identifier=beside))}
    assert len(later_told) == 1 and "too many" in later_told.pop(), "known and unknown numbers are answered alike"
    line = Event.objects.filter(action="record.store", outcome="refused").latest("number")
    assert (line.actor_id, line.detail) == (str(house.nurse.pk), {"why": "too many numbers"})
    other = make_user("clinician", house.site)
    assert house.refusal(said(), other).startswith(NOT_OPEN), "others go on working"
    later = clock.now() + timedelta(minutes=16)
    monkeypatch.setattr(lockout, "now", lambda: later)
    assert house.bring(house.nurse, said(STAY, mrn="nobody")).state == "stored"


def test_new_people_in_between_do_not_let_the_count_begin_anew(house: House) -> None:
    for number in range(10):
        house.refusal(said(name=[{"text": f"x{number}"}]))
        assert number == 9 or house.bring(house.nurse, said(mrn=f"new {number}")).state == "stored"
    assert "too many" in house.refusal(said(STAY))


def test_refused_files_close_nobody_s_way_to_an_emergency(house: House) -> None:
    """Ten films of a patient are ten files: whoever is told to break the glass first must still be able to."""
    for number in range(11):
        house.refusal(said(name=[{"text": f"x{number}"}]))
    form = {"site": str(house.site.pk), "mrn": "4417", "reason_code": "danger", "reason": "found on the floor, no relatives"}
    assert client_of(house.nurse).post("/emergency/", form).status_code == 302 and house.sees()
    assert house.bring(house.nurse, said(STAY)).state == "stored", "of one's own patients files come in all the same"


# the same bytes again


def test_a_file_that_was_refused_may_come_again_once_the_record_is_open(house: House) -> None:
    """Sent twice in a row, the second was marked “already here”, and so was every later one, though nothing was stored."""
    first, second = (receive(filename="b.json", content=film("4417"), site=house.site, by=actor_of(house.nurse)) for _ in range(2))
    assert second.state == UploadState.UNCHANGED
    read_and_store(upload=first, by=WORKER)
    broken(house.nurse, house.stranger)
    assert house.bring(house.nurse, film("4417")).state == "stored"
    assert house.bring(house.nurse, film("4417")).state == "unchanged"


def test_a_file_on_its_way_for_somebody_else_does_not_stand_in_for_mine(house: House) -> None:
    """Theirs may be refused where mine is not."""
    theirs = receive(filename="b.json", content=said(STAY), site=house.site, by=actor_of(house.nurse))
    mine = receive(filename="b.json", content=said(STAY), site=house.site, by=actor_of(house.chief))
    read_and_store(upload=theirs, by=WORKER)
    assert mine.state == UploadState.RECEIVED
    read_and_store(upload=mine, by=WORKER)
    mine.refresh_from_db()
    assert mine.state == "stored"
