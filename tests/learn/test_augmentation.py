"""How pictures are varied: by rules that are kept, in words that are true, shown on every report, and measured on request."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import shutil
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import numpy as np
import pytest
import torch
from axe_core_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import sync_playwright
from pypdf import PdfReader
from salus_learn.calibration import doubt
from salus_learn.contracts import ImageSpec
from salus_learn.evaluation.judged import EXTRA_PARTS
from salus_learn.features.target import Target
from salus_learn.imaging import preview
from salus_learn.imaging.augment import POLICIES, augmented, draw_changes, rules_of
from salus_learn.imaging.phantom import phantom_of
from salus_learn.imaging.preview import COLUMNS, NEVER, VARIANTS_SHOWN, augmentation_part, contact_sheet
from salus_learn.imaging.tune import Pixels
from salus_learn.reporting.page import page_html
from salus_learn.reporting.paper import write_paper
from salus_learn.reporting.sections import EXTRA_TITLES
from salus_learn.reporting.write import Written, write_report
from salus_learn.stress import extras
from salus_learn.stress.corruption import VARIANTS
from salus_learn.tasks.cases import read_cases
from salus_learn.tasks.loader import HEART, ONE_SIDED, load_task, task_from_text
from salus_learn.training import ablation, enough
from salus_learn.training.ablation import ablation_rows, without_variants
from salus_learn.training.material import Material
from salus_learn.training.train import Trained, train
from sklearn.metrics import roc_auc_score

from tests.factories.cases import TASK, make_cases

MODALITIES = [*POLICIES, "OT"]  # the last one is on no list
MANY = 400
SWAPPED = "left and right swapped"


def slot(modality: str, body_part: str = "", *, flips: bool = False, label: str = "Film") -> ImageSpec:
    return ImageSpec(label.lower(), label, modality, body_part, flips=flips)


CHEST = slot("DX", "CHEST")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- what is done to pictures


def centres(spec: ImageSpec, *, left: bool) -> np.ndarray:
    """Where a patch drawn on the left (or at the top) lies in each of many variants: below 0 on its own side."""
    pixels = torch.full((3, 64, 64), -0.8)
    pixels[:, 24:40, 8:24] = 0.6
    pixels = pixels if left else pixels.transpose(1, 2)
    bright = augmented(pixels.expand(MANY, -1, -1, -1), spec, seeded(1))[:, 0]
    found = (bright > bright.mean(dim=(1, 2), keepdim=True) + 0.5).double()
    along = found.sum(dim=1 if left else 2) / found.sum(dim=(1, 2))[:, None]  # (n, 64)
    return (along @ torch.linspace(-1, 1, 64, dtype=torch.float64)).numpy()


@pytest.mark.parametrize("modality", MODALITIES)
def test_sides_are_swapped_only_where_the_task_says_they_are_alike_and_only_skin_has_no_upper_side(modality: str) -> None:
    alike, half = slot(modality, "EYE", flips=True), pytest.approx(0.5, abs=0.08)
    assert (centres(slot(modality), left=True) < 0).all()
    assert (centres(alike, left=True) > 0).mean() == half
    assert (centres(alike, left=False) > 0).mean() == (half if modality == "XC" else 0)


@pytest.mark.parametrize("body_part", [*ONE_SIDED, "Chest"])
def test_where_the_side_is_a_finding_no_task_can_have_it_swapped(body_part: str) -> None:
    """The loader refuses such a file; a slot made by hand is not mirrored either, and the report says why."""
    spec = slot("DX", body_part, flips=True)
    assert (centres(spec, left=True) < 0).all()
    sides = next(rule for rule in rules_of(spec) if rule.what == SWAPPED)
    assert sides.how_far == "" and "situs inversus is a finding" in sides.why


@pytest.mark.parametrize("modality", MODALITIES)
def test_no_variant_is_brighter_than_white_or_has_a_frame(modality: str) -> None:
    extremes = torch.where(torch.rand(64, 3, 32, 32, generator=seeded(2)) < 0.5, -1.0, 1.0)
    for pixels in (extremes, torch.ones(64, 3, 32, 32), -torch.ones(64, 3, 32, 32)):
        found = augmented(pixels, slot(modality, flips=True), seeded(3))
        assert bool(torch.isfinite(found).all()) and float(found.min()) >= -1 and float(found.max()) <= 1
    white = augmented(torch.ones(64, 3, 32, 32), slot(modality, flips=True), seeded(3))
    assert float((white.amax(dim=(1, 2, 3)) - white.amin(dim=(1, 2, 3))).max()) < 1e-5, "the border is what was beside it"


@pytest.mark.parametrize("modality", MODALITIES)
def test_colours_keep_their_distances_and_light_stays_light(modality: str) -> None:
    red = (torch.linspace(-0.3, 0.5, 32)[None, :, None]).expand(MANY, 32, 32)  # lighter downwards
    found = augmented(torch.stack([red, red - 0.1, red - 0.3], dim=1), slot(modality), seeded(4))
    near, far = found[:, 0] - found[:, 1], found[:, 0] - found[:, 2]
    assert torch.allclose(3 * near, far, atol=1e-4) and float(near.min()) > 0.05
    rising = found[:, 0, -4:, 12:20].mean(dim=(1, 2)) - found[:, 0, :4, 12:20].mean(dim=(1, 2))
    turned = draw_changes(slot(modality), MANY, seeded(4)).upside_down
    assert float((rising * turned).min()) > 0, "shades are never inverted"


@pytest.mark.parametrize("modality", MODALITIES)
def test_what_is_done_goes_as_far_as_the_rules_say_and_no_further(modality: str) -> None:
    spec = slot(modality, flips=True)
    changes = draw_changes(spec, 20 * MANY, seeded(5))
    turn, size = changes.turn_rad.abs().max() * 180 / math.pi, 100 / changes.size
    done = {
        "turning": [turn], "sizing": [size.min(), size.max()], "moving": [50 * changes.move.abs().max()],
        "contrast": [100 * (changes.contrast - 1).abs().max()], "light": [50 * changes.brightness.abs().max()],
    }  # fmt: skip
    said = {rule.what: [float(part) for part in re.findall(r"[\d.]+", rule.how_far)] for rule in rules_of(spec)}
    for what, found in done.items():
        slack = 0.5 if what == "sizing" else 1e-3  # its bounds are said as whole numbers
        assert [float(one) for one in found] == pytest.approx(said[what], rel=0.01, abs=slack), what
        assert float(found[-1]) <= said[what][-1] + slack, what


# --- what the rules say


@pytest.mark.parametrize("modality", MODALITIES)
def test_whatever_is_never_done_is_named_with_its_reason(modality: str) -> None:
    rules = rules_of(slot(modality))
    assert len({rule.what for rule in rules}) == len(rules) and all(len(rule.why) > 10 for rule in rules)
    never = {rule.what for rule in rules if not rule.how_far}
    wanted = {SWAPPED, "cropping to a part", "blanking out a patch", "stretching one way", "mixing two people's pictures"}
    wanted |= {"changing colours" if modality in ("OP", "XC") else "inverting shades"}
    assert never == wanted | (set() if modality == "XC" else {"upside down"})
    assert [bool(rule.how_far) for rule in rules] == sorted((bool(rule.how_far) for rule in rules), reverse=True)


def test_the_reasons_are_those_of_the_organ() -> None:
    def why(spec: ImageSpec, what: str) -> str:
        return next(rule.why for rule in rules_of(spec) if rule.what == what and not rule.how_far)

    assert why(CHEST, SWAPPED) == HEART and "bone" in why(CHEST, "inverting shades")
    assert "liver" in why(slot("CT", "ABDOMEN"), SWAPPED)
    assert "task file" in why(slot("OP", "EYE"), SWAPPED)
    assert "haemorrhage" in why(slot("OP"), "changing colours") and "pigment" in why(slot("XC"), "changing colours")
    assert "probe" in why(slot("US"), "upside down")
    assert any(rule.what == SWAPPED and rule.how_far for rule in rules_of(slot("OP", "EYE", flips=True)))


# --- the picture on the report


def test_the_same_seed_gives_the_same_variants_and_the_same_sheet() -> None:
    pixels = torch.rand(5, 3, 48, 48, generator=seeded(0)) * 2 - 1
    first, again, other = (augmented(pixels, CHEST, seeded(seed)) for seed in (7, 7, 8))
    assert torch.equal(first, again) and not torch.equal(first, other)
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    sheets = [contact_sheet(CHEST, seed=seed) for seed in (7, 7, 8)]
    assert torch.equal(torch.rand(2), wanted), "it draws nothing of the caller's"
    assert sheets[0].png == sheets[1].png and sheets[0].captions == sheets[1].captions
    assert sheets[0].png != sheets[2].png and sheets[0].captions[1:] != sheets[2].captions[1:]
    shown = Image.open(io.BytesIO(sheets[0].png))
    assert shown.format == "PNG" and shown.width > 800 and len(sheets[0].png) < 200_000


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_swap_of_the_sides_can_be_seen_in_every_drawing(modality: str) -> None:
    drawn, shows = phantom_of(slot(modality))
    again, _ = phantom_of(slot(modality.lower()))
    assert np.array_equal(drawn, again) and drawn.shape == (224, 224, 3) and shows
    coarse = drawn.mean(axis=2).reshape(14, 16, 14, 16).mean(axis=(1, 3))  # grain is gone
    assert np.abs(coarse - coarse[:, ::-1]).max() > 40
    assert bool((drawn == drawn[..., :1]).all()) == (modality not in ("OP", "XC")), "grey, where films are"


SAID = re.compile(
    r"moved (\d+) % (right|left), (\d+) % (down|up), turned (\d+)° (anticlockwise|clockwise), at (\d+) %, "
    r"contrast (\d+) % (more|less), light (\d+) % (more|less)(.*)"
)


def as_told(caption: str, x: float, y: float, grey: float) -> tuple[float, float, float]:
    """Where a spot at x, y (half sides right and down) lies and how bright it is, by the caption's words alone."""
    told = SAID.fullmatch(caption)
    assert told, caption
    right, across, down, along, turn, way, size, contrast, harder, light, lighter, over = told.groups()
    x += int(right) / 50 * (1 if across == "right" else -1)
    y += int(down) / 50 * (1 if along == "down" else -1)
    angle = math.radians(int(turn)) * (1 if way == "anticlockwise" else -1)
    x, y = math.cos(angle) * x + math.sin(angle) * y, math.cos(angle) * y - math.sin(angle) * x  # y points down
    x, y = (int(size) / 100 * part for part in (x, y))
    x, y = -x if "sides swapped" in over else x, -y if "upside down" in over else y
    more = 1 + int(contrast) / 100 * (1 if harder == "more" else -1)
    return x, y, (grey - 127) * more + 127 + 2.56 * int(light) * (1 if lighter == "more" else -1)


