"""Draws a whole simulated hospital and writes it as FHIR bundles, DICOM files and the file of the truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from salus_learn.errors import LearnError
from salus_learn.simulate.causes import (
    OUTCOME,
    SPO2_OVERREAD_POINTS,
    Values,
    draw_values,
    ranked_causes,
    true_probability,
    written_graph,
)
from salus_learn.simulate.course import CHANGING, MOMENT_HOURS, Course, draw_course
from salus_learn.simulate.dicom import film_file
from salus_learn.simulate.fhir import bundle_of
from salus_learn.simulate.film import FilmPlan, draw_film
from salus_learn.simulate.people import SITES, Person, make_people

FEWEST = 20
_SITE_GAIN = (1.0, 0.93)


def simulate(
    out: Path,
    *,
    patients: int = 260,
    present: int = 40,
    seed: int = 7,
    at: datetime | None = None,
    report: Callable[[float, str], None] | None = None,
) -> dict[str, Any]:
    """Write `<site>/fhir/*.json`, `<site>/dicom/*.dcm` and truth.json into the new folder `out`; returns the truth.

    `present` people are still in hospital at the moment `at` (aware UTC, default now), so that nobody knows their
    outcome yet. The same seed and moment give the same hospital. Raises LearnError for fewer than 20 patients.
    """
    if patients < FEWEST or not 0 <= present <= patients:
        raise LearnError(f"A simulated hospital needs at least {FEWEST} patients, and no more present than that.")
    if out.exists() and any(out.iterdir()):
        raise LearnError(f"The folder {out.name} is not empty; a simulated hospital is never written over another.")
    rng = np.random.default_rng(seed)
    values = draw_values(patients, len(SITES), rng)
    course = draw_course(values, np.random.default_rng([seed, patients, len(MOMENT_HOURS)]))
    people = make_people(values, course.worse_hours, at=at or datetime.now(UTC), present=present, rng=rng)
    for site in SITES:
        (out / site / "fhir").mkdir(parents=True)
        (out / site / "dicom").mkdir()
    entries = []
    for person in people:
        entries.append(_write(out, person, course, seed))
        if report is not None:
            report((person.number + 1) / patients, f"{person.number + 1} of {patients} patients drawn")
    truth = _truth(values, entries, seed)
    (out / "truth.json").write_text(json.dumps(truth, indent=1), encoding="utf-8")
    return truth


def _write(out: Path, person: Person, course: Course, seed: int) -> dict[str, Any]:
    """One person's files; returns their entry of the truth. Each person has a random stream of their own."""
    n, folder, values = person.number, out / SITES[person.site], course.values[0]
    rng = np.random.default_rng([seed, n])
    bundle = json.dumps(bundle_of(person, course, rng))
    (folder / "fhir" / f"{person.mrn}.json").write_text(bundle, encoding="utf-8")
    entry: dict[str, Any] = {
        "mrn": person.mrn, "site": SITES[person.site], "outcome": None if person.ends_at is None else int(values[OUTCOME][n]),
        "probability": round(float(true_probability(values)[n]), 6), "film": None, "opacities": [],
        "values": {name: round(float(column[n]), 4) for name, column in values.items() if name != OUTCOME},
        "worse_after_hours": round(float(course.worse_hours[n]), 2) if np.isfinite(course.worse_hours[n]) else None,
        "later": [_day(hours, day, n) for hours, day in zip(MOMENT_HOURS[1:], course.values[1:], strict=True)],
    }  # fmt: skip
    if values["film_missing"][n]:
        return entry
    pixels, opacities = draw_film(_plan(n, person, values, rng), rng)
    raw, uid = film_file(person, pixels, bedside=bool(values["bedside_film"][n]), seed=seed)
    (folder / "dicom" / f"{person.mrn}.dcm").write_bytes(raw)
    return entry | {"film": uid, "opacities": [asdict(opacity) for opacity in opacities]}


def _day(hours: float, day: Values, n: int) -> dict[str, Any]:
    """One person at a later index moment. `probability` is that of 48 hours from their values alone."""
    return {
        "hours": hours, "probability": round(float(true_probability(day)[n]), 6),
        "values": {name: round(float(day[name][n]), 4) for name in CHANGING},
    }  # fmt: skip


def _plan(n: int, person: Person, values: Values, rng: np.random.Generator) -> FilmPlan:
    """What this person's film shows: the lungs' severity and two diseases that can be seen."""
    return FilmPlan(
        severity=float(values["lung_severity"][n]),
        heart_share=float(0.47 + 0.10 * values["heart_failure"][n] + rng.normal(0, 0.02)),
        bedside=bool(values["bedside_film"][n]), overinflated=bool(values["copd"][n]),
        gain=_SITE_GAIN[person.site], noise=0.02,
    )  # fmt: skip


def _truth(values: Values, entries: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    return {
        "seed": seed, "graph": written_graph(), "outcome": OUTCOME, "causes": ranked_causes(values),
        "bias": {
            "what": "The pulse oximeter reads too high in people with darker skin.",
            "column": "darker_skin", "reads_too_high_by_percentage_points": SPO2_OVERREAD_POINTS,
        },
        "patients": entries,
    }  # fmt: skip
