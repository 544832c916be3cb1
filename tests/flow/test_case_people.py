"""The people of a case table are nobody of the hospital and nobody of another table, whatever their numbers are."""

from __future__ import annotations

from pathlib import Path

import pytest
from salus_web.accounts.models import Site
from salus_web.imaging.models import Instance
from salus_web.records.models import (
    CareRelation,
    CareTeam,
    CareTeamMembership,
    Encounter,
    Observation,
    Patient,
)
from salus_web.records.selectors import person_by_number, search_patients

from tests.factories.cases import make_cases
from tests.factories.people import SYSTEM, actor_of, make_user
from tests.flow.test_cases_to_risks import brought
from tests.web.test_ingest_corrections import Door

pytestmark = pytest.mark.django_db


@pytest.fixture
def door() -> Door:
    return Door()


def table(folder: Path, *, task: str = "tiny", data: str = "", seed: int = 3) -> Path:
    """A folder of four cases, p0 to p3, under a task of a data set."""
    make_cases(folder, people=4, seed=seed)
    named = f'id = "{task}"' + (f'\ndata = "{data}"' if data else "")
    (folder / "task.toml").write_text((folder / "task.toml").read_text().replace('id = "tiny"', named))
    return folder


def holders(number: str) -> list[Patient]:
    return [row for row in Patient.objects.for_actor(SYSTEM).order_by("created_at") if row.mrn == number]


@pytest.mark.parametrize("is_case_first", [True, False])
def test_a_case_never_comes_under_a_patient_of_the_hospital(tmp_path: Path, door: Door, is_case_first: bool) -> None:
    folder, jane = table(tmp_path / "data"), {"identifier": [{"value": "p1"}]}
    if is_case_first:
        brought(folder, door.site)
    door.bring(patient=jane)
    if not is_case_first:
        brought(folder, door.site)
    patient, = [row for row in holders("p1") if row.name == "Jane Doe"]
    assert len(holders("p1")) == 2
    assert not Instance.objects.for_actor(SYSTEM).filter(patient=patient).exists()
    assert not Encounter.objects.for_actor(SYSTEM).filter(patient=patient).exists()
    assert Observation.objects.for_actor(SYSTEM).filter(patient=patient).count() == 1


def test_two_tables_do_not_meet_and_two_tasks_over_one_table_share_their_people(tmp_path: Path, door: Door) -> None:
    brought(table(tmp_path / "a", task="one", data="lungs"), door.site)
    brought(table(tmp_path / "b", task="two", data="lungs"), door.site)
    assert Patient.objects.for_actor(SYSTEM).count() == 4 and Encounter.objects.for_actor(SYSTEM).count() == 8
    brought(table(tmp_path / "c", task="three", seed=9), door.site)
    assert Patient.objects.for_actor(SYSTEM).count() == 8 and len(holders("p1")) == 2
    renamed = table(tmp_path / "d", task="four", data="lungs")
    (renamed / "cases.csv").rename(renamed / "others.csv")
    (renamed / "task.toml").write_text((renamed / "task.toml").read_text().replace("cases.csv", "others.csv"))
    brought(renamed, door.site)
    assert len(holders("p1")) == 3, "another table of the same data set may number other people"


def test_the_same_table_again_finds_its_people(tmp_path: Path, door: Door) -> None:
    folder = table(tmp_path / "data")
    brought(folder, door.site)
    stored = Observation.objects.for_actor(SYSTEM).count()
    (folder / "note.txt").write_text("another upload of the same table")
    brought(folder, door.site)
    assert Patient.objects.for_actor(SYSTEM).count() == 4 and Observation.objects.for_actor(SYSTEM).count() == stored


def reviewer_of(site: Site, patients: list[Patient]) -> object:
    user, team = make_user("clinician", site), CareTeam.objects.create(site=site, name="review")
    start = min(row.created_at for row in patients)
    CareTeamMembership.objects.create(team=team, user=user, starts_at=start, added_by="system:test")
    for row in patients:
        CareRelation.objects.create(patient=row, team=team, starts_at=start, added_by="system:test")
    return user


def test_they_are_found_by_their_bare_number_and_managed_by_it(tmp_path: Path, door: Door) -> None:
    brought(table(tmp_path / "a", data="lungs"), door.site)
    brought(table(tmp_path / "b", task="hearts", seed=9), door.site)
    patients = holders("p1")
    reviewer = reviewer_of(door.site, patients)
    assert set(search_patients(viewer=actor_of(reviewer), text="P1")) == set(patients)  # type: ignore[arg-type]
    desk = actor_of(make_user("administrator", door.site))

    def named(text: str) -> Patient | None:
        return person_by_number(viewer=desk, site_id=door.site.pk, mrn=text)

    assert named("p1") is None, "two tables have one, so the table is said"
    assert [named("lungs/p1"), named("hearts/p1")] == patients
    door.bring(patient={"identifier": [{"value": "p1"}]})
    hospital = named("p1")
    assert hospital is not None and hospital.name == "Jane Doe"
