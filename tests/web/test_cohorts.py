"""Cohorts: who may ask, who is left out, and that no small group is ever told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from salus_learn.contracts import EMPTY_WORD
from salus_web.accounts.models import Site
from salus_web.audit.models import Event
from salus_web.cohorts.definition import CodeRule, CohortDefinition, from_json
from salus_web.cohorts.models import Cohort, Project
from salus_web.cohorts.outcomes import judged_outcomes, outcomes
from salus_web.cohorts.selectors import (
    TableRow,
    member_pseudonyms,
    not_allowing,
    persons,
    project_for,
    projects_of,
    safe_counts,
    table_one,
)
from salus_web.cohorts.services import save_cohort
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden, Refused
from salus_web.records.models import Condition, Encounter, Patient

from tests.factories.cohorts import (
    diagnose,
    make_bundle,
    make_crowd,
    make_project,
    observe,
    picture,
    predict,
    say,
)
from tests.factories.people import SYSTEM, actor_of, make_site, make_user

ALL = CohortDefinition()


@pytest.fixture
def setting(site: Site) -> dict[str, Any]:
    """A project at a site with one member; spread as `viewer` and `project`."""
    user = make_user("researcher", site)
    return {"viewer": actor_of(user), "project": make_project(site, members=[user])}


def members(*, viewer: Any, project: Project, definition: CohortDefinition) -> frozenset[str]:
    """Who is in a cohort, as the machine reads it."""
    return frozenset(person.id for person in persons(viewer=SYSTEM, project=project, definition=definition))


def ids(patients: list[Patient]) -> frozenset[str]:
    return frozenset(str(patient.pk) for patient in patients)


# --- what is refused


@pytest.mark.parametrize("read", [safe_counts, table_one])
def test_a_researcher_who_is_not_a_member_learns_nothing(read: Any, site: Site, setting: dict[str, Any]) -> None:
    make_crowd(site, 20)
    stranger = actor_of(make_user("researcher", site))
    with pytest.raises(Hidden):
        read(viewer=stranger, project=setting["project"], definition=ALL)
    with pytest.raises(Hidden):
        outcomes(viewer=stranger, project=setting["project"], definition=ALL, task_id="t")
    assert projects_of(viewer=stranger) == []


@pytest.mark.parametrize("role", ["clinician", "administrator", "auditor"])
def test_a_member_without_the_role_is_refused(role: str, site: Site) -> None:
    user = make_user(role, site)
    with pytest.raises(Refused, match="role"):
        safe_counts(viewer=actor_of(user), project=make_project(site, members=[user]), definition=ALL)


def test_a_project_that_ended_or_is_absent_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(Hidden):
        project_for(setting["viewer"], uuid4())
    Project.objects.update(ends_at=now() - timedelta(hours=1))
    with pytest.raises(Refused, match="ended"):
        safe_counts(**setting, definition=ALL)


def test_no_person_gets_rows_of_patients(setting: dict[str, Any]) -> None:
    for read in (persons, member_pseudonyms):
        with pytest.raises(Refused, match="not shown"):
            read(**setting, definition=ALL)
    with pytest.raises(Refused, match="not shown"):
        not_allowing(**setting, pseudonyms=frozenset({"p"}))


def test_a_cohort_is_saved_once_by_a_member_and_names_only_the_project_s_sites(
    site: Site, setting: dict[str, Any]
) -> None:
    project, me = setting["project"], setting["viewer"]
    with pytest.raises(Hidden):
        save_cohort(project=project, name="C", definition=ALL, by=actor_of(make_user("researcher", site)))
    with pytest.raises(BadInput, match="site_ids"):
        save_cohort(project=project, name="C", definition=CohortDefinition(site_ids=(str(make_site().pk),)), by=me)
    definition = CohortDefinition(age_low=60, codes=(CodeRule("8867-4", 50, None, "/min"),), site_ids=(str(site.pk),))
    cohort = save_cohort(project=project, name="C", definition=definition, by=me)
    assert from_json(Cohort.objects.get().definition) == definition
    assert Event.objects.get(action="cohort.save").object_id == str(cohort.pk)
    with pytest.raises(BadInput, match="already"):
        save_cohort(project=project, name=" C ", definition=ALL, by=me)


# --- who is in


def test_only_patients_of_the_project_s_sites_who_have_not_refused_are_in(site: Site, setting: dict[str, Any]) -> None:
    silent, agreed, refused, changed, back = make_crowd(site, 5)
    make_crowd(make_site(), 3)
    say(agreed, True)
    say(refused, False)
    say(changed, True)
    say(changed, False, version=2)
    say(back, False)
    say(back, True, version=2)
    say(silent, False, purpose="teaching")
    assert members(**setting, definition=ALL) == ids([silent, agreed, back])


def test_each_field_of_the_definition_narrows_the_cohort(site: Site, setting: dict[str, Any]) -> None:
    plain, man, old, measured, imaged, ill, risky = people = make_crowd(site, 7)
    man.sex, old.birth_date = "male", (now() - timedelta(days=70 * 365.2425 + 9)).date()
    man.save()
    old.save()
    observe(measured, "8867-4", 80, unit="/min")
    observe(plain, "8867-4", 120, unit="/min")
    observe(plain, "8867-4", 80, unit="Hz")
    picture(imaged, "CT")
    Condition.objects.create(
        patient=ill, system="s", code="38341003", display="d", recorded_at=now(), source="t", source_key="c"
    )
    bundle = make_bundle("sepsis", 'code = "x"')
    predict(risky, bundle, 0.7)
    predict(plain, bundle, 0.1)
    for definition, found in [
        (CohortDefinition(sexes=("male",)), [man]),
        (CohortDefinition(age_low=70, age_high=70), [old]),
        (CohortDefinition(age_low=51, age_high=69), []),
        (CohortDefinition(age_low=50, age_high=50), [person for person in people if person is not old]),
        (CohortDefinition(codes=(CodeRule("8867-4", 50, 100, "/min"),)), [measured]),
        (CohortDefinition(codes=(CodeRule("8867-4", 50, 100),)), [measured, plain]),
        (CohortDefinition(codes=(CodeRule("8867-4"),), sexes=("male",)), []),
        (CohortDefinition(modalities=("CT", "MR")), [imaged]),
        (CohortDefinition(condition_codes=("38341003",)), [ill]),
        (CohortDefinition(task_id="sepsis"), [risky, plain]),
        (CohortDefinition(task_id="sepsis", risk_low=0.5), [risky]),
        (CohortDefinition(site_ids=(str(uuid4()),)), []),
    ]:
        assert members(**setting, definition=definition) == ids(found), definition.sentence()


def test_the_dead_keep_the_age_at_which_they_died(site: Site, setting: dict[str, Any]) -> None:
    (dead,) = make_crowd(site, 1, age=80)
    dead.died_at = now() - timedelta(days=10 * 365.2425)
    dead.save()
    assert members(**setting, definition=CohortDefinition(age_low=70, age_high=70)) == ids([dead])
    (unborn,) = make_crowd(site, 1, age=None)
    assert str(unborn.pk) not in members(**setting, definition=CohortDefinition(age_low=0))


def test_reading_a_cohort_takes_as_many_queries_for_many_as_for_few(site: Site, setting: dict[str, Any]) -> None:
    definition = CohortDefinition(age_low=1, codes=(CodeRule("a"), CodeRule("b")), sexes=("female",))

    def queries() -> list[int]:
        found = []
        for read in (safe_counts, table_one):
            with CaptureQueriesContext(connection) as seen:
                read(**setting, definition=definition)
            found.append(len(seen))
        return found

    queries()  # the first time Django also asks SQLite what it can do
    before = queries()
    for person in make_crowd(site, 30):
        observe(person, "a", 1.0)
        observe(person, "b", 2.0)
        picture(person)
    assert queries() == before == [2, 3]


# --- what may be said


def test_counts_are_rounded_at_every_step_and_small_ones_are_not_told(site: Site, setting: dict[str, Any]) -> None:
    make_crowd(site, 33)
    men = make_crowd(site, 14, sex="male")
    for man in men[:9]:
        observe(man, "a", 1.0)
    say(men[13], False)
    found = safe_counts(**setting, definition=CohortDefinition(sexes=("male",), codes=(CodeRule("a"),)))
    assert found["total"] is None
    assert [step["left"] for step in found["attrition"]] == [45, 45, 15, None]
    assert safe_counts(**setting, definition=ALL)["total"] == 45


def test_table_one_tells_no_small_cell(site: Site, setting: dict[str, Any]) -> None:
    crowd = make_crowd(site, 40) + make_crowd(site, 12, sex="male", age=95) + make_crowd(site, 4, sex="other", age=20)
    for number, person in enumerate(crowd):
        observe(person, "a", 100.0 + number % 3, unit="g")
        observe(person, "b", 5.0, unit="g") if number < 6 else None
        picture(person, "MR") if number < 30 else picture(person, "CT") if number < 33 else None
    rows = {(row.variable, row.level): row for row in table_one(**setting, definition=ALL)}
    assert rows["Sex", "female"].count == 40 and rows["Sex", "female"].share is not None
    assert rows["Sex", "male"].count == 10 and rows["Age", "90 and over"].count == 10 and rows["Age", "50 to 59"].count == 40
    assert rows["Image", "MR"].count == 30
    # that anybody at all is of another sex, in their twenties or has a CT image is not told where few are
    assert not {("Sex", "other"), ("Age", "20 to 29"), ("Image", "CT")} & set(rows)
    assert rows["Age", ""].n == 55
    only = CohortDefinition(codes=(CodeRule("a", unit="g"),))
    value = {row.variable: row for row in table_one(**setting, definition=only)}["a"]
    assert (value.n, value.unit) == (55, "g") and value.blurred is not None
    true = sum(100 + number % 3 for number in range(56)) / 56
    assert abs(value.blurred.mean - true) <= value.blurred.at_most < 1
    # nine people and fewer: no table at all
    assert table_one(**setting, definition=CohortDefinition(codes=(CodeRule("b"),))) == []


def test_table_one_is_the_same_whether_one_person_is_there_or_nobody(site: Site, setting: dict[str, Any]) -> None:
    """Of the women everybody has both diagnoses, of the others one has the second: no line may come, go or change for it."""
    women, (other,) = make_crowd(site, 40), make_crowd(site, 1, sex="other", age=93)
    for number, person in enumerate([*women, other]):
        observe(person, "a", "alert" if person.pk != other.pk else 3.0)
        picture(person, "CT" if person.pk != other.pk else "PT")
        for code in ("both", "second") if number < 40 else ("second",):
            diagnose(person, code)
    told = []
    for code in ("both", "second"):
        definition = CohortDefinition(sexes=("female", "other"), codes=(CodeRule("a"),), condition_codes=(code,))
        rows = table_one(**setting, definition=definition)
        told.append([(row.variable, row.level, row.count, row.share, row.n, row.unit, row.is_number) for row in rows])
    assert told[0] == told[1] and ("Sex", "female", 40, None, None, "", False) in told[0]


def test_numbers_in_another_unit_are_never_mixed_in(site: Site, setting: dict[str, Any]) -> None:
    for number, person in enumerate(make_crowd(site, 30)):
        observe(person, "w", 70.0 + number % 4 if number < 20 else 70000.0, unit="kg" if number < 20 else "g")
    row = {row.variable: row for row in table_one(**setting, definition=CohortDefinition(codes=(CodeRule("w"),)))}["w"]
    assert (row.n, row.unit) == (20, "kg") and row.blurred is not None and 70 < row.blurred.mean < 73


def test_a_mean_is_blurred_by_whom_and_what_it_is_of(site: Site, setting: dict[str, Any]) -> None:
    """The same people give the same figure, whatever was asked to find them; another value of one of them gives another."""

    def mean(**asked: Any) -> TableRow:
        rule = CodeRule("a", **asked.pop("rule", {}))
        return {row.variable: row for row in table_one(**setting, definition=CohortDefinition(codes=(rule,), **asked))}["a"]

    crowd = make_crowd(site, 12)
    for number, person in enumerate(crowd):
        observe(person, "a", 100.0 + 3 * number, unit="g", at=now() - timedelta(days=1))
    told = mean()
    assert told.blurred is not None and told == mean() == mean(age_low=1, sexes=("female",), rule={"low": 1.0, "unit": "g"})
    means = set()
    for number, person in enumerate(crowd):
        observe(person, "a", 100.0 + 3 * number + 1e-6, unit="g")
        row = mean().blurred
        means.add(row and row.mean)
    assert len(means) > 3, "a value that changes is not what two looks differ by: each look after it is blurred anew"


def test_words_have_no_line_of_means(site: Site, setting: dict[str, Any]) -> None:
    for person in make_crowd(site, 15):
        observe(person, "a", "alert")
    assert "a" not in {row.variable for row in table_one(**setting, definition=CohortDefinition(codes=(CodeRule("a"),)))}


def test_equal_values_are_not_averaged(site: Site, setting: dict[str, Any]) -> None:
    for person in make_crowd(site, 15):
        observe(person, "a", 7.0, unit="g")
    row = {row.variable: row for row in table_one(**setting, definition=CohortDefinition(codes=(CodeRule("a"),)))}["a"]
    assert row.is_number and row.blurred is None


# --- risks and outcomes


def test_risks_fall_into_five_bands_without_a_small_cell(site: Site, setting: dict[str, Any]) -> None:
    bundle = make_bundle("sepsis", 'code = "x"')
    for number, person in enumerate(make_crowd(site, 50)):
        predict(person, bundle, 0.1 if number < 30 else 0.5 if number < 46 else 1.0)
    found = outcomes(**setting, definition=ALL, task_id="sepsis")
    assert [band["count"] for band in found["bands"]] == [30, None, None, None, None]
    assert found["with_risk"] is None and "refused" in found["performance"]
    for person in make_crowd(site, 5, sex="male"):
        predict(person, bundle, 0.9)
    few = outcomes(**setting, definition=CohortDefinition(sexes=("male",)), task_id="sepsis")
    assert {band["count"] for band in few["bands"]} == {None}
    assert outcomes(**setting, definition=CohortDefinition(sexes=("other",)), task_id="sepsis") == few, "as if nobody were there"
    asked = CohortDefinition(task_id="sepsis", risk_low=0.3, risk_high=0.55)
    assert outcomes(**setting, definition=asked, task_id="sepsis")["bands"] == [
        {"band": "20–40 %", "count": None, "share": None}, {"band": "40–60 %", "count": None, "share": None},
    ], "bands beyond the range that was asked for are nobody's secret"  # fmt: skip


def test_a_record_s_outcome_counts_within_the_horizon_and_only_when_it_is_over(site: Site) -> None:
    bundle = make_bundle("sepsis", 'code = "sep"\nhorizon_days = 2')
    ill, late, before, well, waiting, unasked = people = make_crowd(site, 6)
    start = now() - timedelta(days=30)
    for person in (ill, late, before, well):
        predict(person, bundle, 0.5, at=start)
    predict(waiting, bundle, 0.5, at=now() - timedelta(days=1))
    for number, (person, moment) in enumerate([(ill, 1), (late, 3), (before, -1), (waiting, 29.5), (unasked, 1)]):
        Condition.objects.create(
            patient=person, system="s", code="sep", display="d", recorded_at=start + timedelta(days=moment), source="t",
            source_key=f"c{number}",
        )  # fmt: skip
    found = judged_outcomes("sepsis", [str(person.pk) for person in people])
    assert found == {str(ill.pk): (0.5, 1, False), str(late.pk): (0.5, 0, False), str(before.pk): (0.5, 0, False), str(well.pk): (0.5, 0, False)}
    assert judged_outcomes("nobody-knows", [str(ill.pk)]) == {}


def test_of_a_stay_that_was_asked_about_again_the_first_moment_is_judged(site: Site) -> None:
    bundle = make_bundle("sepsis", 'code = "sep"\nhorizon_days = 2')
    (person,) = make_crowd(site, 1)
    for days_ago, risks in ((90, (0.1, 0.2)), (30, (0.3, 0.8, 0.9))):  # two stays, asked about every day
        start = now() - timedelta(days=days_ago)
        stay = Encounter.objects.create(patient=person, kind="IMP", starts_at=start, source="t", source_key=f"s{days_ago}")
        for day, risk in enumerate(risks):
            predict(person, bundle, risk, at=start + timedelta(days=1 + day), encounter=stay)
    assert judged_outcomes("sepsis", [str(person.pk)]) == {str(person.pk): (0.3, 0, False)}


def make_case(person: Patient, bundle: Any, word: str, risk: float) -> Encounter:
    """A case of a case table with its outcome a second after its start."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    case = Encounter.objects.create(
        patient=person, kind="case", starts_at=start, source="t", source_key=f"e{person.pk}"
    )
    observe(person, "ill", word, at=start + timedelta(seconds=1), encounter=case)
    observe(person, "ill", "no" if word == "yes" else "yes", at=start, encounter=case)
    predict(person, bundle, risk, at=start, encounter=case, origin="out_of_fold")
    return case


