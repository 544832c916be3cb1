"""How robust and how faithful a model is: a signal is planted in one part, and the figures must tell which."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from salus_learn.contracts import (
    Case,
    ImageSpec,
    PatientSnapshot,
    RecordValue,
    Region,
    RiskTask,
    SnapshotImage,
)
from salus_learn.evaluation.judged import JudgedPeople, JudgedTask
from salus_learn.features.columns import read_all
from salus_learn.features.target import Target
from salus_learn.imaging.embed import embed
from salus_learn.imaging.encoder import ServedEncoder
from salus_learn.imaging.gate import fit_gate
from salus_learn.imaging.network import CHANNELS, Encoder
from salus_learn.reporting.build import build_report
from salus_learn.reporting.sections import sections
from salus_learn.scoring.judge import target_of
from salus_learn.scoring.score import account_all
from salus_learn.store.model import Model
from salus_learn.stress import corruption, extras, faithful
from salus_learn.stress.corruption import FAULTS, VARIANTS, Fault, corrupted, corruption_part
from salus_learn.stress.encoders import serving
from salus_learn.stress.extras import measure
from salus_learn.stress.faithful import blurred_cells, deletion_part, random_weights_part
from salus_learn.stress.films import reduced
from salus_learn.stress.held_out import HeldOut, drawn, held_out, risks_of
from salus_learn.stress.missing import missing_part
from salus_learn.tasks.loader import task_from_text
from salus_learn.training.fit import fit_model
from salus_learn.training.material import Material

from tests.factories.cases import TASK
from tests.factories.delong import auroc_delong

WHEN = datetime(2024, 5, 1, tzinfo=UTC)
PEOPLE, INSIDE = 230, 150
# two features read the same column, and a sign is counted: what is not recorded reads as "no"
MORE = """
[[feature]]
name = "age_again"
label = "Age, first"
column = "age"
aggregation = "first"
[[feature]]
name = "cough"
label = "Cough"
column = "cough"
aggregation = "count"
"""
_MIX = np.random.default_rng(5).normal(size=(6, CHANNELS)).astype(np.float32)
Ran = list[int]


def encoder_of(ran: Ran) -> ServedEncoder:
    """A quick encoder that sees each cell by itself: mean, spread and quarters of its pixels, mixed by fixed weights."""

    def run(pixels: np.ndarray) -> np.ndarray:
        ran.append(len(pixels))
        cells = pixels[:, 0].reshape(-1, 7, 32, 7, 32).transpose(0, 1, 3, 2, 4)  # (B, 7, 7, 32, 32)
        quarters = cells.reshape(-1, 7, 7, 2, 16, 2, 16).mean(axis=(4, 6)).reshape(-1, 7, 7, 4)
        seen = np.concatenate([cells.mean(axis=(3, 4))[..., None], cells.std(axis=(3, 4))[..., None], quarters], axis=3)
        return np.maximum(seen @ _MIX + 3, 0).transpose(0, 3, 1, 2).astype(np.float32)

    return ServedEncoder(run, Path(), "by hand", "cpu")


def film(key: str, ill: int, rng: np.random.Generator) -> SnapshotImage:
    """Noise, with a bright lesion somewhere where ill."""
    pixels = rng.normal(90, 12, (112, 112))
    if ill:
        row, column = rng.integers(1, 6, 2) * 16
        pixels[row : row + 16, column : column + 16] += 110
    return SnapshotImage(
        "film", "DX", "", "", WHEN, f"{key}.png", f"sha {key}", np.clip(pixels, 0, 255).astype(np.uint8), id=key
    )


def case(number: int, task: RiskTask, rng: np.random.Generator) -> Case:
    """Every fifth person has no film, every seventh no age; the record knows nothing of the outcome."""
    ill, key = int(rng.random() < 0.4), f"c{number}"
    facts: list[tuple[str, float | str]] = [("sex", "fm"[int(rng.integers(2))]), ("signs", "fever" if rng.random() < 0.3 else "none")]
    if number % 7:
        facts.append(("age", float(round(rng.normal(60, 9)))))
    facts += [("cough", "yes")] * int(rng.random() < 0.4)
    values = tuple(RecordValue(code, "table", value, None, WHEN, f"row {number}") for code, value in facts)
    images = (film(key, ill, rng),) if number % 5 else ()
    return Case(PatientSnapshot(key, f"p{number}", WHEN, values, images), ill)


@dataclass(frozen=True)
class World:
    """A model, the people it has not seen, and everybody, with how often the encoder ran."""

    task: RiskTask
    cases: list[Case]
    material: Material
    model: Model
    held: HeldOut
    encoder: ServedEncoder
    ran: Ran

    @property
    def outside(self) -> np.ndarray:
        return np.arange(INSIDE, PEOPLE)


@pytest.fixture(scope="module")
def world() -> World:
    rng, ran = np.random.default_rng(11), Ran()
    task, encoder = task_from_text(TASK + MORE), encoder_of(ran)
    cases = [case(number, task, rng) for number in range(PEOPLE)]
    snapshots = [one.snapshot for one in cases]
    prepared = embed([one.images for one in snapshots], task.images, encoder)
    material = Material(task, read_all(task, snapshots), prepared, target_of(cases), np.arange(PEOPLE))
    gate = fit_gate([image for one in snapshots for image in one.images], task.images[0], encoder.run, seed=0)
    assert gate is not None
    model = replace(fit_model(material, np.arange(INSIDE), seed=0), gates={"film": gate})
    held = held_out(
        model, snapshots, material.readings, prepared, material.target, material.persons, np.arange(INSIDE, PEOPLE)
    )
    return World(task, cases, material, model, held, encoder, ran)


def quiet(part: float, text: str) -> None:
    """No progress wanted."""


def rows_of(part: dict) -> dict[str, dict]:
    """Rows by their first cell, each by its column."""
    return {row[0]: dict(zip(part["columns"], row, strict=True)) for row in part["rows"]}


# --- a part is missing


def test_without_the_image_a_model_that_lives_by_it_is_worth_nothing(world: World) -> None:
    found = rows_of(missing_part(world.held, seed=0))
    pictured = [one for one in world.held.snapshots if one.images]
    row = found["the image"]
    assert row["people it was taken from"] == len(pictured) == row["AUROC without it"]["n"] == row["change of AUROC"]["n"]
    assert row["AUROC with it"]["value"] > 0.9
    assert row["AUROC without it"]["low"] < 0.5 < row["AUROC without it"]["high"]
    assert row["change of AUROC"]["high"] < -0.2
    assert found["the whole record"]["AUROC without it"]["value"] > 0.9


def test_nobody_without_a_risk_is_in_a_figure(world: World) -> None:
    """The chair for what is left speaks; without one for the record alone, those without an image have no risk."""
    lonely = {name: chair for name, chair in world.model.chairs.items() if name != "record"}
    held = replace(world.held, model=replace(world.held.model, chairs=lonely))
    found = rows_of(missing_part(held, seed=0))
    pictured = np.array([bool(one.images) for one in held.snapshots])
    assert found["nothing"]["no risk without it"] == f"{(~pictured).sum()} of {len(pictured)}"
    assert found["nothing"]["AUROC with it"]["n"] == pictured.sum()
    row = found["the image"]
    assert row["no risk without it"] == f"{pictured.sum()} of {pictured.sum()}"
    assert row["AUROC without it"]["n"] == 0 and row["AUROC without it"]["value"] is None


def test_with_everything_there_the_risks_are_those_already_given(world: World) -> None:
    snapshots = [one.snapshot for one in world.cases]
    before = account_all(world.model, snapshots, world.material.readings, world.material.prepared, world.outside, "")
    p = np.array([one.probability for one in before])
    assert np.array_equal(risks_of(world.held.scored()), p)
    area = rows_of(missing_part(world.held, seed=0))["nothing"]["AUROC with it"]
    assert area["value"] == pytest.approx(auroc_delong(world.held.y, p)[0], abs=1e-6)


def test_what_is_read_from_the_same_values_goes_together_and_what_is_counted_is_said(world: World) -> None:
    part = missing_part(world.held, seed=0)
    found = rows_of(part)
    assert "Age, Age, first" in found and "Age" not in found and "Age, first" not in found
    aged = sum(any(value.code == "age" for value in one.values) for one in world.held.snapshots)
    assert found["Age, Age, first"]["people it was taken from"] == aged
    assert "reads as “no”" in part["note"]


def test_those_whose_outcome_nobody_knows_at_the_horizon_are_left_out(world: World) -> None:
    """Lost before the horizon: neither with nor without the outcome. Where that leaves nobody, there is a note."""
    task = replace(world.task, outcome=replace(world.task.outcome, horizon_days=30.0))
    days = np.where(np.arange(PEOPLE) % 2 == 0, 40.0, 20.0)
    snapshots, rest = [one.snapshot for one in world.cases], (world.material.readings, world.material.prepared)
    asked = replace(world.model, task=task)
    held = held_out(asked, snapshots, *rest, Target(world.material.y, days), world.material.persons, world.outside)
    known = (world.material.y[world.outside] == 1) & (days[world.outside] <= 30) | (days[world.outside] >= 30)
    assert rows_of(missing_part(held, seed=0))["nothing"]["AUROC with it"]["n"] == known.sum()
    nobody = replace(held, y=np.full(len(held.y), np.nan))
    for part in (missing_part(nobody, seed=0), corruption_part(nobody, world.encoder, seed=0, most_runs=500, report=quiet)):
        assert "rows" not in part and "no AUROC" in part["note"]


# --- poor images


def test_figures_of_poor_images_leave_out_what_the_gate_stops_and_show_what_a_fault_costs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def blank(image: SnapshotImage, *rest: object) -> SnapshotImage:
        """Every second film is blank."""
        odd = int(image.id[1:]) % 2
        return replace(image, pixels=np.full_like(image.pixels, 90)) if odd else image

    def hidden(image: SnapshotImage, *rest: object) -> SnapshotImage:
        return replace(image, pixels=np.where(image.pixels > 140, 90, image.pixels).astype(np.uint8))

    faults = (Fault("blank", blank, (("half of them", 1.0),)), Fault("lesion hidden", hidden, (("all", 1.0),)))
    monkeypatch.setattr(corruption, "FAULTS", faults)
    part = corruption_part(world.held, world.encoder, seed=0, most_runs=5000, report=quiet)
    none, half = (rows_of(part)[name] for name in ("none", "blank"))
    pictured = [one for one in world.held.snapshots if one.images]
    odd = sum(int(one.key[1:]) % 2 for one in pictured)
    assert none["stopped at the gate"]["n"] == len(pictured)
    stopped = half["stopped at the gate"]
    assert odd <= round(stopped["value"] * stopped["n"]) <= odd + 3
    left = len(pictured) - round(stopped["value"] * stopped["n"])
    assert half["change of AUROC"]["n"] == half["AUROC, if not stopped"]["n"] == left
    assert half["change of AUROC"]["value"] == 0 and half["mean shift of risk, points"]["value"] == 0
    gone = rows_of(part)["lesion hidden"]
    assert gone["change of AUROC"]["high"] < -0.2 and gone["mean shift of risk, points"]["low"] > 5
    ill = world.held.y[[bool(one.images) for one in world.held.snapshots]].mean()
    assert gone["falls on the other side of the threshold"]["value"] == pytest.approx(ill, abs=0.15)


def test_the_encoder_runs_no_more_than_allowed_and_people_are_as_many_as_that_gives(world: World) -> None:
    world.ran.clear()
    part = corruption_part(world.held, world.encoder, seed=0, most_runs=30 * VARIANTS, report=quiet)
    assert sum(world.ran) == 30 * VARIANTS
    assert len(part["rows"]) == VARIANTS and rows_of(part)["none"]["stopped at the gate"]["n"] == 30
    assert rows_of(part)["none"]["AUROC, if not stopped"]["value"] > 0.9
    assert all(row[5] == "–" or row[5]["value"] is None or row[5]["value"] > 0 for row in part["rows"])


def _picture(dtype: type, colour: bool = False) -> SnapshotImage:
    rng = np.random.default_rng(1)
    pixels = rng.normal(100, 20, (96, 128, 3) if colour else (96, 128)) * (1 if dtype is np.uint8 else 30)
    pixels[40:50, 60:72] += 60 if dtype is np.uint8 else 1800
    return replace(film("c1", 0, rng), pixels=np.clip(pixels, 0, None).astype(dtype), region=Region(24, 16, 104, 76))


SPEC = ImageSpec("film", "Film", "DX")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("image", [_picture(np.uint8), _picture(np.uint16), _picture(np.uint8, True)], ids=["8", "16", "rgb"])
def test_a_fault_changes_what_it_should_and_nothing_else(fault: Fault, image: SnapshotImage) -> None:
    kept = np.array(image.pixels)
    light = image.pixels.astype(float)
    for _, strength in fault.strengths:
        spoiled = corrupted(image, SPEC, fault, strength, np.random.default_rng(0))
        assert np.array_equal(image.pixels, kept), "the stored film is never written to"
        assert spoiled.pixels.dtype == image.pixels.dtype
        again = spoiled.pixels.astype(float)
        if fault.name == "border cut off":
            region = spoiled.region
            assert region is not None and again.shape < light.shape
            seen = again[region.top : region.bottom, region.left : region.right]
            assert np.array_equal(seen, light[16:76, 24:104]), "what was marked is still marked"
            continue
        assert replace(spoiled, pixels=None) == replace(image, pixels=None) and again.shape == light.shape
        assert not np.array_equal(again, light)
        assert {"darker": again.mean() < light.mean(), "brighter": again.mean() > light.mean(), "low contrast": again.std() < light.std(),
                "blur": np.abs(np.diff(again, axis=0)).mean() < np.abs(np.diff(light, axis=0)).mean(),
                "noise": again.std() > light.std(), "JPEG artefacts": np.abs(again - light).mean() < light.std(),
                "small rotation": again[44:46, 65:67].mean() > light.mean() + light.std()}[fault.name]  # fmt: skip


def test_a_large_film_is_made_small_and_still_shows_the_same(world: World) -> None:
    large = replace(_picture(np.uint8), pixels=np.kron(_picture(np.uint8).pixels, np.ones((16, 16), dtype=np.uint8)))
    whole, marked = replace(large, region=None), replace(large, region=Region(900, 580, 1200, 860))
    assert reduced(whole, SPEC).pixels.shape == (336, 448)
    small = reduced(marked, SPEC)
    assert small.region is not None and max(small.pixels.shape) <= 2 * 448
    inside = small.pixels[small.region.top : small.region.bottom, small.region.left : small.region.right]
    assert inside.mean() == pytest.approx(large.pixels[580:860, 900:1200].mean(), abs=2)


# --- maps


def test_on_planted_lesions_the_maps_order_moves_the_risk_sooner_than_chance(world: World) -> None:
    part = deletion_part(world.held, world.encoder, seed=0, most_runs=5000, report=quiet)
    for row in part["rows"]:
        assert row[1]["low"] > 0 and row[2].startswith("•"), row
        assert row[1]["n"] == faithful.MOST_FILMS
    by_name = {one["name"]: one for one in part["series"]}
    out, chance = by_name["taken out, map order"], by_name["taken out, random order"]
    assert out["y"][2] < chance["y"][2] - 2 and out["y"][-1] == pytest.approx(chance["y"][-1]), "both end at the blurred film"
    assert all(low <= y <= high for low, y, high in zip(out["low"], out["y"], out["high"], strict=True))


def test_a_map_that_says_the_opposite_is_found_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    true = faithful.films_of
    turned: Callable = lambda *rest: [replace(one, points=-one.points) for one in true(*rest)]  # noqa: E731
    monkeypatch.setattr(faithful, "films_of", turned)
    part = deletion_part(world.held, world.encoder, seed=0, most_runs=400, report=quiet)
    assert part["rows"][0][1]["high"] < 0 and part["rows"][0][2] == "✕ against the map"


def test_of_people_not_flagged_what_speaks_against_the_outcome_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the healthy cells out first the lesion stays, so what little speaks for "not ill" does not come back by itself."""
    true = faithful.films_of
    against: Callable = lambda *rest: [replace(one, direction=-1) for one in true(*rest) if one.direction == 1]  # noqa: E731
    monkeypatch.setattr(faithful, "films_of", against)
    part = deletion_part(world.held, world.encoder, seed=0, most_runs=800, report=quiet)
    assert all(row[1]["low"] > 0 for row in part["rows"])
    assert part["series"][-1]["y"][-1] > 5, "without the lesion more speaks for not ill"


