"""People with a known outcome and what each arm said of them before it was known: what a model report is made of."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from salus_learn.errors import BundleError
from salus_learn.tasks.rows import CaseTable

ARMS = ("line", "trees", "image", "fused")
EXTRA_PARTS = (
    "kinds", "chairs", "missing_modality", "corruption", "deletion", "random_weights", "more_people", "learning_curve", "leaks",
    "augmentation",
)  # fmt: skip
FORM = 1


@dataclass(frozen=True, slots=True)
class JudgedTask:
    """What was predicted, of whom, for what and for what not. `origin` says in words how the people were held back;
    `threshold` is the probability from which the served model flags, None where there is not one; `left_out` is who of the
    table is no case and `taken` who counts as without the outcome because no list holds their word, in words and counted;
    `uncalibrated` are the arms whose value only ranks people (of time to an event, a log hazard put between 0 and 1); `lost` cases
    are not judged, as nobody knows what came between their last day and the horizon."""

    id: str
    title: str
    who: str
    use: str
    not_for: str
    outcome: str
    horizon_days: float
    origin: str = "out of fold"
    threshold: float | None = None
    simulated: bool = False
    left_out: tuple[tuple[str, int], ...] = ()
    taken: tuple[tuple[str, int], ...] = ()
    uncalibrated: tuple[str, ...] = ()
    lost: int = 0


@dataclass(frozen=True, eq=False)
class JudgedPeople:
    """n cases, judged by models that have not seen them (the caller's word).

    keys, persons: (n,) str; y: (n,) 0 or 1; probabilities: arm -> (n,) in [0, 1], NaN where the arm is silent;
    flagged: arm -> (n,) bool at the operating point; interval_low, interval_high: (n,) the 90 % interval of the
    fused probability; sets: (n, 2) bool, may be 0, may be 1, the 90 % conformal set; abstained: (n,) bool;
    folds: (n,) int, whose model gave each risk, None where one model gave them all;
    groups: name -> (n,) str, "" where not recorded; extra: part (one of EXTRA_PARTS) ->
    {"note": str, "columns": [str], "rows": [[str | number | null | {"value", "low", "high", "n"}]],
    "series": [{"name", "x", "y", "low", "high"}], "x": label, "y": label}, all but one of rows and series optional.
    Raises ValueError when a shape, a value or a name is wrong.
    """

    task: JudgedTask
    keys: np.ndarray
    persons: np.ndarray
    y: np.ndarray
    probabilities: dict[str, np.ndarray]
    flagged: dict[str, np.ndarray]
    interval_low: np.ndarray
    interval_high: np.ndarray
    sets: np.ndarray
    abstained: np.ndarray
    groups: dict[str, np.ndarray] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    folds: np.ndarray | None = None

    def of_table(self, table: CaseTable) -> JudgedPeople:
        """The same, with who of the table they were read from is no case, and who counts as without the outcome."""
        return replace(self, task=replace(self.task, left_out=table.left_out(), taken=table.taken_for_without()))

    def __post_init__(self) -> None:
        n = len(self.y)
        single = {} if self.folds is None else {"folds": self.folds}
        single |= {"keys": self.keys, "persons": self.persons, "abstained": self.abstained}
        bounds = {"interval_low": self.interval_low, "interval_high": self.interval_high}
        for name, values in (single | bounds | self.probabilities | self.flagged | self.groups).items():
            _demand(np.shape(values) == (n,), f"{name} has the shape {np.shape(values)}, not ({n},).")
        _demand(np.shape(self.sets) == (n, 2), f"sets has the shape {np.shape(self.sets)}, not ({n}, 2).")
        _demand(n > 0 and bool(np.isin(self.y, (0, 1)).all()), "y must hold 0 and 1, at least one of them.")
        _demand("fused" in self.probabilities, "There is no fused probability.")
        _demand(set(self.probabilities) == set(self.flagged), "probabilities and flagged name different arms.")
        _demand(set(self.probabilities) <= set(ARMS), f"An arm is not one of {', '.join(ARMS)}.")
        _demand(set(self.extra) <= set(EXTRA_PARTS), f"An extra part is not one of {', '.join(EXTRA_PARTS)}.")
        for arm, p in self.probabilities.items():
            known = p[~np.isnan(p)]
            _demand(bool(((known >= 0) & (known <= 1)).all()), f"A probability of {arm} is outside 0 to 1.")

    def known(self, arm: str) -> np.ndarray:
        """(n,) bool: for whom the arm has a probability."""
        return np.isfinite(self.probabilities[arm])

    def folds_of(self, on: np.ndarray) -> np.ndarray | None:
        """The folds of some of them; on: (n,) bool."""
        return None if self.folds is None else self.folds[on]

    def speaking(self) -> tuple[str, ...]:
        """The arms that have a probability for anyone, in the usual order."""
        return tuple(arm for arm in ARMS if arm in self.probabilities and self.known(arm).any())


def _demand(holds: bool, sentence: str) -> None:
    if not holds:
        raise ValueError(sentence)


def save_judged(judged: JudgedPeople, path: Path) -> None:
    """Write one .npz of plain arrays (no pickle) whose member `head` is JSON: the task and the extra parts."""
    arrays = {name: np.asarray(getattr(judged, name)) for name in ("y", "interval_low", "interval_high", "sets", "abstained")}
    arrays |= {name: np.asarray(getattr(judged, name), dtype=str) for name in ("keys", "persons")}
    arrays |= {} if judged.folds is None else {"folds": judged.folds}
    arrays |= {f"probabilities/{arm}": p for arm, p in judged.probabilities.items()}
    arrays |= {f"flagged/{arm}": flags for arm, flags in judged.flagged.items()}
    arrays |= {f"groups/{name}": np.asarray(words, dtype=str) for name, words in judged.groups.items()}
    head = json.dumps({"form": FORM, "task": asdict(judged.task), "extra": judged.extra}, allow_nan=False)
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, head=np.array(head), **arrays)


def load_judged(path: Path) -> JudgedPeople:
    """Read what `save_judged` wrote. Raises BundleError when the file is damaged or of another form."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        head = json.loads(str(arrays.pop("head")))
        if head["form"] != FORM:
            raise BundleError(f"{path.name} has the form {head['form']}; this version reads form {FORM}.")
        parts: dict[str, Any] = {"probabilities": {}, "flagged": {}, "groups": {}}
        for name, values in arrays.items():
            part, _, key = name.partition("/")
            if key:
                parts[part][key] = values
            else:
                parts[part] = values
        names = {entry.name for entry in fields(JudgedPeople)}
        counted = {part: tuple((str(said), int(n)) for said, n in head["task"].get(part, ())) for part in ("left_out", "taken")}
        about = head["task"] | counted | {"uncalibrated": tuple(head["task"].get("uncalibrated", ()))}
        return JudgedPeople(
            task=JudgedTask(**about), extra=head["extra"], **{k: v for k, v in parts.items() if k in names}
        )
    except (BadZipFile, KeyError, TypeError, ValueError, EOFError) as error:
        raise BundleError(f"{path.name} cannot be read as judged people: {error}") from error
