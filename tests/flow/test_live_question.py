"""The words of a live model are everybody's: whoever brings a table under its id changes none of them, at the door or behind it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from salus_web.accounts.models import Site, User
from salus_web.cohorts.definition import CohortDefinition
from salus_web.cohorts.outcomes import outcomes
from salus_web.common.clock import now
from salus_web.common.errors import BadInput
from salus_web.ingest.models import Upload
from salus_web.ingest.services import receive
from salus_web.jobs.models import Job
from salus_web.jobs.services import claim
from salus_web.records.models import Condition, Patient
from salus_web.records.services import join_team
from salus_web.registry.models import BundleState, TaskFile
from salus_workers.pipelines import load_cases

from tests.factories.cases import TASK, make_cases
from tests.factories.cohorts import diagnose, make_bundle, make_crowd, make_project, predict
from tests.factories.people import SYSTEM, actor_of, client_of, make_site, make_user, relate
from tests.flow.test_cases_to_risks import packed, quiet
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db


def brought(folder: Path, site: Site, by: User | None) -> Upload:
    """A table through the door and the worker, by a person or by a command."""
    upload = receive(filename="cases.zip", content=packed(folder), site=site, by=actor_of(by) if by else SYSTEM)
    held = claim(job_id=str(upload.job_id), worker="test")
    assert held is not None
    load_cases.run(held, quiet)
    return Upload.objects.get(pk=upload.pk)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table whose task file has the id of a model that is there, and other words."""
    made = make_cases(tmp_path / "data", people=6)
    (made / "task.toml").write_text(TASK.replace('title = "', 'title = "Safe to go home: '))
    return made


def test_a_clinician_s_table_under_the_id_of_a_live_model_is_refused_in_words(folder: Path) -> None:
    make_bundle("tiny", 'column = "ill"\npositive = ["yes"]')
    site, before = make_site(), TaskFile.objects.count()
    with pytest.raises(BadInput, match="page Uploads"):
        brought(folder, site, make_user("clinician", site))
    upload = Upload.objects.get()
    assert upload.state == "refused" and upload.problems == [
        "There is a live model of “tiny” here, and this task file is not the one that it was trained by. Give the question another id, or "
        "ask an administrator to bring the table."
    ]  # fmt: skip
    assert TaskFile.objects.count() == before and not Patient.objects.for_actor(SYSTEM).exists()
    assert not Job.objects.filter(kind="train_task").exists()


@pytest.mark.parametrize("role", ["administrator", ""])
def test_an_administrator_or_a_command_may_bring_it_and_the_live_words_stay(folder: Path, role: str) -> None:
    make_bundle("tiny", 'column = "ill"\npositive = ["yes"]')
    site = make_site()
    assert brought(folder, site, make_user(role, site) if role else None).state == "stored"
    assert TaskFile.objects.filter(task_id="tiny").count() == 2 and Job.objects.filter(kind="train_task").exists()


@pytest.mark.parametrize("state", [BundleState.CANDIDATE, BundleState.RETIRED])
def test_who_is_no_administrator_may_bring_it_where_no_model_is_live_and_the_same_file_always(folder: Path, state: str) -> None:
    bundle, site = make_bundle("tiny", 'column = "ill"\npositive = ["yes"]', state=state), make_site()
    clinician = make_user("clinician", site)
    assert brought(folder, site, clinician).state == "stored"
    join_team(site=site, team_name="Case review tiny", user=clinician, by=SYSTEM)  # the cases are here now, and only their own may come again
    bundle.state, bundle.task = BundleState.LIVE, TaskFile.objects.get(title__startswith="Safe")
    bundle.save()
    (folder / "note.txt").write_text("more cases of the same question")
    assert brought(folder, site, clinician).state == "stored"


@pytest.mark.parametrize("trained", [False, True])
def test_another_task_file_of_the_id_changes_no_word_of_the_live_model(trained: bool) -> None:
    """Work lists showed the live model's risks under the newest title; researchers' outcomes followed the newest file."""
    site = make_site()
    live = make_bundle("tiny", 'code = "sepsis"\nhorizon_days = 1')
    TaskFile.objects.filter(pk=live.task_id).update(title="Getting worse")
    crowd = make_crowd(site, 30)
    clinician, researcher = make_user("clinician", site), make_user("researcher", site)
    asked_at = now() - timedelta(days=2)
    for number, person in enumerate(crowd):
        predict(person, live, 0.7, at=asked_at)
        relate(clinician, person)
        if number % 2:
            diagnose(person, "sepsis")
    Condition.objects.for_actor(SYSTEM).update(recorded_at=asked_at + timedelta(hours=3))
    project = make_project(site, members=[researcher])
    desk: Client = client_of(researcher)
    address = f"/cohorts/projects/{project.pk}/"
    before = outcomes(viewer=actor_of(researcher), project=project, definition=CohortDefinition(), task_id="tiny")
    assert before["performance"]["observed"] == 0.5
    newer = make_bundle("tiny", 'column = "ill"\npositive = ["yes"]', state=BundleState.CANDIDATE)
    TaskFile.objects.filter(pk=newer.task_id).update(title="Safe to go home")
    if not trained:
        newer.delete()
    for page in (client_of(clinician).get("/worklist/"), desk.get(address)):
        assert "Getting worse" in text_of(page) and "Safe to go home" not in text_of(page)
    assert outcomes(viewer=actor_of(researcher), project=project, definition=CohortDefinition(), task_id="tiny") == before
