"""Who may do what, who may see whom, and how both end: the one deciding function and the managers that narrow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext
from salus_web.accounts.actors import ANONYMOUS, Actor, system
from salus_web.accounts.models import Role, RoleGrant, Site, User
from salus_web.accounts.permissions import RULES, Resource, authorize, can
from salus_web.accounts.selectors import people, sites_for
from salus_web.accounts.services import create_site, create_user, end_role, grant_role
from salus_web.audit.models import Event
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden, LogNotWritten, Refused, ScopeMissing
from salus_web.common.ids import new_id
from salus_web.common.scoping import ScopedManager
from salus_web.records.models import Allergy, CareRelation, CareTeamMembership, Patient
from salus_web.records.selectors import open_patient
from salus_web.records.services import end_relation, leave_team, relate_person

from tests.factories.people import SYSTEM, actor_of, make_patient, make_site, make_user, relate

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
SCOPED = [model for model in apps.get_models() if isinstance(model._default_manager, ScopedManager)]
CLINICAL_ACTS = {"consent.record", "emergency.break", "emergency.notice", "patient.read", "patient.search", "prediction.request", "prediction.review"}


def actor(*roles: str) -> Actor:
    return Actor(id="u1", name="Somebody", roles_at=frozenset((role, "s1") for role in roles))


@pytest.fixture
def administrator(site: Site) -> Actor:
    return actor_of(make_user("administrator", site))


def seen(user: User) -> set[Any]:
    """The ids of the patients that a person can read at this moment."""
    return set(Patient.objects.for_actor(actor_of(user)).values_list("pk", flat=True))


# what one function decides


@pytest.mark.parametrize("action", RULES)
@pytest.mark.parametrize("role", Role.values)
def test_a_role_may_what_its_rule_says_and_nothing_else(action: str, role: str) -> None:
    may = role in RULES[action]
    assert can(actor(role), action) is may
    if may:
        authorize(actor(role), action, Resource("page"))
        return
    with pytest.raises(Refused, match="role") as refused:
        authorize(actor(role), action, Resource("page"))
    assert not isinstance(refused.value, Hidden)


def test_every_rule_names_roles_that_exist() -> None:
    assert all(roles and roles <= set(Role.values) for roles in RULES.values())


def test_only_clinicians_come_near_a_patient_and_only_administrators_give_access() -> None:
    assert {action for action, roles in RULES.items() if roles == {"clinician"}} == CLINICAL_ACTS
    only_administrators = {action for action, roles in RULES.items() if roles == {"administrator"}}
    assert only_administrators == {
        "access.manage", "keeping.change", "keeping.read", "keys.destroy", "models.promote", "jobs.retry", "jobs.stop", "operations.read",
    }  # fmt: skip


@pytest.mark.parametrize("who", [actor(*Role.values), ANONYMOUS])
def test_an_unknown_action_is_refused_to_everybody(who: Actor) -> None:
    with pytest.raises(Refused, match="Nobody has said"):
        authorize(who, "patient.erase", Resource("patient"))
    assert not can(who, "patient.erase")


@pytest.mark.parametrize("action", RULES)
@pytest.mark.parametrize("nobody", [ANONYMOUS, Actor(id="", name="", roles_at=frozenset((role, "s1") for role in Role.values))], ids=["plain", "with roles"])
def test_nobody_signed_in_may_nothing(action: str, nobody: Actor) -> None:
    with pytest.raises(Refused, match="sign in"):
        authorize(nobody, action, Resource("page"))
    assert not can(nobody, action)


def test_a_person_without_any_role_may_nothing() -> None:
    assert not any(can(actor(), action) for action in RULES)


def test_what_is_out_of_scope_is_hidden_not_refused() -> None:
    with pytest.raises(Hidden):
        authorize(actor("clinician"), "patient.read", Resource("patient", "1", in_scope=False))
    for known in (True, None):
        authorize(actor("clinician"), "patient.read", Resource("patient", "1", in_scope=known))


def test_a_wrong_role_learns_nothing_of_what_exists() -> None:
    for in_scope in (True, False):
        with pytest.raises(Refused) as refused:
            authorize(actor("researcher"), "patient.read", Resource("patient", "1", in_scope=in_scope))
        assert not isinstance(refused.value, Hidden)


def test_two_roles_add_up_to_what_each_may() -> None:
    both = actor("auditor", "researcher")
    assert can(both, "audit.read") and can(both, "cohort.use") and not can(both, "patient.read")


def test_the_machine_may_what_it_was_made_for() -> None:
    authorize(system("ingest"), "patient.read", Resource("patient", in_scope=False))
    assert can(system("ingest"), "access.manage")


# people and roles


def test_a_new_person_has_no_role_and_a_password_that_is_not_stored(administrator: Actor) -> None:
    user = create_user(username="ada", display_name="Ada L.", password="a long enough phrase", by=administrator)
    kept = User.objects.get(username="ada")
    assert kept.pk == user.pk and kept.check_password("a long enough phrase") and "long enough" not in kept.password
    assert actor_of(kept) == Actor(id=str(kept.pk), name="Ada L.")
    line = Event.objects.get(action="user.create")
    assert (line.actor_id, line.object_id, line.detail) == (administrator.id, str(user.pk), {})


def test_a_person_without_a_password_cannot_sign_in(administrator: Actor) -> None:
    user = create_user(username="ada", display_name="Ada", password=None, by=administrator)
    assert not user.has_usable_password() and not user.check_password("")


def test_a_sign_in_name_is_given_once(administrator: Actor) -> None:
    create_user(username="ada", display_name="Ada", password=None, by=administrator)
    with pytest.raises(BadInput, match="“ada”"):
        create_user(username="ada", display_name="Another", password=None, by=administrator)
    assert User.objects.get(username="ada").display_name == "Ada"
    assert Event.objects.filter(action="user.create").count() == 1


@pytest.mark.parametrize("role", ["clinician", "auditor", "researcher"])
def test_only_an_administrator_makes_people_sites_and_roles(site: Site, role: str) -> None:
    user = make_user(role, site)
    by, grant = actor_of(user), RoleGrant.objects.get(user=user)
    before = (User.objects.count(), Site.objects.count(), list(RoleGrant.objects.values()), Event.objects.count())
    for attempt in (
        lambda: create_user(username="ada", display_name="Ada", password=None, by=by),
        lambda: create_site(code="new", name="New", by=by),
        lambda: grant_role(user=user, site=site, role="administrator", by=by),
        lambda: end_role(grant=grant, by=by),
    ):
        with pytest.raises(Refused, match="role"):
            attempt()
    after = (User.objects.count(), Site.objects.count(), list(RoleGrant.objects.values()), Event.objects.count())
    assert before == after


def test_a_role_holds_at_its_site_from_now_on(site: Site, administrator: Actor) -> None:
    user, other = User.objects.create_user("ada", None, display_name="Ada"), make_site()
    grant = grant_role(user=user, site=site, role="auditor", by=administrator)
    RoleGrant.objects.create(user=user, site=other, role="researcher", starts_at=now() - HOUR, granted_by="x")
    assert actor_of(user).roles_at == {("auditor", str(site.pk)), ("researcher", str(other.pk))}
    assert sites_for(viewer=actor_of(user), action="audit.read") == [site]
    assert sites_for(viewer=actor_of(user), action="cohort.use") == [other]
    assert grant.granted_by == administrator.id
    line = Event.objects.get(action="role.grant")
    assert (line.object_id, line.detail) == (str(user.pk), {"role": "auditor", "site": site.code})


def test_a_role_that_does_not_exist_is_not_given(site: Site, administrator: Actor) -> None:
    user = User.objects.create_user("ada", None, display_name="Ada")
    with pytest.raises(BadInput, match="clinician, administrator, auditor, researcher"):
        grant_role(user=user, site=site, role="root", by=administrator)
    assert not user.grants.exists() and not Event.objects.filter(action="role.grant").exists()


def test_a_role_given_until_an_end_ends_there(site: Site, administrator: Actor) -> None:
    user = User.objects.create_user("ada", None, display_name="Ada")
    ends = now() + HOUR
    grant_role(user=user, site=site, role="auditor", ends_at=ends, by=administrator)
    assert actor_of(user).roles == {"auditor"} and user.grants.get().ends_at == ends
    user.grants.update(ends_at=now() - timedelta(seconds=1))
    assert actor_of(user).roles_at == frozenset() == actor_of(user).roles


def test_a_role_that_is_to_come_does_not_hold_yet(site: Site) -> None:
    user = make_user("auditor", site)
    user.grants.update(starts_at=now() + HOUR)
    assert actor_of(user).roles == frozenset()


def test_an_ended_role_ends_now_and_leaves_the_others(site: Site, administrator: Actor) -> None:
    user = make_user("auditor", site)
    grant_role(user=user, site=site, role="researcher", by=administrator)
    end_role(grant=RoleGrant.objects.get(user=user, role="auditor"), by=administrator)
    assert actor_of(user).roles == {"researcher"}
    listed = {row.pk: [grant.role for grant in row.live_grants] for row in people(viewer=administrator)}  # type: ignore[attr-defined]
    assert listed[user.pk] == ["researcher"]
    line = Event.objects.get(action="role.end")
    assert (line.actor_id, line.object_id, line.detail) == (administrator.id, str(user.pk), {"role": "auditor"})


def test_what_cannot_be_logged_is_not_given(site: Site, administrator: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user("auditor", site)
    grant = RoleGrant.objects.get(user=user)

    def refuse(*args: Any, **options: Any) -> None:
        raise LogNotWritten("The log is full.")

    monkeypatch.setattr("salus_web.accounts.services.record", refuse)
    for attempt in (
        lambda: create_user(username="ada", display_name="Ada", password=None, by=administrator),
        lambda: create_site(code="new", name="New", by=administrator),
        lambda: grant_role(user=user, site=site, role="clinician", by=administrator),
        lambda: end_role(grant=grant, by=administrator),
    ):
        with pytest.raises(LogNotWritten):
            attempt()
    assert not User.objects.filter(username="ada").exists() and not Site.objects.filter(code="new").exists()
    assert actor_of(user).roles == {"auditor"}


# who sees whom


def test_every_table_with_a_patient_refuses_to_be_read_for_nobody() -> None:
    assert {Patient, Allergy} <= set(SCOPED) and len(SCOPED) > 8
    for model in SCOPED:
        for read in ("all", "count", "first", "exists", "filter", "values"):
            with pytest.raises(ScopeMissing, match=model.__name__):
                getattr(model._default_manager, read)()


def test_every_table_with_a_patient_has_a_manager_that_narrows() -> None:
    """A table that points at a patient either asks for whom it is read, or says here why it need not."""
    open_tables = {"CareRelation": "it is the reason itself, read to decide the scope"}
    pointing = {
        model for model in apps.get_models() for field in model._meta.get_fields() if field.concrete and field.related_model is Patient
    }
    assert len(pointing) > 8
    assert {model.__name__ for model in pointing - set(SCOPED)} == set(open_tables)


def test_a_clinician_without_a_relation_sees_nobody(site: Site) -> None:
    make_patient(site)
    assert seen(make_user("clinician", site)) == set()


def test_a_clinician_sees_the_patients_of_their_team_and_no_others(site: Site) -> None:
    user, mine, other = make_user("clinician", site), make_patient(site), make_patient(site)
    relate(user, mine)
    relate(make_user("clinician", site), other)
    assert seen(user) == {mine.pk}
    for patient in (mine, other):
        Allergy.objects.create(patient=patient, display="penicillin", source="s", source_key=str(patient.pk))
    found = Allergy.objects.for_actor(actor_of(user))
    assert [row.patient_id for row in found] == [mine.pk]


def test_a_direct_relation_shows_one_patient_to_one_person(site: Site, administrator: Actor) -> None:
    user, colleague, patient = make_user("clinician", site), make_user("clinician", site), make_patient(site)
    make_patient(site)
    relation = relate_person(patient=patient, user=user, reason="consult", ends_at=now() + HOUR, by=administrator)
    assert (seen(user), seen(colleague)) == ({patient.pk}, set())
    end_relation(relation=relation, by=administrator)
    assert seen(user) == set()


@pytest.mark.parametrize("row", [CareRelation, CareTeamMembership])
@pytest.mark.parametrize("moment", ["over", "to come"])
def test_outside_its_time_a_relation_shows_nobody(site: Site, row: Any, moment: str) -> None:
    user, patient = make_user("clinician", site), make_patient(site)
    relate(user, patient)
    row.objects.update(ends_at=now() + HOUR)
    assert seen(user) == {patient.pk}
    row.objects.update(**({"ends_at": now() - timedelta(seconds=1)} if moment == "over" else {"starts_at": now() + timedelta(minutes=30)}))
    assert seen(user) == set()


def test_a_colleague_who_stays_does_not_keep_one_who_left(site: Site, administrator: Actor) -> None:
    left, stays, patient = make_user("clinician", site), make_user("clinician", site), make_patient(site)
    team = relate(left, patient).team
    CareTeamMembership.objects.create(team=team, user=stays, starts_at=now() - HOUR, added_by="x")
    assert seen(left) == seen(stays) == {patient.pk}
    leave_team(membership=CareTeamMembership.objects.get(user=left), by=administrator)
    assert (seen(left), seen(stays)) == (set(), {patient.pk})


def test_two_reasons_show_a_patient_once(site: Site) -> None:
    user, patient = make_user("clinician", site), make_patient(site)
    relate(user, patient)
    relate(user, patient)
    assert Patient.objects.for_actor(actor_of(user)).count() == 1


@pytest.mark.parametrize("role", ["researcher", "administrator", "auditor"])
def test_no_other_role_sees_a_patient_even_with_a_relation(site: Site, role: str) -> None:
    user, patient = make_user(role, site), make_patient(site)
    relate(user, patient)
    Allergy.objects.create(patient=patient, display="penicillin", source="s", source_key="1")
    assert seen(user) == set() and not Allergy.objects.for_actor(actor_of(user)).exists()
    RoleGrant.objects.filter(user=user).update(role="clinician")
    assert seen(user) == {patient.pk}


def test_a_clinician_whose_role_ended_sees_nobody(site: Site, administrator: Actor) -> None:
    user, patient = make_user("clinician", site), make_patient(site)
    relate(user, patient)
    end_role(grant=RoleGrant.objects.get(user=user), by=administrator)
    assert seen(user) == set()


def test_the_machine_sees_all_and_nobody_signed_in_sees_none(site: Site) -> None:
    patients = {make_patient(site).pk, make_patient(make_site()).pk}
    assert set(Patient.objects.for_actor(SYSTEM).values_list("pk", flat=True)) == patients
    assert not Patient.objects.for_actor(ANONYMOUS).exists()


# the one way to one patient


def test_opening_a_patient_is_logged_with_the_pseudonym(site: Site) -> None:
    user, patient = make_user("clinician", site), make_patient(site)
    relate(user, patient)
    assert open_patient(patient_id=patient.pk, viewer=actor_of(user), looking_at="image").pk == patient.pk
    line = Event.objects.get()
    assert (line.action, line.outcome, line.patient, line.purpose) == ("image.read", "done", patient.pseudonym, "care")
    assert (line.actor_id, line.object_id) == (str(user.pk), str(patient.pk))


def test_a_stranger_is_told_the_same_as_of_nobody_and_both_looks_are_logged(site: Site) -> None:
    viewer, stranger, absent = actor_of(make_user("clinician", site)), make_patient(site).pk, new_id()
    sentences = []
    for patient_id in (stranger, absent):
        with pytest.raises(Hidden) as hidden:
            open_patient(patient_id=patient_id, viewer=viewer, looking_at="patient")
        sentences.append(str(hidden.value))
    assert sentences[0] == sentences[1] and str(stranger) not in sentences[0]
    lines = Event.objects.order_by("number").values_list("action", "object_id", "outcome", "patient", "actor_id")
    whose = {stranger: Patient.objects.for_actor(SYSTEM).get(pk=stranger).pseudonym, absent: ""}  # so that an auditor finds the try by patient
    assert list(lines) == [("patient.read", str(key), "refused", whose[key], viewer.id) for key in (stranger, absent)]


@pytest.mark.parametrize("role", ["researcher", "administrator", "auditor"])
def test_another_role_is_refused_a_patient_and_the_try_is_logged(site: Site, role: str) -> None:
    user, patient = make_user(role, site), make_patient(site)
    relate(user, patient)
    with pytest.raises(Refused, match="role") as refused:
        open_patient(patient_id=patient.pk, viewer=actor_of(user), looking_at="patient")
    assert not isinstance(refused.value, Hidden)
    line = Event.objects.get()
    assert (line.outcome, line.object_id, line.actor_id) == ("refused", str(patient.pk), str(user.pk))


def test_a_patient_is_not_shown_when_the_look_cannot_be_logged(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    user, patient = make_user("clinician", site), make_patient(site)
    relate(user, patient)

    def refuse(*args: Any, **options: Any) -> None:
        raise LogNotWritten("The log is full.")

    monkeypatch.setattr("salus_web.records.selectors.record", refuse)
    with pytest.raises(LogNotWritten):
        open_patient(patient_id=patient.pk, viewer=actor_of(user), looking_at="patient")


def test_opening_reads_the_patient_once(site: Site) -> None:
    user, patient = make_user("clinician", site), make_patient(site)
    relate(user, patient)
    viewer = actor_of(user)
    with CaptureQueriesContext(connection) as queries:
        assert open_patient(patient_id=patient.pk, viewer=viewer, looking_at="patient").site == site
    reads = [query["sql"] for query in queries if "records_" in query["sql"] or "accounts_" in query["sql"]]
    assert len(reads) == 1
