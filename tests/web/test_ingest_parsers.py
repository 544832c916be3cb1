"""The door's readers in their child process: what is good is read, what is wrong is refused with its place."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from salus_web.common.errors import BadInput
from salus_web.ingest.child import parse_in_child


def bundle(**changes: Any) -> dict[str, Any]:
    """A small R4 bundle: one patient, one observation; `changes` go into the observation."""
    observation = {
        "resourceType": "Observation", "id": "o1", "status": "final", "subject": {"reference": "urn:uuid:p"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}]},
        "effectiveDateTime": "2026-01-02T03:04:05+01:00", "valueQuantity": {"value": 88, "code": "/min"},
    } | changes  # fmt: skip
    patient = {
        "resourceType": "Patient", "id": "p", "gender": "female", "birthDate": "1963-04-02",
        "identifier": [{"system": "urn:mrn", "value": "4417"}], "name": [{"given": ["Jane"], "family": "Doe"}],
    }  # fmt: skip
    entries = [{"fullUrl": "urn:uuid:p", "resource": patient}, {"resource": observation}]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def read(document: Any, name: str = "b.json") -> dict[str, Any]:
    return parse_in_child(json.dumps(document).encode(), name)


def test_a_bundle_gives_patient_and_observation_in_utc() -> None:
    person = read(bundle())["people"][0]
    assert (person["mrn"], person["name"], person["birth_date"]) == ("4417", "Jane Doe", "1963-04-02")
    found = person["observations"][0]
    assert (found["code"], found["number"], found["unit"]) == ("8867-4", 88.0, "/min")
    assert found["observed_at"] == "2026-01-02T02:04:05+00:00"


def test_lines_of_bundles_are_read() -> None:
    raw = (json.dumps(bundle()) + "\n" + json.dumps(bundle())).encode()
    assert len(parse_in_child(raw, "b.ndjson")["people"]) == 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"valueQuantity": {"value": "high"}}, "b.json, entry 2 (Observation): valueQuantity.value “high” is not a number"),
        ({"effectiveDateTime": "yesterday"}, "effectiveDateTime “yesterday” is not a date and time"),
        ({"effectiveDateTime": "2026-01-02T03:04:05"}, "effectiveDateTime “2026-01-02T03:04:05” has no time zone"),
        ({"subject": {"reference": "Patient/9"}}, "its subject Patient/9 is not in the bundle"),
        ({"code": {}}, "code has no code"),
        ({"id": ""}, "the resource has no id"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput) as refused:
        read(bundle(**changes))
    assert says in str(refused.value)


def test_deep_nesting_is_refused() -> None:
    deep: Any = {}
    for _ in range(60):
        deep = {"inner": deep}
    with pytest.raises(BadInput, match="nested deeper than 32"):
        read(bundle(extension=deep))


def test_a_zip_that_would_explode_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big.json", b"0" * 60_000_000)
    with pytest.raises(BadInput, match="would grow to 60,000,000 bytes"):
        parse_in_child(stream.getvalue(), "bomb.zip")


@pytest.mark.parametrize("raw", [b"", b"hello", b"{", b"PK\x03\x04broken", b"\0" * 128 + b"DICMbroken"])
def test_what_is_no_record_is_a_sentence(raw: bytes) -> None:
    with pytest.raises(BadInput, match="thing"):
        parse_in_child(raw, "thing")


@pytest.mark.data
def test_every_synthetic_record_is_read(shared_data: Path) -> None:
    files = sorted((shared_data / "fhir_r4_synthea").glob("*.json"))
    assert files
    for path in files:
        person = parse_in_child(path.read_bytes(), path.name)["people"][0]
        assert person["mrn"] and person["observations"] and person["encounters"]


@pytest.mark.data
def test_dicom_samples_give_what_they_should(shared_data: Path) -> None:
    folder = shared_data / "dicom_samples" / "valid"
    readable = parse_in_child((folder / "CT_small.dcm").read_bytes(), "CT_small.dcm")["people"][0]["images"][0]
    assert (readable["modality"], readable["rows"], readable["pixel_state"]) == ("CT", 128, "readable")
    assert {entry["kind"] for entry in readable["renditions"]} == {"model", "display", "thumbnail"}
    odd = parse_in_child((folder / "JPGExtended.dcm").read_bytes(), "JPGExtended.dcm")["people"][0]["images"][0]
    assert odd["pixel_state"] == "unreadable" and odd["pixel_problem"] and not odd["renditions"]
    with pytest.raises(BadInput, match="PatientID is missing"):
        parse_in_child((folder / "test-SR.dcm").read_bytes(), "test-SR.dcm")


@pytest.mark.parametrize(("sign", "said"), [("<", "<88"), (">=", ">=88")])
def test_a_limit_is_kept_as_it_was_written_and_is_no_number(sign: str, said: str) -> None:
    """A comparator changes what a quantity means: less than 5 is not 5."""
    (found,) = read(bundle(valueQuantity={"value": 88, "comparator": sign, "code": "/min"}))["people"][0]["observations"]
    assert (found["number"], found["text"], found["unit"]) == (None, said, "/min")


def quantity(value: float, **more: str) -> dict[str, Any]:
    return {"value": value, "unit": "mm", **more}


LONG = "a finding that is written out in more than forty letters"


@pytest.mark.parametrize(
    ("said", "number", "text", "unit"),
    [
        ({"valueInteger": 15}, 15.0, "", ""), ({"valueBoolean": False}, None, "no", ""), ({"valueString": "calm"}, None, "calm", ""),
        ({"valueRange": {"low": quantity(18), "high": quantity(25.5)}}, None, "18 to 25.5", "mm"), ({"valueRange": {"high": quantity(25)}}, None, "up to 25", "mm"),
        ({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 128, "comparator": ">="}}}, None, "1 : >=128", ""),
        ({"valuePeriod": {"start": "2026-01-01", "end": "2026-01-02"}}, None, "2026-01-01 to 2026-01-02", ""),
        ({"valueSampledData": {"data": "1 2 3"}}, None, "(SampledData, not kept)", ""), ({"valueCodeableConcept": {"text": LONG}}, None, LONG, ""),
    ],
)  # fmt: skip
def test_every_form_of_a_value_is_read_as_it_is_meant(said: dict[str, Any], number: float | None, text: str, unit: str) -> None:
    document = bundle(code={"text": "something"}, **said)
    del document["entry"][1]["resource"]["valueQuantity"]
    (found,) = read(document)["people"][0]["observations"]
    assert (found["number"], found["text"], found["unit"]) == (number, text, unit)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"valueInteger": True}, "valueInteger “True” is not a number"), ({"valueRange": {}}, "valueRange has neither low nor high"),
        ({"valueQuantity": [88]}, "is not written as FHIR writes it"), ({"valueRatio": {"numerator": {"value": 1}}}, "valueRatio.denominator.value is missing"),
    ],
)  # fmt: skip
def test_a_value_that_is_written_wrongly_is_named(said: dict[str, Any], says: str) -> None:
    document = bundle(**said)
    if "valueQuantity" not in said:
        del document["entry"][1]["resource"]["valueQuantity"]
    with pytest.raises(BadInput, match=says):
        read(document)


@pytest.mark.parametrize(
    ("quantity", "says"),
    [
        ({"value": 88, "comparator": "ad", "code": "/min"}, "valueQuantity.comparator “ad” is none of <, <=, >=, >"),
        ({"value": 880, "comparator": ">", "code": "/min"}, "heart rate 880 is outside 0 to 400"),
        ({"value": 88, "comparator": "<"}, "heart rate 88 has no unit"),
        ({"value": 880, "code": "/min"}, "heart rate 880 is outside 0 to 400"),
        ({"value": 88, "code": "kg"}, "heart rate is given in “kg”"),
        ({"value": 88}, "heart rate 88 has no unit"),
    ],
)
def test_units_and_ranges_are_checked_at_the_door(quantity: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        parse_in_child(json.dumps(bundle(valueQuantity=quantity)).encode(), "one.json")


LOCAL = {"system": "urn:local", "code": "X"}
LOINC = {"system": "http://loinc.org", "code": "8867-4"}


@pytest.mark.parametrize(
    ("codings", "system", "code"),
    [
        ([LOCAL, LOINC], "http://loinc.org", "8867-4"), ([LOCAL, {"system": "urn:oid:2.16.840.1.113883.6.1", "code": "8867-4"}], "http://loinc.org", "8867-4"),
        ([LOCAL, {"system": "urn:oid:2.16.840.1.113883.6.96", "code": "73211009"}], "http://snomed.info/sct", "73211009"),
        ([{"system": "http://hl7.org/fhir/sid/icd-10", "code": "E11"}, {"system": "http://snomed.info/sct", "code": "73211009"}], "http://snomed.info/sct", "73211009"),
        ([LOCAL, {"system": "urn:oid:2.16.840.1.113883.6.3", "code": "E11"}], "http://hl7.org/fhir/sid/icd-10", "E11"),
        ([LOCAL, {"system": "urn:oid:2.16.840.1.113883.6.90", "code": "E11.9"}], "http://hl7.org/fhir/sid/icd-10-cm", "E11.9"),
        ([LOCAL, {"system": "urn:other", "code": "Y"}], "urn:local", "X"), ([{"system": "http://loinc.org"}, LOCAL], "urn:local", "X"),
    ],
)  # fmt: skip
def test_of_several_codings_the_one_that_is_read_here_is_kept(codings: list[Any], system: str, code: str) -> None:
    found = read(bundle(code={"coding": codings, "text": "Said"}))["people"][0]["observations"][0]
    assert (found["system"], found["code"], found["display"]) == (system, code, "Said")


def test_a_local_code_beside_a_known_one_does_not_pass_the_check_of_units() -> None:
    with pytest.raises(BadInput, match="heart rate 880 is outside"):
        read(bundle(code={"coding": [LOCAL, LOINC]}, valueQuantity={"value": 880, "code": "/min"}))


@pytest.mark.parametrize(
    ("said", "unit"),
    [
        ({"code": "258795003", "system": "http://snomed.info/sct", "unit": "g/dL"}, "g/dL"), ({"code": "g/dL", "system": "http://unitsofmeasure.org", "unit": "grams"}, "g/dL"),
        ({"code": "g/dL", "system": "urn:oid:2.16.840.1.113883.6.8"}, "g/dL"), ({"code": "g/dL", "unit": "grams"}, "g/dL"), ({"code": "258795003", "system": "http://snomed.info/sct"}, ""),
    ],
)  # fmt: skip
def test_a_code_of_another_vocabulary_is_no_unit(said: dict[str, str], unit: str) -> None:
    found = read(bundle(code={"text": "Hb"}, valueQuantity={"value": 7.1, **said}))["people"][0]["observations"][0]
    assert found["unit"] == unit
