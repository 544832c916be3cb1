"""What a cohort is, in a form that reads as words. Pure: knows nothing of the database."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from salus_web.common.errors import BadInput

OLDEST = 130
SEXES = ("female", "male", "other", "unknown")
MOST_ENTRIES = 40  # a definition is read by a person, and every entry is one more clause of the query
_WORD = re.compile(r"^[^\x00-\x1f\x7f]{1,80}$")
_MODALITY = re.compile(r"^[A-Z]{2,16}$")
_FIELDS = (
    "age_low", "age_high", "sexes", "codes", "modalities", "condition_codes", "task_id", "risk_low", "risk_high",
    "site_ids",
)  # fmt: skip
_RULE_FIELDS = ("code", "low", "high", "unit")


@dataclass(frozen=True, slots=True)
class CodeRule:
    """A measurement that must be recorded at least once, between `low` and `high` (both included) where given."""

    code: str
    low: float | None = None
    high: float | None = None
    unit: str = ""

    def sentence(self) -> str:
        """The rule in words, such as “8867-4 between 50 and 100 /min”."""
        if self.low is None and self.high is None:
            return f"{self.code} recorded in {self.unit}" if self.unit else f"{self.code} recorded"
        return f"{self.code} {_between(self.low, self.high, self.unit)}"


@dataclass(frozen=True, slots=True)
class CohortDefinition:
    """Who is in a cohort. An empty tuple or None asks nothing; within a tuple of codes all must hold,
    within sexes, modalities and sites one is enough. Ages are whole years, both ends included."""

    age_low: int | None = None
    age_high: int | None = None
    sexes: tuple[str, ...] = ()
    codes: tuple[CodeRule, ...] = ()
    modalities: tuple[str, ...] = ()
    condition_codes: tuple[str, ...] = ()
    task_id: str | None = None
    risk_low: float | None = None
    risk_high: float | None = None
    site_ids: tuple[str, ...] = ()

    def sentence(self) -> str:
        """The definition as one sentence, sites left to the caller, who knows their names."""
        parts = [f"{' or '.join(self.sexes)} patients" if self.sexes else "patients"]
        if self.age_low is not None or self.age_high is not None:
            parts.append(f"aged {_between(self.age_low, self.age_high, 'years')}")
        if self.codes:
            parts.append("with " + " and ".join(rule.sentence() for rule in self.codes))
        if self.condition_codes:
            parts.append("diagnosed with " + " and ".join(self.condition_codes))
        if self.modalities:
            parts.append(f"with an image of modality {' or '.join(self.modalities)}")
        if self.task_id is not None:
            parts.append(self._risk())
        if self.site_ids:
            parts.append(f"at {len(self.site_ids)} chosen site{'s' if len(self.site_ids) > 1 else ''}")
        whole = ", ".join(parts) + "."
        return whole[0].upper() + whole[1:]

    def _risk(self) -> str:
        if self.risk_low is None and self.risk_high is None:
            return f"with a risk by {self.task_id}"
        low = None if self.risk_low is None else 100 * self.risk_low
        high = None if self.risk_high is None else 100 * self.risk_high
        return f"with a risk by {self.task_id} {_between(low, high, '%')}"


def to_json(definition: CohortDefinition) -> dict[str, Any]:
    """The stored form: plain lists and numbers, every field named."""
    body = asdict(definition)
    return {key: list(value) if isinstance(value, tuple) else value for key, value in body.items()}


def from_json(body: Any) -> CohortDefinition:
    """Check a stored or sent definition. Raises BadInput with a sentence that names the field."""
    if not isinstance(body, dict):
        raise BadInput("A cohort definition must be an object with named fields.")
    for key in body:
        if key not in _FIELDS:
            raise BadInput(f"The cohort field “{key}” is not known. Known are {', '.join(_FIELDS)}.")
    low, high = _age(body, "age_low"), _age(body, "age_high")
    _in_order(low, high, "age_low", "age_high")
    risk_low, risk_high = _share(body, "risk_low"), _share(body, "risk_high")
    _in_order(risk_low, risk_high, "risk_low", "risk_high")
    task_id = _optional_word(body, "task_id")
    if task_id is None and (risk_low is not None or risk_high is not None):
        raise BadInput("task_id: a range of risk needs a choice of whose risk is meant.")
    codes = tuple(_rule(entry, number) for number, entry in enumerate(_entries(body, "codes"), start=1))
    if len({rule.code for rule in codes}) < len(codes):
        raise BadInput("codes: a code is named twice. Give each code one range.")
    return CohortDefinition(
        age_low=low, age_high=high, sexes=_sexes(body), codes=codes, modalities=_modalities(body),
        condition_codes=_words(body, "condition_codes"), task_id=task_id, risk_low=risk_low, risk_high=risk_high,
        site_ids=_sites(body),
    )  # fmt: skip


def _between(low: float | None, high: float | None, unit: str) -> str:
    """A range in words; at least one end is given."""
    after = f" {unit}" if unit else ""
    if low is None:
        return f"up to {high:g}{after}"
    if high is None:
        return f"from {low:g}{after} up"
    return f"between {low:g} and {high:g}{after}"


def _number(body: dict[str, Any], key: str, where: str) -> float | None:
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadInput(f"{where}: must be a number or be left out.")
    return value


def _age(body: dict[str, Any], key: str) -> int | None:
    value = _number(body, key, key)
    if value is None:
        return None
    if value != int(value) or not 0 <= value <= OLDEST:
        raise BadInput(f"{key}: must be whole years between 0 and {OLDEST}.")
    return int(value)


def _share(body: dict[str, Any], key: str) -> float | None:
    value = _number(body, key, key)
    if value is not None and not 0 <= value <= 1:
        raise BadInput(f"{key}: a risk lies between 0 and 1.")
    return None if value is None else float(value)


def _in_order(low: float | None, high: float | None, low_name: str, high_name: str) -> None:
    if low is not None and high is not None and low > high:
        raise BadInput(f"{low_name}: must not be above {high_name}.")


def _entries(body: dict[str, Any], key: str) -> list[Any]:
    value = body.get(key)
    if value is None:
        return []
    if not isinstance(value, list | tuple) or len(value) > MOST_ENTRIES:
        raise BadInput(f"{key}: must be a list of at most {MOST_ENTRIES} entries.")
    return list(value)


def _words(body: dict[str, Any], key: str) -> tuple[str, ...]:
    """Distinct words in a fixed order, so that the same cohort always has the same stored form."""
    entries = _entries(body, key)
    for entry in entries:
        if not isinstance(entry, str) or not _WORD.match(entry):
            raise BadInput(f"{key}: each entry must be a word of at most 80 characters.")
    return tuple(sorted(set(entries)))


def _optional_word(body: dict[str, Any], key: str) -> str | None:
    value = body.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _WORD.match(value):
        raise BadInput(f"{key}: must be a word of at most 80 characters.")
    return value


def _sexes(body: dict[str, Any]) -> tuple[str, ...]:
    found = _words(body, "sexes")
    if not set(found) <= set(SEXES):
        raise BadInput(f"sexes: each must be one of {', '.join(SEXES)}.")
    return found


def _modalities(body: dict[str, Any]) -> tuple[str, ...]:
    found = _words(body, "modalities")
    if not all(_MODALITY.match(entry) for entry in found):
        raise BadInput("modalities: each must be a DICOM modality such as CR, DX, CT or MR.")
    return found


def _sites(body: dict[str, Any]) -> tuple[str, ...]:
    found = _words(body, "site_ids")
    try:
        return tuple(str(UUID(entry)) for entry in found)
    except ValueError:
        raise BadInput("site_ids: each must be the id of a site.") from None


def _rule(entry: Any, number: int) -> CodeRule:
    if not isinstance(entry, dict) or not set(entry) <= set(_RULE_FIELDS):
        raise BadInput(f"codes: entry {number} must have only the fields {', '.join(_RULE_FIELDS)}.")
    code, unit = _optional_word(entry, "code"), entry.get("unit") or ""
    if code is None:
        raise BadInput(f"codes: entry {number} names no code.")
    if not isinstance(unit, str) or len(unit) > 40:
        raise BadInput(f"codes: the unit of {code} must be a word of at most 40 characters.")
    low, high = _number(entry, "low", f"codes: low of {code}"), _number(entry, "high", f"codes: high of {code}")
    _in_order(low, high, f"codes: low of {code}", "its high")
    return CodeRule(code, low, high, unit)
