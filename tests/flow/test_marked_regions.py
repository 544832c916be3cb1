"""What is marked on an image comes back from the store as it went in, box and outline."""

from __future__ import annotations

from pathlib import Path

import pytest
from salus_learn.features.readings import read_features
from salus_learn.tasks.cases import read_cases
from salus_learn.tasks.loader import load_task

from tests.factories.marks import make_marked
from tests.flow.test_pooled_cases import loaded

pytestmark = pytest.mark.django_db


def test_a_marked_region_comes_back_with_its_outline(tmp_path: Path) -> None:
    folder = make_marked(tmp_path / "data", people=8)
    task = load_task(folder / "task.toml")
    before, after = read_cases(task, folder), loaded(folder)
    assert len(after) == len(before) == 8
    table = {one.snapshot.images[0].source: read_features(task, one.snapshot) for one in before}
    for one in after:
        image = one.snapshot.images[0]
        assert image.region is not None and image.region.solidity is not None and image.region.roundness is not None
        assert [reading.value for reading in read_features(task, one.snapshot)] == [reading.value for reading in table[image.source]]
