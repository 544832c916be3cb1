"""People whom a model judged, made up."""

from __future__ import annotations

import numpy as np
from salus_learn.evaluation.judged import JudgedPeople, JudgedTask

LESION = JudgedTask(
    "lesion", "Malignancy <of> this lesion", "Adults with a marked lesion", "A second look", "Screening",
    "malignant on histology", 180, threshold=0.31,
)  # fmt: skip


def make_judged(n: int = 420, seed: int = 3, cases_each: int = 1) -> JudgedPeople:
    """People whose image and record each say something, so that fusing helps."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(int)
    record, image = rng.normal(1.2 * y - 1, 1.1), rng.normal(1.2 * y - 1, 1.1)
    risks = {"line": record, "trees": record + rng.normal(0, 0.4, n), "image": image, "fused": record + image + 0.4}
    p = {arm: 1 / (1 + np.exp(-margin)) for arm, margin in risks.items()}
    p["image"][:40] = np.nan
    sex = np.where(np.arange(n) < 30, "male", "female")
    return JudgedPeople(
        LESION, np.array([f"case {k}" for k in range(n)]), np.array([f"p{k // cases_each}" for k in range(n)]), y, p,
        {arm: np.nan_to_num(risk) >= 0.3 for arm, risk in p.items()}, np.maximum(p["fused"] - 0.1, 0),
        np.minimum(p["fused"] + 0.1, 1), np.column_stack([p["fused"] < 0.6, p["fused"] > 0.15]),
        (p["fused"] < 0.6) & (p["fused"] > 0.15), {"sex": sex, "site": np.where(np.arange(n) % 3 == 0, "", "North")},
    )  # fmt: skip
