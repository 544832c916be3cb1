"""Figures for time to an event, each (value, low, high) at 95 %. Risks are probabilities of the outcome by a time.

time (n,) days; event (n,) of 0 and 1; risk (n,) in [0, 1]; persons (n,), whose cases they are: intervals count people. Persons lost early count through inverse probability of
censoring weights (Graf 1999; Uno 2007), so censoring is taken to have nothing to do with the risk.
"""

from __future__ import annotations

import numpy as np

from salus_learn.calibration.doubt import rows_of_people
from salus_learn.evaluation.metrics import NOTHING, Z95, Figure, mean_by_person

_CHUNK = 512


def harrell_c(
    time: np.ndarray, event: np.ndarray, risk: np.ndarray, persons: np.ndarray, folds: np.ndarray | None = None
) -> Figure:
    """Harrell's C (1982): of the pairs in which it is known who had the outcome first, the share in which that person
    had the higher risk; ties of risk count half. The interval is of a ratio of U-statistics, by each person's part.
    folds (n,): only pairs of one fold count (within.py)."""
    won, pairs = np.zeros(len(time)), np.zeros(len(time))
    firsts = np.flatnonzero(event == 1)
    for start in range(0, len(firsts), _CHUNK):
        at = firsts[start : start + _CHUNK]
        after = (time[None, :] > time[at, None]) | ((time[None, :] == time[at, None]) & (event[None, :] == 0))
        if folds is not None:
            after &= folds[None, :] == folds[at, None]
        score = np.where(risk[at, None] > risk[None, :], 1.0, np.where(risk[at, None] == risk[None, :], 0.5, 0.0))
        score = score * after
        won[at] += score.sum(axis=1)
        pairs[at] += after.sum(axis=1)
        won += score.sum(axis=0)
        pairs += after.sum(axis=0)
    total = pairs.sum() / 2
    if total < 1:
        return NOTHING
    value = float(won.sum() / 2 / total)
    _, of = np.unique(persons, return_inverse=True)
    error = float(np.sqrt((np.bincount(of, weights=won - value * pairs) ** 2).sum()) / total)
    if error == 0.0:  # a perfect order, or its reverse, tells nothing of how sure it is
        return value, float("nan"), float("nan")
    return value, max(0.0, value - Z95 * error), min(1.0, value + Z95 * error)


