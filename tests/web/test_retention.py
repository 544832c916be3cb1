"""Rules end nothing by themselves: a dry run says who, a second person agrees, and nobody goes who is held or not due any more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import Client
from salus_web.accounts.models import Site
from salus_web.audit.models import Event
from salus_web.common import keyring, vault
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden, Refused, StateConflict
from salus_web.imaging.models import Rendition, Study
from salus_web.jobs.models import Job
from salus_web.jobs.services import claim
from salus_web.predictions.models import Prediction
from salus_web.records.models import Encounter, Patient
from salus_web.stewardship.carrying_out import GONE_BEFORE, HELD, NOT_DUE, carry_out
from salus_web.stewardship.models import Decision, RetentionItem, RetentionRun
from salus_web.stewardship.rules import rules_now, set_rule
from salus_web.stewardship.runs import decide_run, dry_run
from salus_web.stewardship.services import set_hold
from salus_workers.pipelines import retention_run
from salus_workers.pipelines.registry import PIPELINES

from tests.factories.hospital import Person, make_bundle, make_person
from tests.factories.people import SYSTEM, actor_of, make_patient, make_site, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_places")]
YEAR = timedelta(days=366)


@pytest.fixture
def two(site: Site) -> tuple[Any, Any]:
    return actor_of(make_user("administrator", site)), actor_of(make_user("administrator", site))


def seen(person: Person, years_ago: float, *, open_stay: bool = False) -> Person:
    """The person's stay began and ended so long ago."""
    moment = now() - years_ago * YEAR
    QuerySet(Encounter).filter(patient=person.patient).update(
        starts_at=moment - timedelta(days=3), ends_at=None if open_stay else moment
    )
    return person


@pytest.fixture
def people(site: Site) -> dict[str, Person]:
    bundle = make_bundle()
    made = {token: make_person(site, token, bundle) for token in ("OLD", "HELD", "NEW", "LYING")}
    made["ELSEWHERE"] = make_person(make_site(), "ELSEWHERE", bundle)
    for token, years in (("OLD", 12), ("HELD", 15), ("NEW", 9), ("ELSEWHERE", 40)):
        seen(made[token], years)
    seen(made["LYING"], 30, open_stay=True)
    return made


def listed(run: RetentionRun) -> dict[Any, RetentionItem]:
    return {item.patient_id: item for item in RetentionItem.objects.for_actor(SYSTEM).filter(run=run)}


def agreed(run: RetentionRun, by: Any) -> dict[Any, str]:
    """Agreed to by another person, and carried out by the worker."""
    decide_run(run=run, accept=True, why="agreed", by=by)
    held = claim(job_id=str(Job.objects.get(kind="retention_run").pk), worker="test")
    assert held is not None
    retention_run.run(held, lambda share, words: None)
    return {key: item.outcome for key, item in listed(run).items()}


# --- refused


@pytest.mark.parametrize("role", ["clinician", "auditor", "researcher"])
def test_only_administrators_set_rules_and_run_them(site: Site, two: Any, people: dict[str, Person], role: str) -> None:
    by = actor_of(make_user(role, site))
    set_rule(kind="record", years=10, by=two[0])
    run = dry_run(site=site, by=two[0])
    for act in (lambda: set_rule(kind="record", years=1, by=by), lambda: dry_run(site=site, by=by),
                lambda: decide_run(run=run, accept=True, why="w", by=by)):  # fmt: skip
        with pytest.raises(Refused):
            act()
    assert rules_now()["record"] == 10


def test_a_rule_that_makes_no_sense_is_refused_by_its_field(two: Any, site: Site) -> None:
    for kind, years, word in (("letters", 5, "Kind"), ("record", 0, "Years"), ("record", 131, "Years")):
        with pytest.raises(BadInput, match=word):
            set_rule(kind=kind, years=years, by=two[0])
    with pytest.raises(StateConflict, match="kept for ever"):
        dry_run(site=site, by=two[0])
    client = Client()
    client.force_login(make_user("administrator", site))
    answer = client.post("/keeping/rules/", {"kind": "record", "years": "ten"})
    assert answer.status_code == 409 and "whole number" in answer.content.decode()


