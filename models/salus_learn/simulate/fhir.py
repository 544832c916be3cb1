"""One simulated person as a FHIR R4 bundle. Codes are LOINC, SNOMED CT with ICD-10, and ATC; units are UCUM."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from salus_learn.simulate.causes import BY_NAME, SPO2_OVERREAD_POINTS, Values
from salus_learn.simulate.course import CHANGING, MOMENT_HOURS, Course
from salus_learn.simulate.people import SITES, Person

LOINC, SNOMED, ATC = "http://loinc.org", "http://snomed.info/sct", "http://www.whocc.no/atc"
ICD_10 = "http://hl7.org/fhir/sid/icd-10"
OUTCOME_CODE, OUTCOME_ICD_10 = "65710008", "J96.0"
VITALS = {
    "spo2_percent": ("59408-5", 1), "resp_rate_per_min": ("9279-1", 0), "heart_rate_per_min": ("8867-4", 0),
    "temperature_cel": ("8310-5", 1), "systolic_mm_hg": ("8480-6", 0),
}  # fmt: skip
LABS = {
    "lactate_mmol_l": ("2524-7", 1), "creatinine_umol_l": ("14682-9", 0), "crp_mg_l": ("1988-5", 0),
    "wbc_10e3_ul": ("6690-2", 1), "haemoglobin_g_dl": ("718-7", 1),
}  # fmt: skip
DISEASES = {
    "copd": ("13645005", "J44.9"), "heart_failure": ("84114007", "I50.9"), "diabetes": ("44054006", "E11.9"),
    "kidney_disease": ("709044004", "N18.9"), "hypertension": ("38341003", "I10"),
}  # fmt: skip
# an early reading lies this share of the way between the ward's usual value and the person's own at the index moment
_START_SHARE = 0.55


def bundle_of(person: Person, course: Course, rng: np.random.Generator) -> dict[str, Any]:
    """The bundle (type collection) of one person; everything in it is tagged as simulated."""
    entries, values = [_patient(person), _encounter(person)], course.values[0]
    entries += _conditions(person, values)
    entries += list(_observations(person, values, rng))
    entries += list(_later(person, course))
    if values["antibiotic"][person.number]:
        entries.append(_antibiotic(person))
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": entry} for entry in entries]}


def _base(kind: str, person: Person, key: str) -> dict[str, Any]:
    return {
        "resourceType": kind, "id": f"{person.mrn}-{key}", "meta": {"tag": [{"system": "urn:salus", "code": "simulated"}]},
        "subject": {"reference": f"Patient/{person.mrn}"}, "encounter": {"reference": f"Encounter/{person.mrn}-stay"},
    }  # fmt: skip


def _patient(person: Person) -> dict[str, Any]:
    return {
        "resourceType": "Patient", "id": person.mrn, "meta": {"tag": [{"system": "urn:salus", "code": "simulated"}]},
        "identifier": [{"type": {"coding": [{"code": "MR"}]}, "system": f"urn:salus:simulated:{SITES[person.site]}", "value": person.mrn}],
        "name": [{"given": [person.given], "family": person.family}], "gender": person.sex,
        "birthDate": person.born.isoformat(),
    }  # fmt: skip


def _encounter(person: Person) -> dict[str, Any]:
    body = _base("Encounter", person, "stay")
    del body["encounter"]
    period = {"start": _text(person.starts_at)} | ({"end": _text(person.ends_at)} if person.ends_at else {})
    return body | {
        "status": "finished" if person.ends_at else "in-progress", "class": {"code": "IMP", "display": "inpatient"},
        "period": period, "location": [{"location": {"display": person.ward}}],
    }  # fmt: skip


def _concept(system: str, code: str, words: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": words}], "text": words}


def _diagnosis(snomed: str, icd_10: str, words: str) -> dict[str, Any]:
    """Coded twice, as hospitals do: for care and for the bill."""
    coding = [{"system": system, "code": code, "display": words} for system, code in ((SNOMED, snomed), (ICD_10, icd_10))]
    return {"coding": coding, "text": words}


def _conditions(person: Person, values: Values) -> list[dict[str, Any]]:
    """Diseases known at admission, and the outcome when it came."""
    found = [
        _base("Condition", person, name) | {
            "code": _diagnosis(*codes, BY_NAME[name].label), "recordedDate": _text(person.starts_at + timedelta(minutes=20)),
        }
        for name, codes in DISEASES.items()
        if values[name][person.number]
    ]  # fmt: skip
    if person.worse_at is not None:
        found.append(_base("Condition", person, "outcome") | {
            "code": _diagnosis(OUTCOME_CODE, OUTCOME_ICD_10, "Acute respiratory failure"), "recordedDate": _text(person.worse_at),
        })  # fmt: skip
    return found


def _antibiotic(person: Person) -> dict[str, Any]:
    return _base("MedicationRequest", person, "antibiotic") | {
        "status": "active", "intent": "order", "authoredOn": _text(person.starts_at + timedelta(hours=3)),
        "medicationCodeableConcept": _concept(ATC, "J01CR02", "Amoxicillin and beta-lactamase inhibitor"),
    }  # fmt: skip


def _observations(person: Person, values: Values, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """The first day: vital signs every four hours, laboratory values twice."""
    n = person.number
    skin = "V or VI" if values["darker_skin"][n] else "I to IV"
    yield _base("Observation", person, "skin") | {
        "status": "final", "code": _concept("urn:salus:simulated", "fitzpatrick", "Skin type (Fitzpatrick)"),
        "effectiveDateTime": _text(person.starts_at), "valueString": skin,
    }  # fmt: skip
    for name, (code, digits) in VITALS.items():
        for turn in range(6):
            hours = 3.6 + 4 * turn  # the sixth reading is 24 minutes before the index moment
            yield _observation(person, name, code, digits, hours, _reading(name, values, person, hours, rng), turn)
    for name, (code, digits) in LABS.items():
        if _is_never_measured(name, person, values):
            continue
        for turn, hours in enumerate((1.5, 20.0)):
            yield _observation(person, name, code, digits, hours, _reading(name, values, person, hours, rng), turn)
    yield from _bedside(person, values)


def _is_never_measured(name: str, person: Person, values: Values) -> bool:
    return name in {"lactate_mmol_l", "crp_mg_l"} and bool(values[name.split("_")[0] + "_missing"][person.number])


def _later(person: Person, course: Course) -> Iterator[dict[str, Any]]:
    """The days after the first: vital signs every eight hours, laboratory values in the morning, as long as the stay lasts.
    Their own generator leaves the first day as it was."""
    rng = np.random.default_rng((13, person.number))
    for day, start in enumerate(MOMENT_HOURS[:-1]):
        for name, (code, digits) in VITALS.items():
            for turn, on in enumerate((7.6, 15.6, 23.6), start=6 + 3 * day):
                value = _on(name, course, day, on, person, start + on, rng)
                yield from _known(person, name, code, digits, start + on, value, turn)
        for name, (code, digits) in LABS.items():
            if name in CHANGING and not _is_never_measured(name, person, course.values[0]):
                value = _on(name, course, day, 20.0, person, start + 20.0, rng)
                yield from _known(person, name, code, digits, start + 20.0, value, 2 + day)


def _known(person: Person, name: str, code: str, digits: int, hours: float, value: float, turn: int) -> Iterator[dict[str, Any]]:
    """A reading, unless nobody took it: the person had gone home, or it is not that late yet."""
    if person.starts_at + timedelta(hours=hours) <= person.seen_to:
        yield _observation(person, name, code, digits, hours, value, turn)


def _on(name: str, course: Course, day: int, on: float, person: Person, hours: float, rng: np.random.Generator) -> float:
    """A value some hours after an index moment, on its way to the one of the next; worse once the outcome has come."""
    node, n = BY_NAME[name], person.number
    last, own = float(course.values[day][name][n]), float(course.values[day + 1][name][n])
    share = min(on / 20.0, 1.0)
    value = last + share * (own - last) + (rng.normal(0, 0.25 * node.noise) if on < 20 else 0.0)
    if person.worse_at is not None and person.starts_at + timedelta(hours=hours) > person.worse_at:
        value += (own - node.base) * 0.5
    return _shown(name, value, course.values[0], person)


def _bedside(person: Person, values: Values) -> Iterator[dict[str, Any]]:
    """What nurses write down beside the vital signs and the known scores read: they follow from the drawn causes and
    are no cause themselves, so no task uses them. Their own generator leaves every other drawn number as it was."""
    n, rng = person.number, np.random.default_rng((9, person.number))
    spo2, systolic = float(values["spo2_percent"][n]), float(values["systolic_mm_hg"][n])
    confused = rng.random() < (0.3 if spo2 < 90 or float(values["lactate_mmol_l"][n]) > 4 else 0.02)
    if rng.random() < 0.9:  # one in ten is not written down
        yield _base("Observation", person, "consciousness") | {
            "status": "final", "code": _concept(LOINC, "67775-7", "Level of responsiveness (ACVPU)"),
            "effectiveDateTime": _text(person.starts_at + timedelta(hours=23)), "valueString": "C" if confused else "A",
        }  # fmt: skip
    written = {
        "oxygen_flow": ("3151-8", "Oxygen given", "L/min", float(rng.integers(2, 7)) if spo2 < 92 else 0.0, 23.0),
        "glasgow": ("9269-2", "Glasgow coma score", "{score}", 14.0 if confused else 15.0, 23.0),
        "diastolic": ("8462-4", "Diastolic blood pressure", "mm[Hg]", round(np.clip(0.6 * systolic + rng.normal(0, 6), 30, 130)), 23.0),
        "urea": ("22664-7", "Urea", "mmol/L", round(float(np.clip(
            5.0 + 0.06 * (float(values["creatinine_umol_l"][n]) - 80) + rng.normal(0, 1.2), 1.5, 45)), 1), 20.0),
    }  # fmt: skip
    for key, (code, words, unit, number, hours) in written.items():
        yield _base("Observation", person, key) | {
            "status": "final", "code": _concept(LOINC, code, words),
            "effectiveDateTime": _text(person.starts_at + timedelta(hours=hours)),
            "valueQuantity": {"value": float(number), "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
        }  # fmt: skip


def _reading(name: str, values: Values, person: Person, hours: float, rng: np.random.Generator) -> float:
    """The person's value at the first index moment is the drawn one; before, it is nearer the usual."""
    node, own = BY_NAME[name], float(values[name][person.number])
    share = _START_SHARE + (1 - _START_SHARE) * min(hours / 20.0, 1.0)
    value = node.base + share * (own - node.base) + (rng.normal(0, 0.25 * node.noise) if hours < 20 else 0.0)
    return _shown(name, value, values, person)


def _shown(name: str, value: float, values: Values, person: Person) -> float:
    """What the device shows of a value."""
    if name == "spo2_percent" and values["darker_skin"][person.number]:
        value += SPO2_OVERREAD_POINTS
    return float(np.clip(value, BY_NAME[name].low, BY_NAME[name].high))


def _observation(person: Person, name: str, code: str, digits: int, hours: float, value: float, turn: int) -> dict[str, Any]:
    node = BY_NAME[name]
    number = round(value, digits) if digits else round(value)
    return _base("Observation", person, f"{name}-{turn}") | {
        "status": "final", "code": _concept(LOINC, code, node.label),
        "effectiveDateTime": _text(person.starts_at + timedelta(hours=hours)),
        "valueQuantity": {"value": number, "unit": node.unit, "system": "http://unitsofmeasure.org", "code": node.unit},
    }  # fmt: skip


def _text(moment: datetime) -> str:
    return moment.isoformat()
