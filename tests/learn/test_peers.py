"""The benchmark's peers: fitted as said, on the same table, silent where they have nothing to look at."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from salus_learn.benchmark import packages
from salus_learn.benchmark.packages import version_of
from salus_learn.benchmark.peer import Peer
from salus_learn.benchmark.peers_image import DenseNet
from salus_learn.benchmark.peers_record import CatBoost, Ebm, Logistic
from salus_learn.benchmark.peers_survival import Cox
from salus_learn.benchmark.people import Taught, everybody
from salus_learn.benchmark.table import MISSING, learn_table
from salus_learn.errors import TrainingError
from salus_learn.evaluation.survival import harrell_c
from salus_learn.tasks.cases import read_cases
from salus_learn.tasks.loader import load_task

from tests.factories.cases import make_cases
from tests.factories.sets import RECORD_ONLY, timed, write_set


def need(package: str) -> None:
    """Go on only with this package; where `./salus test --peers` put the peers there, to be without it is a failure."""
    if version_of(package) is None:
        (pytest.fail if "SALUS_PEERS" in os.environ else pytest.skip)(f"{package} is not installed; {packages.INSTALL}")


def whole(tmp_path: Path, text: str = RECORD_ONLY) -> Taught:
    """All cases of a made set, as training people."""
    write_set(tmp_path / "data", tmp_path / "tasks", "set", people=40, text=text)
    task = load_task(tmp_path / "tasks" / "set.toml")
    cases = read_cases(task, tmp_path / "data" / "set")
    return everybody(task, cases, {case.snapshot.key: 0 for case in cases}).taught


def test_the_table_of_the_peers_keeps_what_was_not_recorded(tmp_path: Path) -> None:
    taught = whole(tmp_path)
    columns = learn_table(taught)
    frame = columns.frame(taught.asked)
    assert list(frame.columns) == ["age_years", "sex", "signs=cough", "signs=fever", "signs=none"]
    assert np.isnan(frame["age_years"][6]) and frame["sex"][:2].tolist() == ["f", "m"] and MISSING not in set(frame["sex"])
    plain = columns.plain().fit_transform(frame)
    assert np.isfinite(plain).all() and plain.shape == (80, 7), "age and its indicator, three flags, two words"


@pytest.mark.parametrize("peer", [Logistic(), CatBoost(), Ebm()], ids=lambda peer: peer.name)
def test_a_record_peer_fits_and_chooses_its_own_threshold(tmp_path: Path, peer: Peer) -> None:
    need(peer.package)
    taught = whole(tmp_path)
    fitted = peer.fit(taught, seed=0, seconds=1.0)
    risks = fitted.risks(taught.asked)
    assert risks.shape == (80,) and ((risks >= 0) & (risks <= 1)).all()
    assert risks[taught.target.y == 1].mean() > risks[taught.target.y == 0].mean()
    assert 0 < fitted.threshold < 1


def test_cox_ranks_as_planted(tmp_path: Path) -> None:
    need("lifelines")
    text = RECORD_ONLY.replace('negative = ["no"]', 'negative = ["no"]\ntime_column = "film"\nhorizon_days = 100')
    write_set(tmp_path / "data", tmp_path / "tasks", "set", people=60, text=text)
    path = tmp_path / "data" / "set" / "cases.csv"
    target, x = timed(120)
    assert target.time is not None
    rows = [line.split(",") for line in path.read_text().splitlines()]
    for at, row in enumerate(rows[1:]):
        row[2], row[5], row[7] = f"{60 + 10 * x[at]:.1f}", str(target.time[at]), "yes" if target.y[at] else "no"
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    task = load_task(tmp_path / "tasks" / "set.toml")
    cases = read_cases(task, path.parent)
    taught = everybody(task, cases, {case.snapshot.key: 0 for case in cases}).taught
    fitted = Cox().fit(taught, seed=0, seconds=1.0)
    assert harrell_c(target.time, target.y, fitted.risks(taught.asked), taught.persons)[0] > 0.7 and fitted.notes == {"penalizer": 0.001}


def test_the_image_peer_is_taught_for_its_time(tmp_path: Path) -> None:
    need("monai")
    folder = make_cases(tmp_path / "data", people=40)
    task = load_task(folder / "task.toml")
    cases = read_cases(task, folder)
    taught = everybody(task, cases, {case.snapshot.key: 0 for case in cases}).taught
    fitted = DenseNet().fit(taught, seed=0, seconds=2.0)
    risks = fitted.risks(taught.asked)
    assert np.isnan(risks).tolist() == [number % 5 == 4 for number in range(40)], "silent where there is no film"
    assert fitted.notes["images"] == 24 and fitted.notes["passes"] > 0 and "caution" in fitted.notes
    with pytest.raises(TrainingError, match="images of people with and without"):
        one = np.flatnonzero((taught.target.y == 1) | (np.arange(40) % 5 == 4))
        DenseNet().fit(taught.take(one), seed=0, seconds=1.0)
