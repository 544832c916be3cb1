"""Recomputes a risk from its receipt and says what differs. Agreement is within 1e-6 of probability and of each reason."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from salus_learn.contracts import PatientSnapshot, RecordValue, Region, RiskResult, SnapshotImage
from salus_learn.errors import BundleError
from salus_learn.scoring.score import score
from salus_learn.store.bundle import Bundle

TOLERANCE = 1e-6


def replay(bundle: Bundle, receipt: Mapping[str, Any], pixels: Mapping[str, Any]) -> list[str]:
    """Sentences that name each difference; empty when the receipt's risk came out again.

    `pixels` gives each image's array by its instance id (see SnapshotImage). Raises BundleError when the receipt
    names another bundle.
    """
    if receipt["bundle"] != bundle.digest:
        raise BundleError("The receipt names another model than the one it is replayed with.")
    snapshot = snapshot_from_receipt(receipt["snapshot"], pixels)
    result = score(bundle, [snapshot], fold=receipt.get("fold"))[0]
    return _differences(result, receipt)


def snapshot_from_receipt(body: Mapping[str, Any], pixels: Mapping[str, Any]) -> PatientSnapshot:
    """The snapshot exactly as it was, from its JSON form."""
    values = tuple(RecordValue(**(dict(entry) | {"time": _moment(entry["time"])})) for entry in body["values"])
    images = tuple(
        SnapshotImage(
            slot=entry["slot"], modality=entry["modality"], body_part=entry["body_part"], view=entry["view"],
            time=_moment(entry["time"]), source=entry["source"], sha256=entry["sha256"],
            pixels=pixels[entry["instance"]], region=Region(**entry["region"]) if entry["region"] else None,
            id=entry["instance"],
        )
        for entry in body["images"]
    )  # fmt: skip
    return PatientSnapshot(body["key"], body["person"], _moment(body["index_time"]), values, images, body["site"])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _differences(result: RiskResult, receipt: Mapping[str, Any]) -> list[str]:
    """Compare state, numbers and every reason."""
    kept, found = receipt["outputs"], []
    if result.state.value != kept["state"]:
        found.append(f"The state was {kept['state']} and is now {result.state.value}.")
    numbers = {
        "probability": result.probability, "margin": result.margin, "reference_probability": result.reference_probability,
        "low": result.interval[0] if result.interval else None, "high": result.interval[1] if result.interval else None,
    }  # fmt: skip
    found += [_sentence(name, kept[name], value) for name, value in numbers.items() if not _same(kept[name], value)]
    before = {reason["name"]: reason["points"] for reason in receipt["account"]["reasons"]}
    after = {reason.name: reason.points for reason in result.reasons}
    for name in before.keys() | after.keys():
        # points are percentage points, so a probability's 1e-6 is 1e-4 of them; held to the stricter figure
        if not _same(before.get(name), after.get(name)):
            found.append(_sentence(f"the reason {name}", before.get(name), after.get(name)))
    return found + _kind_differences(result, receipt["account"].get("kinds", []))


def _kind_differences(result: RiskResult, kept: list[dict[str, Any]]) -> list[str]:
    """Compare the risk of each kind and its points."""
    before = {f"{one['name']} {at}": value for one in kept for at, value in enumerate([one["probability"], *one["points"]])}
    after = {f"{one.name} {at}": value for one in result.kinds for at, value in enumerate([one.probability, *one.points])}
    names = sorted(before.keys() | after.keys())
    return [
        _sentence(f"the kind {name}", before.get(name), after.get(name))
        for name in names if not _same(before.get(name), after.get(name))
    ]  # fmt: skip


def _same(before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is after
    return abs(before - after) <= TOLERANCE


def _sentence(name: str, before: float | None, after: float | None) -> str:
    return f"{name[0].upper()}{name[1:]} was {before} and is now {after}."
