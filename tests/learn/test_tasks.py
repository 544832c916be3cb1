"""Task files and case tables: what is wrong is named in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from salus_learn.errors import CaseError, TaskError
from salus_learn.tasks.cases import read_case_rows, read_cases
from salus_learn.tasks.loader import load_task, task_from_text
from salus_learn.tasks.moments import asks_again, index_hours

from tests.factories.cases import TASK, make_cases

SIMULATED = Path(__file__).resolve().parents[2] / "tasks" / "simulated_deterioration.toml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_cases(tmp_path / "data", people=12)


def read(folder: Path) -> object:
    return read_cases(load_task(folder / "task.toml"), folder)


def change(folder: Path, old: str, new: str, *, times: int = 1) -> None:
    """Replace text in the case table."""
    path = folder / "cases.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, times))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('title = "A tiny task"', "", "[task] needs title"),
        ('rule = "youden"', 'rule = "luck"', "“luck” is not one of"),
        ('column = "age"', 'column = "answer_sheet"', "is an input and also under never"),
        ('column = "age"', 'column = "ill"', "is the outcome and cannot be an input"),
        ('name = "sex"', 'name = "age_years"', "used twice"),
        ("low = 0", 'low = "zero"', "low has a value of the wrong kind"),
        ("low = 0", "lowest = 0", "unknown key “lowest”"),
        ("[threshold]", "[thresholds]", "[thresholds] is not a known table"),
        ("[task]", "[task", "is not valid TOML"),
    ],
)
def test_a_wrong_task_file_is_refused_with_its_place(old: str, new: str, says: str) -> None:
    assert old in TASK
    with pytest.raises(TaskError) as refused:
        task_from_text(TASK.replace(old, new, 1), name="tiny.toml")
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("person,case,age", "person,case,years", "has no column “age”"),
        ("c0.png", "gone.png", "row 2, column film: the image file gone.png is not in films/"),
        ("c0.png", "../../elsewhere.png", "lies outside the case folder"),
        ("p1,1,", "p1,0,", "the case “0” (column case) stands in 2 rows"),
    ],
)
def test_a_wrong_table_is_refused_with_row_and_column(folder: Path, old: str, new: str, says: str) -> None:
    change(folder, old, new)
    with pytest.raises(CaseError) as refused:
        read(folder)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("column", "word", "says"),
    [
        (2, "old", "column age: “old” is not a number"),
        (2, "nan", "column age: “nan” is not a finite number"),
        (2, "130", "column age: 130 a is outside 0 to 120 a"),
        (3, "x", "column sex: “x” is not one of f, m"),
        (7, "unknown", "column ill: the outcome is missing"),
    ],
)
def test_a_wrong_cell_is_refused_with_row_and_column(folder: Path, column: int, word: str, says: str) -> None:
    lines = (folder / "cases.csv").read_text().splitlines()
    cells = lines[3].split(",")
    cells[column] = word
    lines[3] = ",".join(cells)
    (folder / "cases.csv").write_text("\n".join(lines))
    with pytest.raises(CaseError) as refused:
        read(folder)
    assert "cases.csv row 4" in str(refused.value)
    assert says in str(refused.value)


def test_an_unreadable_image_is_refused(folder: Path) -> None:
    (folder / "films" / "c0.png").write_bytes(b"no picture")
    with pytest.raises(CaseError, match="row 2: c0.png cannot be read as an image"):
        read(folder)


def test_a_class_with_one_case_is_refused(folder: Path) -> None:
    change(folder, ",yes,", ",no,", times=5)
    with pytest.raises(CaseError, match="only 1 case"):
        read(folder)


def test_a_marked_box_travels_with_its_image(folder: Path) -> None:
    change(folder, "c0.png,,", 'c0.png,"8, 36, 20, 20",')
    row = read_case_rows(load_task(folder / "task.toml"), folder)[0]
    region = row.images[0].region
    assert region is not None
    assert (region.left, region.top, region.right, region.bottom) == (8, 36, 28, 56)


@pytest.mark.parametrize(("index", "hours"), [
    ("encounter-start", (0.0,)), ("encounter-start + 24 h", (24.0,)), ("encounter-start + 24 h, then every 24 h to 96 h", (24.0, 48.0, 72.0, 96.0)),
    ("encounter-start, then every 12 h to 30 h", (0.0, 12.0, 24.0)), ("encounter-start + 6 h, then every 1.5 h to 9 h", (6.0, 7.5, 9.0)),
])  # fmt: skip
def test_a_task_says_at_which_moments_of_a_stay_it_is_asked(index: str, hours: tuple[float, ...]) -> None:
    task = task_from_text(SIMULATED.read_text().replace("encounter-start + 24 h, then every 24 h to 96 h", index))
    assert index_hours(task) == hours and asks_again(task) == (len(hours) > 1)


@pytest.mark.parametrize(("index", "words"), [
    ("after a while", "“after a while” is not understood. It may be “case”"), ("encounter-start + 24 h, then every 24 h", "is not understood"),
    ("encounter-start + 24 h, then every 0.5 h to 48 h", "within an hour"), ("encounter-start + 24 h, then every 24 h to 40 h", "ends before it is asked a second time"),
    ("encounter-start, then every 1 h to 40 h", "more than 40 moments"),
])  # fmt: skip
def test_moments_that_cannot_be_are_refused_in_words(index: str, words: str) -> None:
    with pytest.raises(TaskError, match=words):
        task_from_text(SIMULATED.read_text().replace("encounter-start + 24 h, then every 24 h to 96 h", index))