def test_only_the_cells_named_are_blurred() -> None:
    image = replace(_picture(np.uint8), region=None)  # 96 x 128: the square reaches 16 pixels over and under the film
    same, one, everything = blurred_cells(image, SPEC, [np.array([], dtype=int), np.array([24]), np.arange(49)], across=7)
    assert np.array_equal(same.pixels, image.pixels)
    rows, columns = np.nonzero(one.pixels != image.pixels)
    assert rows.min() >= 55 - 16 and rows.max() < 73 - 16 and columns.min() >= 55 and columns.max() < 73 and len(rows) > 200
    assert np.ptp(everything.pixels) < 40 < np.ptp(image.pixels)


def test_a_model_with_random_weights_gives_another_map_and_the_same_model_does_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = random_weights_part(world.held, seed=0, most_runs=32, report=quiet)
    assert part["note"].startswith("The check passes") and all(row[1]["high"] < 0.5 and row[1]["n"] == 16 for row in part["rows"])
    monkeypatch.setattr(faithful, "random_head", lambda head, rng: replace(head, weight=2 * head.weight))
    part = random_weights_part(world.held, seed=0, most_runs=12, report=quiet)
    assert part["rows"][0][1]["value"] == pytest.approx(1) and part["note"].startswith("The check does not pass")


