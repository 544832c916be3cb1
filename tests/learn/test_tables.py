"""Tables as hospitals write them: what separates cells, how decimals and letters are written, and what is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from salus_learn.contracts import RiskTask
from salus_learn.errors import CaseError, TaskError
from salus_learn.leaks.hunt import hunt
from salus_learn.tasks.cases import read_case_rows, read_case_table
from salus_learn.tasks.loader import task_from_text
from salus_learn.tasks.table import read_table
from salus_learn.tasks.words import kind_of

TASK = """
[task]
id = "knee"
title = "Arthrosis of the knee"
[outcome]
label = "arthrosis"
column = "Arthrose?"
positive = ["Ja"]
negative = ["Nein"]
[cases]
table = "fälle.csv"
patient = "Person"
[[feature]]
name = "age"
label = "Age"
column = "Alter"
[[feature]]
name = "notes"
label = "Notes"
kind = "flags"
column = "Zeichen"
separator = ","
"""
COMMA = TASK.replace("[cases]", '[cases]\ndecimal = ","')
ROWS = [("Person", "Alter", "Zeichen", "Arthrose?"), ("Ä", "61,5", "steif,dick", "Ja"), ("B", "40", "", "Nein"), ("C", "7,25e1", "dick", "Ja"), ("D", "-3,5", "", "Nein")]


def write(folder: Path, separator: str = ";", encoding: str = "utf-8", rows: list[tuple[str, ...]] = ROWS) -> Path:
    def cell(word: str) -> str:
        return f'"{word}"' if separator in word else word

    text = "".join(separator.join(map(cell, row)) + "\r\n" for row in rows)
    (folder / "fälle.csv").write_bytes(text.encode(encoding))
    return folder


def task(text: str = COMMA) -> RiskTask:
    return task_from_text(text)


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_reads_the_same_however_it_is_written(tmp_path: Path, separator: str, encoding: str) -> None:
    rows = read_case_rows(task(), write(tmp_path, separator, encoding))
    assert [row.person for row in rows] == ["Ä", "B", "C", "D"] and [row.outcome for row in rows] == [1, 0, 1, 0]
    assert [row.values["age"] for row in rows] == [61.5, 40.0, 72.5, -3.5]
    assert rows[0].values["notes"] == "steif,dick", "a comma that is no decimal stays"


def test_an_old_encoding_is_named_by_the_task_and_a_wrong_one_refused_in_words(tmp_path: Path) -> None:
    write(tmp_path, encoding="windows-1252")
    with pytest.raises(CaseError, match=r"fälle.csv is not written in UTF-8. Save it as “CSV UTF-8”, or name its encoding"):
        read_case_rows(task(), tmp_path)
    assert read_case_rows(task(COMMA.replace("[cases]", '[cases]\nencoding = "windows-1252"')), tmp_path)[0].person == "Ä"


def test_a_decimal_comma_is_never_guessed(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(CaseError, match=r'row 2, column Alter: “61,5” is not a number. If decimals have a comma here, .* decimal = ","'):
        read_case_rows(task(TASK), tmp_path)
    for odd in ("1.234,5", "61.5"):
        write(tmp_path, rows=[*ROWS[:2], ("E", odd, "", "Nein"), *ROWS[2:]])
        with pytest.raises(CaseError, match=f"fälle.csv row 3, column Alter: “{odd}” has a point"):
            read_case_rows(task(), tmp_path)


def test_a_row_that_runs_past_its_header_is_refused(tmp_path: Path) -> None:
    """A separator inside a cell without quotes moves every cell after it into the wrong column."""
    write(tmp_path, rows=[*ROWS, ("E", "50", "steif", "Nein", "Ja")])
    with pytest.raises(CaseError, match=r"fälle.csv row 6 has more cells than the header's 4 \(“Ja” is beyond the last\)"):
        read_case_rows(task(), tmp_path)
    write(tmp_path, rows=[*ROWS, ("E", "50", "steif", "Nein", "", " ")])
    assert len(read_case_rows(task(), tmp_path)) == 5, "empty cells at the end, as spreadsheets leave them"


def test_spaces_around_a_columns_name_are_no_part_of_it(tmp_path: Path) -> None:
    spaced = [("Person ", " Alter", "Zeichen", "Arthrose? "), *ROWS[1:]]
    assert read_case_rows(task(), write(tmp_path, rows=spaced)) == read_case_rows(task(), write(tmp_path))
    with pytest.raises(CaseError, match="two columns “Alter”"):
        read_table(write(tmp_path, rows=[("Person", "Alter", "Alter ", "Arthrose?"), ("A", "1", "2", "Ja")]) / "fälle.csv")


def test_a_quoted_cell_after_a_space_is_one_cell(tmp_path: Path) -> None:
    (tmp_path / "fälle.csv").write_text('Person, "Alter", Zeichen, Arthrose?\nA, 61, "steif, dick", Ja\nB, 4, "", Nein\n')
    assert read_table(tmp_path / "fälle.csv")[1][0][1] == {"Person": "A", "Alter": "61", "Zeichen": "steif, dick", "Arthrose?": "Ja"}


HEADER = "Person,Alter,Zeichen,Arthrose?\n"
PLAIN = [f"P{at},{40 + at},steif,{'Ja' if at % 2 else 'Nein'}\n" for at in range(12)]


def text_of(folder: Path, *changed: tuple[int, str]) -> Path:
    """The plain table with other lines in place of some, which are numbered as in the file (the first row is 2)."""
    lines = {**dict(enumerate(PLAIN, 2)), **dict(changed)}
    (folder / "fälle.csv").write_text(HEADER + "".join(lines.values()))
    return folder


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ([(5, 'P3,43,"steif,Ja\n')], r'fälle.csv row 5, column Zeichen: a quote \("\) opens here and is never closed'),
        ([(4, 'P2,42,"steif,Nein\n'), (9, 'P7,47,"dick,Ja\n')], "row 4, column Zeichen: a quoted cell opens here, and “dick” stands behind its closing quote"),
        ([(4, 'P2,42,"5 cm,Nein\n'), (9, 'P7,47,5",Ja\n')], "row 4, column Zeichen: a quote .* opens here and closes 5 line.s. further on, so the rows between would be lost"),
        ([(4, 'P2,42,"5 cm,Nein\n'), (5, 'P3,43,5",Ja\n')], "row 4, column Zeichen: a quote .* closes 1 line.s. further on"),
        ([(6, 'P4,44,"steif" sehr,Nein\n')], "row 6, column Zeichen: a quoted cell opens here, and “sehr” stands behind its closing quote"),
        ([(2, '"P0,40,steif,Nein\n')], "row 2, column Person: a quote .* is never closed"),
    ],
)
def test_a_stray_quote_never_swallows_rows(tmp_path: Path, changed: list[tuple[int, str]], says: str) -> None:
    with pytest.raises(CaseError, match=says):
        read_case_rows(task(TASK), text_of(tmp_path, *changed))


def test_a_quote_within_a_cell_is_a_letter_and_a_quoted_cell_may_have_lines(tmp_path: Path) -> None:
    rows = read_case_rows(task(TASK), text_of(tmp_path, (3, 'P1,41,5" lang,Ja\n'), (7, 'P5,45,"Satz eins,\nSatz ""zwei""" ,Ja\n')))
    assert len(rows) == len(PLAIN)
    assert rows[1].values["notes"] == '5" lang' and rows[5].values["notes"] == 'Satz eins,\nSatz "zwei"'
    assert rows[6].place == "row 8", "as a spreadsheet numbers it"


