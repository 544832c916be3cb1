"""The database's own wall: with the first one broken on purpose, a stranger still sees nothing. PostgreSQL only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, ProgrammingError, connection, transaction
from django.db.models import Model, QuerySet
from django.test import Client
from django.urls import reverse
from salus_web.accounts.models import Site, User
from salus_web.common import wall
from salus_web.common.clock import now
from salus_web.common.scoping import ScopedManager
from salus_web.records.checks import role_is_held_by_policies
from salus_web.records.models import CareRelation, Observation, Patient
from salus_web.records.scopes import PatientQuerySet, PatientScopedQuerySet

from tests.factories.hospital import Person, make_bundle, make_person
from tests.factories.people import SYSTEM, make_user, relate

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="row-level security is PostgreSQL's; DATABASE_URL names none"),
]


@pytest.fixture
def people(site: Site, clinician: User) -> tuple[Person, Person]:
    """One patient in the clinician's care and one who is not."""
    bundle = make_bundle()
    mine, other = make_person(site, "MINE", bundle), make_person(site, "OTHER", bundle)
    relate(clinician, mine.patient)
    return mine, other


def walled() -> list[type[Model]]:
    """Every table behind the first wall, found from the models."""
    found = [model for model in apps.get_models() if isinstance(model._default_manager, ScopedManager)]
    assert len(found) > 12
    return found


def seen(model: type[Model], person: str) -> int:
    """How many rows raw SQL finds when this person asks."""
    with wall.asked_by(person), connection.cursor() as cursor:
        cursor.execute(f'SELECT count(*) FROM "{model._meta.db_table}"')
        return int(cursor.fetchone()[0])


def test_every_table_behind_the_first_wall_has_the_second_and_it_holds_for_the_owner() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
        found = {row[0] for row in cursor.fetchall()}
        cursor.execute("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone()[0] is False, "this role passes every policy, so nothing here would be proved"
    assert {model._meta.db_table for model in walled()} <= found


def test_raw_sql_finds_only_the_rows_of_those_in_care(people: tuple[Person, Person], clinician: User) -> None:
    filled = [model for model in walled() if seen(model, wall.SYSTEM)]
    assert len(filled) > 11
    for model in filled:
        column = "id" if model is Patient else "patient_id"
        assert seen(model, wall.NOBODY) == 0, model
        assert seen(model, str(make_user("clinician", people[0].patient.site).pk)) == 0, model
        with wall.asked_by(str(clinician.pk)):
            assert set(QuerySet(model).values_list(column, flat=True)) == {people[0].patient.pk}, model


def test_raw_sql_changes_and_adds_nothing_of_others(people: tuple[Person, Person], clinician: User) -> None:
    before = seen(Observation, wall.SYSTEM)
    with wall.asked_by(str(clinician.pk)):
        assert QuerySet(Patient).filter(pk=people[1].patient.pk).update(sex="other") == 0
        assert QuerySet(Observation).filter(patient=people[1].patient)._raw_delete(connection.alias) == 0
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            Observation.objects.create(
                patient=people[1].patient, system="s", code="c", display="x", observed_at=people[1].prediction.index_at,
                source="s", source_key="new",
            )  # fmt: skip
    assert seen(Observation, wall.SYSTEM) == before


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first wall answers everybody everything, as a wrong line in a manager would make it."""
    for queryset in (PatientScopedQuerySet, PatientQuerySet):
        monkeypatch.setattr(queryset, "scope", lambda self, actor: self)


def test_with_the_first_wall_broken_the_pages_still_hide_who_is_not_in_care(
    people: tuple[Person, Person], clinician: User, broken: None
) -> None:
    client = Client()
    client.force_login(clinician)
    assert client.get(reverse("patient", args=[people[0].patient.pk])).status_code == 200
    assert client.get(reverse("patient", args=[people[1].patient.pk])).status_code == 404
    assert client.get(reverse("prediction", args=[people[1].prediction.pk])).status_code == 404
    for page in ("worklist", "patients"):
        body = client.get(reverse(page)).content.decode()
        assert "MINE" in body and "OTHER" not in body


def test_a_relation_that_ended_closes_the_second_wall(people: tuple[Person, Person], clinician: User) -> None:
    assert seen(Patient, str(clinician.pk)) == 1
    CareRelation.objects.update(ends_at=now() - timedelta(minutes=2))
    assert seen(Patient, str(clinician.pk)) == 0


def test_a_system_read_passes_for_that_read_alone(people: tuple[Person, Person], clinician: User) -> None:
    with wall.asked_by(str(clinician.pk)):
        every = Patient.objects.for_actor(SYSTEM)
        assert every.count() == len(every) == len(list(every.iterator())) == 2
        assert every.filter(pk=people[1].patient.pk).exists() and every.values_list("pk", flat=True).last()
        assert QuerySet(Patient).count() == 1


def test_a_failed_system_read_leaves_the_wall_up(people: tuple[Person, Person], clinician: User) -> None:
    with wall.asked_by(str(clinician.pk)):
        with pytest.raises(DatabaseError), transaction.atomic():
            list(Patient.objects.for_actor(SYSTEM).extra(where=["1/0 = 1"]))
        assert QuerySet(Patient).count() == 1


def test_a_new_connection_is_told_who_asks(people: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch) -> None:
    def said() -> Any:
        fresh = connection.copy()
        try:
            with fresh.cursor() as cursor:
                cursor.execute("SELECT current_setting('salus.who', true)")
                return cursor.fetchone()[0]
        finally:
            fresh.close()

    assert said() == wall.SYSTEM
    with wall.asked_by("7"):
        assert said() == "7"
    monkeypatch.setitem(wall._process, "who", wall.NOBODY)
    assert said() == ""


def test_a_role_that_passes_every_policy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert role_is_held_by_policies(None, databases=["default"]) == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolsuper")
        owner = cursor.fetchone()[0]

    class Owner:
        """A cursor that asks about the server's owner in place of us, whom we cannot sign in as here."""

        def __init__(self, real: Any) -> None:
            self.real = real

        def __enter__(self) -> Owner:
            return self

        def __exit__(self, *_: object) -> None:
            self.real.close()

        def execute(self, sql: str) -> None:
            self.real.execute(sql.replace("current_user", f"'{owner}'"))

        def fetchone(self) -> Any:
            return self.real.fetchone()

    real = connection.cursor
    monkeypatch.setattr(connection, "cursor", lambda: Owner(real()))
    (problem,) = role_is_held_by_policies(None, databases=["default"])
    assert problem.is_serious() and "passes row-level security" in problem.msg
