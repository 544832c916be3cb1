"""What a model's page says of its figures in a sentence."""

from __future__ import annotations

from typing import Any

ARMS = (("line", "record, line"), ("trees", "record, trees"), ("image", "image"), ("fused", "fused"))


def inputs_said(card: dict[str, Any]) -> dict[str, list[str]]:
    """Features, images, and what was hardly ever missing, as the task file calls them; cards of before know the short names only."""
    labels = card.get("labels", {})
    return {part: [labels.get(name, name) for name in card.get(part, [])] for part in ("features", "images", "always_there")}


def best_arm(crossval: dict[str, Any]) -> str:
    """The best single arm in words."""
    return dict(ARMS).get(crossval.get("best_single", ""), "the best single arm")


def only_arm(crossval: dict[str, Any]) -> str:
    """The one arm of a model that fuses nothing, in words; empty where there are several, or none is known."""
    singles = [words for arm, words in ARMS if arm in crossval.get("arms", {}) and arm != "fused"]
    return singles[0] if len(singles) == 1 else ""


def fusion_said(difference: Any) -> str:
    """What [fused minus the best single arm, low, high] shows: that fusing helps, that it does not, or neither."""
    if not isinstance(difference, list) or len(difference) < 3 or difference[1] is None or difference[2] is None:
        return "From these people it cannot be told whether fusion helps."
    if difference[1] > 0:
        return "Fusion helps here."
    if difference[2] < 0:
        return "Fusion does not help here: the best single arm alone is better."
    return "The interval holds zero: fusion is not shown to help here."