def test_rows_are_numbered_as_the_file_shows_them(tmp_path: Path) -> None:
    text_of(tmp_path, (4, "\n\nP2,42,steif,Nein\n"), (8, "  \nP6,viel,steif,Nein\n"))
    with pytest.raises(CaseError, match="fälle.csv row 11, column Alter: “viel” is not a number"):
        read_case_rows(task(TASK), tmp_path)


def test_thousands_never_become_thousandths(tmp_path: Path) -> None:
    rows = [ROWS[0], ("A", "1,366", "", "Ja"), ("B", "766", "", "Nein"), ("C", "1,726", "", "Ja"), ("D", "512", "", "Nein")]
    write(tmp_path, rows=rows)
    with pytest.raises(CaseError, match="row 2, column Alter: “1,366” is not a number. It may be thousands: then write it as one row of digits.* If decimals have a comma"):
        read_case_rows(task(TASK), tmp_path)
    with pytest.raises(CaseError, match="row 2, column Alter: “1,366” looks like thousands, as every comma .* row 3 holds “766”"):
        read_case_rows(task(), tmp_path)
    for odd in ("1,5", "0,125", "766,0"):
        write(tmp_path, rows=[*rows, ("E", odd, "", "Ja")])
        assert read_case_rows(task(), tmp_path)[0].values["age"] == 1.366, "another number shows that the commas are decimal"
    write(tmp_path, rows=[*ROWS, ("E", "1.366", "", "Nein")])
    with pytest.raises(CaseError, match="“1.366” has a point, .* It may be thousands: then write it without the point"):
        read_case_rows(task(), tmp_path)


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path, rows=[("Person", "Alter", "Alter", "Arthrose?"), ("A", "1", "2", "Ja")])
    with pytest.raises(CaseError, match="two columns “Alter”"):
        read_case_rows(task(), tmp_path)


@pytest.mark.parametrize(("key", "word"), [("decimal", "'"), ("encoding", "klingon")])
def test_a_task_says_only_what_can_be_read(key: str, word: str) -> None:
    with pytest.raises(TaskError, match=rf"\[cases\] {key} “{word}” is not one of"):
        task(TASK.replace("[cases]", f'[cases]\n{key} = "{word}"'))


def test_the_leak_hunter_reads_the_table_as_the_task_does(tmp_path: Path) -> None:
    rows = [ROWS[0], *[(f"P{at}", f"{at % 2},{at:03d}", "", "Ja" if at % 2 else "Nein") for at in range(60)]]
    found = hunt(write(tmp_path, rows=rows), task=task(COMMA.replace('column = "Zeichen"', 'column = "Zeichen"\n')))
    assert any(one.severity == "blocks" and "Alter" in one.evidence for one in found), "a number that gives the answer away"
    assert read_table(tmp_path / "fälle.csv")[0] == list(ROWS[0])


