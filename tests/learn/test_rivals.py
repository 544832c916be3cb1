"""Other ways to fuse beside the additive chair: fitted on training people alone, and said to win only where it is shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from salus_learn.contracts import PatientSnapshot, RecordValue
from salus_learn.features.columns import fit_schema, matrix, read_all
from salus_learn.features.target import Target
from salus_learn.imaging.embed import Prepared
from salus_learn.imaging.network import CHANNELS
from salus_learn.rivals.early import fit_early
from salus_learn.rivals.evidence import Evidence, Fit
from salus_learn.rivals.joint import fit_joint
from salus_learn.rivals.mean import fit_mean
from salus_learn.rivals.part import ADDITIVE, chairs_part
from salus_learn.store.model import Margins, Model
from salus_learn.tasks.loader import task_from_text
from salus_learn.training import compared, fit
from salus_learn.training.compared import RIVALS, Rivalry, compare, inner_margins
from salus_learn.training.fit import Choices, fit_judges, fit_model
from salus_learn.training.material import Material

from tests.factories.cases import TASK
from tests.factories.delong import auroc_delong

WHEN = datetime(2024, 5, 1, tzinfo=UTC)
N, PEOPLE, INSIDE = 600, 120, 80
TAUGHT, ASKED = np.arange(400), np.arange(400, N)


def evidence_of(seed: int = 1) -> tuple[Evidence, np.ndarray]:
    """Record and image each say something, and some people lack one. The record's judges are noise, the image's is not."""
    rng = np.random.default_rng(seed)
    y = (rng.random(N) < 0.4).astype(int)
    columns = np.column_stack([rng.normal(1.1 * y, 1), rng.normal(size=(N, 2))])
    image = rng.normal(1.1 * y, 1)
    embedding = np.column_stack([3 * image, rng.normal(size=(N, 39))])
    margins = np.column_stack([rng.normal(size=(N, 2)), image - 0.4])
    columns[::7], columns[::5, 1] = np.nan, np.nan
    for part in (embedding, margins[:, 2:]):
        part[3::6] = np.nan
    return Evidence(columns, margins, embedding), y


def area(fitted: Fit, evidence: Evidence, y: np.ndarray) -> float:
    """AUROC on people whom it was not fitted on."""
    rival = fitted(evidence.take(TAUGHT), y[TAUGHT], TAUGHT, 0)
    margins = rival.margins(evidence.take(ASKED))
    assert np.isfinite(margins).all(), "nobody is without an answer for want of a part"
    return auroc_delong(y[ASKED], margins)[0]


@pytest.mark.parametrize("fitted", [fit_early, fit_joint])
def test_early_and_joint_use_both_parts_and_beat_a_mean_of_noise(fitted: Fit) -> None:
    evidence, y = evidence_of()
    both = area(fitted, evidence, y)
    blind = Evidence(evidence.columns, np.full_like(evidence.margins, np.nan), evidence.embedding[:, 1:])
    recordless = replace(evidence, columns=evidence.columns[:, 1:])
    assert both > area(fitted, blind, y) + 0.03 and both > area(fitted, recordless, y) + 0.03
    assert both > area(fit_mean, evidence, y) + 0.02
    noise = np.where(np.isfinite(evidence.margins), np.random.default_rng(0).normal(size=(N, 3)), np.nan)
    assert both > 0.75 and area(fit_mean, replace(evidence, margins=noise), y) < 0.6


def test_the_mean_learns_no_weights_and_a_judge_that_points_the_wrong_way_counts_for_nothing() -> None:
    evidence, y = evidence_of()
    margins = np.column_stack([2 * y - 1, 1 - 2 * y, np.full(N, np.nan)]) + np.random.default_rng(2).normal(size=(N, 3))
    found = fit_mean(replace(evidence, margins=margins), y, np.arange(N), 0)
    assert found.slope[0] > 0 and found.slope[1] == 0 and np.isnan(found.slope[2])
    alone = found.margins(Evidence(evidence.columns[:1], np.array([[2.0, np.nan, np.nan]]), evidence.embedding[:1]))
    calibrated = found.slope[0] * 2 + found.offset[0]
    assert alone[0] == pytest.approx(calibrated)
    two = found.margins(Evidence(evidence.columns[:1], np.array([[2.0, 1.0, np.nan]]), evidence.embedding[:1]))
    assert two[0] == pytest.approx((calibrated + found.offset[1]) / 2)


def test_the_same_seed_gives_the_same_network_and_draws_nothing_of_the_callers() -> None:
    evidence, y = (evidence_of()[0].take(np.arange(120)), evidence_of()[1][:120])
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    first = fit_joint(evidence, y, np.arange(120), 5).margins(evidence)
    assert torch.equal(torch.rand(2), wanted)
    assert np.array_equal(first, fit_joint(evidence, y, np.arange(120), 5).margins(evidence))


def test_a_part_that_is_missing_weighs_nothing_in_the_network() -> None:
    evidence, y = evidence_of()
    rival = fit_joint(evidence.take(TAUGHT), y[TAUGHT], TAUGHT, 0)
    nobody = replace(evidence, columns=np.full_like(evidence.columns, np.nan), embedding=np.full_like(evidence.embedding, np.nan))
    assert np.ptp(rival.margins(nobody)) < 1e-6


# --- in the training


@dataclass(frozen=True)
class World:
    """Planted people, two cases each, and a model's judges fitted on the first of them."""

    material: Material
    model: Model
    inside: np.ndarray
    outside: np.ndarray


