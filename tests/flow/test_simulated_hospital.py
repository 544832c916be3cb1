"""The whole main job on the simulated hospital, judged against its planted truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from salus_learn.simulate.causes import BY_NAME, OUTCOME
from salus_web.jobs.models import JobState
from salus_web.predictions.models import CurrentRisk, Prediction, RiskMap
from salus_web.predictions.selectors import account_of, map_cells
from salus_web.predictions.services import data_changed, request
from salus_web.records.models import Encounter, Observation
from salus_workers.pipelines.replay_prediction import replay_stored

from tests.factories.people import SYSTEM
from tests.factories.simulated import make_live, open_hospital, run

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
PATIENTS, PRESENT = 360, 20


def test_planted_causes_come_first_and_maps_lie_in_the_planted_opacities(tmp_path: Path) -> None:
    truth = open_hospital(tmp_path / "hospital", patients=PATIENTS, present=PRESENT)
    predictions = list(Prediction.objects.for_actor(SYSTEM))
    assert len({one.patient_id for one in predictions}) == PATIENTS - PRESENT < len(predictions)  # several moments of a stay
    assert set(population_view(predictions)[:4]) <= set(BY_NAME[OUTCOME].parents) | {"image"}
    assert population_view(predictions)[0] == "image"  # the lungs' severity, seen only in the film, is planted strongest
    assert share_in_opacities(truth) >= 3.0
    assert_fusion_helps(predictions[0].bundle.crossval)
    assert_present_are_asked_for()


def population_view(predictions: list[Prediction]) -> list[str]:
    """Inputs by their mean absolute points, strongest first."""
    pushes: dict[str, list[float]] = {}
    for prediction in predictions:
        for reason in account_of(prediction)["reasons"]:
            pushes.setdefault(reason["name"], []).append(abs(reason["points"]))
    return sorted(pushes, key=lambda name: -float(np.mean(pushes[name])))


def share_in_opacities(truth: dict[str, Any]) -> float:
    """Share of the risk-raising activation that lies inside planted opacities, over their share of the area."""
    planted = {entry["film"]: entry["opacities"] for entry in truth["patients"] if entry["opacities"]}
    inside = total = area = films = 0.0
    rows, columns = np.mgrid[0:256, 0:256]
    for found in RiskMap.objects.for_actor(SYSTEM).select_related("instance"):
        opacities = planted.get(found.instance.uid)
        if not opacities:
            continue
        mask = np.zeros((256, 256), bool)
        for opacity in opacities:
            mask |= np.hypot(columns - opacity["x"], rows - opacity["y"]) <= opacity["radius"]
        cells = np.clip(np.array(map_cells(found)), 0, None)
        dense = cells[rows * cells.shape[0] // 256, columns * cells.shape[1] // 256]
        inside, total = inside + float(dense[mask].sum()), total + float(dense.sum())
        area, films = area + float(mask.mean()), films + 1
    assert films > 50
    return (inside / total) / (area / films)


def assert_fusion_helps(crossval: dict[str, Any]) -> None:
    """Lungs are seen only in the film, the body only in the record, so neither alone can be as good."""
    areas = {name: arm["auroc"][0] for name, arm in crossval["arms"].items()}
    assert areas["fused"] > max(areas["line"], areas["trees"], areas["image"])
    assert crossval["fused_minus_best"][1] > 0


def assert_present_are_asked_for() -> None:
    """People still in hospital get a live risk; new data makes it stale and asks anew; the live risk replays."""
    bundle = make_live()
    inpatients = Encounter.objects.for_actor(SYSTEM).filter(ends_at__isnull=True)
    ids = [str(key) for key in inpatients.values_list("patient_id", flat=True)]
    assert len(ids) == PRESENT
    job = run(request(patient_ids=ids, bundle=bundle, why="test", by=SYSTEM))
    assert job.state == JobState.DONE, job.failure
    given = Prediction.objects.for_actor(SYSTEM).filter(origin="live").count()
    risks = CurrentRisk.objects.for_actor(SYSTEM).filter(prediction__origin="live").select_related("prediction")
    live = [risk.prediction for risk in risks]
    assert any(risk.change for risk in risks) and given > PRESENT  # the days before are judged too
    assert len(live) == PRESENT and all(prediction.why == "" or prediction.state != "computed" for prediction in live)
    assert replay_stored(str(live[0].pk)) == []
    assert_later_values_are_not_used(live[0])
    data_changed(patient_ids=ids[:2], by=SYSTEM)
    stale = CurrentRisk.objects.for_actor(SYSTEM).filter(patient_id__in=ids[:2])
    assert {risk.state for risk in stale} == {"stale"} and {risk.sort_probability for risk in stale} == {None}


def assert_later_values_are_not_used(prediction: Prediction) -> None:
    """Whatever is recorded after the index moment changes nothing."""
    last = Observation.objects.for_actor(SYSTEM).filter(patient_id=prediction.patient_id, code="59408-5").latest("observed_at")
    last.pk, last.source_key, last.value_number = None, "later", 50.0
    last.observed_at = prediction.index_at.replace(year=prediction.index_at.year + 1)
    last.save(force_insert=True)
    job = run(request(patient_ids=[str(prediction.patient_id)], bundle=prediction.bundle, why="again", by=SYSTEM))
    again = Prediction.objects.for_actor(SYSTEM).get(job=job)
    assert again.probability == pytest.approx(prediction.probability, abs=1e-9)