def test_nobody_agrees_to_their_own_run_nor_to_one_elsewhere(site: Site, two: Any, people: dict[str, Person]) -> None:
    set_rule(kind="record", years=10, by=two[0])
    run = dry_run(site=site, by=two[0])
    elsewhere = actor_of(make_user("administrator", make_site()))
    with pytest.raises(Refused, match="somebody else"):
        decide_run(run=run, accept=True, why="w", by=two[0])
    with pytest.raises(Hidden):
        decide_run(run=run, accept=True, why="w", by=elsewhere)
    with pytest.raises(Hidden):
        dry_run(site=site, by=elsewhere)
    with pytest.raises(BadInput, match="Reason"):
        decide_run(run=run, accept=True, why=" ", by=two[1])
    with pytest.raises(Refused):
        decide_run(run=run, accept=True, why="w", by=SYSTEM)
    with pytest.raises(StateConflict, match="Nobody agreed"):
        carry_out(run_id=run.pk, report=lambda share, words: None, by=SYSTEM)
    decide_run(run=run, accept=False, why="not now", by=two[1])
    with pytest.raises(StateConflict, match="Nobody agreed"):
        carry_out(run_id=run.pk, report=lambda share, words: None, by=SYSTEM)
    assert not Job.objects.filter(kind="retention_run").exists()
    assert Patient.objects.for_actor(SYSTEM).filter(erased_at__isnull=False).count() == 0


# --- the dry run


def test_a_dry_run_says_who_and_how_much_and_why_somebody_is_held_and_deletes_nothing(
    site: Site, two: Any, people: dict[str, Person]
) -> None:
    set_rule(kind="record", years=10, by=two[0])
    set_hold(patient=people["HELD"].patient, reason="Coroner's enquiry", until=None, by=two[0])
    before = QuerySet(Encounter).count(), QuerySet(Prediction).count(), QuerySet(Rendition).count()
    run = dry_run(site=site, by=two[0])
    found = listed(run)
    assert set(found) == {people["OLD"].patient.pk, people["HELD"].patient.pk}
    old = found[people["OLD"].patient.pk]
    # stay, 4 values, problem, drug, allergy, 2 words of the name, 4 of the film, risk, current one, map
    assert (old.rows, old.files, old.held) == (18, 5, False)
    assert run.counts == {"people": 1, "rows": 18, "files": 5, "held": 1}
    assert (QuerySet(Encounter).count(), QuerySet(Prediction).count(), QuerySet(Rendition).count()) == before
    client = Client()
    client.force_login(make_user("administrator", site))
    page = client.get(f"/keeping/runs/{run.pk}/").content.decode()
    assert "rows 18" in page and "••••ELD" not in page and "Coroner&#x27;s enquiry" in page and "NamOLD" not in page
    assert "NameOLD" not in page and "••••NOLD" in page


def test_somebody_in_hospital_is_never_due_and_somebody_never_seen_from_when_they_came_in(site: Site, two: Any, people: dict[str, Person]) -> None:
    never, lately = make_patient(site), make_patient(site)
    QuerySet(Patient).filter(pk=never.pk).update(created_at=now() - 11 * YEAR)
    set_rule(kind="record", years=10, by=two[0])
    found = listed(dry_run(site=site, by=two[0]))
    assert never.pk in found and lately.pk not in found and people["LYING"].patient.pk not in found


def test_a_case_of_a_table_counts_from_its_moment(site: Site, two: Any) -> None:
    person = seen(make_person(site, "CASE", make_bundle()), 12, open_stay=True)
    QuerySet(Encounter).filter(patient=person.patient).update(kind="case")
    set_rule(kind="record", years=10, by=two[0])
    assert set(listed(dry_run(site=site, by=two[0]))) == {person.patient.pk}


# --- carried out


def test_what_two_people_agreed_to_goes_and_nothing_else(
    site: Site, two: Any, people: dict[str, Person], django_capture_on_commit_callbacks: Any
) -> None:
    set_rule(kind="record", years=10, by=two[0])
    set_hold(patient=people["HELD"].patient, reason="Coroner's enquiry", until=None, by=two[0])
    with django_capture_on_commit_callbacks(execute=True):
        outcomes = agreed(dry_run(site=site, by=two[0]), two[1])
    assert outcomes == {people["OLD"].patient.pk: "gone: 18 rows, 5 files", people["HELD"].patient.pk: HELD}
    erased = Patient.objects.for_actor(SYSTEM).filter(erased_at__isnull=False)
    assert [row.pk for row in erased] == [people["OLD"].patient.pk]
    assert keyring.is_destroyed(f"person:{people['OLD'].patient.pk}")
    assert RetentionRun.objects.get().state == Decision.DONE
    assert RetentionItem.objects.for_actor(SYSTEM).get(patient=people["OLD"].patient).last_at is None
    assert Job.objects.get(kind="retention_run").result == {"gone": 1, "left": 1}
    for token in ("HELD", "NEW", "LYING", "ELSEWHERE"):
        assert Patient.objects.for_actor(SYSTEM).get(pk=people[token].patient.pk).name.endswith(token)