@pytest.fixture(scope="module")
def world() -> World:
    rng, task = np.random.default_rng(4), task_from_text(TASK)
    y = np.tile([0, 1, 1, 0], PEOPLE // 4)
    pooled = rng.normal(size=(PEOPLE, 1, CHANNELS))
    pooled[:, 0, :60] += 0.5 * y[:, None]
    pooled[::9] = np.nan
    snapshots = []
    for number, ill in enumerate(y):
        facts = {"age": float(round(55 + 8 * ill + rng.normal(0, 9))), "sex": "fm"[number % 2]}
        values = tuple(RecordValue(code, "table", value, None, WHEN, "row") for code, value in facts.items())
        snapshots.append(PatientSnapshot(f"c{number}", f"p{number // 2}", WHEN, values, ()))
    prepared = Prepared([[] for _ in y], pooled, ("film",))
    material = Material(task, read_all(task, snapshots), prepared, Target(y), np.arange(PEOPLE) // 2)
    return World(material, judges_of(material), np.arange(INSIDE), np.arange(INSIDE, PEOPLE))


def judges_of(material: Material) -> Model:
    """The judges alone, as far as a rival needs them."""
    inside = np.arange(INSIDE)
    schema = fit_schema(material.task, [material.readings[at] for at in inside])
    return fit_judges(material, matrix(material.task, schema, material.readings), schema, inside, 0, Choices())[0]


def risks_of(world: World, material: Material, monkeypatch: pytest.MonkeyPatch) -> tuple[Rivalry, list[np.ndarray]]:
    """The rivals' risks, and whom each was taught by."""
    taught: list[np.ndarray] = []

    def spied(fitted: Fit) -> Fit:
        def listening(evidence: Evidence, y: np.ndarray, persons: np.ndarray, seed: int) -> object:
            taught.append(persons)
            return fitted(evidence, y, persons, seed)

        return listening  # type: ignore[return-value]

    monkeypatch.setattr(compared, "RIVALS", {name: spied(fitted) for name, fitted in RIVALS.items()})
    rivalry = Rivalry(PEOPLE)
    rivalry.judge(0, material, world.inside, world.outside, world.model, 0)
    return rivalry, taught


def test_no_rival_sees_a_person_outside(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their outcomes turned round and one of them made another, the others' risks are the same to the last bit."""
    before, taught = risks_of(world, world.material, monkeypatch)
    assert len(taught) == 3 and all(set(who) <= set(world.material.persons[world.inside]) for who in taught)
    y = world.material.y.copy()
    y[world.outside] = 1 - y[world.outside]
    pooled = world.material.prepared.pooled.copy()  # type: ignore[union-attr]
    pooled[-1] = 50.0
    other = replace(world.material, target=Target(y), prepared=replace(world.material.prepared, pooled=pooled))  # type: ignore[type-var]
    after, _ = risks_of(world, other, monkeypatch)
    for name, risks in before.risks.items():
        assert np.isnan(risks[world.inside]).all() and np.isfinite(risks[world.outside]).all()
        assert np.array_equal(risks[world.outside[:-1]], after.risks[name][world.outside[:-1]])
        assert name == "early" or risks[-1] != after.risks[name][-1], "it does look at whom it is asked about"


def test_of_a_tuned_encoder_only_honest_people_teach(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = np.arange(PEOPLE) % 4 >= 2
    tuned = replace(world.material, tuned_head=world.model.head, honest=honest)
    rivalry, taught = risks_of(world, tuned, monkeypatch)
    assert len(taught) == 3
    assert all(np.array_equal(who, world.material.persons[world.inside[honest[world.inside]]]) for who in taught)
    part = rivalry.part(tuned, rivalry.risks["mean"])
    assert part is not None and "never taught it" in part["note"]


def test_margins_that_teach_are_those_the_chair_was_fitted_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Margins] = []

    def listening(*given: object) -> Margins:
        kept.append(plain(*given))  # type: ignore[arg-type]
        return kept[-1]

    plain = fit.out_of_fold
    monkeypatch.setattr(fit, "out_of_fold", listening)
    model = fit_model(world.material, world.inside, seed=0)
    again = inner_margins(
        world.material, matrix(model.task, model.schema, world.material.readings), world.inside, model, 0
    )
    for judge, margins in kept[0].by_judge.items():
        assert np.array_equal(margins, again.by_judge[judge], equal_nan=True), judge
    seen = world.model.head.margins(world.material.prepared, world.inside)  # type: ignore[union-attr,arg-type]
    assert np.nanstd(again.by_judge["image"]) < np.nanstd(seen), "a judge is surer of people who taught it"


def test_nothing_is_compared_where_there_is_one_part_only_or_time_to_an_event(world: World) -> None:
    folds = [(world.inside, world.outside, world.model)]
    fused = np.full(PEOPLE, 0.5)
    later = replace(world.material, target=Target(world.material.y, np.ones(PEOPLE)))
    assert compare(later, folds, fused, seed=0) is None
    assert compare(replace(world.material, prepared=None), folds, fused, seed=0) is None
    assert compare(world.material, [(*folds[0][:2], replace(world.model, line=None, trees=None))], fused, seed=0) is None
    few = replace(world.material, target=Target((np.arange(PEOPLE) % 40 == 0).astype(int)))
    part = compare(few, folds, fused, seed=0)
    assert part is not None and "rows" not in part and "too few" in part["note"]


# --- in words


def part_of(gain: float, n: int, alone: float = 0.0) -> dict:
    """Additive with so much more signal than the rivals, and the image alone with so much more than additive."""
    rng = np.random.default_rng(6)
    y = (rng.random(n) < 0.4).astype(int)
    noise = rng.normal(size=n)

    def risks(signal: float, own: float) -> np.ndarray:
        return 1 / (1 + np.exp(-(signal * y - 0.4 + noise + rng.normal(0, own, n))))

    rivals = {name: risks(1.0, 0.2) for name in RIVALS}
    singles = {"line": risks(0.0, 1.0), "trees": risks(0.0, 1.0), "image": risks(1 + gain + alone, 0.2)}
    return chairs_part(y, np.arange(n), risks(1 + gain, 0.2), rivals, singles, folds=np.zeros(n))


def test_a_difference_whose_interval_holds_zero_is_not_called_one() -> None:
    part = part_of(0.0, 80)
    assert [row[0] for row in part["rows"]][0] == ADDITIVE and len(part["rows"]) == 5
    for row in part["rows"][1:4]:
        low, high = row[5]["low"], row[5]["high"]
        assert low < 0 < high
    assert part["note"].count("no difference is shown") == 4 and "better" not in part["note"]
    assert "Fusing itself is not shown to help" in part["note"]


def test_who_is_better_is_said_with_the_interval_and_so_is_that_fusing_harms() -> None:
    won = part_of(1.0, 600, alone=-1.5)
    assert won["note"].count("Additive is better than") == 3 and f"Highest AUROC here: {ADDITIVE}" in won["note"]
    assert "Fusing helps" in won["note"] and "no difference" not in won["note"]
    lost = part_of(-0.8, 600, alone=1.5)
    assert "Joint (gated network) is better than additive (−0." in lost["note"]
    assert "Fusing does not help: the image alone is better" in lost["note"]
    for row in (*won["rows"], *lost["rows"]):
        n, area_of, brier, slope = row[1:5]
        assert n == 600 and area_of["low"] < area_of["value"] < area_of["high"] and area_of["n"] == 600
        assert brier["figure"] == "brier" and slope["figure"] == "calibration_slope"
    assert won["rows"][0][2]["value"] - won["rows"][1][2]["value"] == pytest.approx(won["rows"][1][5]["value"], abs=2e-6)
