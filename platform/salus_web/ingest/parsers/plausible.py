"""Units and ranges of common measurements: what no living person can have is refused at the door. Pure.

Limits are wide on purpose: they find swapped units and typing errors, not illness. Codes are LOINC, units UCUM.
"""

from __future__ import annotations

from salus_web.ingest.parsers.forms import Unreadable

LOINC = "http://loinc.org"
# code: (words, units that may be written, lowest, highest)
LIMITS: dict[str, tuple[str, frozenset[str], float, float]] = {
    "59408-5": ("oxygen saturation", frozenset({"%"}), 0, 100),
    "2708-6": ("oxygen saturation", frozenset({"%"}), 0, 100),
    "8867-4": ("heart rate", frozenset({"/min", "{beats}/min", "beats/min"}), 0, 400),
    "9279-1": ("respiratory rate", frozenset({"/min", "{breaths}/min", "breaths/min"}), 0, 120),
    "8310-5": ("body temperature in °C", frozenset({"Cel"}), 15, 46),
    "8480-6": ("systolic blood pressure", frozenset({"mm[Hg]", "mmHg"}), 0, 350),
    "8462-4": ("diastolic blood pressure", frozenset({"mm[Hg]", "mmHg"}), 0, 250),
    "8302-2": ("body height", frozenset({"cm"}), 15, 280),
    "29463-7": ("body weight", frozenset({"kg"}), 0.2, 650),
    "2524-7": ("lactate", frozenset({"mmol/L"}), 0, 60),
    "718-7": ("haemoglobin", frozenset({"g/dL"}), 0.5, 30),
    "4548-4": ("haemoglobin A1c", frozenset({"%"}), 1, 30),
}


def check_measurement(system: str, code: str, number: float, unit: str, place: str) -> None:
    """Raise Unreadable where a known measurement has no unit, a unit that is not its own, or a value nobody can have."""
    if system != LOINC or code not in LIMITS:
        return
    words, units, low, high = LIMITS[code]
    if not unit:  # which unit was meant would be a guess, and a wrong guess a wrong risk
        raise Unreadable(f"{place}: {words} {number:g} has no unit; it is read in {' or '.join(sorted(units))}.")
    if unit not in units:
        raise Unreadable(f"{place}: {words} is given in “{unit}”; it is read in {' or '.join(sorted(units))}.")
    if not low <= number <= high:
        raise Unreadable(f"{place}: {words} {number:g} is outside {low:g} to {high:g}.")
