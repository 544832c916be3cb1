"""The leading directions are those of a whole singular value decomposition, and rounding is no direction."""

from __future__ import annotations

import numpy as np
import pytest
from salus_learn.imaging.directions import leading_directions


@pytest.mark.parametrize(("n", "c"), [(300, 40), (40, 300), (50, 50)])
def test_they_are_those_of_a_whole_decomposition(n: int, c: int) -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=(n, c)) / np.arange(1, c + 1)
    _, singular, right = np.linalg.svd(z, full_matrices=False)
    found, basis = leading_directions(z, 12)
    assert found == pytest.approx(singular[:12], rel=1e-9)
    assert np.abs((basis * right[:12]).sum(axis=1)) == pytest.approx(np.ones(12), abs=1e-9), "up to the sign"


@pytest.mark.parametrize("shape", [(30, 20), (20, 30)])
def test_what_is_only_rounding_is_no_direction(shape: tuple[int, int]) -> None:
    """A direction of no width would make every new image infinitely far."""
    rng = np.random.default_rng(2)
    z = rng.normal(size=(shape[0], 3)) @ rng.normal(size=(3, shape[1]))
    singular, basis = leading_directions(z, 8)
    assert (singular[:3] > 1).all() and not singular[3:].any() and not basis[3:].any()
    assert basis[:3] @ basis[:3].T == pytest.approx(np.eye(3), abs=1e-9)
    along = rng.normal(size=shape[1]) @ basis.T / (singular + 1e-9)
    assert np.isfinite(along).all() and np.abs(along).max() < 100


@pytest.mark.parametrize(("n", "most"), [(0, 5), (4, 0)])
def test_of_nothing_there_is_none(n: int, most: int) -> None:
    singular, basis = leading_directions(np.zeros((n, 7)), most)
    assert singular.shape == (0,) and basis.shape == (0, 7)
