"""What the scores read of a patient: the newest value of a quantity before the index moment, in the score's own unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from salus_learn.contracts import PatientSnapshot, RecordValue


@dataclass(frozen=True, slots=True)
class Quantity:
    """One input: the LOINC codes it is known by, the units it may come in with their conversion, the range in which it
    is believed, and how many hours before the index moment it still counts (None: any time)."""

    name: str
    label: str
    unit: str
    codes: tuple[str, ...]
    units: Mapping[str, Callable[[float], float]]
    low: float
    high: float
    hours: float | None = 24.0


@dataclass(frozen=True, slots=True)
class Known:
    """A found input: its value (number or word), where it is from and when. `problem` is a sentence when it was not usable."""

    value: float | str | None
    text: str
    source: str = ""
    time: datetime | None = None
    problem: str = ""


def _same(value: float) -> float:
    return value


_PER_MIN = {"/min": _same, "{beats}/min": _same, "{breaths}/min": _same}
QUANTITIES = {
    quantity.name: quantity
    for quantity in (
        Quantity("respiratory_rate", "Respiratory rate", "/min", ("9279-1",), _PER_MIN, 0, 120),
        Quantity("oxygen_saturation", "Oxygen saturation", "%", ("59408-5", "2708-6"), {"%": _same}, 30, 100),
        Quantity("oxygen_flow", "Oxygen given", "L/min", ("3151-8",), {"L/min": _same}, 0, 100),
        Quantity("systolic", "Systolic pressure", "mmHg", ("8480-6",), {"mm[Hg]": _same}, 20, 320),
        Quantity("diastolic", "Diastolic pressure", "mmHg", ("8462-4",), {"mm[Hg]": _same}, 5, 250),
        Quantity("pulse", "Pulse", "/min", ("8867-4",), _PER_MIN, 0, 350),
        Quantity("temperature", "Temperature", "°C", ("8310-5",), {"Cel": _same, "[degF]": lambda f: (f - 32) / 1.8}, 20, 46),
        Quantity("glasgow", "Glasgow coma score", "", ("9269-2",), {"": _same, "{score}": _same, "1": _same}, 3, 15),
        Quantity("urea", "Urea", "mmol/L", ("22664-7", "3094-0", "6299-2"), {"mmol/L": _same}, 0, 150, 72),
        Quantity("age_years", "Age", "years", ("age_years",), {"a": _same, "": _same}, 0, 125, None),
    )
}  # fmt: skip
CONSCIOUSNESS_CODE = "67775-7"
# urea nitrogen in mg/dL is 28.01 g/mol of nitrogen for 60.06 g/mol of urea: 1 mg/dL is 0.357 mmol/L of urea
NITROGEN_CODES, NITROGEN_MMOL_L = ("3094-0", "6299-2"), 0.357
WORDS = {"a": "Alert", "alert": "Alert", "c": "New confusion", "confused": "New confusion", "confusion": "New confusion",
         "v": "Voice", "voice": "Voice", "p": "Pain", "pain": "Pain", "u": "Unresponsive", "unresponsive": "Unresponsive"}  # fmt: skip


def score_codes() -> frozenset[str]:
    """Every code by which a score finds an input among observations (age comes from the birth date)."""
    return frozenset(code for quantity in QUANTITIES.values() for code in quantity.codes if quantity.hours is not None) | {CONSCIOUSNESS_CODE}


def find(snapshot: PatientSnapshot, name: str) -> Known:
    """The newest value of a quantity, or of "consciousness" (one of the ACVPU words). A value in an unknown unit or
    outside what is possible is not used, and the sentence says so."""
    if name == "consciousness":
        return _consciousness(snapshot)
    quantity = QUANTITIES[name]
    newest = _newest(snapshot, quantity.codes, quantity.hours)
    if newest is None:
        return Known(None, "not recorded")
    number = _number(quantity, newest)
    if isinstance(number, str):
        return Known(None, "not usable", newest.source, newest.time, number)
    return Known(number, f"{number:.4g} {quantity.unit}".strip(), newest.source, newest.time)


def _newest(snapshot: PatientSnapshot, codes: tuple[str, ...], hours: float | None) -> RecordValue | None:
    start = snapshot.index_time - timedelta(hours=hours) if hours is not None else None
    found = [value for value in snapshot.values if value.code in codes and value.time <= snapshot.index_time]
    return max((value for value in found if start is None or value.time >= start), key=lambda value: value.time, default=None)


def _number(quantity: Quantity, found: RecordValue) -> float | str:
    """The value in the score's unit, or the sentence that says why not."""
    if isinstance(found.value, str):
        return f"{quantity.label} is “{found.value}”, not a number."
    unit = found.unit or ""
    if found.code in NITROGEN_CODES and unit == "mg/dL":
        number = found.value * NITROGEN_MMOL_L
    elif unit in quantity.units:
        number = quantity.units[unit](found.value)
    else:
        return f"{quantity.label} is in {unit or 'no unit'}, which this score cannot read."
    if not quantity.low <= number <= quantity.high:
        return f"{quantity.label} {number:g} {quantity.unit} is not possible."
    return number


def _consciousness(snapshot: PatientSnapshot) -> Known:
    newest = _newest(snapshot, (CONSCIOUSNESS_CODE,), 24.0)
    if newest is None:
        return Known(None, "not recorded")
    word = WORDS.get(str(newest.value).strip().lower())
    if word is None:
        return Known(None, "not usable", newest.source, newest.time, f"Consciousness is “{newest.value}”, none of A, C, V, P, U.")
    return Known(word, word, newest.source, newest.time)