def spot(tile: np.ndarray) -> tuple[float, float, float]:
    """Where the drawing's bright spot lies, and how bright it is."""
    grey, axis = tile[..., 0].astype(float), (2 * np.arange(224) + 1) / 224 - 1
    across, down = np.meshgrid(axis, axis)
    found = grey > 168
    x, y = float(across[found].mean()), float(down[found].mean())
    return x, y, float(grey[np.hypot(across - x, down - y) < 0.08].mean())


@pytest.mark.parametrize("modality", ["DX", "US", "MR", "XC"])
def test_the_words_under_a_variant_are_what_was_done_to_it(modality: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "phantom_of", lambda spec: phantom_of(slot("OT")))  # it has one spot and no more
    told, found, swaps = [], [], 0
    for seed in range(4):
        sheet = contact_sheet(slot(modality, flips=modality != "DX"), seed=seed)
        start = spot(sheet.tiles[0])
        assert start[0] < -0.2 and start[1] < -0.2 and sheet.captions[0] == "as it is"
        assert len(sheet.tiles) == len(sheet.captions) == VARIANTS_SHOWN + 1
        told += [as_told(caption, *start) for caption in sheet.captions[1:]]
        found += [spot(tile) for tile in sheet.tiles[1:]]
        swaps += sum("sides swapped" in caption for caption in sheet.captions)
    difference = np.abs(np.array(told) - np.array(found))
    assert difference[:, :2].max() < 0.035, "two hundredths of a side, for the words are rounded"
    assert difference[:, 2].max() < 3.5
    assert np.ptp(np.array(found), axis=0)[0] > 0.1 and (swaps > 0) == (modality != "DX")


