"""What became of a cohort's members is read as the task file says, and everybody whose risk was worked out is judged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from salus_web.accounts.models import Site
from salus_web.cohorts.definition import CohortDefinition
from salus_web.cohorts.outcomes import judged_outcomes, outcomes
from salus_web.predictions.models import CurrentRisk, Prediction
from salus_web.records.models import Encounter, Patient

from tests.factories.cohorts import make_bundle, make_crowd, make_project, observe, predict
from tests.factories.people import SYSTEM, actor_of, client_of, make_user

pytestmark = pytest.mark.django_db
START = datetime(2024, 1, 1, tzinfo=UTC)
KNOWN = START + timedelta(seconds=1)
TIMED = 'column = "died"\npositive = ["yes"]\nnegative = ["no"]\ntime_column = "days"\nhorizon_days = 30'


def case(person: Patient, bundle: Any, word: str, days: float | None = None, risk: float = 0.5, state: str = "computed") -> None:
    """A case of a table, its outcome, and its risk out of fold."""
    row = Encounter.objects.create(patient=person, kind="case", starts_at=START, source="t", source_key=f"e{person.pk}")
    observe(person, "died", word, at=KNOWN, encounter=row)
    if days is not None:
        observe(person, "days", days, at=KNOWN, encounter=row)
    made = predict(person, bundle, risk, at=START, encounter=row, origin="out_of_fold")
    if state != "computed":
        Prediction.objects.for_actor(SYSTEM).filter(pk=made.pk).update(state=state)
        CurrentRisk.objects.for_actor(SYSTEM).filter(prediction=made).update(state=state, sort_probability=None)


def became(people: list[Patient], task_id: str) -> list[int | None]:
    """What is known to have become of each of them."""
    found = judged_outcomes(task_id, [str(person.pk) for person in people])
    return [found[str(person.pk)].outcome if str(person.pk) in found else None for person in people]


def test_of_several_words_in_a_cell_one_that_is_positive_is_enough(site: Site) -> None:
    bundle = make_bundle("many", 'column = "died"\npositive = ["sick"]\nseparator = ";"')
    people = make_crowd(site, 4)
    for person, word in zip(people, ["sick", "old; sick", "old;tired", ";"], strict=True):
        case(person, bundle, word)
    assert became(people, "many") == [1, 1, 0, None]


def test_where_the_negative_words_are_listed_another_word_beside_them_is_not_known(site: Site) -> None:
    bundle = make_bundle("listed", 'column = "died"\npositive = ["sick"]\nnegative = ["well"]\nseparator = "|"')
    people = make_crowd(site, 3)
    for person, word in zip(people, ["well", "well|unclear", "well|sick"], strict=True):
        case(person, bundle, word)
    assert became(people, "listed") == [0, None, 1]


def test_with_time_to_an_event_the_outcome_is_that_at_the_horizon_and_who_was_lost_before_is_not_known(site: Site) -> None:
    bundle = make_bundle("timed", TIMED)
    said = [("yes", 3.0), ("yes", 30.0), ("yes", 31.0), ("no", 30.0), ("no", 29.0), ("no", 400.0), ("yes", None), ("unclear", 90.0)]
    people = make_crowd(site, len(said))
    for person, (word, days) in zip(people, said, strict=True):
        case(person, bundle, word, days)
    assert became(people, "timed") == [1, 1, 0, 0, None, 0, None, None]


def test_those_of_whom_the_model_cannot_tell_are_judged_and_it_is_said_how_many_they_are(site: Site) -> None:
    doctor = make_user("researcher", site)
    project, bundle = make_project(site, members=[doctor]), make_bundle("timed", TIMED)
    for number, person in enumerate(make_crowd(site, 60)):
        is_unsure, ill = number < 20, number % 2  # all of the unsure are ranked the wrong way round
        case(person, bundle, "yes" if ill else "no", 30.0, (0.9, 0.1)[ill] if is_unsure else (0.1, 0.9)[ill], "abstained" if is_unsure else "computed")
    asked = {"viewer": actor_of(doctor), "project": project, "task_id": "timed"}
    found = outcomes(**asked, definition=CohortDefinition(task_id="timed"))["performance"]
    assert (found["n"], found["events"], found["cannot_tell"]) == (60, 30, 20)
    assert found["auroc"] < 0.75, "over those whose number is shown it would be 1"
    assert "the model cannot tell (about 20), by the number that is not shown" in found["judged"] and "lost before the horizon" in found["judged"]
    page = client_of(doctor).get(f"/cohorts/projects/{project.pk}/", {"task": "timed"}).content.decode()
    assert found["judged"] in page
    in_range = outcomes(**asked, definition=CohortDefinition(task_id="timed", risk_high=0.95))["performance"]
    assert in_range["n"] == 40, "who has no number is in no range"


@pytest.mark.parametrize("unsure", [4, 56])
def test_a_few_of_whom_it_can_or_cannot_tell_are_not_counted_aloud(site: Site, unsure: int) -> None:
    doctor = make_user("researcher", site)
    project, bundle = make_project(site, members=[doctor]), make_bundle("plain", 'column = "died"\npositive = ["yes"]')
    for number, person in enumerate(make_crowd(site, 60)):
        case(person, bundle, "yes" if number % 2 else "no", None, 0.3 + number % 7 / 20, "abstained" if number < unsure else "computed")
    found = outcomes(viewer=actor_of(doctor), project=project, definition=CohortDefinition(), task_id="plain")["performance"]
    assert found["cannot_tell"] is None and "how many is hidden" in found["judged"] and "lost before" not in found["judged"]