def kaplan_meier(time: np.ndarray, event: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Share without the event at the times `at` (k,)."""
    order = np.argsort(time, kind="stable")
    times, events = time[order], event[order]
    left = len(times) - np.searchsorted(times, times, side="left")
    unique, first = np.unique(times, return_index=True)
    died = np.add.reduceat(events, first)
    steps = np.cumprod(1.0 - died / left[first])
    return np.r_[1.0, steps][np.searchsorted(unique, at, side="right")]


def still_watched(time: np.ndarray, event: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Share not lost just before the times `at` (k,), by Kaplan and Meier. Whoever has the outcome at a time can no longer be lost
    at it: outcomes come first where both are of one time."""
    order = np.argsort(time, kind="stable")
    unique, first = np.unique(time[order], return_index=True)
    came = np.add.reduceat(event[order], first)
    lost = np.diff(np.r_[first, len(time)]) - came
    steps = np.cumprod(1.0 - lost / np.maximum(len(time) - first - came, 1))
    return np.r_[1.0, steps][np.searchsorted(unique, at, side="left")]


def _still_free(time: np.ndarray, event: np.ndarray, at: np.ndarray | float) -> np.ndarray:
    """Whether the person was seen without the outcome until then: also who was lost at that very time, as when follow-up ends."""
    return (time > at) | ((time == at) & (event == 0))


def auroc_at(
    time: np.ndarray, event: np.ndarray, risk: np.ndarray, horizon: float, persons: np.ndarray, folds: np.ndarray | None = None
) -> Figure:
    """Time-dependent AUROC, cumulative cases against those still without at the horizon, weighted for loss; the
    interval is the 2.5th to 97.5th percentile over 200 samples of people. folds (n,): only pairs of one fold count."""
    of = np.zeros(len(time), dtype=int) if folds is None else folds

    def value(index: np.ndarray) -> float:
        t, e, r = time[index], event[index], risk[index]
        free = np.maximum(still_watched(t, e, t), 1e-3)
        case, control = (t <= horizon) & (e == 1), _still_free(t, e, horizon)
        won, pairs = 0.0, 0.0
        for fold in np.unique(of):
            cases, controls = case & (of[index] == fold), np.sort(r[control & (of[index] == fold)])
            below = np.searchsorted(controls, r[cases], side="left")
            tied = np.searchsorted(controls, r[cases], side="right") - below
            won += float(((below + tied / 2) / free[cases]).sum())
            pairs += float((1.0 / free[cases]).sum()) * len(controls)
        return won / pairs if pairs else float("nan")

    rng, everyone, rows = np.random.default_rng(0), np.arange(len(time)), rows_of_people(persons)
    drawn = rng.integers(0, len(rows), (200, len(rows)))
    draws = np.array([value(np.concatenate([rows[person] for person in people])) for people in drawn])
    draws = draws[np.isfinite(draws)]
    if len(draws) < 100:
        return NOTHING
    if draws.min() == draws.max():
        return value(everyone), float("nan"), float("nan")
    return value(everyone), float(np.quantile(draws, 0.025)), float(np.quantile(draws, 0.975))


def integrated_brier(
    time: np.ndarray, event: np.ndarray, free: np.ndarray, grid: np.ndarray, persons: np.ndarray
) -> Figure:
    """Integrated Brier score (Graf 1999) of predicted shares without the outcome `free` (n, k) at the times `grid` (k,),
    weighted for loss; 0 is perfect. A normal interval over people, the weights taken as known."""
    lost_at_own = np.maximum(still_watched(time, event, time), 1e-3)
    lost_at_grid = np.maximum(still_watched(time, event, grid), 1e-3)
    came = (time[:, None] <= grid[None, :]) & (event[:, None] == 1)
    still = _still_free(time[:, None], event[:, None], grid[None, :])
    parts = came * free**2 / lost_at_own[:, None] + still * (1 - free) ** 2 / lost_at_grid[None, :]
    each = np.trapezoid(parts, grid, axis=1) / (grid[-1] - grid[0])
    return mean_by_person(each, persons)


def survival_report(
    time: np.ndarray, event: np.ndarray, risks: dict[str, np.ndarray], free: np.ndarray, grid: np.ndarray, horizon: float,
    persons: np.ndarray, folds: np.ndarray | None = None,
) -> dict[str, object]:
    """Per arm Harrell's C and the AUROC at the horizon; of the fused risk the integrated Brier score beside that of a
    model that knows nobody (Kaplan–Meier). risks by arm (n,), NaN where an arm is silent; free (n, k)."""
    arms = {}
    for arm, risk in risks.items():
        known = np.isfinite(risk)
        if known.any():
            these, who, of = (time[known], event[known], risk[known]), persons[known], None if folds is None else folds[known]
            found = {"harrell_c": harrell_c(*these, who, of), "auroc_at_horizon": auroc_at(*these, horizon, who, of)}
            arms[arm] = {"n": int(known.sum())} | {name: _plain(figure) for name, figure in found.items()}
    known = np.isfinite(free).all(axis=1)
    nobody = np.tile(kaplan_meier(time[known], event[known], grid), (int(known.sum()), 1))
    return {
        "n": int(len(time)), "events": int(event.sum()), "horizon_days": horizon, "arms": arms,
        "integrated_brier": _plain(integrated_brier(time[known], event[known], free[known], grid, persons[known])),
        "integrated_brier_of_kaplan_meier": _plain(integrated_brier(time[known], event[known], nobody, grid, persons[known])),
    }  # fmt: skip


def _plain(figure: Figure) -> list[float | None]:
    return [round(value, 6) if np.isfinite(value) else None for value in figure]