# --- all together


def test_all_parts_fit_the_report_and_come_out_the_same_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("salus_learn.stress.encoders.default_encoder", lambda: world.encoder)
    for name, runs in (("CORRUPTION_RUNS", 20 * VARIANTS), ("DELETION_RUNS", 200), ("RANDOM_RUNS", 10)):
        monkeypatch.setattr(extras, name, runs)
    steps: list[float] = []
    found = measure(world.held, seed=3, report=lambda part, text: steps.append(part))
    assert set(found) == {"missing_modality", "corruption", "deletion", "random_weights"}
    assert steps == sorted(steps) and steps[-1] == 1
    json.dumps(found, allow_nan=False)
    assert measure(world.held, seed=3) == found
    n = len(world.held.y)
    p, no = risks_of(world.held.scored()), np.zeros(n, dtype=bool)
    judged = JudgedPeople(
        JudgedTask("tiny", "Tiny", "", "", "", "ill", 0), np.arange(n).astype(str), world.held.persons.astype(str),
        world.held.y.astype(int), {"fused": p}, {"fused": no}, p, p, np.ones((n, 2), dtype=bool), no, extra=found,
    )  # fmt: skip
    told = next(one for one in sections(build_report(judged)) if one.id == "extra")
    said = " ".join(getattr(block, "text", "") for block in told.blocks)
    assert all(f"• {title}: measured" in said for title in ("When a part is missing", "When the image is poor", "Do the maps follow the model"))


