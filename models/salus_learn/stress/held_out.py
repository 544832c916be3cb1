"""People whom a fold's model has not seen, scored again with something changed, and the figures of what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from salus_learn.contracts import PatientSnapshot, RiskResult, RiskState
from salus_learn.evaluation.figures import auroc_by_person, auroc_difference, figure, person_weights
from salus_learn.evaluation.metrics import NOTHING, Figure, proportion_wilson
from salus_learn.features.readings import Reading
from salus_learn.features.target import Target
from salus_learn.imaging.embed import Prepared
from salus_learn.scoring.score import account_all
from salus_learn.store.model import Model

FEWEST_OF_EITHER = 2  # with fewer there is no AUROC
FLAT = 1e-9
NOBODY = "not computable: too few people are left"


@dataclass(frozen=True, eq=False)
class HeldOut:
    """n cases that `model` has not seen. `prepared`: their images after the model's own encoder, None without images.

    y (n,): 1.0, 0.0 or NaN where nobody knows the outcome at the horizon; persons (n,): ids.
    """

    model: Model
    snapshots: tuple[PatientSnapshot, ...]
    readings: tuple[tuple[Reading, ...], ...]
    prepared: Prepared | None
    y: np.ndarray
    persons: np.ndarray

    def take(self, index: np.ndarray) -> HeldOut:
        """The same for some of the cases, index (k,)."""
        return HeldOut(
            self.model, tuple(self.snapshots[at] for at in index), tuple(self.readings[at] for at in index),
            None if self.prepared is None else _part(self.prepared, index), self.y[index], self.persons[index],
        )  # fmt: skip

    def scored(self) -> list[RiskResult]:
        """One result per case, by the path that every served risk takes."""
        return account_all(
            self.model, self.snapshots, self.readings, self.prepared, np.arange(len(self.y)), "", ask=False
        )


def held_out(
    model: Model,
    snapshots: Sequence[PatientSnapshot],
    readings: Sequence[tuple[Reading, ...]],
    prepared: Prepared | None,
    target: Target,
    persons: np.ndarray,
    outside: np.ndarray,
) -> HeldOut:
    """The cases `outside` (k,) of all cases; `model` was fitted on others and `prepared` comes from its own encoder.

    The kinds are left out: nobody asks for them here, and they are slow.
    """
    everybody = HeldOut(
        replace(model, kinds=None), tuple(snapshots), tuple(readings), prepared,
        target.at(model.task.outcome.horizon_days), persons,
    )  # fmt: skip
    return everybody.take(outside)


def _part(prepared: Prepared, index: np.ndarray) -> Prepared:
    return Prepared([prepared.images[at] for at in index], prepared.pooled[index], prepared.slots)


def risks_of(results: Sequence[RiskResult]) -> np.ndarray:
    """(n,) risks in [0, 1], NaN for whom the model gave none."""
    return np.array(
        [np.nan if one.probability is None else one.probability for one in results], dtype=np.float64
    )


def is_stopped(result: RiskResult) -> bool:
    """Whether the image was not judged: stopped by the gate, or too unlike the training images."""
    return result.state is RiskState.ABSTAINED and result.why.startswith("The image")


def abstains(result: RiskResult) -> bool:
    """Whether the model keeps its answer to itself, for whichever reason."""
    return result.state is RiskState.ABSTAINED


def uses_image(result: RiskResult) -> bool:
    """Whether there is a risk and the image takes part in it."""
    return result.probability is not None and "image" in result.pattern


def can_be_ranked(y: np.ndarray) -> bool:
    """Whether there is an AUROC: at least two people with and two without the outcome. y (n,) may hold NaN."""
    return min(int((y == 1).sum()), int((y == 0).sum())) >= FEWEST_OF_EITHER


def drawn(y: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most `most` places, in order, with as large a share of either outcome as in y (n,) of 0 and 1.

    Two of an outcome stay where there are two and `most` is at least four.
    """
    if len(y) <= most:
        return np.arange(len(y))
    rng = np.random.default_rng(seed)
    ill, well = rng.permutation(np.flatnonzero(y == 1)), rng.permutation(np.flatnonzero(y == 0))
    wanted = int(
        np.clip(
            round(most * len(ill) / len(y)), FEWEST_OF_EITHER, max(most - FEWEST_OF_EITHER, FEWEST_OF_EITHER)
        )
    )
    wanted = max(min(wanted, len(ill)), most - len(well))
    return np.sort(np.concatenate([ill[:wanted], well[: most - wanted]]))


def auroc_cell(y: np.ndarray, p: np.ndarray, persons: np.ndarray) -> dict[str, Any]:
    """AUROC with its interval and n; y (n,) of 0 and 1, p (n,) without NaN."""
    return figure(auroc_by_person(y, p, persons), len(y), "DeLong, by person")


def difference_cell(y: np.ndarray, p: np.ndarray, before: np.ndarray, persons: np.ndarray) -> dict[str, Any]:
    """AUROC of p minus AUROC of `before` on the same people, paired."""
    return figure(auroc_difference(y, p, before, persons), len(y), "DeLong, paired, by person")


def share_cell(hits: np.ndarray) -> dict[str, Any]:
    """The share of hits (n,) bool with Wilson's interval; written as per cent, as coverage is."""
    value = proportion_wilson(int(hits.sum()), len(hits))
    return figure(value, len(hits), "Wilson", NOBODY) | {"figure": "coverage"}


def points_cell(values: np.ndarray, persons: np.ndarray) -> dict[str, Any]:
    """The mean of values (n,) in percentage points, with a bootstrap interval over people."""
    return figure(mean_by_person(values, persons), len(values), "bootstrap", NOBODY) | {"figure": "points"}


def mean_by_person(values: np.ndarray, persons: np.ndarray) -> Figure:
    """The mean of values (n,) with its 95 % percentile interval over people drawn again; NOTHING under two people."""
    if len(np.unique(persons)) < 2:
        return NOTHING
    draws = [float(weight @ values / weight.sum()) for weight in person_weights(persons)]
    return float(values.mean()), float(np.quantile(draws, 0.025)), float(np.quantile(draws, 0.975))
