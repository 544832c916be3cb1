"""One risk with everything needed to believe or doubt it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from salus_web.dashboard.charts.figures import bars
from salus_web.dashboard.charts.risk import (
    FRAMED,
    Bar,
    Overlay,
    icon_array,
    map_over,
    plain_film,
    signed,
    waterfall,
)
from salus_web.dashboard.pages.numbers import interval, of_hundred, percent
from salus_web.dashboard.pages.wording import SIDES, STATES, at, film_moment, how, left_out, unit
from salus_web.jobs.models import Job
from salus_web.predictions.models import Prediction, PredictionState, Review, RiskMap
from salus_web.predictions.selectors import Standing, account_of, map_cells, maps_of, reviews_of
from salus_web.predictions.services import REVIEW_REASONS
from salus_web.records.selectors import last_moment
from salus_web.registry.models import BundleState

BARS = 9
TOLERANCE = 1e-6
SMALLEST = 0.05  # percentage points; below, a reason would read as 0.0
SUPERSEDED = "superseded"
PASSED = {SUPERSEDED, str(PredictionState.STALE)}  # nothing of that moment speaks for the patient as they are


@dataclass(frozen=True, slots=True)
class Input:
    """One row of the table of inputs used."""

    label: str
    value: str
    unit: str
    time: datetime | None
    source: str
    points: str


@dataclass(frozen=True, slots=True)
class Change:
    """One row of what would change the risk: of `n` patients like this one, how many would cross, and the doubt left."""

    label: str
    crossing: int
    n: int
    narrower: str
    range: str


@dataclass(frozen=True, slots=True)
class Kind:
    """The risk of one kind of the outcome and its reasons, strongest first: (what, signed points)."""

    name: str
    probability: float
    number: str
    reference: str
    reasons: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Film:
    """One image twice: plain and with its map, and the points of the map's cells, row by row. Map and cells are empty beside a
    risk without a number: its cells are numbers too."""

    label: str
    plain: str
    mapped: str
    total: str
    cells: list[list[str]]
    framed: str  # what a frame on the plain image stands for; empty without one


@dataclass(frozen=True, slots=True)
class Page:
    """The prediction page. `number` is empty unless the state is computed; `adds_up` guards the waterfall."""

    prediction: Prediction
    state: str
    sign: str
    word: str
    is_number: bool
    number: str
    interval: str
    of_hundred: str
    icons: str
    waterfall: str
    waterfall_narrow: str
    adds_up: bool
    inputs: list[Input]
    missing: list[str]
    untaught: list[str]  # of these, what next to nobody lacked who taught the model
    changes: list[Change] | None
    scores: list[dict[str, Any]]
    kinds: list[Kind]
    kinds_chart: str
    films: list[Film]
    reviews: list[Review]
    reasons: dict[str, str]
    before: str
    how: str
    is_stale: bool
    other: Prediction | None
    left_out: datetime | None  # when the newest value was read that came after the moment of this risk
    disagreement: str  # of the set and the operating point; empty where they say the same


def page_of(prediction: Prediction, viewer: Any, *, standing: Standing) -> Page:
    """Gather the page (3 queries beside the prediction; maps are read from the vault)."""
    account = account_of(prediction)
    reasons = account.get("reasons", [])
    state = _state(prediction, standing)
    sign, word = STATES[state]
    shown = state == PredictionState.COMPUTED
    adds_up = _adds_up(prediction, reasons)
    kinds = _kinds(account, reasons) if shown else []
    untaught = [entry["label"] for entry in account.get("missing", []) if entry.get("untaught")]
    maps = maps_of(viewer=viewer, prediction=prediction) if prediction.state != PredictionState.FAILED else []
    return Page(
        prediction=prediction, state=state, sign=sign, word=word, is_number=shown,
        number=percent(prediction.probability) if shown else "",
        interval=interval(prediction.low, prediction.high), of_hundred=of_hundred(prediction.probability or 0.0),
        icons=icon_array(100 * prediction.probability, of_hundred(prediction.probability)) if shown and prediction.probability is not None else "",
        waterfall=_waterfall(prediction, reasons) if adds_up and shown else "",
        waterfall_narrow=_waterfall(prediction, reasons, narrow=True) if adds_up and shown else "", adds_up=adds_up,
        inputs=[_input(reason, shown) for reason in reasons if not reason["missing"]],
        missing=[entry["label"] for entry in account.get("missing", [])], untaught=untaught,
        scores=account.get("known_scores", []) if state not in PASSED else [],
        kinds=kinds, kinds_chart=bars([(kind.name, kind.probability, kind.number) for kind in kinds], "Risk of each kind") if kinds else "",
        changes=_changes(account, shown or (state == "abstained" and (len(prediction.prediction_set) == 2 or bool(untaught))), with_numbers=shown),
        films=_films(maps, with_map=shown), reviews=reviews_of(viewer=viewer, prediction=prediction),
        reasons=REVIEW_REASONS, before=_before(prediction), how=how(prediction.origin, prediction.bundle.state), is_stale=state == PredictionState.STALE, other=standing.other,
        left_out=left_out(prediction.index_at, state, last_moment(viewer=viewer, patient=prediction.patient)),
        disagreement=_disagreement(prediction) if shown else "",
    )  # fmt: skip


def _state(prediction: Prediction, standing: Standing) -> str:
    """What stands at the head of the page: what became of the risk since outweighs what it was."""
    if prediction.bundle.state == BundleState.WITHDRAWN:
        return str(PredictionState.WITHDRAWN)
    if prediction.state == PredictionState.FAILED:
        return prediction.state
    if standing.is_superseded:
        return SUPERSEDED
    return str(PredictionState.STALE) if standing.is_stale else prediction.state


def _adds_up(prediction: Prediction, reasons: list[dict[str, Any]]) -> bool:
    """Checked each time the page is shown, not only when the risk was made."""
    if prediction.probability is None or prediction.reference_probability is None:
        return False
    total = sum(reason["points"] for reason in reasons) / 100
    return abs(total - (prediction.probability - prediction.reference_probability)) <= TOLERANCE


def _kinds(account: dict[str, Any], reasons: list[dict[str, Any]]) -> list[Kind]:
    """The kinds, likeliest first; one whose points do not add up to its risk is not shown, nor then any of them."""
    found = []
    for kind in account.get("kinds", []):
        gap = sum(kind["points"]) / 100 - (kind["probability"] - kind["reference_probability"])
        if abs(gap) > TOLERANCE:
            return []
        ranked = sorted(zip(reasons, kind["points"], strict=True), key=lambda pair: -abs(pair[1]))
        rows = [(_label(reason), signed(points)) for reason, points in ranked if abs(points) >= SMALLEST]
        found.append(Kind(kind["name"], kind["probability"], percent(kind["probability"]), percent(kind["reference_probability"]), rows))
    return sorted(found, key=lambda kind: -kind.probability)


def _waterfall(prediction: Prediction, reasons: list[dict[str, Any]], *, narrow: bool = False) -> str:
    """The strongest reasons one by one, the rest as one bar, so that the sum still holds."""
    ranked = sorted(reasons, key=lambda reason: -abs(reason["points"]))
    bars = [Bar(_label(reason), reason["points"], reason["part"]) for reason in ranked[:BARS]]
    rest = ranked[BARS:]
    if rest:
        bars.append(Bar(f"{len(rest)} smaller reasons", sum(reason["points"] for reason in rest), "record"))
    start, end = prediction.reference_probability or 0.0, prediction.probability or 0.0
    return waterfall(bars, 100 * start, 100 * end, said=(percent(start), percent(end)), narrow=narrow)


def _label(reason: dict[str, Any]) -> str:
    if reason["part"] == "image":
        return str(reason["label"])
    if reason["missing"]:
        return f"{reason['label']} not recorded"
    return f"{reason['label']} {reason['value']} {unit(reason['unit'])}".rstrip()


def _input(reason: dict[str, Any], shown: bool) -> Input:
    time = datetime.fromisoformat(reason["time"]) if reason["time"] else None
    return Input(reason["label"], reason["value"], unit(reason["unit"]), time, reason["source"], signed(reason["points"]) if shown else "")


def _changes(account: dict[str, Any], is_current: bool, *, with_numbers: bool) -> list[Change] | None:
    """None where it was not worked out or no longer holds; empty when nothing missing would change the risk."""
    if "would_change" not in account or not is_current:
        return None
    return [
        Change(
            label=entry["label"], crossing=round(entry["crossing"] * entry["n"]), n=entry["n"],
            narrower=f"{100 * entry['width_now']:.0f} → {100 * entry['width_then']:.0f}",
            range=interval(entry["low"], entry["high"]) if with_numbers else "",
        )
        for entry in account["would_change"]
    ]  # fmt: skip


def _films(maps: list[RiskMap], *, with_map: bool) -> list[Film]:
    """Where two images of one moment would read alike (both eyes, two views), the file they came from tells them apart."""
    words = [f"{_slot(found)} of {film_moment(found.instance)}" for found in maps]
    return [
        _film(found, word if words.count(word) == 1 else f"{word} · {found.instance.source}", with_map=with_map)
        for found, word in zip(maps, words, strict=True)
    ]


def _slot(found: RiskMap) -> str:
    """What the image is for the model, and which side of the body it says it is of."""
    side = SIDES.get(found.instance.laterality.upper(), "")
    return f"{found.slot.replace('_', ' ')}{f', {side},' if side else ''}"


def _film(found: RiskMap, label: str, *, with_map: bool) -> Film:
    instance = found.instance
    left, top, right, bottom = found.box
    overlay = Overlay(
        cells=map_cells(found) if with_map else [], box=(left, top, right, bottom), width=instance.columns or right, height=instance.rows or bottom,
        image_url=f"/images/{instance.pk}/display.png", label=label,
    )  # fmt: skip
    mapped, total = (map_over(overlay, "salus-map"), signed(found.total_points)) if with_map else ("", "")
    cells = [[signed(points) for points in row] for row in overlay.cells]
    return Film(overlay.label, plain_film(overlay), mapped, total, cells, FRAMED if overlay.is_part else "")


def _before(prediction: Prediction) -> str:
    """What the risk of the moment before was, where there is one."""
    last = prediction.previous
    if last is None:
        return ""
    when = f"as of {at(last.index_at)}"
    state = str(PredictionState.WITHDRAWN) if last.bundle.state == BundleState.WITHDRAWN else last.state
    if state != PredictionState.COMPUTED:
        return f"{STATES[state][1]}, {when}"
    other = "" if (last.bundle_id, last.origin) == (prediction.bundle_id, prediction.origin) else ", by another model"
    return f"{percent(last.probability)} ({interval(last.low, last.high)}) {when}{other}"


def _disagreement(prediction: Prediction) -> str:
    """Where the set names one answer and the number lies on the other side of the operating point: why both can be so."""
    named, outcome = list(prediction.prediction_set), prediction.bundle.card.get("outcome")
    if len(named) != 1 or prediction.probability is None or prediction.threshold is None:
        return ""
    is_above = prediction.probability >= prediction.threshold
    if named[0] not in (outcome, f"not {outcome}") or (named[0] == outcome) == is_above:
        return ""
    return (
        f"The 90 % set and the operating point disagree here: the set holds “{named[0]}” alone, as the other answer can be excluded at 90 %, "
        f"and the risk lies {'above' if is_above else 'below'} the operating point, where the model was set to warn."
    )


def replay_answer(job: Job | None) -> str:
    """What a replay found, in a sentence; empty while it runs."""
    if job is None or job.state in {"queued", "running"}:
        return ""
    if job.state != "done":
        return f"The replay could not be done. {job.failure}"
    if job.result.get("agrees"):
        return "Recomputed from the receipt: the same risk and the same reasons, to 1e-6."
    return "Recomputed from the receipt: it differs. " + " ".join(job.result.get("differences", []))
