"""The written-out condition finds exactly the rows that the rule itself finds, for everybody, now and later, also inside another query."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db.models import Exists, OuterRef, Q, QuerySet
from salus_web.accounts.models import User
from salus_web.common.clock import now
from salus_web.records import probes, scopes
from salus_web.records.models import (
    CareRelation,
    CareTeam,
    CareTeamMembership,
    Observation,
    Patient,
)
from salus_web.records.probes import Probe
from salus_web.records.scopes import in_care, live_relations

from tests.factories.people import actor_of, make_patient, make_site, make_user

pytestmark = pytest.mark.django_db
PEOPLE, PATIENTS, RELATIONS = 5, 12, 60


@pytest.fixture
def house() -> list[User]:
    """People, teams and relations that began, ended or will begin at random, some through a team and some not."""
    chance, site, moment = random.Random(5), make_site(), now()
    users = [make_user("clinician", site) for _ in range(PEOPLE)]
    teams = [CareTeam.objects.create(site=site, name=f"team {number}") for number in range(3)]
    patients = [make_patient(site) for _ in range(PATIENTS)]

    def span() -> dict[str, Any]:
        start = moment + timedelta(hours=chance.choice((-9, -5, -1, 1)))
        return {"starts_at": start, "ends_at": chance.choice((None, start + timedelta(hours=chance.choice((2, 6)))))}

    for _ in range(RELATIONS // 4):
        CareTeamMembership.objects.create(team=chance.choice(teams), user=chance.choice(users), added_by="x", **span())
    for _ in range(RELATIONS // 3):
        who = {"team": chance.choice(teams)} if chance.random() < 0.5 else {"user": chance.choice(users)}
        CareRelation.objects.create(patient=chance.choice(patients), added_by="x", **who, **span())
    for patient in patients:
        Observation.objects.create(patient=patient, system="s", code="c", display="d", observed_at=moment, source="s", source_key="k")
    return users


def test_it_finds_what_the_rule_finds(house: list[User], monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for hours in (-8, -4, 0, 1.5, 4, 8):
        moment = now() + timedelta(hours=hours)
        monkeypatch.setattr(scopes, "now", lambda moment=moment: moment)
        for user in house:
            actor = actor_of(user)
            right = set(live_relations(actor).values_list("patient_id", flat=True))
            patients = QuerySet(Patient).filter(in_care(actor, "id"))
            assert set(patients.values_list("pk", flat=True)) == right
            rows = QuerySet(Observation).filter(in_care(actor, "patient_id"))
            assert set(rows.values_list("patient_id", flat=True)) == right
            # inside other queries, twice in one, denied, and through a join
            assert set(QuerySet(Observation).filter(patient_id__in=patients.values("pk")).values_list("patient_id", flat=True)) == right
            inner = Exists(rows.filter(patient_id=OuterRef("pk")))
            assert set(QuerySet(Patient).filter(inner, in_care(actor, "pk")).values_list("pk", flat=True)) == right
            assert QuerySet(Patient).filter(~Q(in_care(actor, "pk"))).count() == PATIENTS - len(right)
            assert set((patients | patients.filter(sex="male")).values_list("pk", flat=True)) == right
            assert set(QuerySet(Observation).filter(in_care(actor, "patient__id")).values_list("patient_id", flat=True)) == right
            found.append(len(right))
    assert min(found) < max(found) and sum(found) > 20, "the relations are all alike: it proved nothing"


def test_what_depends_on_more_than_person_and_moment_is_not_written_out(house: list[User]) -> None:
    def own_moment(person: Any, moment: datetime) -> Any:
        return Exists(CareRelation.objects.filter(user_id=person, starts_at__lte=now(), patient_id=OuterRef("pk")))

    turn = iter((True, False))

    def own_mind(person: Any, moment: datetime) -> Any:
        rows = CareRelation.objects.filter(user_id=person, patient_id=OuterRef("pk"))
        return Exists(rows if next(turn) else rows.filter(ends_at__isnull=True))

    for build, words in ((own_moment, "more than the person and the moment"), (own_mind, "not the same for everybody")):
        probe = Probe("id", person=house[0].pk, moment=now(), model=Patient, key=words, build=build)
        with pytest.raises(ValueError, match=words):
            list(QuerySet(Patient).filter(probe))


def test_another_role_or_purpose_is_another_condition(house: list[User]) -> None:
    actor = actor_of(house[0])
    keys = {in_care(one, "id").key for one in (actor, actor_of(house[1]))}
    assert len(keys) == 1, "two people of one role and hospital share what is written"
    others = [probes_key(actor, token_purpose="care"), probes_key(actor, roles_at=actor.roles_at | {("auditor", "s1")})]
    assert len({*keys, *others}) == 3


def probes_key(actor: Any, **other: Any) -> Any:
    """The key of a person who differs in something the rule may ask for."""
    return in_care(replace(actor, **other), "id").key


def test_the_values_of_a_person_do_not_stay(house: list[User]) -> None:
    for user in house:
        list(QuerySet(Patient).filter(in_care(actor_of(user), "id")))
    kept = str(probes._written)
    assert not [user for user in house if str(user.pk) in kept or user.pk.hex in kept]