def test_who_changed_since_the_dry_run_stays(site: Site, two: Any, people: dict[str, Person]) -> None:
    more = {token: seen(make_person(site, token, people["OLD"].prediction.bundle), 20) for token in ("CAME", "CLAIM", "ERASED")}
    set_rule(kind="record", years=10, by=two[0])
    run = dry_run(site=site, by=two[0])
    seen(more["CAME"], 0.1)
    set_hold(patient=more["CLAIM"].patient, reason="A claim", until=None, by=two[0])
    QuerySet(Patient).filter(pk=more["ERASED"].patient.pk).update(erased_at=now())
    outcomes = agreed(run, two[1])
    assert outcomes[more["CAME"].patient.pk] == NOT_DUE and outcomes[more["CLAIM"].patient.pk] == HELD
    assert outcomes[more["ERASED"].patient.pk] == GONE_BEFORE
    assert outcomes[people["OLD"].patient.pk].startswith("gone")


@pytest.mark.parametrize("years", [None, 13])
def test_a_rule_made_longer_since_the_dry_run_holds(site: Site, two: Any, people: dict[str, Person], years: int | None) -> None:
    set_rule(kind="record", years=10, by=two[0])
    run = dry_run(site=site, by=two[0])
    set_rule(kind="record", years=years, by=two[0])
    outcomes = agreed(run, two[1])
    assert outcomes[people["OLD"].patient.pk] == NOT_DUE


def test_a_rule_made_shorter_since_the_dry_run_takes_nobody_more(site: Site, two: Any, people: dict[str, Person]) -> None:
    set_rule(kind="record", years=10, by=two[0])
    run = dry_run(site=site, by=two[0])
    set_rule(kind="record", years=1, by=two[0])
    assert people["NEW"].patient.pk not in agreed(run, two[1])


def test_images_go_alone_where_only_they_are_due(
    site: Site, two: Any, people: dict[str, Person], django_capture_on_commit_callbacks: Any
) -> None:
    set_rule(kind="images", years=10, by=two[0])
    old = people["OLD"].patient
    key, sha256 = QuerySet(Rendition).filter(patient=old).values_list("blob_key", "blob_sha256")[0]
    assert vault.get(key, sha256=sha256)
    with django_capture_on_commit_callbacks(execute=True):
        outcomes = agreed(dry_run(site=site, by=two[0]), two[1])
    # map, two renditions, instance, series, study
    assert outcomes[old.pk] == "gone: 6 rows, 4 files"
    assert not QuerySet(Study).filter(patient=old).exists() and QuerySet(Prediction).filter(patient=old).exists()
    with pytest.raises(vault.BlobMissing):
        vault.get(key, sha256=sha256)
    assert Patient.objects.for_actor(SYSTEM).get(pk=old.pk).name.endswith("OLD")
    assert Event.objects.filter(action="retention.delete", patient=old.pseudonym).count() == 1


def test_a_run_that_was_killed_goes_on_where_it_was(site: Site, two: Any, people: dict[str, Person], monkeypatch: pytest.MonkeyPatch) -> None:
    set_rule(kind="record", years=10, by=two[0])
    run = dry_run(site=site, by=two[0])
    decide_run(run=run, accept=True, why="agreed", by=two[1])

    def killed(share: float, words: str) -> None:
        if share:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(run_id=run.pk, report=killed, by=SYSTEM)
    assert sorted(bool(item.outcome) for item in listed(run).values()) == [False, True]
    assert carry_out(run_id=run.pk, report=lambda share, words: None, by=SYSTEM) == {"gone": 2, "left": 0}
    assert PIPELINES["retention_run"] is retention_run.run
