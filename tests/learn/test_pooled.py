"""An empty cell as an outcome, and several rows that are one case: each rule and each refusal."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from salus_learn.contracts import EMPTY_WORD
from salus_learn.errors import CaseError, TaskError
from salus_learn.leaks.hunt import hunt
from salus_learn.tasks.cases import read_case_rows, read_cases
from salus_learn.tasks.loader import load_task, task_from_text
from salus_learn.tasks.rows import CaseRow
from salus_learn.tasks.words import kind_of
from salus_learn.training.train import prepare_material

from tests.factories.eyes import EYES, PER_EYE, eye, make_eyes, some_people

# Two people of each outcome, so that a table of a single further person is one that can be read.
OTHERS = [eye("a", "left", "1"), eye("b", "left", "1"), eye("c", "left", ""), eye("d", "left", "")]


def rows_of(folder: Path, rows: list[dict[str, str]], task: str = EYES) -> list[CaseRow]:
    """The cases of these rows beside those of OTHERS."""
    make_eyes(folder, [*rows, *OTHERS], task=task)
    return [row for row in read_case_rows(task_from_text(task), folder) if row.person not in set("abcd")]


# --- an empty cell


def test_an_empty_cell_is_an_outcome_where_the_task_lists_it(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, [eye("p", "left", ""), eye("q", "left", "2")], PER_EYE)
    assert [(row.outcome, row.outcome_word) for row in rows] == [(0, EMPTY_WORD), (1, "2")]
    cases = {case.snapshot.key: case for case in read_cases(task_from_text(PER_EYE), tmp_path)}
    assert [cases[key].outcome for key in ("p-left", "q-left")] == [0, 1] and cases["q-left"].kind == "Severe"


def test_an_empty_cell_can_be_the_outcome_and_a_kind_of_it(tmp_path: Path) -> None:
    text = PER_EYE.replace('positive = ["1", "2", "3"]\nnegative = [""]', 'positive = ["", "2"]\nnegative = ["1"]')
    text = text.replace('"Mild" = ["1"]\n"Severe" = ["3", "2"]', '"Unnamed" = [""]\n"Named" = ["2"]')
    rows = rows_of(tmp_path, [eye("p", "left", ""), eye("q", "left", "2")], text)
    kinds = [kind_of(task_from_text(text).outcome, row.outcome_word) for row in rows]
    assert [row.outcome for row in rows] == [1, 1] and kinds == ["Unnamed", "Named"]


def test_an_empty_cell_is_unknown_where_the_task_does_not_list_it(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"eyes.csv row 2, column grade: the outcome is missing"):
        rows_of(tmp_path / "1", [eye("p", "left", "")], PER_EYE.replace('negative = [""]', 'negative = ["0"]'))
    with pytest.raises(CaseError, match=r"row 2, column grade: the outcome is missing"):
        rows_of(tmp_path / "2", [eye("p", "left", "?")], PER_EYE)


def test_a_row_that_ends_before_the_outcome_has_no_empty_cell(tmp_path: Path) -> None:
    folder = make_eyes(tmp_path, OTHERS, task=PER_EYE)
    (folder / "eyes.csv").write_text((folder / "eyes.csv").read_text() + "a,cut-off,60,f,a-left.png\n")
    with pytest.raises(CaseError, match=r"row 6, column grade: the outcome is missing"):
        read_case_rows(task_from_text(PER_EYE), folder)


def test_without_the_column_nobody_is_without_the_outcome(tmp_path: Path) -> None:
    folder = make_eyes(tmp_path, OTHERS, task=PER_EYE)
    lines = [line.rpartition(",")[0] for line in (folder / "eyes.csv").read_text().splitlines()]
    (folder / "eyes.csv").write_text("\n".join(lines))
    rows = read_case_rows(task_from_text(PER_EYE), folder, require_outcome=False)
    assert [(row.outcome, row.outcome_word) for row in rows] == [(None, "")] * 4
    for text in (EYES, EYES.replace("missing =", "leave_out_unknown = true\nmissing =")):
        assert len(read_case_rows(task_from_text(text), folder, require_outcome=False)) == 4, "risks can be asked for all the same"


def test_the_leak_hunt_counts_the_empty_cell(tmp_path: Path) -> None:
    """A column that repeats the outcome is only found where the hunt knows who is without."""
    text = PER_EYE[: PER_EYE.index("[[image]]")]
    with (tmp_path / "eyes.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["person", "eye", "age", "sex", "grade", "copy"])
        table.writerows([f"p{at}", f"e{at}", 50 + at * 7 % 31, "fm"[at // 2 % 2], "2" if at % 2 else "", "yn"[at % 2]] for at in range(60))
    assert "copy" in {column for one in hunt(tmp_path, task_from_text(text)) for column in one.columns}


# --- several rows, one case


@pytest.mark.parametrize(
    ("grades", "outcome", "word", "kind"),
    [
        (["", ""], 0, EMPTY_WORD, None),
        (["", "1"], 1, "1", "Mild"),
        (["2", ""], 1, "2", "Severe"),
        (["x", "1"], 1, "1", "Mild"),
        (["1", "?"], 1, "1", "Mild"),
        (["1", "2"], 1, "2", "Severe"),
        (["3", "1"], 1, "3", "Severe"),
        (["3", "2"], 1, "3", "Severe"),
    ],
)
def test_the_outcome_and_the_worst_kind_of_any_row_are_the_persons(
    tmp_path: Path, grades: list[str], outcome: int, word: str, kind: str | None
) -> None:
    (row,) = rows_of(tmp_path, [eye("p", side, grade) for side, grade in zip(["right", "left"], grades, strict=True)])
    assert (row.person, row.case, row.outcome, row.outcome_word) == ("p", "p", outcome, word)
    assert kind_of(task_from_text(EYES).outcome, row.outcome_word) == kind
    assert len(row.images) == 2, "a row of neither list is still looked at"


def test_a_person_is_without_only_where_all_rows_are(tmp_path: Path) -> None:
    assert rows_of(tmp_path / "1", [eye("p", "right", ""), eye("p", "left", "x")]) == []
    for at, grades in enumerate((["", "?"], ["?", "x"], ["x", "?"])):
        rows = [eye("p", side, grade) for side, grade in zip(["right", "left"], grades, strict=True)]
        with pytest.raises(CaseError, match=rf"eyes.csv row {2 + grades.index('?')}, column grade: the outcome is missing"):
            rows_of(tmp_path / f"2{at}", rows)
        assert rows_of(tmp_path / f"3{at}", rows, EYES.replace("missing =", "leave_out_unknown = true\nmissing =")) == []


def test_only_the_rows_that_are_kept_decide(tmp_path: Path) -> None:
    text = EYES.replace("missing =", 'only = {sex = ["f"]}\nmissing =')
    (row,) = rows_of(tmp_path, [eye("p", "right", "", sex="f"), eye("p", "left", "x", sex="m")], text)
    assert row.outcome == 0 and [image.path.name for image in row.images] == ["p-right.png"]


def test_a_value_is_the_one_that_the_rows_agree_on(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, [eye("p", "right", "", age="?"), eye("p", "left", "", age="70.0", sex=""), eye("p", "3rd", "", age="70")])
    assert row.values == {"age_years": 70.0, "sex": "f"} and row.place == "rows 2, 3 and 4"


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ({"age": "71"}, "eyes.csv rows 3 and 4, column age: 60 and 71 differ, but both rows are of person “p” and make one case."),
        ({"sex": "m"}, "eyes.csv rows 3 and 4, column sex: “f” and “m” differ, but both rows are of person “p” and make one case."),
    ],
)
def test_rows_that_contradict_each_other_are_refused(tmp_path: Path, cell: dict[str, str], says: str) -> None:
    with pytest.raises(CaseError) as refused:
        rows_of(tmp_path, [eye("p", "right", "", age="?", sex="?"), eye("p", "left", ""), eye("p", "3rd", "", **cell)])
    assert str(refused.value) == says


def test_every_rows_images_are_views_with_their_own_outcome(tmp_path: Path) -> None:
    rows = [eye("p", "right", "x"), eye("q", "left", ""), eye("p", "left", "2"), eye("p", "3rd", "1", photo=""), eye("p", "4th", "")]
    make_eyes(tmp_path, [*rows, *OTHERS])
    cases = read_cases(task_from_text(EYES), tmp_path)
    assert [case.snapshot.key for case in cases] == ["p", "q", "a", "b", "c", "d"], "in the order of their first rows"
    p = cases[0]
    assert [(image.slot, image.source) for image in p.snapshot.images] == [
        ("fundus", "eyes.csv row 2, p-right.png"), ("fundus", "eyes.csv row 4, p-left.png"), ("fundus", "eyes.csv row 6, p-4th.png"),
    ]  # fmt: skip
    assert p.image_outcomes == (None, 1, 0) and cases[1].image_outcomes == (0,)
    assert p.snapshot.values[0].source == "eyes.csv rows 2, 4, 5 and 6"
    alone = read_cases(task_from_text(PER_EYE.replace('positive = ["1"', 'positive = ["x", "1"').replace('"Mild" = [', '"Mild" = ["x", ')), tmp_path)
    assert {case.image_outcomes for case in alone} == {()}, "a row that is the case needs no second answer"


def test_slots_stand_together(tmp_path: Path) -> None:
    second = EYES[EYES.index("[[image]]") :].replace('"fundus"', '"again"')
    make_eyes(tmp_path, [eye("p", "right", ""), eye("p", "left", "1"), *OTHERS])
    images = read_case_rows(task_from_text(EYES + second), tmp_path)[0].images
    assert [(image.spec.name, image.row) for image in images] == [("fundus", 2), ("fundus", 3), ("again", 2), ("again", 3)]


def test_two_ids_of_one_person_are_one_case(tmp_path: Path) -> None:
    text = EYES.replace("missing =", 'same_person = [["p", "q"]]\nmissing =')
    (row,) = rows_of(tmp_path, [eye("p", "right", ""), eye("q", "left", "1")], text)
    assert (row.case, row.outcome, len(row.images)) == ("p", 1, 2)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (eye("p", "right", ""), "eyes.csv: the case “p-right” (column eye) stands in 2 rows."),
        (eye("", "left", ""), "eyes.csv row 3, column person: it is empty, so nobody can say whose row this is"),
        (eye("?", "left", ""), "eyes.csv row 3, column person: it is empty"),
    ],
)
def test_a_row_that_cannot_be_put_to_a_person_is_refused(tmp_path: Path, row: dict[str, str], says: str) -> None:
    with pytest.raises(CaseError) as refused:
        rows_of(tmp_path, [eye("p", "right", ""), row])
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('one_case_per = "patient"', 'one_case_per = "eye"', "[cases] one_case_per “eye” is not one of row, patient."),
        ('patient = "person"\n', "", '[cases] one_case_per = "patient" needs patient'),
        ('[outcome.kinds]\n"Mild" = ["1"]\n"Severe" = ["3", "2"]\n', 'time_column = "days"\nhorizon_days = 90\n', "and a time_column do not go together"),
    ],
)
def test_a_task_that_cannot_be_pooled_is_refused(old: str, new: str, says: str) -> None:
    assert old in EYES
    with pytest.raises(TaskError) as refused:
        task_from_text(EYES.replace(old, new), name="eyes.toml")
    assert says in str(refused.value)


def test_one_case_per_row_is_what_stands_without_the_key() -> None:
    assert not task_from_text(PER_EYE).pooled and not task_from_text(EYES.replace('"patient"\nmissing', '"row"\nmissing')).pooled


def test_training_sees_one_case_with_the_mean_of_its_views(tmp_path: Path) -> None:
    folder = make_eyes(tmp_path, [row for row in some_people(6) if row["grade"] != "x"])
    one, many = load_task(folder / "task.toml"), task_from_text(PER_EYE)
    pooled, single = (prepare_material(task, read_cases(task, folder)) for task in (one, many))
    assert len(pooled.y) == 6 and pooled.y.tolist() == [0, 1] * 3
    assert pooled.prepared is not None and single.prepared is not None
    rows = {row.case: at for at, row in enumerate(read_case_rows(many, folder))}
    views = single.prepared.pooled[[rows["p0-right"], rows["p0-left"]]]
    assert pooled.prepared.pooled[0] == pytest.approx(np.mean(views, axis=0), rel=1e-6)


# --- the tasks that ship


@pytest.mark.data
@pytest.mark.parametrize(
    ("task", "cases", "events", "people", "images", "kinds"),
    [
        ("odir_fundus", 3045, 1302, 1643, 3045, {"Mild": 440, "Moderate": 727, "Severe or proliferative": 135}),
        ("odir_referable", 3045, 862, 1643, 3045, {}),
        ("odir_patient", 1643, 823, 1643, 3141, {}),
        ("odir_patient_referable", 1643, 552, 1643, 3141, {}),
        ("odir_view", 3141, 28, 1643, 3141, {}),
    ],
)
def test_the_shipped_tasks_count_eyes_and_people_as_they_are(
    repository_root: Path, shared_data: Path, task: str, cases: int, events: int, people: int, images: int, kinds: dict[str, int]
) -> None:
    """Counted in the table by hand: 1,743 normal eyes, 440, 727, 114 and 21 of grades 1 to 4, 96 with another finding."""
    asked = load_task(repository_root / "tasks" / f"{task}.toml")
    rows = read_case_rows(asked, shared_data / "odir_fundus")
    assert (len(rows), sum(row.outcome or 0 for row in rows), len({row.person for row in rows})) == (cases, events, people)
    assert sum(len(row.images) for row in rows) == images
    found = [kind_of(asked.outcome, row.outcome_word) for row in rows]
    assert {kind: found.count(kind) for kind, _ in asked.outcome.kinds} == kinds
