"""The report's parts that training itself knows: the kinds, what the leak hunt found, how each encoder learned."""

from __future__ import annotations

from typing import Any

from salus_learn.evaluation.kinds import kinds_part


def known_extras(crossval: dict[str, Any]) -> dict[str, Any]:
    """The report's parts that training itself knows: what the leak hunt found, how each fold's encoder learned."""
    rows = [[one["severity"], one["evidence"]] for one in crossval["leaks"]] or [["none", "Nothing suspicious was found."]]
    kinds = {"kinds": kinds_part(crossval["kinds"]) if "kinds" in crossval else {"state": "not applicable"}}
    hunted = {"note": "Looked for before this training.", "columns": ["severity", "finding"], "rows": rows}
    curves = crossval["tuning_curves"]
    if not curves:
        return kinds | {"leaks": hunted, "learning_curve": {"state": "not applicable"}}
    series = []
    for at, curve in enumerate(curves):
        name = f"fold {at + 1}" if at + 1 < len(curves) else "on everybody"
        passes = list(range(1, len(curve) + 1))
        series.append({"name": f"{name}, taught", "x": passes, "y": [pair[0] for pair in curve]})
        if all(pair[1] is not None for pair in curve):
            series.append({"name": f"{name}, not taught", "x": passes, "y": [pair[1] for pair in curve]})
    note = (
        "Log loss after each pass over the images, on those who taught the encoder and, in a fold, on those kept aside. "
        "Everybody teaches the last encoder, so nobody is kept aside there."
    )
    return kinds | {"leaks": hunted, "learning_curve": {"note": note, "series": series, "x": "pass", "y": "log loss"}}
