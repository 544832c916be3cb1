"""The benchmark: peers on our folds and on nothing else, a file that can be gone on with, claims that agree with intervals."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from salus_learn.benchmark import run
from salus_learn.benchmark.command import table
from salus_learn.benchmark.compare import against, c_difference, claim, difference
from salus_learn.benchmark.peer import FittedPeer, Peer
from salus_learn.benchmark.peers_record import Logistic
from salus_learn.benchmark.people import Asked, Everybody, Taught, everybody
from salus_learn.benchmark.rows import fingerprint, rows_of
from salus_learn.benchmark.run import Bench, Settings
from salus_learn.calibration import doubt
from salus_learn.cli import main
from salus_learn.contracts import Case, RiskTask
from salus_learn.errors import LearnError, TaskError, TrainingError
from salus_learn.evaluation.figures import all_arms
from salus_learn.evaluation.judged import JudgedPeople, JudgedTask
from salus_learn.evaluation.survival import harrell_c
from salus_learn.features.target import Target
from salus_learn.tasks.cases import read_cases
from salus_learn.tasks.loader import load_task
from salus_learn.training.train import Trained

from tests.factories.cases import make_cases
from tests.factories.sets import timed, write_set

QUICK = Settings(repeats=1, folds=2)


class Planted:
    """A peer that says what it was given to say, and writes down whom it saw."""

    package = "scikit-learn"
    reads = "record"
    how = "planted"

    def __init__(self, say: Callable[[Asked], np.ndarray], name: str = "planted") -> None:
        self.say, self.name = say, name
        self.seen: list[tuple[set[str], set[str]]] = []

    def fit(self, taught: Taught, *, seed: int, seconds: float) -> FittedPeer:
        """Remember the training keys; when asked, remember those keys too."""

        def risks(asked: Asked) -> np.ndarray:
            self.seen.append((set(taught.asked.keys.tolist()), set(asked.keys.tolist())))
            return self.say(asked)

        return FittedPeer(risks, 0.5)


def oracle(asked: Asked) -> np.ndarray:
    """Knows the outcome from the case's number: every second person of the made set is ill."""
    return np.array([0.99 if (int(key) // 2) % 2 else 0.01 for key in asked.keys])


def bench(place: Path, *peers: Peer, **options: Any) -> Bench:
    """A benchmark with these peers, which writes into `place`."""
    said: list[str] = options.setdefault("said", [])
    return Bench(
        place / "results.json", options.get("settings", QUICK), said.append, peers=lambda task: list(peers),
        bundles=options.get("bundles"), again=options.get("again", False),
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run over a good row, a row without data and a row that fails, with a spy that is better than ours."""
    place = tmp_path_factory.mktemp("benchmark")
    write_set(place / "data", place / "tasks", "good")
    write_set(place / "data", place / "tasks", "wrong")
    (place / "data" / "wrong" / "cases.csv").write_text("person,case\n1,1\n")
    write_set(place / "elsewhere", place / "tasks", "away")
    spy, said = Planted(oracle), []
    missing = Planted(oracle, "missing")
    missing.package = "no-such-package"
    broken = Planted(lambda asked: 1 / np.zeros(0)[0], "broken")
    rows = rows_of(place / "tasks", place / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doubt, "_BOOTSTRAPS", 2)  # of the intervals of single risks, most of a small training and not looked at here
        done, failed = bench(place, spy, Logistic(), missing, broken, said=said, bundles=place / "kept").run(rows)
    return {"place": place, "spy": spy, "done": done, "failed": failed, "said": said}


def test_the_file_has_its_form(made: dict[str, Any]) -> None:
    body = json.loads((made["place"] / "results.json").read_text())
    assert body["form"] == 1 and {"cores", "versions"} <= set(body["machine"])
    rows = {row["task_file"]: row for row in body["rows"]}
    assert {name: row["state"] for name, row in rows.items()} == {"away.toml": "absent", "good.toml": "done", "wrong.toml": "failed"}
    good = rows["good.toml"]
    assert (good["cases"], good["people"], good["events"]) == (48, 24, 24)
    assert good["ours"]["fits"] == 3 and good["ours"]["seconds"] > 0
    own = good["peers"]["logistic"]
    for figures in (good["ours"]["arms"]["fused"], own["figures"]):
        for name in ("auroc", "brier", "calibration_slope", "sensitivity", "specificity"):
            assert {"value", "low", "high", "n", "method"} <= set(figures[name]), name
    assert own["ours_minus_peer"]["auroc"]["n"] == 48 and "by person" in own["ours_minus_peer"]["auroc"]["method"]
    assert own["seconds"] > 0 and own["per_fold"][0]["C"] > 0 and len(own["per_fold"]) == 2
    assert {path.name for path in (made["place"] / "kept" / "good").iterdir()} == {"bundle", "report"}
    assert [line.split()[0] for line in table(made["done"])] == ["away.toml", "good.toml", "planted", "logistic", "missing", "broken", "wrong.toml"]


def test_a_peer_sees_nobody_it_is_asked_about(made: dict[str, Any]) -> None:
    """Two cases a person: neither the case nor the person's other case may teach."""
    asked_of: set[str] = set()
    for taught, asked in made["spy"].seen:
        assert not {int(key) // 2 for key in taught} & {int(key) // 2 for key in asked}
        assert len(taught) + len(asked) == 48 and not asked_of & asked
        asked_of |= asked
    assert len(made["spy"].seen) == 2 and len(asked_of) == 48


def test_the_folds_are_those_of_our_first_repeat(tmp_path: Path) -> None:
    folder = make_cases(tmp_path / "data", people=12)
    task = load_task(folder / "task.toml")
    cases = read_cases(task, folder)
    people = everybody(task, cases, {str(number): number % 3 for number in range(12)})
    assert [outside.tolist() for _, outside in people.splits()] == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
    with pytest.raises(TrainingError, match="“11” stands in no fold"):
        everybody(task, cases, {str(number): number % 3 for number in range(11)})
    one = Taught(people.taught.asked, people.taught.target, np.zeros(12, dtype=int))
    with pytest.raises(TrainingError, match="a person stands among those who teach"):
        Everybody(one, people.folds).splits()


def test_a_better_peer_is_reported_as_better(made: dict[str, Any]) -> None:
    found = next(row for row in made["done"] if row["state"] == "done")["peers"]["planted"]
    assert found["figures"]["auroc"]["value"] == 1.0 and found["figures"]["sensitivity"]["value"] == 1.0
    assert found["ours_minus_peer"]["auroc"]["high"] < 0 and found["claim"] == "worse"
    assert any("planted took" in line and line.endswith("ours is worse") for line in made["said"])


def test_what_fails_is_written_down_and_the_rest_goes_on(made: dict[str, Any]) -> None:
    assert len(made["failed"]) == 2
    assert made["failed"][0].startswith("good.toml, broken: IndexError")
    assert made["failed"][1].startswith("wrong.toml: cases.csv has no column")
    rows = {row["task_file"]: row for row in made["done"]}
    assert rows["away.toml"]["why"] == f"The folder away is not in {made['place'] / 'data'}."
    assert rows["good.toml"]["peers"]["logistic"]["state"] == "done"


def test_a_package_that_is_missing_is_said(made: dict[str, Any]) -> None:
    found = next(row for row in made["done"] if row["state"] == "done")["peers"]["missing"]
    assert found["state"] == "not installed" and found["install"] == "pip install -r requirements/peers.lock"
    assert "good.toml: missing is not installed; pip install -r requirements/peers.lock" in made["said"]


def pretended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """From now on training gives risks drawn at random, at once; the tasks that were trained. The code stands still."""
    trained: list[str] = []

    def train(task: RiskTask, cases: list[Case], out: Path, **more: Any) -> Trained:
        trained.append(task.id)
        y = np.array([case.outcome for case in cases])
        persons = [case.snapshot.person for case in cases]
        keys = np.array([case.snapshot.key for case in cases])
        plain = judged(np.random.default_rng(0).random(len(y)), y)
        folds = {key: sum(map(ord, person)) % 2 for key, person in zip(keys.tolist(), persons, strict=True)}
        figures = {"arms": {}, "best_single": None, "fused_minus_best": None, "repeats": 1, "folds": 2, "encoder": "frozen"}
        return Trained("digest", figures, [], folds, replace(plain, keys=keys, persons=np.array(persons)))

    monkeypatch.setattr(run, "train", train)
    monkeypatch.setattr(run, "code_digest", lambda: "this")
    # figures are looked at elsewhere, and their intervals take seconds
    monkeypatch.setattr(run, "all_arms", lambda *rest, **more: {})
    monkeypatch.setattr(run, "against", lambda *rest, **more: {"claim": "better"})
    return trained


def test_a_row_that_is_there_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, tasks = tmp_path / "data", tmp_path / "tasks"
    write_set(data, tasks, "good")
    trained, peer = pretended(monkeypatch), Planted(oracle)

    def ran(**options: Any) -> int:
        """How many trainings there have been after this run."""
        bench(tmp_path, options.pop("peer", peer), **options).run(rows_of(tasks, data))
        return len(trained)

    assert [ran(), ran(), ran(again=True), ran()] == [1, 1, 2, 2]
    assert [ran(settings=Settings(seed=1, repeats=1, folds=2)), ran(), ran()] == [3, 4, 4]
    assert ran(settings=replace(QUICK, image_peer_minutes=1.0)) == 4, "there are no images, so it would change nothing"
    with (data / "good" / "cases.csv").open("a") as stream:
        stream.write("p99,99,50,f,none,,,yes\n")
    assert [ran(), ran()] == [5, 5], "other data"
    (tasks / "good.toml").write_text((tasks / "good.toml").read_text().replace("high = 120", "high = 130"))
    assert [ran(), ran()] == [6, 6], "another task file"
    monkeypatch.setattr(run, "code_digest", lambda: "other")
    assert [ran(), ran()] == [7, 7], "other code"
    other = Planted(oracle)
    other.package = "numpy"
    assert [ran(peer=other), ran(peer=other), ran()] == [8, 8, 9], "another package of a peer"


def test_a_row_with_a_peer_that_failed_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path / "data", tmp_path / "tasks", "good")
    trained, rows = pretended(monkeypatch), rows_of(tmp_path / "tasks", tmp_path / "data")
    assert bench(tmp_path, Planted(lambda asked: 1 / np.zeros(0)[0])).run(rows)[1]
    assert not bench(tmp_path, Planted(oracle)).run(rows)[1] and len(trained) == 2


def test_a_row_stays_when_its_data_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, tasks = tmp_path / "data", tmp_path / "tasks"
    write_set(data, tasks, "good")
    pretended(monkeypatch)
    bench(tmp_path, Planted(oracle)).run(rows_of(tasks, data))
    (data / "good").rename(data / "gone")
    (row,), failed = bench(tmp_path, Planted(oracle)).run(rows_of(tasks, data))
    assert row["state"] == "done" and not failed
    assert json.loads((tmp_path / "results.json").read_text())["rows"] == [row]


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"form": 7, "rows": []}')
    with pytest.raises(LearnError, match="not a benchmark's results of form 1"):
        bench(tmp_path).run([])
    assert (tmp_path / "results.json").read_text() == '{"form": 7, "rows": []}'


def test_an_interrupted_write_leaves_the_last_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = run.write_results.__globals__
    run.write_results(tmp_path / "r.json", {"a": {"task_file": "a"}})
    whole = (tmp_path / "r.json").read_text()
    monkeypatch.setitem(results, "machine", lambda: {"cores": float("nan")})
    with pytest.raises(ValueError):
        run.write_results(tmp_path / "r.json", {})
    assert (tmp_path / "r.json").read_text() == whole


def test_the_command_ends_with_one_when_a_row_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, tasks = tmp_path / "data", tmp_path / "tasks"
    write_set(data, tasks, "wrong")
    (data / "wrong" / "cases.csv").write_text("person,case\n1,1\n")
    write_set(tmp_path / "elsewhere", tasks, "away")
    asked = ["benchmark", "--data", str(data), "--tasks", str(tasks), "--out", str(tmp_path / "r.json")]
    assert main(asked) == 1
    out = capsys.readouterr().out
    assert "failed: wrong.toml: cases.csv has no column" in out and "away.toml                  absent:" in out
    assert main([*asked, "--only", "away"]) == 0, "a row without data is no failure"
    assert main([*asked, "--only", "nobody"]) == 2
    assert "“nobody” is no task" in capsys.readouterr().err


def test_every_shipped_task_knows_its_folder(repository_root: Path, tmp_path: Path) -> None:
    rows = {row.file: row for row in rows_of(repository_root / "tasks", tmp_path)}
    assert "simulated_deterioration.toml" not in rows and all(row.absent and not row.broken for row in rows.values())
    named = {file: row.folder.name for file, row in rows.items() if row.folder.name != Path(file).stem}
    assert set(named.values()) == {"covid_chestxray", "ehr_tabular", "oasis1_slices", "odir_fundus"}
    assert {file for file, name in named.items() if name == "covid_chestxray"} == {
        "covid_death.toml", "covid_icu.toml", "covid_intubation.toml",
    }  # fmt: skip
    assert {file for file, name in named.items() if name == "odir_fundus"} == {
        "odir_patient.toml", "odir_patient_referable.toml", "odir_referable.toml", "odir_view.toml",
    }  # fmt: skip
    with pytest.raises(TaskError, match="no task file"):
        rows_of(tmp_path, tmp_path)


@pytest.mark.data
def test_every_shipped_task_finds_its_table(repository_root: Path, shared_data: Path) -> None:
    assert not [row.absent for row in rows_of(repository_root / "tasks", shared_data) if row.absent]


def test_the_fingerprint_follows_table_and_pictures(tmp_path: Path) -> None:
    folder = make_cases(tmp_path / "data", people=8)
    task = load_task(folder / "task.toml")
    first = fingerprint(task, folder)
    (folder / "other.txt").write_text("beside the case")
    assert fingerprint(task, folder) == first
    (folder / "films" / "c0.png").write_bytes(b"shorter")
    assert fingerprint(task, folder) != first


def judged(ours: np.ndarray, y: np.ndarray) -> JudgedPeople:
    """n people with one case each, for whom the fused arm and the line say the same."""
    n, nothing = len(y), np.zeros(len(y), dtype=bool)
    both = {"fused": ours, "line": ours}
    return JudgedPeople(
        JudgedTask("t", "", "", "", "", "", 0.0), np.arange(n).astype(str), np.arange(n).astype(str), y, both,
        {"fused": nothing, "line": nothing}, ours, ours, np.zeros((n, 2), dtype=bool), nothing,
    )  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs", "words"), [(2.0, 0.0, "better"), (0.0, 2.0, "worse"), (0.7, 0.7, "no difference shown")])
def test_the_claim_agrees_with_the_interval(ours: float, theirs: float, words: str) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(300) % 2

    def risks(signal: float) -> np.ndarray:
        return 1 / (1 + np.exp(-(signal * (y - 0.5) + rng.normal(size=300))))

    found = difference(judged(risks(ours), y), "fused", risks(theirs))
    gap = found["auroc"]
    assert claim(gap) == words and gap["low"] <= gap["value"] <= gap["high"]
    assert (gap["low"] > 0, gap["high"] < 0) == (words == "better", words == "worse")
    assert found["brier"]["low"] <= found["brier"]["value"] <= found["brier"]["high"]


def test_without_an_interval_nothing_is_claimed() -> None:
    assert claim({"low": None, "high": None}) == "not computable"
    assert claim({"low": 0.0, "high": 0.2}) == "no difference shown", "an interval that touches zero holds it"


def test_a_log_hazard_is_not_read_as_a_probability() -> None:
    y = np.arange(40) % 2
    plain = judged(np.linspace(0.1, 0.9, 40), y)
    ours = replace(plain, task=replace(plain.task, uncalibrated=("line",)))
    arms = all_arms(ours)
    assert arms["line"]["brier"]["value"] is None and "log hazard" in arms["line"]["brier"]["why_not"]
    assert arms["line"]["auroc"]["value"] is not None and arms["fused"]["brier"]["value"] is not None
    beside = against(ours, np.linspace(0.2, 0.8, 40), np.zeros(40, dtype=bool), "record")["arms_minus_peer"]["line"]
    assert beside["brier"]["value"] is None and beside["auroc"]["value"] is not None


def test_the_difference_in_c_is_that_of_both_and_draws_people() -> None:
    target, x = timed(120)
    assert target.time is not None
    noise = x + np.random.default_rng(2).normal(size=120)
    alone = np.arange(120)
    value, low, high = c_difference(target, x, noise, alone)
    first, second = (harrell_c(target.time, target.y, risk, alone)[0] for risk in (x, noise))
    assert value == pytest.approx(first - second, abs=1e-5) and 0 < low < value < high
    assert c_difference(target, x, x, alone) == (0.0, 0.0, 0.0)
    # the same people written down twice are no more people
    twice = Target(np.tile(target.y, 2), np.tile(target.time, 2))
    _, low_twice, high_twice = c_difference(twice, np.tile(x, 2), np.tile(noise, 2), np.tile(alone, 2))
    assert high_twice - low_twice == pytest.approx(high - low, rel=0.1)


def test_the_image_peer_can_be_left_out_and_its_time_is_capped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings(image_peer_minutes=1.0).seconds_per_fold(7.0, 3) == 7.0
    assert Settings(image_peer_minutes=1.0).seconds_per_fold(70.0, 3) == 20.0
    assert Settings(image_peer_minutes=1.0, image_peer_whole_time=True).seconds_per_fold(7.0, 3) == 20.0
    write_set(tmp_path / "data", tmp_path / "tasks", "good")
    peer = Planted(oracle)
    peer.reads = "image"
    pretended(monkeypatch)
    rows = rows_of(tmp_path / "tasks", tmp_path / "data")
    (done,), failed = bench(tmp_path, peer, settings=replace(QUICK, image_peer=False)).run(rows)
    assert done["peers"]["planted"] | {"state": "skipped", "why": "--no-image-peer"} == done["peers"]["planted"] and not failed
    assert not peer.seen
