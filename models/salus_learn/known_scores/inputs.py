"""What the scores read of a patient: the newest value of an input before the index moment, in the score's own unit."""

from __future__ import annotations

import math
from datetime import timedelta

from salus_learn.contracts import PatientSnapshot, RecordValue
from salus_learn.known_scores.forms import Coded, Known, ScoreInput

LOINC, SNOMED, OWN = "http://loinc.org", "http://snomed.info/sct", "salus"
_AS_IT_IS = (1.0, 0.0)
_PER_MIN = dict.fromkeys(("/min", "{beats}/min", "beats/min", "{breaths}/min", "breaths/min"), _AS_IT_IS)
_PRESSURE = dict.fromkeys(("mm[Hg]", "mmHg"), _AS_IT_IS)
# urea weighs 60.06 g/mol, its two nitrogens 28.01 g/mol: what 1 mg/dL of either is in mmol/L of urea
_UREA_MG_DL, _NITROGEN_MG_DL = (10 / 60.06, 0.0), (10 / 28.01, 0.0)
_ACVPU = {"a": "Alert", "alert": "Alert", "c": "New confusion", "confused": "New confusion", "confusion": "New confusion",
          "v": "Voice", "voice": "Voice", "p": "Pain", "pain": "Pain", "u": "Unresponsive", "unresponsive": "Unresponsive"}  # fmt: skip
INPUTS = {
    one.name: one
    for one in (
        ScoreInput("respiratory_rate", "Respiratory rate", "/min", (Coded("9279-1", LOINC, _PER_MIN),), 0, 120),
        ScoreInput("oxygen_saturation", "Oxygen saturation", "%", tuple(Coded(code, LOINC, {"%": _AS_IT_IS}) for code in ("59408-5", "2708-6")), 30, 100),
        ScoreInput("oxygen_flow", "Oxygen given", "L/min", (Coded("3151-8", LOINC, {"L/min": _AS_IT_IS}),), 0, 100),
        ScoreInput("systolic", "Systolic pressure", "mmHg", (Coded("8480-6", LOINC, _PRESSURE),), 20, 320),
        ScoreInput("diastolic", "Diastolic pressure", "mmHg", (Coded("8462-4", LOINC, _PRESSURE),), 5, 250),
        ScoreInput("pulse", "Pulse", "/min", (Coded("8867-4", LOINC, _PER_MIN),), 0, 350),
        ScoreInput("temperature", "Temperature", "°C", (Coded("8310-5", LOINC, {"Cel": _AS_IT_IS, "[degF]": (1 / 1.8, -32 / 1.8)}),), 20, 46),
        ScoreInput("glasgow", "Glasgow coma score", "", (Coded("9269-2", LOINC, dict.fromkeys(("", "{score}", "1"), _AS_IT_IS)),), 3, 15),
        ScoreInput("urea", "Urea", "mmol/L", (
            Coded("22664-7", LOINC, {"mmol/L": _AS_IT_IS}), Coded("3091-6", LOINC, {"mg/dL": _UREA_MG_DL}),
            Coded("3094-0", LOINC, {"mg/dL": _NITROGEN_MG_DL}), Coded("6299-2", LOINC, {"mg/dL": _NITROGEN_MG_DL}),
        ), 0, 150, 72),
        ScoreInput("age_years", "Age", "years", (Coded("age_years", OWN, {"a": _AS_IT_IS, "": _AS_IT_IS}),), 0, 125, None),
        ScoreInput("consciousness", "Consciousness", "", (Coded("67775-7", LOINC),), words=_ACVPU),
        # the scale whoever looks after the person scored on; RCP 2017: scale 1 unless a clinician has prescribed scale 2, which
        # holds until it is changed, however long ago
        ScoreInput("spo2_scale", "Saturation scale", "", (
            Coded("1104311000000102", SNOMED, word="scale 1"), Coded("1104321000000108", SNOMED, word="scale 2"),
        ), hours=None, when_missing="scale 1"),
    )
}  # fmt: skip


def score_codes() -> frozenset[str]:
    """Every code by which a score finds an input among observations (age comes from the birth date; the diagnoses of
    Charlson's index are whole chapters of ICD-10 and are not in here)."""
    return frozenset(coded.code for one in INPUTS.values() for coded in one.readings if coded.system != OWN)


def find(snapshot: PatientSnapshot, name: str) -> Known:
    """The newest value of an input, as of the index moment.

    Not used, with a sentence: two different values of one moment, a number that is none, a unit that the code does not
    come in, a value outside what is possible, an unknown word. Not there: what the published rule then says, else None.
    """
    wanted = INPUTS[name]
    newest = _newest(snapshot, wanted)
    if not newest:
        return Known(wanted.when_missing, f"{wanted.when_missing}, as none is recorded" if wanted.may_be_missing else "not recorded")
    first, *others = (_told(wanted, value) for value in newest)
    if not all(_same(first.value, other.value) for other in others):
        return _unusable(newest[0], f"{wanted.label} has two different values at one moment.")
    return first


def _told(wanted: ScoreInput, found: RecordValue) -> Known:
    """What one recorded value says, in the score's own words or unit."""
    coded = next(one for one in wanted.readings if (one.code, one.system) == (found.code, found.system))
    if coded.word or wanted.words:
        word = coded.word or wanted.words.get(str(found.value).strip().lower())
        if word is None:
            return _unusable(found, f"{wanted.label} is “{found.value}”, none of {', '.join(dict.fromkeys(wanted.words.values()))}.")
        return Known(word, word, found.source, found.time)
    number = _number(wanted, coded, found)
    if isinstance(number, str):
        return _unusable(found, number)
    return Known(number, f"{number:.4g} {wanted.unit}".strip(), found.source, found.time)


def _same(one: float | str | None, other: float | str | None) -> bool:
    """Whether two values of one moment say the same, be it in another unit or under another code."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, abs_tol=1e-6)
    return one == other


def _unusable(found: RecordValue, why: str) -> Known:
    return Known(None, "not usable", found.source, found.time, why)


def _newest(snapshot: PatientSnapshot, wanted: ScoreInput) -> list[RecordValue]:
    """The values of the newest moment at which there are any; nothing later than the index moment is looked at."""
    coded = {(one.code, one.system) for one in wanted.readings}
    start = None if wanted.hours is None else snapshot.index_time - timedelta(hours=wanted.hours)
    found = [
        value for value in snapshot.values
        if (value.code, value.system) in coded and value.time <= snapshot.index_time and (start is None or value.time >= start)
    ]  # fmt: skip
    last = max((value.time for value in found), default=None)
    return [value for value in found if value.time == last]


def _number(wanted: ScoreInput, coded: Coded, found: RecordValue) -> float | str:
    """The value in the score's unit, or the sentence that says why not."""
    if isinstance(found.value, str) or not math.isfinite(found.value):
        return f"{wanted.label} is “{found.value}”, not a number."
    unit = found.unit or ""
    if unit not in coded.units:
        return f"{wanted.label} is in {unit or 'no unit'}, which this score cannot read."
    factor, addend = coded.units[unit]
    number = found.value * factor + addend
    if not wanted.low <= number <= wanted.high:
        return f"{wanted.label} {number:.4g} {wanted.unit}".strip() + " is not possible."
    return number