def test_the_part_says_what_this_training_did() -> None:
    assert augmentation_part([], tuned=True) is None
    frozen = augmentation_part([CHEST], tuned=False)
    tuned = augmentation_part([CHEST], tuned=True)
    rows = [["what the variants bought", {"value": 0.02, "low": 0.01, "high": 0.03, "n": 90}, "the variants helped"]]
    measured = augmentation_part([CHEST], tuned=True, measured=rows)
    assert frozen is not None and tuned is not None and measured is not None
    assert "was not tuned, so no picture was varied" in frozen["note"] and frozen["state"] == "described"
    assert "varied anew every time" in tuned["note"] and "not measured; train --ablation" in tuned["note"]
    assert tuned["state"] == "described" and tuned["note"].startswith(measured["note"]) and "state" not in measured
    assert frozen["rows"] == tuned["rows"] and measured["rows"] == [*frozen["rows"], *rows]
    assert frozen["columns"] == COLUMNS and all(len(row) == len(COLUMNS) for row in measured["rows"])
    assert [SWAPPED, NEVER, HEART] in frozen["rows"]


def test_slots_alike_share_a_picture_and_others_have_their_own() -> None:
    left, right = (slot("OP", "EYE", label=f"{side} eye") for side in ("Left", "Right"))
    alike = augmentation_part([left, right], tuned=True)
    mixed = augmentation_part([left, CHEST, right], tuned=True)
    assert alike is not None and mixed is not None
    assert len(alike["pictures"]) == 1 and alike["pictures"][0]["caption"].startswith("Left eye, Right eye: a drawn ")
    assert [one["caption"].split(":")[0] for one in mixed["pictures"]] == ["Left eye, Right eye", "Film"]
    assert [f"Film: {SWAPPED}", NEVER, HEART] in mixed["rows"] and len(mixed["rows"]) == len({row[0] for row in mixed["rows"]})
    for part in (alike, mixed):
        for one in part["pictures"]:
            assert "not a patient's" in one["caption"] and one["said"].count("turned ") == VARIANTS_SHOWN
            Image.open(io.BytesIO(base64.b64decode(one["png"]))).verify()