def test_of_a_model_without_images_only_missing_features_are_measured(world: World) -> None:
    held = replace(world.held, model=replace(world.held.model, head=None), prepared=None)
    found = measure(held, seed=0)
    assert set(found) == {"missing_modality"} and not {"the image", "the whole record"} & set(rows_of(found["missing_modality"]))


def test_a_tuned_model_is_judged_with_its_own_network(world: World) -> None:
    network = Encoder().eval()
    pixels = np.random.default_rng(0).uniform(-1, 1, (1, 3, 224, 224)).astype(np.float32)
    with serving(replace(world.model, network=network)) as encoder:
        maps = encoder.run(pixels)
    with torch.inference_mode():
        assert np.abs(maps - network(torch.from_numpy(pixels)).numpy()).max() < 1e-3


def test_people_are_drawn_evenly_by_outcome_and_never_fewer_than_two_of_either() -> None:
    y = np.r_[np.ones(100), np.zeros(300)]
    assert y[drawn(y, 40, 0)].sum() == 10 and len(set(drawn(y, 40, 0))) == 40
    rare = np.r_[np.ones(3), np.zeros(997)]
    assert rare[drawn(rare, 20, 1)].sum() == 2 and len(drawn(rare, 20, 1)) == 20
    assert np.array_equal(drawn(y, 400, 0), np.arange(400))
