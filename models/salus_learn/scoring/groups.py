"""In which groups a report looks at people: categories of the record, age in bands, the moment of a stay, the site, the parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from salus_learn.contracts import Case, FeatureSpec, RiskTask
from salus_learn.features.readings import Reading, read_features
from salus_learn.tasks.moments import asks_again, hours_of

MOST_GROUPS = 8
AGE_BANDS = (18, 40, 50, 60, 70, 80)


def groups_of(task: RiskTask, cases: Sequence[Case]) -> dict[str, np.ndarray]:
    """Each category of few words, age in bands, the moment of the stay where there are several, the site, and which parts of
    the patient there were."""
    readings = [read_features(task, case.snapshot) for case in cases]
    found: dict[str, np.ndarray] = {}
    for position, spec in enumerate(task.features):
        words = np.array([_word(spec, row[position]) for row in readings])
        if 2 <= len(set(words.tolist()) - {""}) <= MOST_GROUPS:
            found[spec.label] = words
    hours = [hours_of(case.snapshot) for case in cases] if asks_again(task) else []
    if hours:
        found["stay so far"] = np.array(["" if one is None else f"{one:g} h" for one in hours])
    sites = np.array([case.snapshot.site for case in cases])
    if len(set(sites.tolist())) > 1:
        found["site"] = sites
    if task.images and task.features:
        pictured = np.array(["with image" if case.snapshot.images else "without image" for case in cases])
        if len(set(pictured.tolist())) > 1:
            found["image"] = pictured
    return found


def _word(spec: FeatureSpec, reading: Reading) -> str:
    """The group of one person by one feature; empty where it was not recorded or makes no groups."""
    if reading.value is None or spec.kind == "flags":
        return ""
    if spec.kind == "category":
        return str(reading.value)
    if spec.unit == "a" and "age" in spec.name:
        return _band(float(reading.value))
    return ""


def _band(age_years: float) -> str:
    """An age band, such as “60 to 69”."""
    place = int(np.searchsorted(AGE_BANDS, age_years, side="right"))
    if place == 0:
        return f"under {AGE_BANDS[0]}"
    if place == len(AGE_BANDS):
        return f"{AGE_BANDS[-1]} and over"
    return f"{AGE_BANDS[place - 1]} to {AGE_BANDS[place] - 1}"