# --- a training that measures all this


@dataclass(frozen=True)
class Told:
    """A small training that was put to the test, and its report."""

    trained: Trained
    written: Written
    report: dict


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Fewer runs, draws and points than a real one has, so that it takes seconds."""
    place = tmp_path_factory.mktemp("stressed")
    folder = make_cases(place / "data", people=44)
    task = load_task(folder / "task.toml")
    with pytest.MonkeyPatch.context() as patch:
        for name, runs in (("CORRUPTION_RUNS", 8 * VARIANTS), ("DELETION_RUNS", 60), ("RANDOM_RUNS", 4)):
            patch.setattr(extras, name, runs)
        patch.setattr(doubt, "_BOOTSTRAPS", 3)
        patch.setattr(enough, "SHARES", (0.6,))
        trained = train(task, read_cases(task, folder), place / "bundle", repeats=1, folds=2, stress=True)
    written = write_report(trained.judged, place / "report")
    return Told(trained, written, json.loads(written.json.read_text()))


def test_a_training_put_to_the_test_has_every_part_and_writes_it_down(told: Told) -> None:
    extra = told.trained.judged.extra
    assert set(extra) == set(EXTRA_PARTS) == set(EXTRA_TITLES), "none is forgotten by the training or by the report"
    for name in ("chairs", "augmentation", "missing_modality", "corruption", "more_people"):
        assert extra[name]["rows"] and all(len(row) == len(extra[name]["columns"]) for row in extra[name]["rows"]), name
    assert told.report["extra"] == json.loads(json.dumps(extra))
    page = told.written.html.read_text()
    assert [title for title, _ in EXTRA_TITLES.values() if title not in page] == []
    assert "44 people whom none of them had seen" in extra["chairs"]["note"]
    assert extra["augmentation"]["state"] == "described" and "was not tuned" in extra["augmentation"]["note"]
    assert "<p class=\"state\"><span>•</span><span>How pictures are varied while the encoder learns: described." in page


def test_the_picture_is_in_the_page_in_the_paper_and_in_the_numbers(told: Told) -> None:
    (picture,) = told.report["extra"]["augmentation"]["pictures"]
    page = told.written.html.read_text()
    assert f'<img src="data:image/png;base64,{picture["png"]}" alt="{escape(picture["said"])}">' in page
    assert f"<figcaption>{escape(picture['caption'])}</figcaption>" in page and page.count("<img ") == 1
    shown = Image.open(io.BytesIO(base64.b64decode(picture["png"])))
    reader = PdfReader(told.written.pdf)
    assert [image.image.size for leaf in reader.pages for image in leaf.images if image.image] == [shown.size]
    text = re.sub(r"\s+", " ", " ".join(leaf.extract_text() for leaf in reader.pages))
    assert "a drawn chest film, not a patient's" in text and "situs inversus" not in text and "mixing two people's" in text


def test_what_was_measured_and_a_second_picture_are_told_too(told: Told, tmp_path: Path) -> None:
    y = np.arange(80) % 2
    rows = ablation_rows(y, np.arange(80), 3.0 * y + np.sin(np.arange(80)), np.sin(np.arange(80)))
    label = 'Eye <"left">'
    part = augmentation_part([CHEST, slot("OP", label=label)], tuned=True, measured=rows)
    page = page_html(report := told.report | {"extra": told.report["extra"] | {"augmentation": part}})
    assert page.count("<img ") == 2 and label not in page and escape(label) in page
    assert "learns: measured. While the encoder learned" in page and "the variants helped" in page
    write_paper(report, tmp_path / "report.pdf")
    reader = PdfReader(tmp_path / "report.pdf")
    assert sum(len(leaf.images) for leaf in reader.pages) == 2
    assert "the variants helped" in re.sub(r"\s+", " ", " ".join(leaf.extract_text() for leaf in reader.pages))


@pytest.mark.browser
def test_a_browser_shows_the_picture_under_the_pages_own_policy(told: Told) -> None:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium is installed")
    heard: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 390, "height": 900})
        page.on("console", lambda message: heard.append(message.text))
        page.goto(told.written.html.as_uri())
        shown = page.locator("figure.photo img")
        assert shown.evaluate("image => image.naturalWidth") > 800 and shown.evaluate("image => image.clientWidth") <= 390
        assert page.evaluate("document.documentElement.scrollWidth") <= 390 and heard == []
        assert [fault["id"] for fault in Axe().run(page)["violations"]] == []
        browser.close()


# --- what the variants bought


def margins_of(gain: float, fixed_gain: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes of 300 people, and two image judges' margins of them with so much signal."""
    rng = np.random.default_rng(8)
    y = (rng.random(300) < 0.4).astype(int)
    return y, gain * y + rng.normal(size=300), fixed_gain * y + rng.normal(size=300)


