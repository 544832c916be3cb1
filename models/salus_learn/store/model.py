"""A fitted model as one thing: schema, judges, chairs and doubt. Files are written in bundle.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from salus_learn.calibration.doubt import Doubt
from salus_learn.contracts import RiskTask
from salus_learn.features.columns import FeatureSchema
from salus_learn.fusion.chair import Chair
from salus_learn.imaging.embed import Prepared
from salus_learn.imaging.gate import Gate
from salus_learn.imaging.head import ImageHead
from salus_learn.imaging.network import Encoder
from salus_learn.kinds.model import Kinds
from salus_learn.store.pool import Pool
from salus_learn.tabular.line import Line
from salus_learn.tabular.trees import Trees


@dataclass(frozen=True, slots=True)
class Model:
    """`thresholds` are operating points per arm (line, trees, image, fused), set on training people.

    `network` is the tuned encoder while training; None for the published weights, and in a model read from a bundle,
    where the bundle serves it. `gates` by image slot; they saw no outcome and are shared by the folds. `always_there` are the features
    and, of several, the image slots that next to nobody lacked who taught it."""

    task: RiskTask
    schema: FeatureSchema
    line: Line | None
    trees: Trees | None
    head: ImageHead | None
    chairs: dict[str, Chair]
    doubts: dict[str, Doubt]
    thresholds: dict[str, float]
    network: Encoder | None = None
    gates: dict[str, Gate] = field(default_factory=dict)
    pool: Pool | None = None
    kinds: Kinds | None = None
    always_there: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Margins:
    """Judges' margins of n cases (NaN where a judge has nothing to say) and their references."""

    by_judge: dict[str, np.ndarray]
    references: dict[str, float]

    def apart(self, judges: Sequence[str], index: np.ndarray) -> np.ndarray:
        """Margins over their references (len(index), judges)."""
        return np.column_stack([self.by_judge[judge][index] - self.references[judge] for judge in judges])


def judge_margins(model: Model, x: np.ndarray, prepared: Prepared | None, index: np.ndarray) -> Margins:
    """Each judge's margins for the cases `index`; x (n, d) and `prepared` hold all cases."""
    by_judge: dict[str, np.ndarray] = {}
    references: dict[str, float] = {}
    if model.line is not None:
        by_judge["line"], references["line"] = model.line.margins(x[index]), model.line.reference
    if model.trees is not None:
        by_judge["trees"], references["trees"] = model.trees.margins(x[index]), model.trees.reference
    if model.head is not None and prepared is not None:
        by_judge["image"], references["image"] = model.head.margins(prepared, index), model.head.reference
    return Margins(by_judge, references)


def pattern_of(x_row: np.ndarray, has_image: bool, model: Model) -> str | None:
    """Which parts of the patient are present and can be judged; None when nothing is."""
    has_record = model.line is not None and bool(np.isfinite(x_row).any())
    wanted = {(True, True): "record+image", (True, False): "record", (False, True): "image"}
    pattern = wanted.get((has_record, has_image and model.head is not None))
    if pattern in model.chairs:
        return pattern
    return "record" if pattern == "record+image" and "record" in model.chairs else None


