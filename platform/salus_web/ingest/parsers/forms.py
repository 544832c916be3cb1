"""The typed records every parser gives, and the refusal they raise. Plain JSON-able dictionaries cross the pipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class Unreadable(Exception):
    """The file is refused; the sentence names the file, resource, tag or field."""


class LeftOut(Exception):
    """One resource is not kept and the file is; the words say why, and are counted with the kind of the resource."""


@dataclass(slots=True)
class PersonRecord:
    """One patient and what one file says about them. Times are ISO 8601 with offset. `other_numbers` are further record numbers
    of the same person, as `mrn` and `mrn_system`. Where a death `is_dated` not, `died_at` is when it was known. `taken_back` says (kind, source, key, names) what is no longer so.
    A film's time may be without offset, by the hospital's clock, or not said."""

    mrn: str
    mrn_system: str
    name: str
    birth_date: str | None
    sex: str
    died_at: str | None = None
    death_is_dated: bool = True
    encounters: list[dict[str, Any]] = field(default_factory=list)
    observations: list[dict[str, Any]] = field(default_factory=list)
    conditions: list[dict[str, Any]] = field(default_factory=list)
    medications: list[dict[str, Any]] = field(default_factory=list)
    allergies: list[dict[str, Any]] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    taken_back: list[dict[str, Any]] = field(default_factory=list)
    is_simulated: bool = False
    is_replaced: bool = False  # another record must be used in its place: nothing of it is stored
    other_numbers: list[dict[str, str]] = field(default_factory=list)

    @property
    def numbers(self) -> list[dict[str, str]]:
        """Every record number, the chosen one first."""
        return [{"mrn": self.mrn, "mrn_system": self.mrn_system}, *self.other_numbers]


@dataclass(slots=True)
class Parsed:
    """What a file holds: people, and the count of things that Salus does not keep."""

    people: list[PersonRecord] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