@pytest.mark.parametrize(
    ("gain", "fixed_gain", "verdict"),
    [(2.0, 0.4, "the variants helped"), (0.4, 2.0, "the variants did harm"), (1.0, 1.0, "no difference is shown")],
)
def test_what_variants_bought_is_said_no_surer_than_its_interval(gain: float, fixed_gain: float, verdict: str) -> None:
    y, varied, fixed = margins_of(gain, fixed_gain)
    varied[:30], fixed[20:40] = np.nan, np.nan
    rows = ablation_rows(y, np.arange(300), varied, fixed)
    areas = [roc_auc_score(y[40:], margins[40:]) for margins in (varied, fixed)]
    assert [row[1]["n"] for row in rows] == [260] * 3, "only people whose image both have judged"
    assert [row[1]["value"] for row in rows] == pytest.approx([*areas, areas[0] - areas[1]], abs=2e-6)
    difference = rows[2][1]
    assert rows[2][2] == verdict and difference["low"] <= difference["value"] <= difference["high"]
    assert {"the variants helped": difference["low"] > 0, "the variants did harm": difference["high"] < 0,
            "no difference is shown": difference["low"] < 0 < difference["high"]}[verdict]  # fmt: skip


def test_nothing_is_said_to_differ_where_nothing_can_be_told() -> None:
    y, varied, _ = margins_of(1.0, 1.0)
    assert ablation_rows(y, np.arange(300), varied, varied)[2][2] == "no difference is shown"
    nobody = ablation_rows(np.zeros(300, dtype=int), np.arange(300), varied, -varied)
    assert [row[1]["value"] for row in nobody] == [None] * 3 and nobody[2][2] == "no difference is shown"


def test_all_but_the_variants_is_the_same_in_the_second_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    (y, varied, fixed), inside, outside = margins_of(2.0, 0.4), np.arange(200), np.arange(200, 300)
    material = Material(task_from_text(TASK), [], None, Target(y), np.arange(300))
    pixels = Pixels(torch.empty(0), np.arange(300), np.zeros(300, dtype=int), (CHEST,))
    asked: list[tuple] = []

    class Head:
        def margins(self, prepared: object, index: np.ndarray) -> np.ndarray:
            return fixed[index]

    def tuned(given: Material, shown: Pixels, *rest: object, **named: object) -> tuple[Material, None]:
        asked.append((given, shown, rest[1], named["seed"]))
        return replace(given, tuned_head=Head(), prepared=object()), None  # type: ignore[arg-type]

    monkeypatch.setattr(ablation, "tuned_material", tuned)
    rows = without_variants(material, pixels, [], inside, outside, varied[outside], seed=5, report=lambda *heard: None)
    ((given, shown, taught, seed),) = asked
    assert pixels.varied and not shown.varied and shown == replace(pixels, varied=False)
    assert given is material and taught is inside and seed == 5
    assert rows == ablation_rows(y[outside], outside, varied[outside], fixed[outside])
