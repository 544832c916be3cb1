"""What a FHIR resource says was found: value[x] in all its forms (R4, 2.24.0), and codes. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from salus_learn.tasks.limits import SIGNS

from salus_web.ingest.parsers.forms import Unreadable

# a longer free text is no word of a vocabulary but a note: it is sealed, and no query can ask for it
WORD_AT_MOST = 40
NOTE_AT_MOST = 400
LOINC, SNOMED, UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"
ICD_10, ICD_10_CM = "http://hl7.org/fhir/sid/icd-10", "http://hl7.org/fhir/sid/icd-10-cm"
# which of several codings is kept
RANK = {LOINC: 0, SNOMED: 1, ICD_10: 2, ICD_10_CM: 2, "http://fhir.de/CodeSystem/bfarm/icd-10-gm": 2}
# the same vocabularies as object identifiers (HL7's registry)
ADDRESSES = {
    "urn:oid:2.16.840.1.113883.6.1": LOINC, "urn:oid:2.16.840.1.113883.6.96": SNOMED, "urn:oid:2.16.840.1.113883.6.3": ICD_10,
    "urn:oid:2.16.840.1.113883.6.90": ICD_10_CM, "urn:oid:2.16.840.1.113883.6.8": UCUM,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Value:
    """A number with its unit, and with a sign where it is only a limit; or words, of a vocabulary (`is_coded`) or free."""

    number: float | None = None
    unit: str = ""
    sign: str = ""
    words: str = ""
    is_coded: bool = False

    def as_kept(self) -> dict[str, Any]:
        """The columns it goes into. A limit is a word with a unit: it is no measured number, and nothing may count it as one."""
        if self.number is not None and not self.sign:
            return {"number": self.number, "text": "", "unit": self.unit}
        text = self.words if self.number is None else f"{self.sign}{self.number:.15g}"
        if len(text) > WORD_AT_MOST and not self.is_coded:
            return {"number": None, "text": "", "note": text[:NOTE_AT_MOST], "unit": self.unit}
        return {"number": None, "text": text, "unit": self.unit}


def value_of(part: dict[str, Any], place: str) -> Value:
    """The value of an Observation or of one of its components, which has one. Raises Unreadable."""
    kind = next(key for key in part if key.startswith("value"))
    said = part[kind]
    if kind in _READERS:
        if not isinstance(said, dict):
            raise Unreadable(f"{place}: {kind} “{str(said)[:40]}” is not written as FHIR writes it.")
        return _READERS[kind](said, place)
    if kind == "valueInteger":
        return Value(number=_number(said, place, kind))
    if isinstance(said, bool):
        return Value(words="yes" if said else "no")
    if isinstance(said, dict | list):  # a curve, an attachment: Salus has no place for it, and says so
        return Value(words=f"({kind.removeprefix('value')}, not kept)")
    return Value(words=str(said))


def coding_of(concept: Any, place: str, field: str) -> tuple[str, str, str]:
    """System, code and words of a CodeableConcept: of its codings the one in a vocabulary that models and scores read, else the
    first. What it is called by; `each_coding` has the others."""
    codings = _codings(concept) or [("", "", "")]
    system, code, display = min(codings, key=lambda coding: (not coding[1], RANK.get(coding[0], len(RANK))))
    words = (concept or {}).get("text") or display or next((said for _, _, said in codings if said), "")
    if not code and not words:
        raise Unreadable(f"{place}: {field} has no code.")
    return system, str(code or words)[:80], str(words or code)[:200]


def each_coding(concept: Any, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The row of a thing, then one for each further coding of it: whoever asks by another vocabulary's code finds the thing too,
    and whoever counts things leaves those rows out (`is_other_coding`)."""
    others = {(system, code[:80]) for system, code, _ in _codings(concept) if system and code} - {(row["system"], row["code"])}
    return [row, *(
        row | {"system": system, "code": code, "key": f"{row['key']}|{system}|{code}", "is_other_coding": True}
        for system, code in sorted(others)
    )]  # fmt: skip


def names_of(concept: Any) -> list[str]:
    """Everything that a CodeableConcept calls its thing, codes and words, cut as they are kept."""
    said = [name for _, code, display in _codings(concept) for name in (code, display)]
    said.append(str((concept or {}).get("text") or ""))
    return sorted({cut for name in said if name for cut in (name[:80], name[:200])})


def _codings(concept: Any) -> list[tuple[str, str, str]]:
    """(system, code, display) of each coding, an object identifier of a vocabulary as its address."""
    return [
        (_address(coding.get("system")), str(coding.get("code") or ""), str(coding.get("display") or ""))
        for coding in (concept or {}).get("coding") or []
    ]


def _address(system: Any) -> str:
    return ADDRESSES.get(str(system or ""), str(system or ""))


def _number(number: Any, place: str, field: str) -> float:
    if number is None:
        raise Unreadable(f"{place}: {field} is missing.")
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise Unreadable(f"{place}: {field} “{number}” is not a number.")
    return float(number)


def _quantity(said: dict[str, Any], place: str, field: str = "valueQuantity") -> Value:
    """A comparator is a modifier element, so one that is not known is refused (2.1.0.1)."""
    number, sign = _number(said.get("value"), place, f"{field}.value"), str(said.get("comparator") or "")
    if sign and sign not in SIGNS:
        raise Unreadable(f"{place}: {field}.comparator “{sign[:20]}” is none of {', '.join(SIGNS)}.")
    # a code of another vocabulary is no unit that anybody here could read; the words beside it may be
    code = said.get("code") if _address(said.get("system")) in {"", UCUM} else None
    return Value(number, str(code or said.get("unit") or ""), sign)


def _concept(said: dict[str, Any], place: str) -> Value:
    return Value(words=coding_of(said, place, "value")[2], is_coded=True)


def _range(said: dict[str, Any], place: str) -> Value:
    """From and to, of which one may be open."""
    ends = {end: _quantity(said[end], place, f"valueRange.{end}") for end in ("low", "high") if isinstance(said.get(end), dict)}
    if not ends:
        raise Unreadable(f"{place}: valueRange has neither low nor high.")
    units = {end.unit for end in ends.values()}
    # each with its own unit where they differ: 5 g to 500 mg is not 5 to 500 g
    words = " to ".join(f"{end.number:.15g}{'' if len(units) == 1 else f' {end.unit}'.rstrip()}" for end in ends.values())
    lead = "" if len(ends) == 2 else "from " if "low" in ends else "up to "
    return Value(words=lead + words, unit=units.pop() if len(units) == 1 else "")


def _ratio(said: dict[str, Any], place: str) -> Value:
    """A titre: 1 to 128."""
    parts = [_quantity(said.get(part) or {}, place, f"valueRatio.{part}") for part in ("numerator", "denominator")]
    return Value(words=" : ".join(f"{part.sign}{part.number:.15g} {part.unit}".rstrip() for part in parts))


def _period(said: dict[str, Any], place: str) -> Value:
    return Value(words=f"{said.get('start', '')} to {said.get('end', '')}".strip())


_READERS: dict[str, Callable[[dict[str, Any], str], Value]] = {
    "valueQuantity": _quantity, "valueCodeableConcept": _concept, "valueRange": _range, "valueRatio": _ratio, "valuePeriod": _period,
}  # fmt: skip
