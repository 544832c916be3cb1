"""Task files and case tables: what is wrong is named in one sentence."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Literal

import pytest
from salus_learn.errors import CaseError, TaskError
from salus_learn.leaks.columns import later
from salus_learn.leaks.table import Table
from salus_learn.tasks.cases import read_case_rows, read_case_table, read_cases
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
        ("[task]", "[[task]]", "write [task], in single brackets"),
        ("[cases]", "[[cases]]", "write [cases], in single brackets"),
        ("[[image]]", "[image]", "write [[image]], in double brackets"),
        ('never = ["answer_sheet"]', 'never = "answer_sheet"', "never must be a list of column names"),
        ('never = ["answer_sheet"]', "never = [1]", "never must be a list of column names"),
        ('rule = "youden"', 'rule = "sensitivity"\ntarget = 90', "target 90 is not between 0 and 1, as sensitivity asks (0.9 is 90 %)"),
        ('rule = "youden"', 'rule = "specificity"\ntarget = 1.0', "target 1.0 is not between 0 and 1"),
        ('rule = "youden"', 'rule = "alerts_per_100"\ntarget = 100', "target 100 is not between 0 and 100"),
        ('column = "film"\n', "", "image film needs a column"),
        ('column = "age"', 'code = "age"', "feature age_years needs a column"),
        ('name = "film"', 'name = "left/right"', "image “left/right”: the name becomes part of file names"),
        ('name = "film"', 'name = ".."', "image “..”: the name becomes part of file names"),
        ('column = "age"', f'column = "{"How often? " * 10}"', "has 110 letters; at most 80 are taken"),
        ('modality = "DX"', 'modality = "Röntgenaufnahme der Lunge"', "has 25 letters; at most 16 are taken"),
        ('title = "A tiny task"', 'title = "A tiny task"\nindex = "encounter-start + 24 h"', "a case table's index is the case"),
    ],
)
def test_a_wrong_task_file_is_refused_with_its_place(old: str, new: str, says: str) -> None:
    assert old in TASK
    with pytest.raises(TaskError) as refused:
        task_from_text(TASK.replace(old, new, 1), name="tiny.toml")
    assert says in str(refused.value)


def test_a_target_within_its_range_is_taken() -> None:
    for rule, target in (("sensitivity", 0.95), ("specificity", 0.5), ("alerts_per_100", 12)):
        task = task_from_text(TASK.replace('rule = "youden"', f'rule = "{rule}"\ntarget = {target}'))
        assert (task.threshold_rule, task.threshold_target) == (rule, target)


def test_a_task_file_is_read_as_editors_save_it_and_refused_in_words_where_they_do_not(tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TASK.encode())
    assert load_task(path) == task_from_text(TASK)
    path.write_bytes(TASK.replace("Age", "Größe").encode("windows-1252"))
    with pytest.raises(TaskError, match="task.toml is not written in UTF-8. Save it again as text with the encoding UTF-8"):
        load_task(path)
    with pytest.raises(TaskError, match="gone.toml cannot be read: No such file or directory"):
        load_task(tmp_path / "gone.toml")


def test_a_column_under_never_that_is_not_there_guards_nothing_and_is_refused(folder: Path) -> None:
    task = task_from_text(TASK.replace("answer_sheet", "answer_shet"))
    with pytest.raises(CaseError, match="cases.csv has no column “answer_shet”, which the task file lists under never.* Near it are: answer_sheet"):
        read_case_table(task, folder)
    assert len(read_case_table(task, folder, require_never=False).rows) == len(read_case_rows(task, folder, require_outcome=False)) == 12, "who is scored has no answers"


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_an_image_is_found_however_its_umlaut_is_written(folder: Path, form: Literal["NFC", "NFD"]) -> None:
    other: Literal["NFC", "NFD"] = "NFD" if form == "NFC" else "NFC"
    (folder / "films" / "c0.png").rename(folder / "films" / unicodedata.normalize(form, "Müller.png"))
    change(folder, "c0.png", unicodedata.normalize(other, "Müller.png"))
    assert read_case_rows(load_task(folder / "task.toml"), folder)[0].images[0].path.is_file()


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("c0.PNG", "the image file c0.PNG is not in films/. There is c0.png; names must agree in every letter"),
        ("c0", "the image file c0 is not in films/. There is c0.png"),
        ("a" * 300 + ".png", "a” (304 letters) cannot be the name of a file"),
        ("c\0.png", "“c\0.png” (6 letters) cannot be the name of a file"),
    ],
)
def test_what_a_cell_may_have_meant_is_said(folder: Path, cell: str, says: str) -> None:
    change(folder, "c0.png", cell)
    with pytest.raises(CaseError) as refused:
        read(folder)
    assert str(refused.value).startswith("cases.csv row 2, column film: ") and says in str(refused.value)


def test_a_folder_that_is_not_there_is_told_from_a_file(folder: Path) -> None:
    (folder / "films").rename(folder / "Films")
    with pytest.raises(CaseError, match="row 2, column film: there is no folder films, where the image file c0.png should be"):
        read(folder)


def test_a_table_that_is_not_there_is_called_a_table(folder: Path) -> None:
    (folder / "cases.csv").rename(folder / "cases (1).csv")
    with pytest.raises(CaseError, match=r"The case table cases.csv is not in the folder data. Its files are: cases \(1\).csv, task.toml."):
        read(folder)
    with pytest.raises(CaseError, match=r"cases.csv is not in the folder nowhere. There is no such folder"):
        read_cases(load_task(folder / "task.toml"), folder / "nowhere")


def test_rows_without_a_patient_are_people_of_their_own_however_emptiness_is_written(folder: Path) -> None:
    """“unknown” is one of the task's words for not recorded: it was one giant person."""
    change(folder, "p1,1,", "unknown,1,")
    change(folder, "p3,3,", "unknown,3,")
    change(folder, "p5,5,", ",5,")
    assert [row.person for row in read_case_rows(load_task(folder / "task.toml"), folder)][:6] == ["p0", "1", "p2", "3", "p4", "5"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("person,case,age", "person,case,years", "has no column “age”"),
        ("c0.png", "gone.png", "row 2, column film: the image file gone.png is not in films/"),
        ("c0.png", "../../elsewhere.png", "lies outside the case folder"),
        ("p1,1,", "p1,0,", "the case “0” (column case) stands in 2 rows. They are 2 and 3."),
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
        (2, "NA", "column age: “NA” is not a number. If it means “not recorded”, the task file lists it under [cases]: missing = [\"\", \"NA\"]"),
        (2, "-1e300", "column age: “-1e300” is beyond 1e+30"),
        (2, "1_2", "column age: “1_2” is not a number"),
        (4, "x" * 401, "column signs: a text of 401 letters; at most 400 are taken"),
        (1, "x" * 201, "has 201 letters; a name of at most 200 is taken"),
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


@pytest.mark.parametrize("path", sorted(SIMULATED.parent.glob("*.toml")), ids=lambda path: path.stem)
def test_no_input_of_a_shipped_task_is_named_like_something_known_only_later(path: Path) -> None:
    names = [spec.name for spec in load_task(path).features]
    assert later(Table(path.name, {}, [], frozenset()), names, frozenset(names)) == []
