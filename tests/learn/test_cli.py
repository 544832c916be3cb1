"""The command line: what it says beside the figures, and what it refuses before anything is worked out."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from salus_learn.cli import main
from salus_learn.store.bundle import load_bundle

from tests.factories.cases import make_cases

TASK = """
never = ["ward_round"]
[task]
id = "lump"
title = "A lump"
[outcome]
label = "tumour"
column = "found"
positive = ["benign", "malignant"]
negative = ["none"]
[outcome.kinds]
Benign = ["benign"]
Malignant = ["malignant"]
[cases]
table = "t.csv"
case = "id"
only = {kept = ["yes"]}
[[feature]]
name = "age"
column = "age"
[[feature]]
name = "marker"
label = "Marker"
column = "marker"
"""


@dataclass(frozen=True)
class Done:
    """One training by the command line, and what it said."""

    place: Path
    said: str

    def asked(self, command: str, *more: str, data: str = "data") -> list[str]:
        return [command, "--bundle", str(self.place / "bundle"), "--data", str(self.place / data), *more]


def write_table(folder: Path, *, people: int = 60, first: int = 0) -> Path:
    """A marker that gives the outcome away, and five rows that the task does not keep."""
    rng = np.random.default_rng(first)
    folder.mkdir()
    lines = ["id,age,marker,found,kept,ward_round"]
    for at in range(first, first + people + 5):
        found = ("none", "benign", "none", "malignant")[at % 4]
        marker = {"none": 0, "benign": 4, "malignant": 9}[found] + rng.normal()
        lines.append(f"p{at},{rng.integers(30, 80)},{marker:.2f},{found},{'no' if at >= first + people else 'yes'},x")
    (folder / "t.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    place = tmp_path_factory.mktemp("cli")
    write_table(place / "data")
    (place / "task.toml").write_text(TASK)
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("salus_learn.cli.say", said.append)
        assert main(["train", "--task", str(place / "task.toml"), "--data", str(place / "data"), "--out", str(place / "bundle"),
                     "--repeats", "1", "--folds", "2", "--no-stress"]) == 0  # fmt: skip
    return Done(place, "\n".join(said))


def test_training_says_what_the_leak_hunt_found_and_who_is_no_case(done: Done) -> None:
    assert "leak hunt, blocks: marker alone tells the outcome" in done.said
    assert "left out of the table: 5 rows that the task does not keep" in done.said


def test_judged_on_those_who_taught_it_the_figures_are_said_to_flatter(done: Done, capsys: pytest.CaptureFixture[str]) -> None:
    out, report = done.place / "new" / "folder" / "figures.json", done.place / "report"
    assert main(done.asked("evaluate", "--json", str(out), "--report", str(report))) == 0
    said = capsys.readouterr().out
    assert "judged on cases of the very names this model was trained on; if they are the same people, these figures flatter it" in said
    assert "left out of the table: 5 rows" in said
    assert json.loads(out.read_text())["trained_on_these"] is True
    assert "these figures flatter it" in (report / "report.html").read_text()
    others = write_table(done.place / "others", first=100) / "t.csv"
    others.write_text("\n".join(line.rsplit(",", 1)[0] for line in others.read_text().splitlines()))
    assert main(done.asked("evaluate", "--json", str(out), data="others")) == 0, "another hospital's table may lack what is under never"
    assert "flatter" not in capsys.readouterr().out and json.loads(out.read_text())["trained_on_these"] is False


def test_a_scored_case_has_its_kinds_and_who_is_not_scored_is_counted(done: Done, capsys: pytest.CaptureFixture[str]) -> None:
    out = done.place / "scores" / "risks.jsonl"
    assert main(done.asked("score", "--out", str(out))) == 0
    assert "left out of the table: 5 rows that the task does not keep" in capsys.readouterr().out
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == 60
    for line in lines:
        assert set(line["kinds"]) == {"Benign", "Malignant"} and sum(line["kinds"].values()) == pytest.approx(line["probability"], abs=1e-6)


@pytest.mark.parametrize(
    ("command", "more", "says"),
    [
        ("evaluate", ["--json", "{}"], "--json: {} is a folder, and a file is wanted"),
        ("evaluate", ["--json", "{}/task.toml/x.json"], "--json: {}/task.toml is a file, and a folder is wanted"),
        ("evaluate", ["--report", "{}/task.toml"], "--report: {}/task.toml is a file, and a folder is wanted"),
        ("evaluate", ["--report", "/proc/nowhere"], "--report: /proc/nowhere cannot be made"),
        ("evaluate", ["--json", "{}/bundle/x.json"], "lies in the bundle's folder, which holds the bundle alone"),
        ("score", ["--out", "{}"], "--out: {} is a folder, and a file is wanted"),
        ("score", ["--out", "{}/bundle/risks.jsonl"], "lies in the bundle's folder"),
        ("score", ["--out", "{}/risks.maps"], "the maps go into a folder of that name"),
    ],
)  # fmt: skip
def test_a_place_that_cannot_be_written_to_is_said_before_anything_is_worked_out(
    done: Done, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, more: list[str], says: str
) -> None:
    for late in ("fill_sheet", "score"):
        monkeypatch.setattr(f"salus_learn.cli.{late}", lambda *_, **__: pytest.fail("worked out before the place was looked at"))
    assert main(done.asked(command, *(one.format(done.place) for one in more))) == 2
    assert says.format(done.place) in capsys.readouterr().err
    load_bundle(done.place / "bundle")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--out", "{}/bundle"], "The folder bundle is not empty; a bundle is never written over another"),
        (["--out", "{}/task.toml"], "--out: {}/task.toml is a file, and a folder is wanted"),
        (["--out", "/proc/nowhere"], "--out: /proc/nowhere cannot be made"),
        (["--out", "{}/fresh", "--report", "{}/task.toml"], "--report: {}/task.toml is a file"),
        (["--out", "{}/fresh", "--report", "{}/fresh/report"], "lies in the bundle's folder"),
    ],
)  # fmt: skip
def test_training_looks_at_its_places_first(
    done: Done, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, more: list[str], says: str
) -> None:
    monkeypatch.setattr("salus_learn.cli.train", lambda *_, **__: pytest.fail("trained before the place was looked at"))
    shutil.rmtree(done.place / "fresh", ignore_errors=True)
    asked = ["train", "--task", str(done.place / "task.toml"), "--data", str(done.place / "data")]
    assert main([*asked, *(one.format(done.place) for one in more)]) == 2
    assert says.format(done.place) in capsys.readouterr().err


def test_the_leak_hunt_looks_at_its_place_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_cases(tmp_path / "data", people=12)
    assert main(["leaks", "--data", str(folder), "--json", str(tmp_path / "new" / "found.json")]) == 0
    assert json.loads((tmp_path / "new" / "found.json").read_text()) == []
    assert main(["leaks", "--data", str(folder), "--json", str(folder)]) == 2
    assert "is a folder, and a file is wanted" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "word"), [("--folds", "1"), ("--folds", "0"), ("--repeats", "0"), ("--seed", "-1"), ("--seed", "4294967295"), ("--folds", "many")])
@pytest.mark.parametrize("command", [["train", "--task", "t"], ["benchmark"]])
def test_numbers_that_cannot_be_are_refused_in_words(capsys: pytest.CaptureFixture[str], command: list[str], option: str, word: str) -> None:
    with pytest.raises(SystemExit) as refused:
        main([*command, "--data", "d", "--out", "o", option, word])
    assert refused.value.code == 2
    assert f"argument {option}: {word} is not a whole number from" in capsys.readouterr().err
