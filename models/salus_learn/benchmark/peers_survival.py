"""The plain peer for time to an event: Cox regression by lifelines (Davidson-Pilon, JOSS 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer

from salus_learn.benchmark.packages import package
from salus_learn.benchmark.peer import FittedPeer, Risks, inner_threshold
from salus_learn.benchmark.people import Asked, Taught
from salus_learn.benchmark.table import RecordTable, learn_table

# lifelines' penalty is per person; the next is tried where Newton's method does not converge
PENALTIES = (0.001, 0.01, 0.1, 1.0)


class Cox:
    """Cox regression with a penalty just large enough to converge."""

    name = "cox"
    package = "lifelines"
    reads = "record"
    how = (
        "lifelines CoxPHFitter, Efron's ties, medians and missing indicators, one-hot words, scaled; "
        "penalizer 0.001, ten times more where it does not converge"
    )

    def fit(self, taught: Taught, *, seed: int, seconds: float) -> FittedPeer:
        """Fit with the least penalty that converges."""
        columns = learn_table(taught)
        risks, penalty = _cox(taught, columns)
        return FittedPeer(
            risks, inner_threshold(taught, lambda part: _cox(part, columns)[0], seed=seed), {"penalizer": penalty}
        )


def _cox(taught: Taught, columns: RecordTable) -> tuple[Risks, float]:
    """The risk by the horizon, and the penalty it took."""
    plain = columns.plain().fit(columns.frame(taught.asked))
    design = plain.transform(columns.frame(taught.asked))
    varying = np.ptp(design, axis=0) > 1e-9  # a column without any difference cannot be fitted
    body = pd.DataFrame(design[:, varying]).rename(columns=str)
    body = body.assign(salus_time=taught.target.time, salus_event=taught.target.y)
    model, penalty = _converged(body)
    horizon = taught.task.outcome.horizon_days

    def risks(asked: Asked) -> np.ndarray:
        free = model.predict_survival_function(_design(asked, columns, plain, varying), times=[horizon])
        return np.clip(1.0 - free.to_numpy()[0], 0.0, 1.0)

    return risks, penalty


def _design(asked: Asked, columns: RecordTable, plain: ColumnTransformer, varying: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(plain.transform(columns.frame(asked))[:, varying]).rename(columns=str)


def _converged(body: pd.DataFrame) -> tuple[Any, float]:
    """The model with the least penalty for which Newton's method converges; raises lifelines' error when none does."""
    lost = package("lifelines.exceptions").ConvergenceError
    for penalty in PENALTIES:
        try:
            return package("lifelines").CoxPHFitter(penalizer=penalty).fit(body, "salus_time", "salus_event"), penalty
        except lost:
            if penalty == PENALTIES[-1]:
                raise
    raise AssertionError("PENALTIES is empty")
