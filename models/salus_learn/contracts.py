"""The frozen records that cross the library's border, in both directions. Nothing here computes.

The web process may import this module and no other of the library, so it needs nothing but the
standard library.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

# The single arms: two of the record, one of the images. What is fused from them stands beside them.
JUDGES = ("line", "trees", "image")
# An empty cell of the outcome's column, where the task file lists "" among its words: everything behind the table sees this.
EMPTY_WORD = "(empty)"


class RiskState(StrEnum):
    """What became of a request for a risk. Only COMPUTED carries a number that may be shown as one."""

    COMPUTED = "computed"
    ABSTAINED = "abstained"
    FAILED = "failed"


class Part(StrEnum):
    """Which side of the patient a reason comes from."""

    RECORD = "record"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One input from the record, as the task file names it.

    Or, with `region`, a measure of what is marked on the image of that name (`measure`: height_over_width, solidity or
    roundness); then there is no code and no column. `kind` is number (float in `unit`), category (one of `levels`) or flags (several of `levels`, split
    at `separator`). `code`/`system` find it among a patient's observations; `column` in a case table.
    `window_days` is how far before the index moment is looked (None: any time before).
    `aggregation` is latest, first, mean, min, max, count or slope_per_day.
    """

    name: str
    label: str
    kind: str
    unit: str | None = None
    code: str | None = None
    system: str | None = None
    column: str | None = None
    levels: tuple[str, ...] = ()
    separator: str | None = None
    low: float | None = None
    high: float | None = None
    window_days: float | None = None
    aggregation: str = "latest"
    modifiable: bool = False
    region: str | None = None
    measure: str | None = None


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """One image slot. `region_column` names a case-table column whose mask or box marks where to look; `side` is how many
    pixels across the square is that the encoder is shown, the same for all slots of a task."""

    name: str
    label: str
    modality: str
    body_part: str = ""
    view: str = ""
    column: str | None = None
    folder: str = ""
    region_column: str | None = None
    region_folder: str = ""
    region_margin: float = 0.25
    may_be_missing: bool = True
    flips: bool = False
    side: int = 224


@dataclass(frozen=True, slots=True)
class OutcomeSpec:
    """What is predicted. In a case table: a column and its words (several in a cell where `separator` is set); in a record: a condition code.

    `kinds` names the kinds of the outcome and the words of each; together they are the positive words. With `time_column` it is time to an event: the days (`time_unit_days` each) to the outcome, or to the last time the
    person was seen without it; the risk is then of the outcome by `horizon_days`.
    """

    label: str
    horizon_days: float
    column: str | None = None
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    code: str | None = None
    system: str | None = None
    time_column: str | None = None
    time_unit_days: float = 1.0
    kinds: tuple[tuple[str, tuple[str, ...]], ...] = ()
    separator: str = ""


@dataclass(frozen=True, slots=True)
class RiskTask:
    """A risk task file, checked. `digest` is the sha256 of its canonical form; `encoder` is frozen, tuned or auto.

    Of a case table: `only` keeps the rows whose column holds one of the words; `same_person` lists ids that are one
    person; `leave_out_unknown` leaves rows without an outcome out instead of refusing the table; `pooled` makes all rows of
    a person one case; `encoding` is how its letters are stored ("": UTF-8, or UTF-16 with a mark), `decimal` how decimals are written.
    """

    id: str
    title: str
    version: str
    who: str
    index: str
    use: str
    not_for: str
    outcome: OutcomeSpec
    features: tuple[FeatureSpec, ...]
    images: tuple[ImageSpec, ...]
    never: tuple[str, ...]
    threshold_rule: str
    threshold_target: float
    table: str | None
    patient_column: str | None
    case_column: str | None
    missing_words: tuple[str, ...]
    digest: str
    source_text: str
    encoder: str = "auto"
    only: tuple[tuple[str, tuple[str, ...]], ...] = ()
    same_person: tuple[tuple[str, ...], ...] = ()
    leave_out_unknown: bool = False
    pooled: bool = False
    encoding: str = ""
    decimal: str = "."


