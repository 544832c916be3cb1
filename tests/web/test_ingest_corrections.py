"""What a later file takes back or puts right: an error is no value, a ruled-out diagnosis is none, a correction replaces."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from salus_web.common.clock import now
from salus_web.ingest.models import Upload
from salus_web.ingest.services import read_and_store, receive
from salus_web.predictions.models import CurrentRisk
from salus_web.predictions.services import data_changed
from salus_web.records.models import (
    Allergy,
    CareRelation,
    Condition,
    Encounter,
    Medication,
    Observation,
    Patient,
)
from salus_web.records.selectors import banner_facts, record_rows

from tests.factories.hospital import make_bundle
from tests.factories.people import SYSTEM, actor_of, make_site, make_user
from tests.web.test_current_risks import outcome, store
from tests.web.test_ingest_parsers import bundle

pytestmark = pytest.mark.django_db
CODED = {"coding": [{"system": "http://snomed.info/sct", "code": "73211009", "display": "Diabetes"}]}
SUBJECT = {"subject": {"reference": "urn:uuid:p"}}


def entry(kind: str, **fields: Any) -> dict[str, Any]:
    return {"resource": {"resourceType": kind, "id": "x1", **SUBJECT, **fields}}


CONDITION = entry("Condition", code=CODED, recordedDate="2026-01-01")
MEDICATION = entry("MedicationRequest", status="active", medicationCodeableConcept=CODED, authoredOn="2026-01-01")
ALLERGY = entry("AllergyIntolerance", patient=SUBJECT["subject"], code=CODED)
ENCOUNTER = entry("Encounter", status="in-progress", period={"start": "2026-01-01"}, **{"class": {"code": "IMP"}})


class Door:
    """Files that come to one hospital one after another."""

    def __init__(self) -> None:
        self.site = make_site()

    def bring(self, *extra: dict[str, Any], **changes: Any) -> dict[str, int]:
        """A bundle whose observation has these changes, with further entries; returns what became of it."""
        kept = self.brought(*extra, **changes)
        assert kept.state == "stored", kept.problems
        return {name: number for name, number in kept.counts.items() if number}

    def refused(self, *extra: dict[str, Any], **changes: Any) -> str:
        """Why such a bundle was refused."""
        kept = self.brought(*extra, **changes)
        assert kept.state == "refused", kept.counts
        return str(kept.problems[0])

    def brought(self, *extra: dict[str, Any], patient: dict[str, Any] | None = None, **changes: Any) -> Upload:
        """The upload of such a bundle, whose patient has these changes."""
        document = bundle(**changes)
        document["entry"][0]["resource"] |= patient or {}
        document["entry"] += extra
        upload = receive(filename="b.json", content=json.dumps(document).encode(), site=self.site, by=SYSTEM)
        read_and_store(upload=upload, by=SYSTEM, then=lambda patients: data_changed(patient_ids=patients, by=SYSTEM) if patients else None)
        return Upload.objects.get(pk=upload.pk)


@pytest.fixture
def door() -> Door:
    return Door()


def values() -> list[float | str]:
    rows = Observation.objects.for_actor(SYSTEM).order_by("code", "source_key")
    return [row.words if row.value_number is None else row.value_number for row in rows]


@pytest.mark.parametrize("status", ["corrected", "amended"])
def test_a_correction_replaces_what_it_corrects_and_the_old_number_goes(door: Door, status: str) -> None:
    door.bring()
    model, patient = make_bundle(), Patient.objects.for_actor(SYSTEM).get()
    store(model, outcome(patient, 0.31))
    said = door.bring(status=status, valueQuantity={"value": 61, "code": "/min"})
    assert values() == [61.0] and said["corrected"] == 1
    assert CurrentRisk.objects.for_actor(SYSTEM).get().state == "stale"


def test_the_same_correction_in_another_file_changes_nothing(door: Door) -> None:
    door.bring(status="corrected")
    before = Observation.objects.for_actor(SYSTEM).get().pk
    assert "corrected" not in door.bring(status="corrected", note=[{"text": "another file"}])
    assert Observation.objects.for_actor(SYSTEM).get().pk == before


def test_an_older_file_does_not_undo_a_correction(door: Door) -> None:
    door.bring(status="corrected", valueQuantity={"value": 61, "code": "/min"})
    door.bring()
    assert values() == [61.0]


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
def test_an_error_takes_its_value_and_all_its_parts_back(door: Door, status: str) -> None:
    parts = [{"code": {"text": f"part {at}"}, "valueQuantity": {"value": at, "unit": "mm"}} for at in (1, 2)]
    door.bring(component=parts)
    assert len(values()) == 3
    said = door.bring(status=status)
    assert values() == [] and said["taken back"] == 3 and said["left out: Observation taken back"] == 1


def test_a_correction_to_no_value_takes_it_back(door: Door) -> None:
    door.bring()
    document = bundle(status="corrected", dataAbsentReason={"text": "clotted"})
    del document["entry"][1]["resource"]["valueQuantity"]
    upload = receive(filename="b.json", content=json.dumps(document).encode(), site=door.site, by=SYSTEM)
    read_and_store(upload=upload, by=SYSTEM)
    assert values() == []


def test_in_one_file_the_correction_and_the_error_win(door: Door) -> None:
    first = bundle()["entry"][1]
    right = bundle(status="corrected", valueQuantity={"value": 61, "code": "/min"})["entry"][1]
    last = bundle(status="corrected", valueQuantity={"value": 62, "code": "/min"})["entry"][1]
    door.bring(right, last)
    assert values() == [62.0]
    door.bring(right, first, status="entered-in-error")
    assert values() == []


NOT_SO = [
    (Condition, CONDITION, {"verificationStatus": {"coding": [{"code": "refuted"}]}}), (Condition, CONDITION, {"verificationStatus": {"coding": [{"code": "entered-in-error"}]}}),
    (Medication, MEDICATION, {"status": "entered-in-error"}), (Medication, MEDICATION, {"doNotPerform": True}), (Medication, MEDICATION, {"status": "draft"}),
    (Medication, MEDICATION, {"intent": "proposal"}), (Medication, MEDICATION, {"intent": "plan"}), (Medication, MEDICATION, {"intent": "option"}),
    (Allergy, ALLERGY, {"verificationStatus": {"coding": [{"code": "refuted"}]}}),
]  # fmt: skip


@pytest.mark.parametrize(("table", "said", "change"), NOT_SO)
def test_what_is_not_so_is_not_kept_and_what_was_kept_goes(door: Door, table: Any, said: dict[str, Any], change: dict[str, Any]) -> None:
    not_so = {"resource": said["resource"] | change}
    assert door.bring(not_so)[f"left out: {said['resource']['resourceType']} taken back"] == 1
    assert not table.objects.for_actor(SYSTEM).exists()
    door.bring(said)
    assert table.objects.for_actor(SYSTEM).count() == 1
    assert door.bring(not_so, said, issued="2026-01-01")["taken back"] == 1, "also where the same file says both"
    assert not table.objects.for_actor(SYSTEM).exists() and values() == [88.0]


WARD = {"location": [{"location": {"display": "Ward 9"}}]}


def test_an_end_ends_the_stay_and_the_wards_right_and_no_older_file_opens_it(door: Door) -> None:
    door.bring({"resource": ENCOUNTER["resource"] | WARD})
    stays, rights = Encounter.objects.for_actor(SYSTEM), CareRelation.objects.filter(team__name="Ward 9")
    assert stays.get().ends_at is None and rights.get().ends_at is None
    ended = {"resource": ENCOUNTER["resource"] | WARD | {"period": {"start": "2026-01-01", "end": "2026-01-05"}}}
    assert door.bring(ended)["ended"] == 1
    assert str(stays.get().ends_at)[:10] == str(rights.get().ends_at)[:10] == "2026-01-05" and not rights.get().is_live
    door.bring({"resource": ENCOUNTER["resource"] | WARD}, issued="2026-01-01")
    later = {"resource": ENCOUNTER["resource"] | WARD | {"period": {"start": "2026-01-01", "end": "2026-01-09"}}}
    assert "ended" not in door.bring(later)
    assert str(stays.get().ends_at)[:10] == "2026-01-05", "an end that is here is never moved"


@pytest.mark.parametrize("status", ["finished", "discharged", "completed", "discontinued"])
def test_a_stay_that_is_said_to_be_over_ended_when_the_file_came_in(door: Door, status: str) -> None:
    open_stay, over = ENCOUNTER["resource"] | WARD, {"status": status}
    door.bring({"resource": open_stay}, {"resource": open_stay | over | {"id": "x2"}})
    rights = CareRelation.objects.filter(team__name="Ward 9")
    assert [right.is_live for right in rights.order_by("ends_at")].count(True) == 1, "the one that was over when it first came in is not open"
    before = now()
    assert door.bring({"resource": open_stay | over}, issued="2026-01-01")["ended"] == 1
    ends = Encounter.objects.for_actor(SYSTEM).values_list("ends_at", flat=True)
    assert before <= max(ends) <= now() and not any(right.is_live for right in rights)
    dated = open_stay | over | {"period": {"start": "2026-01-01", "end": "2026-01-05"}}
    door.bring({"resource": dated | {"id": "x3"}}, {"resource": dated}, issued="2026-01-02")
    assert str(min(Encounter.objects.for_actor(SYSTEM).values_list("ends_at", flat=True)))[:10] == "2026-01-05", "its own end goes first"
    assert max(Encounter.objects.for_actor(SYSTEM).values_list("ends_at", flat=True)) == max(ends), "and no end is moved"


@pytest.mark.parametrize("start", ["2026-01-01", "2062-01-01", "2026-13-01", None])
def test_a_stay_that_is_only_planned_is_left_out_in_words_and_gives_no_ward_a_right(door: Door, start: str | None) -> None:
    planned = {"resource": ENCOUNTER["resource"] | WARD | {"status": "planned", "period": {"start": start}}}
    assert door.bring(planned)["left out: Encounter only planned"] == 1
    assert not Encounter.objects.for_actor(SYSTEM).exists() and not CareRelation.objects.filter(team__name="Ward 9").exists()


@pytest.mark.parametrize("status", ["arrived", "triaged", "in-progress", "onleave", "on-hold"])
def test_a_stay_that_is_under_way_is_open(door: Door, status: str) -> None:
    door.bring({"resource": ENCOUNTER["resource"] | WARD | {"status": status}})
    assert Encounter.objects.for_actor(SYSTEM).get().ends_at is None and CareRelation.objects.get(team__name="Ward 9").is_live


def test_an_end_before_the_start_is_refused_and_ends_nothing(door: Door) -> None:
    door.bring(ENCOUNTER)
    said = door.refused({"resource": ENCOUNTER["resource"] | {"period": {"start": "2026-01-01", "end": "2025-12-01"}}})
    assert said == "b.json, entry 3 (Encounter): period.end lies before period.start."
    assert Encounter.objects.for_actor(SYSTEM).get().ends_at is None


def test_a_diagnosis_and_a_life_end_too(door: Door) -> None:
    door.bring(CONDITION)
    assert Condition.objects.for_actor(SYSTEM).get().abated_at is None
    document = bundle(issued="2026-01-01")
    document["entry"].append({"resource": CONDITION["resource"] | {"abatementDateTime": "2026-02-01"}})
    document["entry"][0]["resource"]["deceasedDateTime"] = "2026-03-01"
    upload = receive(filename="b.json", content=json.dumps(document).encode(), site=door.site, by=SYSTEM)
    read_and_store(upload=upload, by=SYSTEM)
    assert str(Condition.objects.for_actor(SYSTEM).get().abated_at)[:10] == "2026-02-01"
    assert str(Patient.objects.for_actor(SYSTEM).get().died_at)[:10] == "2026-03-01"
    assert Upload.objects.get(pk=upload.pk).counts["ended"] == 2


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
def test_a_stay_that_never_was_is_not_kept_and_one_that_is_here_ends_and_is_shown_no_more(door: Door, status: str) -> None:
    never = {"resource": ENCOUNTER["resource"] | {"status": "cancelled"}}
    door.bring(never)
    assert not Encounter.objects.for_actor(SYSTEM).exists()
    door.bring({"resource": ENCOUNTER["resource"] | WARD})
    assert door.bring({"resource": never["resource"] | {"status": status}}, issued="2026-01-01")["taken back"] == 1
    stay, right = Encounter.objects.for_actor(SYSTEM).get(), CareRelation.objects.get(team__name="Ward 9")
    assert stay.is_taken_back and stay.ends_at == right.ends_at and not right.is_live
    patient = Patient.objects.for_actor(SYSTEM).get()
    nurse = make_user("clinician", door.site)
    CareRelation.objects.create(patient=patient, user=nurse, kind="consult", reason="asked", starts_at=stay.starts_at, added_by=SYSTEM.id)
    assert banner_facts(viewer=actor_of(nurse), patient=patient).ward == ""
    rows = record_rows(viewer=SYSTEM, patient=patient, since=datetime(2025, 1, 1, tzinfo=UTC))
    assert rows.encounters == [] and len(rows.observations) == 1, "what was recorded in it was recorded"
    assert "taken back" not in door.bring(never, issued="2026-01-02")
    assert Encounter.objects.for_actor(SYSTEM).get().ends_at == stay.ends_at


def verified(said: dict[str, Any], status: str) -> dict[str, Any]:
    return {"resource": said["resource"] | {"verificationStatus": {"coding": [{"code": status}]}}}


@pytest.mark.parametrize("status", ["unconfirmed", "provisional", "differential"])
def test_a_suspicion_is_no_diagnosis_until_it_is_confirmed(door: Door, status: str) -> None:
    conditions = Condition.objects.for_actor(SYSTEM)
    assert door.bring(verified(CONDITION, status))["left out: Condition that is not confirmed"] == 1
    assert not conditions.exists()
    door.bring(verified(CONDITION, "confirmed"), issued="2026-01-01")
    assert conditions.count() == 1
    assert door.bring(verified(CONDITION, status), issued="2026-01-02")["taken back"] == 1
    assert not conditions.exists(), "what was a diagnosis before and is a suspicion now is none"


def test_an_allergy_that_is_only_suspected_is_kept(door: Door) -> None:
    door.bring(verified(ALLERGY, "unconfirmed"))
    assert Allergy.objects.for_actor(SYSTEM).count() == 1


def test_nothing_of_another_patient_is_taken_back(door: Door) -> None:
    door.bring()
    other = bundle(status="entered-in-error")
    other["entry"][0]["resource"]["identifier"][0]["value"] = "9999"
    upload = receive(filename="b.json", content=json.dumps(other).encode(), site=door.site, by=SYSTEM)
    read_and_store(upload=upload, by=SYSTEM)
    assert values() == [88.0]


def test_what_says_that_its_meaning_is_changed_in_an_unknown_way_is_not_kept(door: Door) -> None:
    said = door.bring(modifierExtension=[{"url": "urn:not-really", "valueBoolean": True}])
    assert values() == [] and said["left out: Observation with a modifier that is not known"] == 1


def test_what_is_written_by_other_rules_and_a_part_with_a_modifier_are_not_kept(door: Door) -> None:
    part = {"code": {"text": "part"}, "valueQuantity": {"value": 1, "unit": "mm"}, "modifierExtension": [{"url": "urn:not-really"}]}
    said = door.bring(component=[part])
    assert values() == [88.0] and said["left out: Observation part with a modifier that is not known"] == 1
    said = door.bring({"resource": CONDITION["resource"] | {"implicitRules": "urn:other-rules"}})
    assert not Condition.objects.for_actor(SYSTEM).exists() and said["left out: Condition with rules that are not known"] == 1


@pytest.mark.parametrize("status", ["stopped", "completed", "cancelled"])
def test_a_drug_that_is_no_longer_given_ends_and_no_older_file_starts_it_again(door: Door, status: str) -> None:
    door.bring(MEDICATION)
    drugs = Medication.objects.for_actor(SYSTEM)
    assert drugs.get().ends_at is None
    assert door.bring({"resource": MEDICATION["resource"] | {"status": status}})["ended"] == 1
    ended = drugs.get()
    assert ended.status == status and ended.ends_at is not None and ended.ends_at <= now()
    said = door.bring(MEDICATION, issued="2026-01-01")
    assert drugs.get().status == status and said["MedicationRequest says active again, not taken over"] == 1


def test_a_drug_on_hold_is_taken_up_again(door: Door) -> None:
    door.bring(MEDICATION)
    drugs = Medication.objects.for_actor(SYSTEM)
    assert door.bring({"resource": MEDICATION["resource"] | {"status": "on-hold"}})["ended"] == 1
    assert drugs.get().ends_at is not None
    said = door.bring(MEDICATION, issued="2026-01-01")
    assert said["corrected"] == 1 and drugs.get().status == "active" and drugs.get().ends_at is None


@pytest.mark.parametrize("over", ["inactive", "resolved"])
def test_an_allergy_that_is_active_again_is_open_again(door: Door, over: str) -> None:
    status = {code: {"resource": ALLERGY["resource"] | {"clinicalStatus": {"coding": [{"code": code}]}}} for code in (over, "active")}
    allergies = Allergy.objects.for_actor(SYSTEM)
    door.bring(status[over])
    door.bring(ALLERGY, issued="2026-01-01")
    assert allergies.get().status == over, "a file that says nothing of it opens nothing"
    assert door.bring(status["active"], issued="2026-01-02")["corrected"] == 1
    assert allergies.get().status == "active"


def test_a_drug_that_was_cancelled_before_it_came_here_is_not_kept(door: Door) -> None:
    door.bring({"resource": MEDICATION["resource"] | {"status": "cancelled"}})
    assert not Medication.objects.for_actor(SYSTEM).exists()


@pytest.mark.parametrize("intent", ["order", "original-order", "reflex-order", "filler-order", "instance-order", None])
def test_an_order_is_kept(door: Door, intent: str | None) -> None:
    door.bring({"resource": MEDICATION["resource"] | ({"intent": intent} if intent else {})})
    assert Medication.objects.for_actor(SYSTEM).count() == 1


WARFARIN = {"resourceType": "Medication", "id": "m", "code": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "11289", "display": "Warfarin"}]}}


@pytest.mark.parametrize(
    ("reference", "others", "within"),
    [("urn:uuid:m", [{"fullUrl": "urn:uuid:m", "resource": WARFARIN}], {}), ("Medication/m", [{"resource": WARFARIN}], {}), ("#m", [], {"contained": [WARFARIN]})],
)
def test_a_drug_that_is_referred_to_is_known_by_its_code(door: Door, reference: str, others: list[Any], within: dict[str, Any]) -> None:
    request = entry("MedicationRequest", status="active", authoredOn="2026-01-01", medicationReference={"reference": reference}, **within)
    said = door.bring(request, *others)
    drug = Medication.objects.for_actor(SYSTEM).get()
    assert (drug.code, drug.display) == ("11289", "Warfarin") and not [kind for kind in said if kind.startswith("left out")]


@pytest.mark.parametrize(
    "over", [{"clinicalStatus": {"coding": [{"code": code}]}} for code in ("inactive", "remission", "resolved")]
    + [{"abatementString": "in spring"}, {"abatementAge": {"value": 40}}, {"abatementPeriod": {"end": "2026-02-01"}}],
)  # fmt: skip
def test_a_problem_that_is_over_ends(door: Door, over: dict[str, Any]) -> None:
    door.bring(CONDITION)
    assert door.bring({"resource": CONDITION["resource"] | over})["ended"] == 1
    ended = Condition.objects.for_actor(SYSTEM).get().abated_at
    assert ended is not None and ended <= now() and ("abatementPeriod" not in over or str(ended)[:10] == "2026-02-01")


def test_an_observation_about_another_one_is_no_value_of_the_patient(door: Door) -> None:
    said = door.bring(focus=[{"reference": "RelatedPerson/child"}])
    assert values() == [] and said["left out: Observation about somebody or something else"] == 1
