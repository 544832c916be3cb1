"""All parts of the report that put a fold's model to the test, within what a training can wait for."""

from __future__ import annotations

from typing import Any

from salus_learn.imaging.embed import Report
from salus_learn.stress.corruption import corruption_part
from salus_learn.stress.encoders import serving
from salus_learn.stress.faithful import deletion_part, random_weights_part
from salus_learn.stress.held_out import HeldOut
from salus_learn.stress.missing import missing_part

# runs of the encoder; together about a minute on two cores
CORRUPTION_RUNS = 1400
DELETION_RUNS = 1000
RANDOM_RUNS = 200


def measure(held: HeldOut, *, seed: int, report: Report | None = None) -> dict[str, Any]:
    """The parts of JudgedPeople.extra that apply: `missing_modality`, and for a model that reads images `corruption`,
    `deletion` and `random_weights`. The same people and seed give the same parts.

    A part that cannot be measured is a note that says why. People whom the model refuses are never part of a figure.
    """
    tell = report or (lambda part, text: None)
    tell(0.0, "taking parts of the patient away")
    found = {"missing_modality": missing_part(held, seed=seed)}
    if held.model.head is None or held.prepared is None or not held.prepared.present.any():
        return found
    with serving(held.model) as encoder:
        found["corruption"] = corruption_part(
            held,
            encoder,
            seed=seed,
            most_runs=CORRUPTION_RUNS,
            report=lambda part, text: tell(0.05 + 0.55 * part, text),
        )
        found["deletion"] = deletion_part(
            held,
            encoder,
            seed=seed,
            most_runs=DELETION_RUNS,
            report=lambda part, text: tell(0.6 + 0.3 * part, text),
        )
    found["random_weights"] = random_weights_part(
        held, seed=seed, most_runs=RANDOM_RUNS, report=lambda part, text: tell(0.9 + 0.1 * part, text)
    )
    tell(1.0, "done")
    return found