@dataclass(frozen=True, slots=True)
class RecordValue:
    """One recorded fact: what, how much, when, and where it came from. `time` is aware UTC."""

    code: str
    system: str
    value: float | str
    unit: str | None
    time: datetime
    source: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Region:
    """A marked region of an image, in pixels of that image: half-open box [left, right) x [top, bottom).

    Where the outline is known and not only a box: `solidity`, its area over that of its convex hull, and `roundness`,
    4 pi area over the squared perimeter, both in (0, 1].
    """

    left: int
    top: int
    right: int
    bottom: int
    marked_by: str = ""
    solidity: float | None = None
    roundness: float | None = None


@dataclass(frozen=True, slots=True)
class SnapshotImage:
    """One decoded image of the snapshot.

    `pixels` is a numpy array uint8 or uint16, (H, W) grey with bright = dense, or (H, W, 3) RGB uint8.
    `slot` is the ImageSpec name it fills; `sha256` is of the stored instance.
    """

    slot: str
    modality: str
    body_part: str
    view: str
    time: datetime
    source: str
    sha256: str
    pixels: Any
    region: Region | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class PatientSnapshot:
    """One patient as known at one moment. Nothing in it may be later than `index_time` (aware UTC)."""

    key: str
    person: str
    index_time: datetime
    values: tuple[RecordValue, ...]
    images: tuple[SnapshotImage, ...]
    site: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A snapshot with its known outcome (1 or 0), for training and judging; `time_days` to it where the task asks when,
    `kind` of it where the task names kinds and the outcome is 1. Where several rows make one case, `image_outcomes` are
    each image's own (1, 0, or None where unknown), in the order of the snapshot's images; else empty."""

    snapshot: PatientSnapshot
    outcome: int
    time_days: float | None = None
    kind: str | None = None
    image_outcomes: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """One term of the risk. `points` are percentage points of risk over the reference patient (100 x r_i),
    `term` the same in margin (log odds). `value` is as a person would read it ("88 %", "missing")."""

    name: str
    label: str
    part: Part
    value: str
    unit: str | None
    source: str
    time: datetime | None
    term: float
    points: float
    missing: bool = False


@dataclass(frozen=True, slots=True)
class ActivationMap:
    """Exact class activation of one image: `points` (h, w) float, percentage points of risk per cell.

    The cells of all maps sum to the image reason's points. `box` says which pixels of the original
    image the map lies over (left, top, right, bottom).
    """

    slot: str
    points: Any
    box: tuple[int, int, int, int]
    sha256: str


@dataclass(frozen=True, slots=True)
class MissingInput:
    """An input the model could use and did not have. `untaught`: next to nobody who taught it lacked this, and the risk was
    held back or its interval widened for it."""

    name: str
    label: str
    part: Part
    untaught: bool = False


@dataclass(frozen=True, slots=True)
class WouldChange:
    """A missing input that would tell the model something, from `n` training people like this patient.

    `crossing` is the share of them with whose value the risk would cross the threshold; `low` and `high` the 10th and
    90th percentile of the risk it would then be; the widths are of the 90 % interval, now and then on average.
    """

    name: str
    label: str
    part: Part
    crossing: float
    width_now: float
    width_then: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class KindRisk:
    """The risk of one kind of the outcome, in [0, 1]; over all kinds they sum to the risk of any. `points` are percentage
    points over the reference patient, one for each of the result's reasons, in their order."""

    name: str
    probability: float
    reference_probability: float
    points: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class RiskResult:
    """A risk and everything needed to believe or doubt it. Probabilities are in [0, 1].

    When `state` is ABSTAINED the numbers are there for the receipt, never for the screen's headline;
    when FAILED they are None and `why` is a sentence.
    """

    key: str
    state: RiskState
    why: str
    probability: float | None
    interval: tuple[float, float] | None
    interval_level: float
    prediction_set: tuple[str, ...]
    reference_probability: float | None
    margin: float | None
    reference_margin: float | None
    pattern: str
    arm_margins: dict[str, float]
    reasons: tuple[Reason, ...]
    maps: tuple[ActivationMap, ...]
    missing: tuple[MissingInput, ...]
    threshold: float | None
    above_threshold: bool | None
    bundle_digest: str
    task_digest: str
    would_change: tuple[WouldChange, ...] = ()
    kinds: tuple[KindRisk, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a long computation stands. `fraction` in [0, 1]."""

    fraction: float
    message: str