def test_a_case_s_outcome_is_what_was_recorded_after_its_start(site: Site) -> None:
    bundle = make_bundle("tiny", 'column = "ill"\npositive = ["yes"]\nnegative = ["no"]')
    people = make_crowd(site, 3)
    for person, word in zip(people, ["yes", "no", "unclear"], strict=True):
        make_case(person, bundle, word, 0.5)
    found = judged_outcomes("tiny", [str(person.pk) for person in people])
    assert found == {str(people[0].pk): (0.5, 1, False), str(people[1].pk): (0.5, 0, False)}


def test_an_empty_cell_counts_where_the_task_file_lists_it(site: Site) -> None:
    bundle = make_bundle("tiny", 'column = "grade"\npositive = ["2"]\nnegative = [""]')
    people = make_crowd(site, 3)
    for person, word in zip(people, ["2", EMPTY_WORD, "x"], strict=True):
        case = make_case(person, bundle, "no", 0.5)
        observe(person, "grade", word, at=case.starts_at + timedelta(seconds=1), encounter=case)
    found = judged_outcomes("tiny", [str(person.pk) for person in people])
    assert found == {str(people[0].pk): (0.5, 1, False), str(people[1].pk): (0.5, 0, False)}


def test_performance_is_by_risks_of_models_that_had_not_seen_the_person(site: Site, setting: dict[str, Any]) -> None:
    bundle = make_bundle("tiny", 'column = "ill"\npositive = ["yes"]')
    old = make_bundle("tiny", 'column = "ill"\npositive = ["yes"]', state="retired")
    for number, person in enumerate(make_crowd(site, 40)):
        ill = number % 2
        case = make_case(person, bundle, "yes" if ill else "no", 0.6 if ill or number % 4 == 0 else 0.3)
        # a later risk by the same bundle, which was trained on this case, and one by a bundle that no longer speaks
        predict(person, bundle, 0.99 if ill else 0.01, encounter=case)
        predict(person, old, 0.01 if ill else 0.99, encounter=case, origin="out_of_fold")
    found = outcomes(**setting, definition=ALL, task_id="tiny")["performance"]
    assert (found["n"], found["events"], found["observed"], found["at_most"]) == (40, 20, 0.5, 0.1)
    assert abs(found["auroc"] - 0.75) <= found["at_most"] and found["low"] < 0.75 < found["high"]
    assert found == outcomes(**setting, definition=CohortDefinition(age_low=1), task_id="tiny")["performance"]


def test_performance_is_refused_where_ten_had_the_outcome(site: Site, setting: dict[str, Any]) -> None:
    bundle = make_bundle("tiny", 'column = "ill"\npositive = ["yes"]')
    for number, person in enumerate(make_crowd(site, 40)):
        make_case(person, bundle, "yes" if number < 10 else "no", 0.5)
    found = outcomes(**setting, definition=ALL, task_id="tiny")["performance"]
    assert list(found) == ["refused"] and "Fewer than 11" in found["refused"]


def test_the_machine_may_read_rows_and_they_hold_the_newest_value_that_meets_the_rule(site: Site) -> None:
    project = make_project(site, members=[])
    (person,) = make_crowd(site, 1)
    observe(person, "a", 7.0, unit="g", at=now() - timedelta(days=2))
    observe(person, "a", 8.0, unit="g", at=now() - timedelta(days=1))
    observe(person, "a", 99.0, unit="g")
    picture(person, "CT")
    (found,) = persons(viewer=SYSTEM, project=project, definition=CohortDefinition(codes=(CodeRule("a", 1, 10),)))
    assert found.values["a"].number == 8.0 and found.modalities == {"CT"} and found.age == 50
    assert found.site == site.code and found.risk is None
