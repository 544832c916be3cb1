"""Known scores against every edge of their published tables and published worked examples; a missing input gives no number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from salus_learn.contracts import PatientSnapshot, RecordValue
from salus_learn.known_scores.charlson import CHARLSON_WITH_AGE, GROUPS, age_points, group_of
from salus_learn.known_scores.forms import ScoreResult
from salus_learn.known_scores.inputs import INPUTS, find, score_codes
from salus_learn.known_scores.scores import EVERY, SCORES, all_scores, result_of, score_patient

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOINC, SNOMED, ICD = "http://loinc.org", "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10"
CODES = {
    "rr": ("9279-1", "/min"), "spo2": ("59408-5", "%"), "o2": ("3151-8", "L/min"), "sys": ("8480-6", "mm[Hg]"), "dia": ("8462-4", "mm[Hg]"),
    "pulse": ("8867-4", "/min"), "temp": ("8310-5", "Cel"), "gcs": ("9269-2", "{score}"), "urea": ("22664-7", "mmol/L"),
    "age": ("age_years", "a"), "acvpu": ("67775-7", ""),
}  # fmt: skip
WELL: dict[str, float | str] = {
    "rr": 16.0, "spo2": 98.0, "o2": 0.0, "sys": 120.0, "dia": 75.0, "pulse": 70.0, "temp": 37.0, "gcs": 15.0, "urea": 5.0, "age": 40.0, "acvpu": "A",
}  # fmt: skip


def value(name: str, what: float | str, *, unit: str | None = None, hours_ago: float = 1, code: str | None = None) -> RecordValue:
    known, usual = CODES[name]
    system = "salus" if name == "age" else LOINC
    what = what if isinstance(what, str) else float(what)
    return RecordValue(code or known, system, what, usual if unit is None else unit, NOW - timedelta(hours=hours_ago), f"reading of {name}")


def scale(number: int, hours_ago: float = 2) -> RecordValue:
    code = {1: "1104311000000102", 2: "1104321000000108"}[number]
    return RecordValue(code, SNOMED, 0.0, "{score}", NOW - timedelta(hours=hours_ago), "chart")


def patient(*extra: RecordValue, without: tuple[str, ...] = (), **changes: Any) -> dict[str, ScoreResult]:
    values = [value(name, what) for name, what in (WELL | changes).items() if name not in without]
    found = score_patient(PatientSnapshot("k", "p", NOW, (*values, *extra), ()))
    return {one.name: one for one in found}


def points(score: str, *extra: RecordValue, **changes: Any) -> int:
    found = patient(*extra, **changes)[score].points
    assert found is not None
    return found


# RCP 2017, chart 1: both edges of every band, everything else normal
NEWS2_EDGES = [
    *[("rr", at, n) for at, n in ((8, 3), (9, 1), (11, 1), (12, 0), (20, 0), (21, 2), (24, 2), (25, 3))],
    *[("spo2", at, n) for at, n in ((91, 3), (92, 2), (93, 2), (94, 1), (95, 1), (96, 0))],
    *[("o2", at, n) for at, n in ((0, 0), (0.5, 2), (2, 2))],
    *[("sys", at, n) for at, n in ((90, 3), (91, 2), (100, 2), (101, 1), (110, 1), (111, 0), (219, 0), (220, 3))],
    *[("pulse", at, n) for at, n in ((40, 3), (41, 1), (50, 1), (51, 0), (90, 0), (91, 1), (110, 1), (111, 2), (130, 2), (131, 3))],
    *[("temp", at, n) for at, n in ((35.0, 3), (35.1, 1), (36.0, 1), (36.1, 0), (38.0, 0), (38.1, 1), (39.0, 1), (39.1, 2))],
    *[("acvpu", at, n) for at, n in (("A", 0), ("C", 3), ("V", 3), ("P", 3), ("U", 3))],
    *[("rr", at, n) for at, n in ((20.4, 0), (20.5, 2), (24.5, 3))],  # between two steps of the chart: rounded half up
    *[("temp", at, n) for at, n in ((35.04, 3), (35.06, 1), (38.04, 0), (38.06, 1), (39.04, 1), (39.06, 2))],
]
# the same chart, scale 2: (saturation, litres of oxygen, points of both rows together); oxygen alone is 2
SCALE_2_EDGES = [
    *[(at, 0, n) for at, n in ((83, 3), (84, 2), (85, 2), (86, 1), (87, 1), (88, 0), (92, 0), (93, 0), (95, 0), (97, 0), (100, 0))],
    *[(at, 2, n + 2) for at, n in ((83, 3), (84, 2), (85, 2), (86, 1), (87, 1), (88, 0), (92, 0), (93, 1), (94, 1), (95, 2), (96, 2), (97, 3), (100, 3))],
]


@pytest.mark.parametrize(("name", "at", "expected"), NEWS2_EDGES)
def test_news2_at_every_edge_of_its_chart(name: str, at: float | str, expected: int) -> None:
    assert points("news2", **{name: at}) == expected


@pytest.mark.parametrize(("at", "litres", "expected"), SCALE_2_EDGES)
def test_news2_on_scale_2_at_every_edge(at: float, litres: float, expected: int) -> None:
    assert points("news2", scale(2), spo2=at, o2=litres) == expected


@pytest.mark.parametrize("again", [
    value("spo2", 98, code="2708-6"), value("temp", 98.6, unit="[degF]"), value("pulse", 70, unit="{beats}/min"), value("acvpu", "alert"),
], ids=["another code", "another unit", "the same unit written otherwise", "the same word written otherwise"])  # fmt: skip
def test_the_same_said_twice_at_one_moment_is_no_contradiction(again: RecordValue) -> None:
    assert points("news2", again) == 0 and patient(again)["news2"].missing == ()


def test_a_value_beside_one_that_cannot_be_read_is_a_contradiction() -> None:
    assert patient(value("temp", 37, unit="K"))["news2"].missing == ("Temperature has two different values at one moment.",)


def test_scale_2_is_used_only_where_the_newest_record_says_so() -> None:
    assert points("news2", spo2=88) == 3 and points("news2", scale(1), spo2=88) == 3
    assert points("news2", scale(2), scale(1, hours_ago=5), spo2=88) == 0 and points("news2", scale(2, hours_ago=5), scale(1), spo2=88) == 3
    assert points("news2", scale(2, hours_ago=24 * 40), spo2=88) == 0, "a prescribed scale holds until it is changed"
    texts = [found["news2"].parts[1].value_text for found in (patient(), patient(scale(2)))]
    assert texts == ["98 %, scale 1, as none is recorded", "98 %, scale 2"]
    assert patient(scale(1), scale(2))["news2"].missing == ("Saturation scale has two different values at one moment.",)


# published worked examples: cliot 1.0.0 (CRAN, 2026), news2_score, example 1; kscarlett/news2 v0.2.0 (2026), example_test.go
@pytest.mark.parametrize(
    ("changes", "on_scale_2", "total", "band"),
    [
        ({"rr": 22, "spo2": 90, "o2": 2, "sys": 130, "pulse": 80}, True, 4, "low"),
        ({"rr": 22, "spo2": 93, "sys": 98, "pulse": 112, "temp": 38.4}, False, 9, "high"),
        ({"rr": 18, "spo2": 95, "sys": 120, "pulse": 80, "temp": 36.8}, False, 1, "low"),
    ],
)
def test_news2_of_published_examples(changes: dict[str, Any], on_scale_2: bool, total: int, band: str) -> None:
    found = patient(*([scale(2)] if on_scale_2 else []), **changes)["news2"]
    assert (found.points, found.band) == (total, band)


@pytest.mark.parametrize(
    ("changes", "total", "band"),
    [
        ({}, 0, "low"),
        ({"rr": 21, "spo2": 94, "temp": 38.1}, 4, "low"),
        ({"pulse": 135}, 3, "low to medium"),
        ({"rr": 22, "spo2": 93, "pulse": 95}, 5, "medium"),
        ({"rr": 22, "spo2": 93, "pulse": 115}, 6, "medium"),
        ({"rr": 22, "spo2": 93, "pulse": 115, "temp": 38.1}, 7, "high"),
        ({"rr": 26, "spo2": 90, "o2": 4, "sys": 88, "pulse": 133, "temp": 34.8, "acvpu": "V"}, 20, "high"),
    ],
)
def test_news2_of_whole_patients_and_its_bands(changes: dict[str, Any], total: int, band: str) -> None:
    found = patient(**changes)["news2"]
    assert (found.points, found.band) == (total, band)


# Singer 2016: one point each at 22 / 100 / below 15; two make it positive. The last three are published worked examples:
# cliot 1.0.0 (CRAN, 2026), qsofa_sepsis_score, both; neetpgai.com/questions/others-19821 (read 2026)
@pytest.mark.parametrize(
    ("changes", "total"),
    [
        ({}, 0), ({"rr": 21}, 0), ({"rr": 22}, 1), ({"sys": 101}, 0), ({"sys": 100}, 1), ({"gcs": 14}, 1), ({"rr": 22, "gcs": 3}, 2),
        ({"rr": 24, "sys": 95, "gcs": 14}, 3), ({"rr": 18, "sys": 120, "gcs": 15}, 0), ({"rr": 24, "sys": 90, "gcs": 10}, 3),
    ],
)  # fmt: skip
def test_qsofa_at_its_edges_and_of_published_examples(changes: dict[str, Any], total: int) -> None:
    found = patient(**changes)["qsofa"]
    assert found.points == total and (found.band == "positive") == (total >= 2)


# Lim 2003: confusion, urea > 7 mmol/L, rate >= 30, systolic < 90 or diastolic <= 60, age >= 65
@pytest.mark.parametrize(
    ("changes", "total"),
    [
        ({}, 0), ({"acvpu": "C"}, 1), ({"urea": 7.0}, 0), ({"urea": 7.1}, 1), ({"rr": 29}, 0), ({"rr": 30}, 1),
        ({"sys": 90}, 0), ({"sys": 89}, 1), ({"dia": 61}, 0), ({"dia": 60}, 1), ({"sys": 85, "dia": 50}, 1), ({"age": 64}, 0), ({"age": 65}, 1),
        ({"acvpu": "C", "urea": 12, "rr": 34}, 3), ({"acvpu": "C", "urea": 12, "rr": 34, "sys": 80, "age": 81}, 5),
    ],
)  # fmt: skip
def test_curb65_at_its_edges(changes: dict[str, Any], total: int) -> None:
    found = patient(**changes)["curb65"]
    assert found.points == total
    assert found.band == {0: "low", 1: "low", 2: "moderate"}.get(total, "severe")


def test_curb65_of_a_published_example() -> None:
    """questions.zollege.in (read 2026): 68 years, 20/min, urea 44 mg/dL, 110/70 mmHg, no confusion: 2."""
    urea = value("urea", 44, unit="mg/dL", code="3091-6")
    found = patient(urea, without=("urea",), rr=20, sys=110, dia=70, age=68)["curb65"]
    assert (found.points, found.band) == (2, "moderate")
    assert [part.points for part in found.parts] == [0, 1, 0, 0, 1]


# Quan 2005, table 1: the first and last code of every range and every single code, then neighbours that are in no group
QUAN = {
    "infarction": "I21 I21.9 I22 I25.2", "heart_failure": "I09.9 I11.0 I13.0 I13.2 I25.5 I42.0 I42.5 I42.9 I43 I50 I50.9 P29.0",
    "vessels": "I70 I71 I73.1 I73.8 I73.9 I77.1 I79.0 I79.2 K55.1 K55.8 K55.9 Z95.8 Z95.9", "brain_vessels": "G45 G46 H34.0 I60 I69.4",
    "dementia": "F00 F01 F02 F03 F05.1 G30 G31.1", "lung": "I27.8 I27.9 J40 J44.1 J47 J60 J67 J68.4 J70.1 J70.3",
    "rheumatic": "M05 M06 M31.5 M32 M33 M34 M35.1 M35.3 M36.0", "ulcer": "K25 K26 K27 K28",
    "liver_mild": "B18 K70.0 K70.3 K70.9 K71.3 K71.4 K71.5 K71.7 K73 K74 K76.0 K76.2 K76.3 K76.4 K76.8 K76.9 Z94.4",
    "diabetes": " ".join(f"E1{kind}.{digit}" for kind in range(5) for digit in (0, 1, 6, 8, 9)),
    "diabetes_severe": " ".join(f"E1{kind}.{digit}" for kind in range(5) for digit in (2, 3, 4, 5, 7)) + " E11.21",
    "palsy": "G04.1 G11.4 G80.1 G80.2 G81 G82 G83.0 G83.4 G83.9", "aids": "B20 B21 B22 B24",
    "kidney": "I12.0 I13.1 N03.2 N03.7 N05.2 N05.7 N18 N18.5 N19 N25.0 Z49.0 Z49.1 Z49.2 Z94.0 Z99.2",
    "cancer": "C00 C26 C30 C34 C37 C41 C43 C45 C50.9 C58 C60 C76 C81 C85 C88 C90 C97",
    "liver_severe": "I85.0 I85.9 I86.4 I98.2 K70.4 K71.1 K72.1 K72.9 K76.5 K76.6 K76.7", "metastases": "C77 C78 C79 C80",
    "": "I20 I23 I25.1 I42.1 I42.4 I51 I10 I11.9 I73.0 K55.0 Z95.5 G47 F04 F05.0 G31.0 J39 J48 J59 J68 M07 M31.4 K29 B17 K71.0 K71.6 K76.1 "
        "G80.0 G83.5 N03.1 N05.8 N17 Z94.1 C44 C27 C35 C42 C59 C86 D00 I85 K72.0 K75 B23 E15 E10 Z49",
}  # fmt: skip
WEIGHTS_1987 = {1: 10, 2: 4, 3: 1, 6: 2}  # how many conditions of each weight; the 1987 list has leukaemia and lymphoma apart, at 2


@pytest.mark.parametrize(("name", "code"), [(name, code) for name, codes in QUAN.items() for code in codes.split()])
def test_each_code_is_in_the_group_of_quans_table(name: str, code: str) -> None:
    for written in (code, code.replace(".", ""), code.lower()):
        group = group_of(written)
        assert (group.name if group else "") == name


def diagnoses(*codes: str, system: str = ICD, age: float | None = None) -> PatientSnapshot:
    facts = [RecordValue(code, system, 1.0, None, NOW - timedelta(days=30 + n), f"list {n} of {system}") for n, code in enumerate(codes)]
    ages = [] if age is None else [value("age", age)]
    return PatientSnapshot("k", "p", NOW, (*facts, *ages), ())


def charlson(snapshot: PatientSnapshot, *, all_diagnoses: bool = True) -> ScoreResult:
    return next(one for one in score_patient(snapshot, all_diagnoses=all_diagnoses) if one.name == "charlson")


def test_charlson_has_the_weights_of_1987() -> None:
    assert len(GROUPS) == 17
    assert {weight: sum(group.weight == weight for group in GROUPS) for weight in WEIGHTS_1987} == WEIGHTS_1987
    for group in GROUPS:
        assert charlson(diagnoses(QUAN[group.name].split()[0])).points == group.weight


# ciecl (rOpenSci, read 2026), cie_comorbid: two patients' codes and their groups; it prints no total, so 1 + 1 and 2 + 1 are
# the 1987 weights of those groups. epidemiology.blog (read 2026) prints one: diabetes, infarct and lung disease make 3
@pytest.mark.parametrize(
    ("codes", "labels", "total"),
    [
        (("E11.0", "I21.0"), {"Myocardial infarction", "Diabetes without complication"}, 2),
        (("C50.9", "E10.9"), {"Cancer, leukaemia or lymphoma", "Diabetes without complication"}, 3),
        (("E11.9", "I25.2", "J44.9"), {"Diabetes without complication", "Myocardial infarction", "Chronic lung disease"}, 3),
    ],
)
def test_charlson_of_published_examples(codes: tuple[str, ...], labels: set[str], total: int) -> None:
    found = charlson(diagnoses(*codes))
    assert found.points == total and {part.label for part in found.parts} == labels


@pytest.mark.parametrize(("milder", "severer", "total"), [("E11.9", "E11.2", 2), ("K74", "I85.0", 3), ("C50", "C79", 6)])
def test_of_a_mild_and_a_severe_form_only_the_severe_one_counts(milder: str, severer: str, total: int) -> None:
    found = charlson(diagnoses(milder, severer, severer))
    assert found.points == total and sorted(part.points for part in found.parts) == [0, total]
    assert "severer form" in next(part.value for part in found.parts if part.points == 0)


@pytest.mark.parametrize(
    ("codes", "band", "died"),
    [("I10", "0", 12), ("I21", "1 to 2", 26), ("N18", "1 to 2", 26), ("I85.0", "3 to 4", 52), ("N18 G81", "3 to 4", 52), ("I85.0 N18", "5 or more", 85)],
)
def test_charlsons_bands_and_deaths_of_1987(codes: str, band: str, died: int) -> None:
    found = charlson(diagnoses(*codes.split()))
    assert found.band == band and found.meaning == f"of the patients of the 1987 paper {died} % died within a year"
    assert (found.points or found.parts[0].label == "None of the 17 conditions is coded")


def test_charlson_is_no_silent_zero() -> None:
    assert charlson(diagnoses("I21"), all_diagnoses=False).missing == ("The full list of diagnoses",)
    assert {one.name: one.missing for one in score_patient(PatientSnapshot("k", "p", NOW, (value("rr", 16),), ()), all_diagnoses=True)}["charlson"] == ("Diagnoses in ICD-10",)
    mixed = PatientSnapshot("k", "p", NOW, (*diagnoses("I21").values, *diagnoses("84114007", system=SNOMED).values), ())
    found = charlson(mixed)
    assert found.points is None and found.state == "not_computable" and "1 of the diagnoses in SNOMED CT" in found.missing[0]
    later = RecordValue("C79", ICD, 1.0, None, NOW + timedelta(hours=1), "later")
    assert charlson(PatientSnapshot("k", "p", NOW, (*diagnoses("I21").values, later), ())).points == 1


def test_charlson_with_age_is_right_at_its_edges_and_yet_not_shown() -> None:
    """No published worked example was found: it is in no list until there is one."""
    edges = ((17, 0), (49, 0), (50, 1), (59, 1), (60, 2), (69, 2), (70, 3), (79, 3), (80, 4), (89, 4), (101, 4))
    assert [age_points(age) for age, _ in edges] == [points for _, points in edges]
    found = result_of(CHARLSON_WITH_AGE, diagnoses("N18", age=72), all_diagnoses=True)
    assert found.points == 5 and sum(part.points for part in found.parts) == 5
    assert result_of(CHARLSON_WITH_AGE, diagnoses("N18"), all_diagnoses=True).missing == ("Age",)
    assert CHARLSON_WITH_AGE in EVERY and CHARLSON_WITH_AGE not in all_scores() and not CHARLSON_WITH_AGE.published


def test_only_scores_with_a_published_example_are_shown() -> None:
    assert [score.name for score in all_scores()] == ["news2", "qsofa", "curb65", "charlson"] == list(patient())
    assert all(score.examples and all(address.startswith("https://") for address in score.examples) for score in all_scores())


@pytest.mark.parametrize(
    ("score", "gone", "said"),
    [(score, gone, said) for score, names in {
        "news2": ("rr", "spo2", "o2", "sys", "pulse", "acvpu", "temp"), "qsofa": ("rr", "sys", "gcs"), "curb65": ("acvpu", "urea", "rr", "sys", "dia", "age"),
    }.items() for gone in names for said in [next(one.label for one in INPUTS.values() if one.code == CODES[gone][0])]],
)  # fmt: skip
def test_a_missing_input_gives_no_number_and_is_named(score: str, gone: str, said: str) -> None:
    found = patient(without=(gone,))[score]
    assert (found.state, found.points, found.parts, found.band, found.missing) == ("not_computable", None, (), "", (said,))


def test_every_missing_input_is_named_once() -> None:
    assert patient(without=("o2", "spo2", "temp"))["news2"].missing == ("Oxygen saturation", "Oxygen given", "Temperature")


def test_what_is_old_later_or_impossible_is_not_used() -> None:
    for reading in (value("rr", 30, hours_ago=25), value("rr", 30, hours_ago=-1)):
        found = patient(reading, without=("rr",))["qsofa"]
        assert found.points is None and found.missing == ("Respiratory rate",)
    assert patient(value("rr", 30, hours_ago=24), without=("rr",))["qsofa"].points == 1
    assert patient(value("urea", 9, hours_ago=72), without=("urea",))["curb65"].points == 1
    assert patient(value("urea", 9, hours_ago=72.1), without=("urea",))["curb65"].missing == ("Urea",)
    assert patient(rr=500)["qsofa"].missing == ("Respiratory rate 500 /min is not possible.",)
    assert patient(gcs=2)["qsofa"].missing == ("Glasgow coma score 2 is not possible.",)
    assert patient(rr=float("nan"))["qsofa"].missing == ("Respiratory rate is “nan”, not a number.",)
    assert patient(rr="fast")["qsofa"].missing == ("Respiratory rate is “fast”, not a number.",)
    assert "in kPa" in patient(value("sys", 16, unit="kPa"), without=("sys",))["qsofa"].missing[0]
    assert patient(value("rr", 16, unit=""), without=("rr",))["qsofa"].missing == ("Respiratory rate is in no unit, which this score cannot read.",)
    assert "none of Alert, New confusion, Voice, Pain, Unresponsive" in patient(acvpu="drowsy?")["news2"].missing[0]


POSSIBLE = {
    "rr": (0, 120), "spo2": (30, 100), "o2": (0, 100), "sys": (20, 320), "dia": (5, 250), "pulse": (0, 350), "temp": (20, 46), "gcs": (3, 15),
    "urea": (0, 150), "age": (0, 125),
}  # fmt: skip


@pytest.mark.parametrize("name", POSSIBLE)
def test_a_value_is_believed_up_to_the_ends_of_what_is_possible(name: str) -> None:
    wanted = next(one.name for one in INPUTS.values() if one.code == CODES[name][0])
    low, high = POSSIBLE[name]
    for at, possible in ((low, True), (high, True), (low - 0.01, False), (high + 0.01, False)):
        found = find(PatientSnapshot("k", "p", NOW, (value(name, at),), ()), wanted)
        assert (found.value == at) if possible else (found.value is None and found.problem.startswith(INPUTS[wanted].label))


def test_two_values_of_one_moment_are_not_chosen_from() -> None:
    assert patient(value("rr", 30))["qsofa"].missing == ("Respiratory rate has two different values at one moment.",)
    assert patient(value("rr", 16))["qsofa"].points == 0


def test_the_same_code_of_another_system_is_not_read() -> None:
    foreign = RecordValue("9279-1", "urn:other", 16.0, "/min", NOW, "x")
    assert patient(foreign, without=("rr",))["qsofa"].missing == ("Respiratory rate",)


def test_a_child_is_not_scored_as_an_adult() -> None:
    assert patient(age=15)["news2"].missing == ("This score is for people of 16 years and over.",)
    assert patient(age=16)["news2"].points == 0 and patient(age=17)["qsofa"].points is None and patient(age=18)["curb65"].points == 0


def test_units_are_converted_where_that_is_safe() -> None:
    for fahrenheit, expected in ((100.4, 0), (100.6, 1), (102.2, 1), (102.5, 2)):  # 38.0, 38.1, 39.0, 39.2 °C
        assert patient(value("temp", fahrenheit, unit="[degF]"), without=("temp",))["news2"].points == expected
    for code, edge in (("3094-0", (19, 20)), ("6299-2", (19, 20)), ("3091-6", (42, 42.1))):  # 7 mmol/L: 19.6 of nitrogen, 42.04 of urea
        found = [patient(value("urea", at, unit="mg/dL", code=code), without=("urea",))["curb65"].points for at in edge]
        assert found == [0, 1]
    for code, unit in (("3094-0", "mmol/L"), ("22664-7", "mg/dL")):  # urea or its nitrogen: the code and the unit disagree
        assert "cannot read" in patient(value("urea", 8, unit=unit, code=code), without=("urea",))["curb65"].missing[0]


def test_the_newest_reading_counts_and_its_source_is_kept() -> None:
    found = patient(value("rr", 26, hours_ago=0.5))["news2"]
    assert found.points == 3
    part = next(part for part in found.parts if part.label == "Respiratory rate")
    assert part.time == NOW - timedelta(hours=0.5) and part.source == "reading of rr"


def test_a_patient_of_whom_no_score_reads_anything_has_none() -> None:
    assert score_patient(PatientSnapshot("k", "p", NOW, (value("age", 70),), ())) == ()
    assert {"9279-1", "1104321000000108"} <= score_codes() and "age_years" not in score_codes()


def test_the_parts_add_up_and_no_score_can_pass_its_highest() -> None:
    worst = patient(rr=40, spo2=70, o2=15, sys=60, dia=30, pulse=180, temp=33.0, gcs=3, urea=40, age=95, acvpu="U")
    worst |= {"charlson": charlson(diagnoses(*(codes.split()[0] for name, codes in QUAN.items() if name)))}
    assert {name: one.points for name, one in worst.items()} == {score.name: score.highest for score in SCORES}
    for found in (*worst.values(), *patient(rr=22, sys=95, acvpu="C", urea=9).values()):
        assert found.points is None or (found.state == "computed" and sum(part.points for part in found.parts) == found.points)