def test_who_is_no_case_is_counted_in_words(tmp_path: Path) -> None:
    others = [("E", "50", "", "Vielleicht"), ("F", "50", "", "ja"), ("G", "50", "", "Vielleicht"), ("H", "50", "weg", "Nein")]
    write(tmp_path, rows=[*ROWS, *others])
    only = COMMA.replace("[cases]", '[cases]\nonly = {Zeichen = ["", "dick", "steif,dick"]}')
    assert len(read_case_rows(task(only), tmp_path)) == 4
    assert read_case_table(task(only), tmp_path).left_out() == (
        ("rows that the task does not keep", 1), ("cases whose outcome is “Vielleicht”", 2), ("cases whose outcome is “ja”", 1),
    )  # fmt: skip
    assert read_case_table(task(), write(tmp_path)).left_out() == ()


def test_where_no_word_for_without_is_listed_a_misspelt_one_is_seen(tmp_path: Path) -> None:
    write(tmp_path, rows=[*ROWS, ("E", "50", "", "JA"), *[(f"W{at}", "50", "", f"w{at}") for at in range(6)]])
    open_ended = COMMA.replace('negative = ["Nein"]\n', "")
    table = read_case_table(task(open_ended), tmp_path)
    said = dict(table.taken_for_without())
    assert table.left_out() == () and said["cases whose outcome is “Nein”"] == 2
    assert said["cases whose outcome is “JA”"] == 1, "as everything is that is no word for it"
    assert said["cases whose outcome is a rarer word"] == 3 and len(said) == 6
    assert read_case_table(task(), write(tmp_path)).taken_for_without() == (), "a list of its own says who is without"


def test_a_listed_word_that_no_row_holds_is_told(tmp_path: Path) -> None:
    write(tmp_path)
    assert read_case_table(task(), tmp_path).unseen == ()
    misspelt = COMMA.replace('negative = ["Nein"]', 'negative = ["Nein", "Nien"]')
    assert read_case_table(task(misspelt), tmp_path).unseen == ("Nien",)
    never = COMMA.replace('positive = ["Ja"]', "positive = [1]").replace('negative = ["Nein"]\n', "")
    with pytest.raises(CaseError, match="only 0 case.s. with “arthrosis” the outcome; .* Commonest in column Arthrose.: “Ja”, “Nein”"):
        read_case_table(task(never), tmp_path)


SEVERAL = COMMA.replace('positive = ["Ja"]\nnegative = ["Nein"]', 'separator = ";"\npositive = ["Gonarthrose", "Coxarthrose"]\nnegative = ["gesund", "Knick-Senkfuß"]')
FINDINGS = [("Gonarthrose", 1), ("gesund", 0), ("Riss; Coxarthrose ;", 1), ("gesund;Knick-Senkfuß", 0), ("gesund; Riss", None), ("Gonarthrose?", None)]


def test_several_words_in_a_cell_are_the_outcome_where_one_of_them_is(tmp_path: Path) -> None:
    rows = [ROWS[0], *[(f"P{at}", "50", "", cell) for at, (cell, _) in enumerate(FINDINGS)]]
    table = read_case_table(task(SEVERAL), write(tmp_path, rows=rows))
    assert [(row.person, row.outcome) for row in table.rows] == [(f"P{at}", outcome) for at, (_, outcome) in enumerate(FINDINGS) if outcome is not None]
    assert dict(table.left_out()) == {"cases whose outcome is “gesund; Riss”": 1, "cases whose outcome is “Gonarthrose?”": 1}, "part of a word is no word"
    open_ended = SEVERAL.replace('negative = ["gesund", "Knick-Senkfuß"]', "")
    assert [row.outcome for row in read_case_rows(task(open_ended), tmp_path)] == [1, 0, 1, 0, 0, 0]
    whole = task(SEVERAL.replace('separator = ";"', ""))
    assert [row.outcome for row in read_case_rows(whole, tmp_path, require_outcome=False)] == [1, 0, None, None, None, None]


def test_of_several_kinds_in_a_cell_the_last_that_the_task_names_counts() -> None:
    several = SEVERAL.replace("[cases]", '[outcome.kinds]\nKnie = ["Gonarthrose"]\nHüfte = ["Coxarthrose"]\n[cases]'.replace("Hüfte", '"Hüfte"'))
    outcome = task(several).outcome
    cells = ("Gonarthrose", "Coxarthrose;Gonarthrose", "Gonarthrose; Riss", "gesund")
    assert [kind_of(outcome, cell) for cell in cells] == ["Knie", "Hüfte", "Knie", None]


def test_a_separator_that_its_own_words_hold_is_refused() -> None:
    with pytest.raises(TaskError, match="“Knick-Senkfuß” holds the separator “-”, so it is no one word"):
        task(SEVERAL.replace('separator = ";"', 'separator = "-"'))
    with pytest.raises(TaskError, match="and no column is named"):
        task(SEVERAL.replace('column = "Arthrose?"', 'code = "1"'))
