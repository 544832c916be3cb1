"""What a release's files hold and, more so, what they do not."""

from __future__ import annotations

import csv
import hashlib
import io
import random
from collections import Counter
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from salus_web.accounts.models import Site
from salus_web.cohorts.definition import CodeRule, CohortDefinition
from salus_web.cohorts.people import Measured, Person
from salus_web.cohorts.services import save_cohort
from salus_web.common import vault
from salus_web.common.errors import Refused
from salus_web.jobs.models import Job, JobState
from salus_web.jobs.services import claim
from salus_web.records.models import Patient
from salus_web.registry.models import ModelBundle
from salus_web.releases.models import Release, ReleaseFile, ReleaseState
from salus_web.releases.services import request_release
from salus_workers.pipelines import prepare_release
from salus_workers.pipelines.prepare_release import Table, make_table, write_csv

from tests.factories.cohorts import make_bundle, make_crowd, make_project, observe, picture, predict
from tests.factories.people import SYSTEM, actor_of, make_site, make_user

RISKY = CohortDefinition(task_id="sepsis")


def crowd(size: int, **columns: Any) -> list[Person]:
    """People who differ in nothing but their risk, which alternates."""
    made = []
    for number in range(size):
        own = {"risk": 0.1 if number % 2 else 0.9, "sex": "female", "age": 52, "values": {}, "modalities": frozenset()}
        named = {key: value(number) if callable(value) else value for key, value in columns.items()}
        made.append(Person(f"id{number}", f"pseudo{number}", "north", is_simulated=False, **(own | named)))
    return made


def quiet(fraction: float, message: str) -> None:
    assert 0 <= fraction <= 1 and message


# --- what may not leave


def test_ten_people_are_refused_before_anything_is_written() -> None:
    with pytest.raises(Refused, match="Fewer than 11"):
        make_table(RISKY, crowd(10))


def test_people_who_stand_out_are_left_out() -> None:
    odd = crowd(4, sex="male")
    table = make_table(RISKY, crowd(20) + odd)
    assert len(table.rows) == 20 and {row["sex"] for row in table.rows} == {"female"}
    assert table.report["left_out"] is None and table.report["people_in_files"] == 20
    with pytest.raises(Refused, match="share their age"):
        make_table(RISKY, crowd(40, age=lambda number: number * 2))


def test_a_group_that_shares_one_risk_is_left_out_unless_the_definition_tells_it_anyway() -> None:
    same = crowd(20, sex="male", risk=0.9)
    table = make_table(RISKY, crowd(20) + same)
    assert {row["sex"] for row in table.rows} == {"female"} and table.report["l"] == 2
    told = make_table(CohortDefinition(task_id="sepsis", risk_low=0.8), same)
    assert len(told.rows) == 20 and told.report["l"] is None
    assert make_table(CohortDefinition(task_id="sepsis", risk_low=0.6, risk_high=0.8), crowd(20, risk=0.7)).rows
    assert "risk_band" not in make_table(CohortDefinition(), same).rows[0]


