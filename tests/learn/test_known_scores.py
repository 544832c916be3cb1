"""Known scores against the edges of their published tables and whole patients; a missing input gives no number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from salus_learn.contracts import PatientSnapshot, RecordValue
from salus_learn.known_scores.scores import SCORES, ScoreResult, score_patient

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CODES = {
    "rr": ("9279-1", "/min"), "spo2": ("59408-5", "%"), "o2": ("3151-8", "L/min"), "sys": ("8480-6", "mm[Hg]"), "dia": ("8462-4", "mm[Hg]"),
    "pulse": ("8867-4", "/min"), "temp": ("8310-5", "Cel"), "gcs": ("9269-2", "{score}"), "urea": ("22664-7", "mmol/L"),
    "age": ("age_years", "a"), "acvpu": ("67775-7", ""),
}  # fmt: skip
WELL: dict[str, float | str] = {
    "rr": 16, "spo2": 98, "o2": 0, "sys": 120, "dia": 75, "pulse": 70, "temp": 37.0, "gcs": 15, "urea": 5, "age": 40, "acvpu": "A",
}  # fmt: skip


def value(name: str, what: float | str, *, unit: str | None = None, hours_ago: float = 1, code: str | None = None) -> RecordValue:
    known, usual = CODES[name]
    return RecordValue(code or known, "http://loinc.org", what, usual if unit is None else unit, NOW - timedelta(hours=hours_ago), f"reading of {name}")


def patient(*extra: RecordValue, without: tuple[str, ...] = (), **changes: float | str) -> dict[str, ScoreResult]:
    values = [value(name, what) for name, what in (WELL | changes).items() if name not in without]
    found = score_patient(PatientSnapshot("k", "p", NOW, (*values, *extra), ()))
    return {one.name: one for one in found}


def points(score: str, **changes: float | str) -> int:
    found = patient(**changes)[score].points
    assert found is not None
    return found


# RCP 2017, chart 1: both edges of every band, everything else normal
NEWS2_EDGES = [
    *[("rr", at, n) for at, n in ((8, 3), (9, 1), (11, 1), (12, 0), (20, 0), (21, 2), (24, 2), (25, 3))],
    *[("spo2", at, n) for at, n in ((91, 3), (92, 2), (93, 2), (94, 1), (95, 1), (96, 0))],
    *[("o2", at, n) for at, n in ((0, 0), (2, 2))],
    *[("sys", at, n) for at, n in ((90, 3), (91, 2), (100, 2), (101, 1), (110, 1), (111, 0), (219, 0), (220, 3))],
    *[("pulse", at, n) for at, n in ((40, 3), (41, 1), (50, 1), (51, 0), (90, 0), (91, 1), (110, 1), (111, 2), (130, 2), (131, 3))],
    *[("temp", at, n) for at, n in ((35.0, 3), (35.1, 1), (36.0, 1), (36.1, 0), (38.0, 0), (38.1, 1), (39.0, 1), (39.1, 2))],
    *[("acvpu", at, n) for at, n in (("A", 0), ("C", 3), ("V", 3), ("P", 3), ("U", 3))],
]


@pytest.mark.parametrize(("name", "at", "expected"), NEWS2_EDGES)
def test_news2_at_every_edge_of_its_chart(name: str, at: float | str, expected: int) -> None:
    assert points("news2", **{name: at}) == expected


@pytest.mark.parametrize(
    ("changes", "total", "band"),
    [
        ({}, 0, "low"),
        ({"rr": 21, "spo2": 94, "temp": 38.1}, 4, "low"),
        ({"pulse": 135}, 3, "low to medium"),
        ({"rr": 22, "spo2": 93, "pulse": 95}, 5, "medium"),
        ({"rr": 26, "spo2": 90, "o2": 4, "sys": 88, "pulse": 133, "temp": 34.8, "acvpu": "V"}, 20, "high"),
    ],
)
def test_news2_of_whole_patients_and_its_bands(changes: dict[str, float | str], total: int, band: str) -> None:
    found = patient(**changes)["news2"]
    assert (found.points, found.band) == (total, band)
    assert sum(part.points for part in found.parts) == total


# Singer 2016: one point each at 22 / 100 / below 15; two make it positive
@pytest.mark.parametrize(
    ("changes", "total"),
    [({}, 0), ({"rr": 21}, 0), ({"rr": 22}, 1), ({"sys": 101}, 0), ({"sys": 100}, 1), ({"gcs": 14}, 1), ({"rr": 24, "sys": 95, "gcs": 13}, 3)],
)
def test_qsofa_at_its_edges(changes: dict[str, float | str], total: int) -> None:
    found = patient(**changes)["qsofa"]
    assert found.points == total and (found.band == "positive") == (total >= 2)


# Lim 2003: confusion, urea > 7 mmol/L, rate >= 30, systolic < 90 or diastolic <= 60, age >= 65
@pytest.mark.parametrize(
    ("changes", "total"),
    [
        ({}, 0), ({"acvpu": "C"}, 1), ({"urea": 7.0}, 0), ({"urea": 7.1}, 1), ({"rr": 29}, 0), ({"rr": 30}, 1),
        ({"sys": 90}, 0), ({"sys": 89}, 1), ({"dia": 61}, 0), ({"dia": 60}, 1), ({"sys": 85, "dia": 50}, 1), ({"age": 64}, 0), ({"age": 65}, 1),
        ({"acvpu": "C", "urea": 12, "rr": 34, "sys": 80, "age": 81}, 5),
    ],
)  # fmt: skip
def test_curb65_at_its_edges(changes: dict[str, float | str], total: int) -> None:
    found = patient(**changes)["curb65"]
    assert found.points == total
    assert found.band == {0: "low", 1: "low", 2: "moderate"}.get(total, "severe")


@pytest.mark.parametrize(
    ("score", "gone", "said"), [("news2", "o2", "oxygen flow"), ("news2", "acvpu", "consciousness"), ("qsofa", "gcs", "glasgow"), ("curb65", "urea", "urea")]
)
def test_a_missing_input_gives_no_number_and_is_named(score: str, gone: str, said: str) -> None:
    found = patient(without=(gone,))[score]
    assert found.points is None and found.missing == (said,) and found.parts == () and found.band == ""


def test_what_is_old_later_or_impossible_is_not_used() -> None:
    for reading in (value("rr", 30, hours_ago=25), value("rr", 30, hours_ago=-1)):
        found = patient(reading, without=("rr",))["qsofa"]
        assert found.points is None and found.missing == ("respiratory rate",)
    assert patient(rr=500)["qsofa"].missing == ("Respiratory rate 500 /min is not possible.",)
    assert "in kPa" in patient(value("sys", 16, unit="kPa"), without=("sys",))["qsofa"].missing[0]
    assert "none of A, C, V, P, U" in patient(acvpu="drowsy?")["news2"].missing[0]


def test_units_are_converted_where_that_is_safe() -> None:
    assert patient(value("temp", 102.5, unit="[degF]"), without=("temp",))["news2"].points == 2  # 39.2 °C
    nitrogen = value("urea", 20, unit="mg/dL", code="3094-0")  # 7.1 mmol/L of urea
    assert patient(nitrogen, without=("urea",))["curb65"].points == 1
    assert patient(value("urea", 19, unit="mg/dL", code="3094-0"), without=("urea",))["curb65"].points == 0


def test_the_newest_reading_counts_and_its_source_is_kept() -> None:
    found = patient(value("rr", 26, hours_ago=0.5))["news2"]
    assert found.points == 3
    part = next(part for part in found.parts if part.label == "Respiratory rate")
    assert part.time == NOW - timedelta(hours=0.5) and part.source == "reading of rr"


def test_a_patient_of_whom_no_score_reads_anything_has_none() -> None:
    assert score_patient(PatientSnapshot("k", "p", NOW, (value("age", 70),), ())) == ()


def test_no_score_can_pass_its_highest() -> None:
    worst = patient(rr=40, spo2=70, o2=15, sys=60, dia=30, pulse=180, temp=33.0, gcs=3, urea=40, age=95, acvpu="U")
    assert {name: one.points for name, one in worst.items()} == {score.name: score.highest for score in SCORES}
