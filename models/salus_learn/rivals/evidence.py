"""What a way to fuse may look at, and the one form that all of them have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np


@dataclass(frozen=True, slots=True)
class Evidence:
    """n cases as a way to fuse sees them.

    columns: (n, d) the record's columns in their own units, NaN where not recorded. margins: (n, 3) in log odds, how far
    each of JUDGES is from its own reference, NaN where it is silent; of people who taught the judges they must be out of
    fold. embedding: (n, k) the image's pooled features, NaN where there is no image.
    """

    columns: np.ndarray
    margins: np.ndarray
    embedding: np.ndarray

    def take(self, index: np.ndarray) -> Evidence:
        """The same for some of the cases."""
        return replace(
            self, columns=self.columns[index], margins=self.margins[index], embedding=self.embedding[index]
        )


class Rival(Protocol):
    """A fitted way to fuse."""

    def margins(self, evidence: Evidence) -> np.ndarray:
        """Margins (n,) in log odds of the outcome; a missing part is never a reason to be silent."""
        ...


# evidence, outcomes (n,) of 0 and 1, persons (n,) as ids, and a seed; the same seed gives the same rival
Fit = Callable[[Evidence, np.ndarray, np.ndarray, int], Rival]
