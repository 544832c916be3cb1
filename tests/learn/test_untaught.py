"""What nobody lacked who taught a model: where it is missing the model is silent if its answer hangs on it, and less sure if not."""

from __future__ import annotations

import csv
import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from salus_learn.contracts import Case, PatientSnapshot, RiskResult, RiskState
from salus_learn.features.columns import always_there, read_all
from salus_learn.features.target import Target
from salus_learn.scoring.score import score
from salus_learn.store.bundle import Bundle, load_bundle
from salus_learn.store.pool import draw_pool
from salus_learn.stress.held_out import held_out
from salus_learn.stress.missing import missing_part
from salus_learn.tasks.cases import read_cases
from salus_learn.tasks.loader import load_task
from salus_learn.training.train import train

from tests.factories.cases import HEAD

TASK = f"""
{HEAD}
[[feature]]
name = "strong"
label = "Lactate"
column = "strong"
[[feature]]
name = "idle"
label = "Height"
column = "idle"
[[feature]]
name = "patchy"
label = "Ferritin"
column = "patchy"
[[feature]]
name = "ward"
label = "Ward"
kind = "category"
column = "ward"
[[feature]]
name = "weight"
label = "Weight"
column = "weight"
"""
PLANES = HEAD + "".join(
    f"""[[image]]
name = "{name}"
label = "{name.title()} slice"
modality = "MR"
column = "{name}"
folder = "slices"
"""
    for name in ("coronal", "axial")
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 people: `strong` tells most and is always there, `idle` nothing, `ward` something, `patchy` too and is there in half."""
    rng, place = np.random.default_rng(5), tmp_path_factory.mktemp("gaps")
    (place / "task.toml").write_text(TASK)
    with (place / "cases.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["person", "case", "strong", "idle", "patchy", "ward", "weight", "ill"])
        for number in range(400):
            strong, idle, patchy = rng.normal(size=3)
            ward = ("north", "south")[int(rng.integers(2))]
            ill = rng.random() < 1 / (1 + math.exp(-4 * strong - 2 * patchy - 3 * (ward == "south") + 1.5))
            table.writerow([f"p{number}", number, strong, idle, "" if number % 2 else patchy, ward, rng.normal(), "yes" if ill else "no"])
    train(load_task(place / "task.toml"), read_cases(load_task(place / "task.toml"), place), place / "bundle", repeats=1, folds=3)
    return place


@pytest.fixture(scope="module")
def cases(folder: Path) -> list[Case]:
    return read_cases(load_task(folder / "task.toml"), folder)


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return load_bundle(folder / "bundle")


def without(snapshot: PatientSnapshot, column: str) -> PatientSnapshot:
    return replace(snapshot, values=tuple(value for value in snapshot.values if value.code != column))


def sure(bundle: Bundle, cases: list[Case], fold: int | None = None) -> list[PatientSnapshot]:
    """Those for whom the model gives its answer when nothing is missing."""
    everybody = [case.snapshot for case in cases]
    found = score(bundle, everybody, fold=fold)
    return [one for one, result in zip(everybody, found, strict=True) if result.state is RiskState.COMPUTED]


def kept_to_itself(result: RiskResult) -> bool:
    return result.state is RiskState.ABSTAINED and "Hardly anybody who taught the model lacked th" in result.why


def test_what_next_to_nobody_lacked_is_kept_with_every_model(folder: Path, bundle: Bundle) -> None:
    assert bundle.model.always_there == ("strong", "idle", "ward", "weight")
    assert all(fold.always_there == ("strong", "idle", "ward", "weight") for fold in bundle.folds)
    task, schema, x = bundle.model.task, bundle.model.schema, np.zeros((400, 6))
    x[:9, 0], x[:10, 1], x[10:, 3] = np.nan, np.nan, 1
    assert always_there(task, schema, x, np.arange(len(x))) == ("strong", "patchy", "weight"), "ten gaps of 400 teach, nine do not; a word of no column is a gap"
    x[10, 3] = 1
    x[0, 4] = 1
    assert always_there(task, schema, x, np.arange(len(x))) == ("strong", "patchy", "ward", "weight"), "nine words of no column"
    assert always_there(task, schema, x[:60], np.arange(60)) == ("patchy", "weight"), "nine of sixty are many"
    one = np.r_[np.zeros(10), np.arange(1, 391)]
    assert "patchy" in always_there(task, schema, x, one), "ten cases of one person are one person who lacked it"


@pytest.mark.parametrize("fold", [None, 1])
def test_an_answer_that_hangs_on_the_gap_is_not_given(bundle: Bundle, cases: list[Case], fold: int | None) -> None:
    asked = sure(bundle, cases, fold)
    found = score(bundle, [without(one, "strong") for one in asked], fold=fold)
    given = [result for result in found if result.state is RiskState.COMPUTED]
    assert len(given) < 0.1 * len(found), "next to nobody's answer stands without what tells nearly everything"
    held = [result for result in found if kept_to_itself(result)]
    assert held and all(result.why.startswith("Missing: Lactate. ") and "30 patients like this one" in result.why for result in held)
    assert all(result.probability is not None for result in held), "the number stays for the receipt"


def test_an_answer_that_does_not_hang_on_it_is_given_and_less_sure(bundle: Bundle, cases: list[Case]) -> None:
    asked = [without(one, "idle") for one in sure(bundle, cases)]
    found = score(bundle, asked)
    plain = score(replace(bundle, model=replace(bundle.model, always_there=())), asked)
    given = [(a, b) for a, b in zip(found, plain, strict=True) if a.state is RiskState.COMPUTED]
    assert len(given) > 0.9 * sum(result.state is RiskState.COMPUTED for result in plain)
    assert all(a.probability == b.probability and a.reasons == b.reasons for a, b in given)
    assert all(a.interval and b.interval and a.interval[0] <= b.interval[0] <= b.interval[1] <= a.interval[1] for a, b in given)
    wider = [a for a, b in given if a.interval != b.interval]
    assert wider, "what they might have been is wider than the interval for some"
    assert any(one.would_change for one in wider)
    for one in wider:
        assert one.interval and all(answer.width_now == one.interval[1] - one.interval[0] for answer in one.would_change)


def test_a_gap_that_many_had_is_nothing_new(bundle: Bundle, cases: list[Case]) -> None:
    asked = [without(case.snapshot, "patchy") for case in cases]
    assert score(bundle, asked) == score(replace(bundle, model=replace(bundle.model, always_there=())), asked)


def test_a_word_that_the_model_does_not_know_is_a_gap_and_no_other_word(bundle: Bundle, cases: list[Case]) -> None:
    def on(word: str, model: Bundle) -> list[RiskResult]:
        def renamed(one: PatientSnapshot) -> PatientSnapshot:
            return replace(one, values=tuple(replace(value, value=word) if value.code == "ward" else value for value in one.values))

        return [one for one in score(model, [renamed(case.snapshot) for case in cases]) if not one.why or kept_to_itself(one)]

    found = on("Nord", bundle)
    assert len(found) > 100
    for result in found:
        assert [one.label for one in result.missing if one.untaught] == ["Ward in a word it knows"]
    held = on("Nord", replace(bundle, model=replace(bundle.model, pool=None)))
    assert len(held) > 100 and all(one.why.startswith("Missing: Ward in a word it knows. ") for one in held)
    assert not any(missing.untaught for one in on("north", bundle) for missing in one.missing)


def test_several_gaps_are_filled_together_and_named(bundle: Bundle, cases: list[Case]) -> None:
    found = score(bundle, [without(without(one, "strong"), "idle") for one in sure(bundle, cases)[::2]])
    held = [result for result in found if kept_to_itself(result)]
    assert held and all(result.why.startswith("Missing: Lactate and Height. Hardly anybody who taught the model lacked these, ") for result in held)


def test_of_many_gaps_the_sentence_names_a_few_and_the_list_all(bundle: Bundle, cases: list[Case]) -> None:
    bare = [replace(case.snapshot, values=tuple(value for value in case.snapshot.values if value.code == "patchy")) for case in cases]
    held = [result for result in score(bundle, bare) if kept_to_itself(result)]
    assert held and all(result.why.startswith("Missing: Lactate, Height and 2 more. Hardly") for result in held)
    assert all([one.label for one in result.missing if one.untaught] == ["Lactate", "Height", "Ward", "Weight"] for result in held)
    # one answer for all of them together: to know one leaves the others; what many lacked is asked when they are known
    assert all([one.label for one in result.would_change] == ["Lactate, Height and 2 more"] for result in held)
    assert all(f" {round(one.crossing * one.n)} would be on the other side" in result.why for result in held for one in result.would_change)


def test_where_nobody_is_like_this_one_it_says_so(bundle: Bundle, cases: list[Case]) -> None:
    alone = replace(bundle, model=replace(bundle.model, pool=None))
    held = [result for result in score(alone, [without(one, "idle") for one in sure(bundle, cases)]) if kept_to_itself(result)]
    assert held and all(result.why.endswith("so its risk would be a guess.") for result in held)


def test_a_bundle_of_before_speaks_as_it_was_judged(folder: Path, bundle: Bundle, cases: list[Case], tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for path in (folder / "bundle").iterdir():
        (old / path.name).write_bytes(path.read_bytes())
    manifest = json.loads((old / "manifest.json").read_text())
    for name in [name for name in manifest["files"] if name.endswith("reference.json")]:
        body = json.loads((old / name).read_text())
        del body["always_there"]
        (old / name).write_text(json.dumps(body))
        manifest["files"][name] = hashlib.sha256((old / name).read_bytes()).hexdigest()
    (old / "manifest.json").write_text(json.dumps(manifest))
    found = score(load_bundle(old), [without(one, "strong") for one in sure(bundle, cases)])
    assert not any(map(kept_to_itself, found)) and any(result.state is RiskState.COMPUTED for result in found)


def test_the_report_shows_who_gets_no_answer_without_it(folder: Path, bundle: Bundle, cases: list[Case]) -> None:
    snapshots = [case.snapshot for case in cases]
    held = held_out(
        bundle.model, snapshots, read_all(bundle.model.task, snapshots), None, Target(np.array([case.outcome for case in cases]), None),
        np.arange(len(cases)), np.arange(len(cases)),
    )  # fmt: skip
    rows = {row[0]: row for row in missing_part(held, seed=0)["rows"]}
    before, after = (int(rows["Lactate"][at].split(" of ")[0]) for at in (-2, -1))
    assert before < 100 and after > 360, "of 400 people"


def make_planes(folder: Path, people: int = 48) -> Path:
    """Two slices of each person; in the axial one a patch is brighter the more likely the person is ill."""
    rng = np.random.default_rng(6)
    (folder / "slices").mkdir(parents=True)
    (folder / "task.toml").write_text(PLANES)
    with (folder / "cases.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["person", "case", "coronal", "axial", "ill"])
        for number in range(people):
            ill = number % 2
            for name, lit in (("coronal", 0.0), ("axial", rng.normal(60.0 * ill, 25.0))):
                pixels = rng.normal(90, 18, (64, 64))
                pixels[20:44, 20:44] += lit
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / "slices" / f"{name}{number}.png")
            table.writerow([f"p{number}", number, f"coronal{number}.png", f"axial{number}.png", "yes" if ill else "no"])
    return folder


def test_of_several_images_one_that_was_always_there_is_a_gap_too(tmp_path: Path) -> None:
    task = load_task(make_planes(tmp_path / "data") / "task.toml")
    cases = read_cases(task, tmp_path / "data")
    train(task, cases, tmp_path / "bundle", repeats=1, folds=2)
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.model.always_there == ("coronal", "axial")
    asked = sure(bundle, cases)
    held = {}
    for slot in ("coronal", "axial"):
        found = score(bundle, [replace(one, images=tuple(image for image in one.images if image.slot != slot)) for one in asked])
        held[slot] = [result for result in found if kept_to_itself(result)]
        given = [result for result in found if result.state is RiskState.COMPUTED]
        assert all(one.untaught for result in [*held[slot], *given] for one in result.missing), slot
    assert len(held["axial"]) > len(held["coronal"]), "more answers hang on the slice that tells"
    assert all(result.why.startswith("Missing: Axial slice. ") for result in held["axial"])
    by_slot = bundle.model.pool.slots if bundle.model.pool else None
    assert by_slot is not None and by_slot.shape == (48, 2) and np.abs(by_slot[:, 1]).mean() > 2 * np.abs(by_slot[:, 0]).mean()


def test_thirty_patients_like_this_one_are_thirty_people() -> None:
    """Somebody who was seen every day of a stay is one of them, not five."""
    persons = np.repeat(np.arange(40), 5)
    x = (persons + np.tile([0.0, 0.1, 0.2, 0.3, 0.4], 40))[:, None]  # whose row it is stands before the point
    pool = draw_pool(x, np.full(len(x), np.nan), persons=persons, seed=3)
    like = pool.like(np.array([20.0]), np.arange(len(pool.x)), 30)
    assert len({int(value) for value in pool.x[like, 0]}) == 30