def test_the_very_old_share_one_band_and_nobody_s_age_is_told() -> None:
    table = make_table(RISKY, crowd(30, age=lambda number: 90 + number // 2))
    assert {row["age_band"] for row in table.rows} == {"90 and over"}
    assert {row["age_band"] for row in make_table(RISKY, crowd(20, age=54)).rows} == {"50 to 54"}
    assert {row["age_band"] for row in make_table(RISKY, crowd(20, age=None)).rows} == {"unknown"}


def test_rare_words_rare_images_and_other_units_are_blanked_and_said_to_be() -> None:
    def values(number: int) -> dict[str, Measured]:
        word = "Zebulon Plantedname" if number == 3 else "never"
        return {
            "smokes": Measured(None, word, ""),
            "weight": Measured(70.456 if number else 70456.0, "", "kg" if number else "g"),
        }

    people = crowd(30, values=values, modalities=lambda number: frozenset({"CT"} | ({"PT"} if number < 4 else set())))
    table = make_table(CohortDefinition(codes=(CodeRule("smokes"), CodeRule("weight"))), people)
    assert Counter(row["value_smokes"] for row in table.rows) == {"never": 29, "": 1}
    assert Counter(row["value_weight"] for row in table.rows) == {70.5: 29, None: 1}
    assert not {"image_CT", "image_PT"} & set(table.rows[0]) and len(table.report["utility_lost"]) == 3
    assert {column.name: column.unit for column in table.columns}["value_weight"] == "kg"


def test_a_flag_of_images_is_told_of_eleven_who_have_it_and_eleven_who_have_not() -> None:
    def made(few: int) -> Table:
        kinds = {"CR": 15, "CT": 30 - few, "PT": few}
        return make_table(CohortDefinition(), crowd(30, modalities=lambda n: frozenset(kind for kind, size in kinds.items() if n < size)))

    nobody, one, ten = made(0), made(1), made(10)
    assert sum(row["image_CR"] for row in one.rows) == 15
    assert nobody.columns == one.columns == ten.columns and nobody.report == one.report == ten.report


def weights(*values: float) -> list[Person]:
    """People of one group who weigh this."""
    return crowd(len(values), values=lambda number: {"weight": Measured(values[number], "", "kg")})


WEIGHT = CohortDefinition(codes=(CodeRule("weight"),))


def told(table: Table, name: str = "value_weight") -> Counter[Any]:
    return Counter(row[name] for row in table.rows)


def test_a_lone_heavy_person_s_weight_never_leaves() -> None:
    table = make_table(WEIGHT, weights(*range(60, 98), 212.0, 31.0))
    found = told(table)
    assert max(found) == 88 and min(found) == 69 and found[88] == found[69] == 11
    assert sum(found.values()) == len(table.rows) == 40, "nobody is left out for it"
    assert any("each end" in words for words in table.report["utility_lost"])
    assert 212.0 not in found and table.report["l"] == 2


def test_ends_that_eleven_people_hold_stay_as_they_are() -> None:
    table = make_table(WEIGHT, weights(*[50.0] * 11, *range(60, 70), *[90.0] * 11))
    assert told(table)[50.0] == told(table)[90.0] == 11 and len(told(table)) == 12
    assert not [words for words in table.report["utility_lost"] if words.startswith("weight")]


def test_numbers_of_too_few_for_two_ends_are_blank() -> None:
    table = make_table(WEIGHT, weights(*range(60, 81)))
    assert told(table) == {None: 21} and "fewer than 22" in " ".join(table.report["utility_lost"])
    assert None not in told(make_table(WEIGHT, weights(*range(60, 82))))


def test_a_value_that_a_whole_group_shares_is_not_told() -> None:
    """Everybody of 50 to 54 is a smoker, and weighs the same: whoever knows one of them is there would know it."""

    def values(number: int) -> dict[str, Measured]:
        return {
            "smokes": Measured(None, "daily" if number < 12 or number % 2 else "never", ""),
            "weight": Measured(70.0 if number < 12 or number % 2 else 80.0, "", "kg"),
        }

    people = crowd(60, age=lambda number: 52 if number < 12 else 62, values=values)
    table = make_table(CohortDefinition(codes=(CodeRule("smokes"), CodeRule("weight"))), people)
    young = [(row["value_smokes"], row["value_weight"]) for row in table.rows if row["age_band"] == "50 to 54"]
    assert young == [("", None)] * 12 and len(table.rows) == 60
    assert told(table, "value_smokes") == {"": 12, "daily": 24, "never": 24}
    assert sum("everybody of one age band" in words for words in table.report["utility_lost"]) == 2


def test_no_random_values_break_the_promise() -> None:
    rng = random.Random(12)
    for _ in range(40):
        low = rng.uniform(0.5, 50)
        people = crowd(
            rng.randint(30, 200), age=lambda _: rng.randint(60, 75), sex=lambda _: rng.choice(["female", "male"]),
            values=lambda _, low=low: {
                "weight": Measured(rng.paretovariate(2) * low if rng.random() < 0.8 else round(low), "", "kg"),
                "smokes": Measured(None, rng.choice(["never", "never", "never", "daily", "once", "pipe"]), ""),
            },
        )  # fmt: skip
        assert_values_promise(make_table(CohortDefinition(codes=(CodeRule("smokes"), CodeRule("weight"))), people))


def assert_values_promise(table: Table) -> None:
    """At each end of the numbers, and behind each word, at least eleven people; in each group two values, or none."""
    numbers, words = told(table), told(table, "value_smokes")
    known = [number for number in numbers if number is not None]
    assert not known or min(numbers[min(known)], numbers[max(known)]) >= 11
    assert all(count >= 11 for word, count in words.items() if word)
    groups: dict[tuple[str, ...], list[tuple[Any, Any]]] = {}
    for row in table.rows:
        groups.setdefault((row["age_band"], row["sex"], row["site"]), []).append((row["value_smokes"], row["value_weight"]))
    for of_group in groups.values():
        for at, blank in enumerate(("", None)):
            held = {values[at] for values in of_group}
            assert held == {blank} or len(held) >= 2


def test_nothing_in_a_row_is_anybody_s_id_and_ids_are_new_each_time() -> None:
    people = crowd(20)
    first, second = make_table(RISKY, people), make_table(RISKY, people)
    ids = [{row["person"] for row in table.rows} for table in (first, second)]
    assert len(ids[0]) == 20 and not ids[0] & ids[1]
    text = repr(first.rows)
    assert not any(person.id in text or person.pseudonym in text for person in people)
    assert [row["person"] for row in first.rows] == sorted(ids[0])


def test_no_random_crowd_breaks_the_promise() -> None:
    rng = random.Random(11)
    for _ in range(40):
        people = crowd(
            150, age=lambda _: rng.randint(40, 95), sex=lambda _: rng.choice(["female", "male", "other"]),
            risk=lambda _: rng.random() ** 3,
        )  # fmt: skip
        assert_promise(make_table(RISKY, people))


def assert_promise(table: Table) -> None:
    """At least five people to a group, of at least two risks."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for row in table.rows:
        groups.setdefault((row["age_band"], row["sex"], row["site"]), []).append(row["risk_band"])
    assert all(len(risks) >= 5 and len(set(risks)) >= 2 for risks in groups.values())


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_starts_as_a_formula(start: str) -> None:
    text = write_csv(["a", f"{start}b"], [[f"{start}1+1", -1.5], [None, True]]).decode()
    (head, row, other) = csv.reader(io.StringIO(text, newline=""))
    shown = start.replace("\r", " ")
    assert head == ["a", f"'{shown}b"] and row == [f"'{shown}1+1", "'-1.5"] and other == ["", "1"]


# --- the whole pipeline


@pytest.fixture
def site(db: None) -> Site:
    return make_site("north")


@pytest.fixture
def release(site: Site) -> Release:
    """A release asked for of forty people with a risk, a value and mostly a picture, and two who stand out."""
    bundle = make_bundle("sepsis", 'code = "x"')
    for number, person in enumerate(make_crowd(site, 40) + make_crowd(site, 2, sex="male", age=20)):
        observe(person, "=2+3", -7.0 if number % 2 else 123.456, unit="g")
        if number % 2:
            picture(person, "CT")
        predict(person, bundle, 0.1 if number % 3 else 0.9)
    me = make_user("researcher", site)
    project = make_project(site, members=[me])
    definition = CohortDefinition(task_id="sepsis", codes=(CodeRule("=2+3", unit="g"),))
    cohort = save_cohort(project=project, name="All", definition=definition, by=actor_of(me))
    return request_release(cohort=cohort, purpose="A study", by=actor_of(me))


def run_it(release: Release) -> None:
    held = claim(job_id=str(release.job_id), worker="test")
    assert held is not None
    prepare_release.run(held, quiet)


def content(name: str) -> bytes:
    file = ReleaseFile.objects.get(name=name)
    return vault.get(file.blob_key, sha256=file.blob_sha256)


def test_a_release_is_four_files_that_agree_and_waits_for_a_person(release: Release) -> None:
    run_it(release)
    release.refresh_from_db()
    assert (release.state, Job.objects.get().state) == (ReleaseState.REQUESTED, JobState.DONE)
    rows = list(csv.DictReader(io.StringIO(content("cohort.csv").decode())))
    table = pq.read_table(io.BytesIO(content("cohort.parquet"))).to_pylist()
    assert len(rows) == len(table) == 40 and list(rows[0]) == list(table[0])
    assert [row["person"] for row in rows] == [row["person"] for row in table]
    assert {row["value_=2+3"] for row in rows} == {"123", "'-7"} and {row["value_=2+3"] for row in table} == {123.0, -7.0}
    assert Counter(row["image_CT"] for row in table) == {True: 20, False: 20}
    entries = list(csv.DictReader(io.StringIO(content("data_dictionary.csv").decode())))
    assert [entry["column"] for entry in entries] == list(rows[0]) and all(entry["meaning"] for entry in entries)


def test_the_receipt_says_what_the_files_are(release: Release) -> None:
    run_it(release)
    release.refresh_from_db()
    receipt = orjson.loads(content("receipt.json"))
    assert receipt == release.receipt and receipt["definition"] == release.cohort.definition
    for file in receipt["files"]:
        assert file["sha256"] == hashlib.sha256(content(file["name"])).hexdigest()
    assert {file["name"] for file in receipt["files"]} == {"cohort.csv", "cohort.parquet", "data_dictionary.csv"}
    assert receipt["counts"] == {"people_in_cohort": 40, "rows": 40, "left_out": None}
    assert receipt["asked_by"] == release.requested_by.display_name and receipt["code_version"]


def test_before_anybody_decides_no_count_tells_one_person_from_none() -> None:
    """Cohorts of 38, 39 and 42 people: what the report says of them is the same, whatever leaves in the end."""
    reports = [make_table(RISKY, crowd(size)).report for size in (38, 39, 42)]
    assert reports[0] == reports[1] == reports[2]
    assert reports[0]["people_in_files"] == reports[0]["people_in_cohort"] == 40


def test_the_report_names_the_columns_as_the_files_have_them(release: Release) -> None:
    run_it(release)
    release.refresh_from_db()
    entries = list(csv.DictReader(io.StringIO(content("data_dictionary.csv").decode())))
    said = [(column["name"], column["meaning"], column["made_safe"]) for column in release.report["columns"]]
    assert said == [(entry["column"], entry["meaning"], entry["made_safe"]) for entry in entries]


def test_the_true_number_of_rows_is_in_the_receipt_alone(release: Release) -> None:
    for person in make_crowd(release.project.sites.get(), 2):
        observe(person, "=2+3", 50.0, unit="g")
        predict(person, ModelBundle.objects.get(), 0.5)
    run_it(release)
    release.refresh_from_db()
    assert release.report["people_in_files"] == 40 and "42" not in repr({**release.report, "people_file": None})
    assert orjson.loads(content("receipt.json"))["counts"]["rows"] == 42
    assert set(release.job.result if release.job else {}) == {"release"}


def test_no_file_holds_a_pseudonym_an_id_or_a_date(release: Release) -> None:
    run_it(release)
    text = b"".join(content(name) for name in ("cohort.csv", "cohort.parquet", "data_dictionary.csv", "receipt.json"))
    for person in Patient.objects.for_actor(SYSTEM):
        for secret in (str(person.pk), person.pseudonym, person.mrn_index, str(person.birth_date)):
            assert secret.encode() not in text


def test_a_refusal_is_kept_on_the_release_in_words(release: Release) -> None:
    for number, person in enumerate(Patient.objects.for_actor(SYSTEM)):
        person.sex, person.birth_date = "female", person.birth_date.replace(year=1920 + 5 * (number % 20))
        person.save()
    with pytest.raises(Refused, match="share their age"):
        run_it(release)
    release.refresh_from_db()
    assert release.state == ReleaseState.FAILED and "share their age" in release.why
    assert not ReleaseFile.objects.exists()
