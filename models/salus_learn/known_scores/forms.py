"""The forms of a known score: what it reads, what it found, and what it says. Nothing here computes.

`Score.published` follows from `examples`: a score without a published worked example is in no list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from salus_learn.contracts import PatientSnapshot

State = Literal["computed", "not_computable"]


@dataclass(frozen=True, slots=True)
class Coded:
    """One code by which an input is found. `units` maps each unit (UCUM) it may come in to the factor and the addend that
    turn it into the input's own unit; a code with a `word` says that word by being there, whatever its value."""

    code: str
    system: str
    units: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    word: str = ""


@dataclass(frozen=True, slots=True)
class ScoreInput:
    """One input of a score, in `unit`, believed from `low` to `high` (included).

    The newest value within `hours` before the index moment is read (None: any time before). `words` are the words a
    finding may be written in. Where the published rule says what holds when nothing is recorded, `when_missing` is it.
    """

    name: str
    label: str
    unit: str
    readings: tuple[Coded, ...]
    low: float = 0.0
    high: float = 0.0
    hours: float | None = 24.0
    words: Mapping[str, str] = field(default_factory=dict)
    when_missing: str | None = None

    @property
    def codes(self) -> tuple[str, ...]:
        """Every code it is found by, the usual one first."""
        return tuple(one.code for one in self.readings)

    @property
    def code(self) -> str:
        """The usual code."""
        return self.readings[0].code

    @property
    def system(self) -> str:
        """The system of the usual code."""
        return self.readings[0].system

    @property
    def may_be_missing(self) -> bool:
        """Whether the published rule says what holds without it."""
        return self.when_missing is not None


@dataclass(frozen=True, slots=True)
class Known:
    """A found input: its value (number or word), where it is from and when. `problem` is a sentence when it was not usable."""

    value: float | str | None
    text: str
    source: str = ""
    time: datetime | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ScorePart:
    """One row of a score: what was found, as a person would read it, its points, where it is from and when."""

    label: str
    value: str
    points: int
    source: str
    time: datetime | None

    @property
    def value_text(self) -> str:
        """The same as `value`."""
        return self.value


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """A score of one patient; the parts' points add up to `points`.

    NOT_COMPUTABLE: `points` is None, there are no parts and no band, and `missing` names every input that was not
    there, or says in a sentence why one that was there could not be used.
    """

    name: str
    title: str
    state: State
    points: int | None
    highest: int
    parts: tuple[ScorePart, ...]
    missing: tuple[str, ...]
    band: str
    meaning: str
    source: str


# a snapshot, and whether it holds every diagnosis -> the parts, or what is missing
Reckon = Callable[[PatientSnapshot, bool], tuple[tuple[ScorePart, ...], tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Score:
    """A published score. `examples` are the addresses of published worked examples, each repeated in its tests."""

    name: str
    title: str
    highest: int
    inputs: tuple[ScoreInput, ...]
    reckon: Reckon
    band: Callable[[int, Sequence[int]], tuple[str, str]]
    source: str
    examples: tuple[str, ...]

    @property
    def published(self) -> bool:
        """Whether it may be shown."""
        return bool(self.examples)
