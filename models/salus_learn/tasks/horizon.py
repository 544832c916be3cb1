"""Whether an outcome is known at a horizon, of time to an event. Pure."""

from __future__ import annotations

import numpy as np


def known_at(y: np.ndarray, time_days: np.ndarray, horizon_days: float) -> np.ndarray:
    """(n,) 1.0 where the outcome came by the horizon, 0.0 where the person was seen without it until then, NaN where nobody knows
    (lost before, or no outcome or day said).

    y: (n,) 1 where the outcome was seen, 0 where not; time_days: (n,) to the outcome or to the last day without it; NaN of either
    is not known."""
    came = (y == 1) & (time_days <= horizon_days)
    return np.where(came, 1.0, np.where(np.isfinite(y) & (time_days >= horizon_days), 0.0, np.nan))
