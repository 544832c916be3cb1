"""One simulated person as a FHIR R4 bundle. Codes are LOINC, SNOMED CT and ATC; units are UCUM."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from salus_learn.simulate.causes import BY_NAME, SPO2_OVERREAD_POINTS, Values
from salus_learn.simulate.people import INDEX_HOURS, SITES, Person

LOINC, SNOMED, ATC = "http://loinc.org", "http://snomed.info/sct", "http://www.whocc.no/atc"
OUTCOME_CODE = "65710008"
VITALS = {
    "spo2_percent": ("59408-5", 1), "resp_rate_per_min": ("9279-1", 0), "heart_rate_per_min": ("8867-4", 0),
    "temperature_cel": ("8310-5", 1), "systolic_mm_hg": ("8480-6", 0),
}  # fmt: skip
LABS = {
    "lactate_mmol_l": ("2524-7", 1), "creatinine_umol_l": ("14682-9", 0), "crp_mg_l": ("1988-5", 0),
    "wbc_10e3_ul": ("6690-2", 1), "haemoglobin_g_dl": ("718-7", 1),
}  # fmt: skip
DISEASES = {
    "copd": "13645005", "heart_failure": "84114007", "diabetes": "44054006", "kidney_disease": "709044004",
    "hypertension": "38341003",
}  # fmt: skip
# an early reading lies this share of the way between the ward's usual value and the person's own at the index moment
_START_SHARE = 0.55


def bundle_of(person: Person, values: Values, rng: np.random.Generator) -> dict[str, Any]:
    """The bundle (type collection) of one person; everything in it is tagged as simulated."""
    entries = [_patient(person), _encounter(person)]
    entries += _conditions(person, values)
    entries += list(_observations(person, values, rng))
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


def _conditions(person: Person, values: Values) -> list[dict[str, Any]]:
    """Diseases known at admission, and the outcome when it came."""
    found = [
        _base("Condition", person, name) | {
            "code": _concept(SNOMED, code, BY_NAME[name].label), "recordedDate": _text(person.starts_at + timedelta(minutes=20)),
        }
        for name, code in DISEASES.items()
        if values[name][person.number]
    ]  # fmt: skip
    if person.worse_at is not None:
        found.append(_base("Condition", person, "outcome") | {
            "code": _concept(SNOMED, OUTCOME_CODE, "Acute respiratory failure"), "recordedDate": _text(person.worse_at),
        })  # fmt: skip
    return found


def _antibiotic(person: Person) -> dict[str, Any]:
    return _base("MedicationRequest", person, "antibiotic") | {
        "status": "active", "intent": "order", "authoredOn": _text(person.starts_at + timedelta(hours=3)),
        "medicationCodeableConcept": _concept(ATC, "J01CR02", "Amoxicillin and beta-lactamase inhibitor"),
    }  # fmt: skip


def _observations(person: Person, values: Values, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Vital signs every four hours, laboratory values twice, some readings after the index moment."""
    n = person.number
    skin = "V or VI" if values["darker_skin"][n] else "I to IV"
    yield _base("Observation", person, "skin") | {
        "status": "final", "code": _concept("urn:salus:simulated", "fitzpatrick", "Skin type (Fitzpatrick)"),
        "effectiveDateTime": _text(person.starts_at), "valueString": skin,
    }  # fmt: skip
    after = 0 if person.ends_at is None else 2
    for name, (code, digits) in VITALS.items():
        for turn in range(6 + after):
            hours = 3.6 + 4 * turn  # the sixth reading is 24 minutes before the index moment
            yield _observation(person, name, code, digits, hours, _reading(name, values, person, hours, rng), turn)
    for name, (code, digits) in LABS.items():
        if name in {"lactate_mmol_l", "crp_mg_l"} and values[name.split("_")[0] + "_missing"][n]:
            continue
        for turn, hours in enumerate((1.5, 20.0)):
            yield _observation(person, name, code, digits, hours, _reading(name, values, person, hours, rng), turn)
    yield from _bedside(person, values)


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
    """The person's value at the index moment is the drawn one; before, it is nearer the usual; after, it follows the outcome."""
    node, own = BY_NAME[name], float(values[name][person.number])
    share = _START_SHARE + (1 - _START_SHARE) * min(hours / 20.0, 1.0)
    value = node.base + share * (own - node.base) + (rng.normal(0, 0.25 * node.noise) if hours < 20 else 0.0)
    if hours > INDEX_HOURS and person.worse_at is not None:
        value += (own - node.base) * 0.5
    if name == "spo2_percent" and values["darker_skin"][person.number]:
        value += SPO2_OVERREAD_POINTS
    return float(np.clip(value, node.low, node.high))


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
