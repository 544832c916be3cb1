"""The leak hunter: what it must find, and what it must leave alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from salus_learn.cli import main
from salus_learn.evaluation.metrics import Z95
from salus_learn.leaks.alone import auroc_by_person, person_folds
from salus_learn.leaks.finding import Finding, to_json
from salus_learn.leaks.hunt import hunt
from salus_learn.leaks.twins import joined_people, near_duplicates, prints_of
from salus_learn.tasks.cases import read_cases
from salus_learn.tasks.loader import load_task, task_from_text
from salus_learn.training.leakage import without_leaks
from salus_learn.training.train import prepare_material, train

from tests.factories.cases import TASK, make_cases
from tests.factories.delong import delong

ROOT = Path(__file__).resolve().parents[2]


def kinds(findings: list[Finding]) -> set[tuple[str, tuple[str, ...]]]:
    return {(one.kind, one.columns) for one in findings}


def with_columns(folder: Path, **columns: object) -> Path:
    """Add columns to cases.csv; each is a function of the row number and whether the case is ill."""
    lines = list(csv.DictReader((folder / "cases.csv").open()))
    for at, line in enumerate(lines):
        for name, value in columns.items():
            line[name] = str(value(at, line["ill"] == "yes"))  # type: ignore[operator]
    with (folder / "cases.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(lines[0]))
        table.writeheader()
        table.writerows(lines)
    return folder


def picture(seed: int, side: int = 96) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 255, (side // 8, side // 8)), np.ones((8, 8))).astype(np.uint8)


def test_a_clean_table_gives_no_finding(tmp_path: Path) -> None:
    folder = make_cases(tmp_path / "data", people=60)
    task = load_task(folder / "task.toml")
    assert hunt(folder, task) == []


def test_an_input_that_gives_the_answer_blocks_and_under_never_it_is_silent(tmp_path: Path) -> None:
    folder = with_columns(make_cases(tmp_path / "data", people=60), grade=lambda at, ill: 4 + ill + at % 3 / 10)
    extra = '\n[[feature]]\nname = "grade"\ncolumn = "grade"\n'
    found = hunt(folder, task_from_text(TASK + extra))
    assert [(one.kind, one.severity, one.columns) for one in found] == [("answer_column", "blocks", ("grade",))]
    assert found[0].figure is not None and found[0].figure[0] > 0.95 and "under never" in found[0].evidence
    silent = hunt(folder, task_from_text(TASK.replace('never = ["answer_sheet"]', 'never = ["answer_sheet", "grade"]')))
    assert silent == []


def test_a_column_that_is_filled_because_of_the_outcome_is_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = with_columns(make_cases(tmp_path / "data", people=80), biopsy=lambda at, ill: f"{rng.normal():.2f}" if ill else "")
    found = hunt(folder, load_task(folder / "task.toml"))
    assert kinds(found) == {("answer_column", ("biopsy",))} and "filled" in found[0].evidence


def test_sources_later_columns_and_two_units_are_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    folder = with_columns(
        make_cases(tmp_path / "data", people=100),
        scanner=lambda at, ill: "A" if rng.random() < (0.8 if ill else 0.25) else "B",
        slos=lambda at, ill: rng.integers(1, 30),
        oxygen_saturation=lambda at, ill: 140 if at in (3, 9) else rng.integers(85, 100),
    )
    found = {one.kind: one for one in hunt(folder, load_task(folder / "task.toml"))}
    assert found["source_predicts_outcome"].columns == ("scanner",)
    assert found["after_index"].columns == ("slos",) and "discharge" in found["after_index"].evidence
    assert found["two_units"].columns == ("oxygen_saturation",) and found["two_units"].rows == (5, 11)


def test_twins_across_people_are_found_also_when_saved_again_and_not_within_a_person(tmp_path: Path) -> None:
    folder = make_cases(tmp_path / "data", people=40)
    films = folder / "films"
    Image.fromarray(picture(1)).save(films / "c2.png")
    Image.fromarray(picture(1)).resize((80, 80)).save(films / "c3.png")
    found = [one for one in hunt(folder, load_task(folder / "task.toml")) if one.kind == "near_duplicate_images"]
    assert [one.rows for one in found] == [(4, 5)] and "outcomes differ" in found[0].evidence
    merged = TASK.replace('missing = ["", "unknown"]', 'missing = ["", "unknown"]\nsame_person = [["p2", "p3"]]')
    assert [one for one in hunt(folder, task_from_text(merged)) if one.kind == "near_duplicate_images"] == []


def test_training_takes_twins_as_one_person(tmp_path: Path) -> None:
    folder = make_cases(tmp_path / "data", people=40)
    for name in ("c2.png", "c13.png", "c21.png"):
        Image.fromarray(picture(1)).save(folder / "films" / name)
    task = load_task(folder / "task.toml")
    cases = read_cases(task, folder)
    material = prepare_material(task, cases, embedded=False)
    merged, findings = without_leaks(material, cases)
    assert merged.persons[2] == merged.persons[13] == merged.persons[21]
    assert len(np.unique(merged.persons)) == 38
    assert [one["kind"] for one in findings] == ["near_duplicate_images"] and findings[0]["count"] == 3


def test_the_report_counts_people_who_were_made_one_as_one(tmp_path: Path) -> None:
    folder = make_cases(tmp_path / "data", people=40)
    for name in ("c2.png", "c13.png"):
        Image.fromarray(picture(1)).save(folder / "films" / name)
    task = load_task(folder / "task.toml")
    judged = train(task, read_cases(task, folder), tmp_path / "bundle", repeats=1).judged
    assert judged.persons[2] == judged.persons[13] == "p2" and len(np.unique(judged.persons)) == 39


@pytest.mark.parametrize(("copies", "said"), [(("c2.png", "c13.png"), "1 pair of nearly the same image stands"), (("c2.png", "c13.png", "c21.png"), "3 pairs of nearly the same image stand")])
def test_one_pair_and_several_are_said_as_such(tmp_path: Path, copies: tuple[str, ...], said: str) -> None:
    folder = make_cases(tmp_path / "data", people=40)
    for name in copies:
        Image.fromarray(picture(1)).save(folder / "films" / name)
    cases = read_cases(task := load_task(folder / "task.toml"), folder)
    (finding,) = without_leaks(prepare_material(task, cases, embedded=False), cases)[1]
    assert finding["evidence"].startswith(f"{said} under different people")


def test_films_of_one_projection_are_not_twins_a_copy_saved_again_is() -> None:
    """Two people's films share shape and shades; only grain and edges are a person's own."""
    rng = np.random.default_rng(3)
    across = np.linspace(0, np.pi, 256)
    template = 90 + 110 * np.outer(np.sin(across), np.sin(across)) + 25 * np.sin(across * 14)[:, None]
    films = [np.clip(template + rng.normal(0, 9, (256, 256)), 0, 255).astype(np.uint8) for _ in range(3)]
    copy = np.asarray(Image.fromarray(films[1]).resize((180, 180), Image.Resampling.BILINEAR))
    pairs = near_duplicates(prints_of([*films, copy]))
    assert {(pair.first, pair.second) for pair in pairs} == {(1, 3)}


def test_joining_goes_through_common_friends() -> None:
    prints = prints_of([picture(1), picture(1), picture(2), picture(1)])
    pairs = near_duplicates(prints)
    assert {(pair.first, pair.second) for pair in pairs} == {(0, 1), (0, 3), (1, 3)}
    assert joined_people(np.array([5, 6, 7, 8]), np.arange(4), pairs).tolist() == [5, 5, 7, 5]


def test_same_numbers_under_two_people_are_one_person(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    numbers = rng.normal(50, 9, (60, 5)).round(1)
    numbers[31] = numbers[12]
    with (tmp_path / "cases.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["patient", *"abcde"])
        table.writerows([f"p{at}", *row] for at, row in enumerate(numbers.tolist()))
    found = hunt(tmp_path)
    assert [(one.kind, one.rows) for one in found] == [("same_person_two_ids", (14, 33))]


def test_the_command_says_it_in_sentences_and_by_its_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = with_columns(make_cases(tmp_path / "data", people=60), grade=lambda at, ill: int(ill) + at % 3 / 10)
    (tmp_path / "t.toml").write_text(TASK + '\n[[feature]]\nname = "grade"\ncolumn = "grade"\n')
    assert main(["leaks", "--data", str(folder), "--task", str(tmp_path / "t.toml")]) == 1
    assert "blocks cases.csv: grade alone tells the outcome" in capsys.readouterr().out
    assert main(["leaks", "--data", str(folder), "--task", str(folder / "task.toml")]) == 0


@pytest.mark.parametrize(
    ("arguments", "old", "new", "says"),
    [
        (["--label", "il"], "", "", "No table has a column “il”. The columns are: cases.csv: person, case, age"),
        (["--index", "admitted"], "", "", "No table has a column “admitted”"),
        (["--task", "{}/t.toml", "--index", "admitted"], "", "", "No table has a column “admitted”"),
        (["--task", "{}/t.toml", "--label", "ill"], "", "", "no label is taken beside it"),
        (["--task", "{}/t.toml"], 'column = "age"', 'column = "Age"', "cases.csv has no column “Age”"),
        (["--task", "{}/t.toml"], 'column = "ill"', 'column = "Ill"', "cases.csv has no column “Ill”"),
        (["--task", "{}/t.toml"], '"answer_sheet"', '"answers_heet"', "has no column “answers_heet”, which the task file lists under never"),
    ],
)
def test_a_hunt_in_what_is_not_there_is_no_clean_hunt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], old: str, new: str, says: str
) -> None:
    """“0 finding(s)” was said of a column that nobody looked at."""
    folder = make_cases(tmp_path / "data", people=12)
    (tmp_path / "t.toml").write_text(TASK.replace(old, new))
    assert main(["leaks", "--data", str(folder), *(one.format(tmp_path) for one in arguments)]) == 2
    said = capsys.readouterr()
    assert says in said.err and "finding" not in said.out


def test_rows_without_a_patient_are_not_taken_for_one(tmp_path: Path) -> None:
    """Two copies of a film under “unknown” are two people's, as under an empty cell."""
    folder = make_cases(tmp_path / "data", people=20)
    for name in ("c2.png", "c13.png"):
        Image.fromarray(picture(1)).save(folder / "films" / name)
    text = (folder / "cases.csv").read_text()
    (folder / "cases.csv").write_text(text.replace("p2,2,", "unknown,2,").replace("p13,13,", "unknown,13,"))
    assert only("near_duplicate_images", hunt(folder, load_task(folder / "task.toml")))


def table_of(folder: Path, **columns: object) -> Path:
    """A folder with cases.csv made of whole columns."""
    folder.mkdir(exist_ok=True)
    with (folder / "cases.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(columns)
        table.writerows(zip(*columns.values()))  # type: ignore[call-overload]
    return folder


def only(kind: str, findings: list[Finding]) -> list[Finding]:
    return [one for one in findings if one.kind == kind]


def test_folds_keep_people_whole_and_the_interval_counts_people() -> None:
    rng = np.random.default_rng(4)
    y, score = np.tile([0, 1], 30), rng.normal(size=60) + np.tile([0, 0.8], 30)
    people = np.arange(60)
    area, error = delong(y, score)
    plain = (area, area - Z95 * error, area + Z95 * error)
    assert auroc_by_person(y, score, people) == pytest.approx(plain)
    thrice = auroc_by_person(np.repeat(y, 3), np.repeat(score, 3), np.repeat(people, 3))
    assert thrice == pytest.approx(plain, abs=1e-9), "three copies of a person tell no more than one"
    fold = person_folds(np.repeat(y, 3), np.repeat(people, 3))
    assert all(len(set(fold[3 * at : 3 * at + 3])) == 1 for at in range(60)) and set(fold) == set(range(5))
    assert all((y[fold[::3] == one] == 1).sum() == 6 for one in range(5))


def test_an_answer_at_both_ends_and_an_answer_in_many_words_are_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    ill = np.arange(200) % 2
    folder = table_of(
        tmp_path / "a", ill=ill,
        both_ends=(np.where(ill, rng.choice([-1, 1], 200) * rng.uniform(3, 4, 200), rng.uniform(-2, 2, 200))).round(3),
        words=[f"{'sick' if one else 'well'} {at % 45}" for at, one in enumerate(ill)],
        note=[f"free text {at}" for at in range(200)],
    )  # fmt: skip
    found = hunt(folder, label="ill")
    assert kinds(found) == {("answer_column", ("both_ends",)), ("answer_column", ("words",))}


def test_a_small_site_that_gives_most_of_the_well_is_named_with_its_shares(tmp_path: Path) -> None:
    ill = np.array([0] * 18 + [1] * 2 + [0, 1, 1] * 60)
    address = ["https://a.example.org/1"] * 20 + [f"https://b.example.org/{at}" for at in range(180)]
    found = hunt(table_of(tmp_path / "a", ill=ill, link=address, shuffled=np.roll(address, 7).tolist()[::-1]), label="ill")
    assert kinds(only("source_predicts_outcome", found)) >= {("source_predicts_outcome", ("link",))}
    assert "of 20 people with “a.example.org” 10% have the outcome, of 180 others 67%" in next(one for one in found if one.columns == ("link",)).evidence


def test_a_level_counts_people_and_not_their_rows(tmp_path: Path) -> None:
    people = np.array([0] * 20 + list(range(1, 181)))
    ill = np.array([0] * 20 + [0, 1, 1] * 60)
    found = hunt(table_of(tmp_path / "a", ill=ill, patient=people, site=["A"] * 20 + ["B"] * 180), label="ill")
    assert only("source_predicts_outcome", found) == [], "one person with twenty rows is no site"


def test_two_clouds_are_two_units_and_a_long_tail_or_a_floor_is_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    creatinine = rng.lognormal(0, 0.35, 200)
    creatinine[::8] *= 88.4
    floor = rng.uniform(0.1, 0.9, 200)
    floor[::9] = 0.0005 + rng.integers(0, 9, 23) * 1e-7
    found = hunt(table_of(tmp_path / "a", creatinine=creatinine, tail=rng.lognormal(0, 1.6, 200), forecast=floor, age=rng.integers(1, 90, 200)))
    assert [(one.kind, one.columns, one.count, one.n) for one in found] == [("two_units", ("creatinine",), 25, 200)]
    assert found[0].rows[:3] == (2, 10, 18)


def test_dates_after_the_index_are_later_and_birth_is_not(tmp_path: Path) -> None:
    days = [f"2024-{1 + at % 12:02d}-{1 + at % 28:02d}" for at in range(40)]
    folder = table_of(tmp_path / "a", admitted=["2024-01-10"] * 40, result=["2024-01-12 08:30"] * 40, born=[one.replace("2024", "1960") for one in days])
    found = hunt(folder, index="admitted")
    assert [(one.kind, one.columns, one.count) for one in found] == [("after_index", ("result", "admitted"), 40)]
    assert hunt(folder) == []
    kept = tmp_path / "found.json"
    assert main(["leaks", "--data", str(folder), "--index", "admitted", "--json", str(kept)]) == 0
    assert [one["kind"] for one in json.loads(kept.read_text())] == ["after_index"]


def test_copied_rows_of_a_table_without_people_are_copies_and_not_two_people(tmp_path: Path) -> None:
    numbers = np.random.default_rng(7).normal(50, 9, (60, 6)).round(1)
    numbers[31] = numbers[12]
    found = hunt(table_of(tmp_path / "a", row=range(60), **{name: numbers[:, at] for at, name in enumerate("abcdef")}))
    assert [(one.kind, one.rows) for one in found] == [("duplicate_rows", (14, 33))]
    assert to_json(found)[0]["kind"] == "duplicate_rows"


def test_rows_that_agree_in_nearly_all_are_only_possibly_one_person(tmp_path: Path) -> None:
    numbers = np.random.default_rng(8).normal(50, 9, (60, 12)).round(1)
    numbers[31, :11] = numbers[12, :11]
    numbers[40, :5] = numbers[3, :5]
    columns = {f"lab{at}": numbers[:, at] for at in range(12)}
    columns["lab11"] = np.arange(60) % 25
    found = hunt(table_of(tmp_path / "a", patient=[f"p{at}" for at in range(60)], **columns))
    assert [(one.kind, one.rows) for one in found] == [("same_person_two_ids", (14, 33))] and "possibly" in found[0].evidence


def test_a_shared_rim_makes_no_twins_and_a_small_copy_on_black_does() -> None:
    across, down = np.meshgrid(np.linspace(-1, 1, 224), np.linspace(-1, 1, 224))
    inside = across**2 + down**2 < 0.9
    eyes = [np.where(inside, 150 + 40 * across + np.random.default_rng(seed).normal(0, 9, (56, 56)).repeat(4, 0).repeat(4, 1), 0) for seed in range(4)]
    shown = [eye.clip(0, 255).astype(np.uint8) for eye in eyes]
    copy = np.asarray(Image.fromarray(shown[0]).resize((168, 168), Image.Resampling.BOX))
    assert {(pair.first, pair.second) for pair in near_duplicates(prints_of([*shown, copy]))} == {(0, 4)}


def test_how_files_were_saved_is_found(tmp_path: Path) -> None:
    folder = make_cases(tmp_path / "data", people=80)
    for path in (folder / "films").iterdir():
        Image.open(path).save(path.with_suffix(".jpg"), quality=60 if int(path.stem[1:]) % 2 else 95)
    text = (folder / "cases.csv").read_text().replace(".png", ".jpg")
    (folder / "cases.csv").write_text(text)
    found = only("source_predicts_outcome", hunt(folder, load_task(folder / "task.toml")))
    assert [one.columns for one in found] == [("image file",)] and found[0].figure is not None and found[0].figure[0] > 0.95


@pytest.mark.data
def test_what_the_readme_of_the_covid_set_says_is_found(shared_data: Path) -> None:
    folder = shared_data / "covid_chestxray"
    found = hunt(folder, label="went_icu")
    sources = {one.columns[0] for one in found if one.kind == "source_predicts_outcome"}
    assert {"from_hannover_repo", "view"} <= sources
    assert ("two_units", ("pO2_saturation",)) in kinds(found)
    named = csv.DictReader((folder / "near_duplicates.csv").open())
    there = {line["image"] for line in csv.DictReader((folder / "metadata_xray.csv").open())}
    wanted = {frozenset((row["image_a"], row["image_b"])) for row in named if row["patient_a"] != row["patient_b"] and {row["image_a"], row["image_b"]} <= there}
    said = [one.evidence for one in found if one.kind == "near_duplicate_images"]
    assert wanted and all(any(all(name in sentence for name in pair) for sentence in said) for pair in wanted)
    assert len(said) == len(wanted), "and no pair that is not one"
    by_task = hunt(folder, load_task(ROOT / "tasks" / "covid_icu.toml"))
    assert not {"near_duplicate_images", "two_units"} & {one.kind for one in by_task}, "the task file has dealt with them"


@pytest.mark.data
@pytest.mark.parametrize("folder, task, wanted", [
    ("odir_fundus", "odir_fundus", {("same_person_two_ids", 4), ("near_duplicate_images", 2)}),
    ("oasis1_slices", "oasis1_slices", set()),
    ("ehr_tabular", "support2", set()),
])  # fmt: skip
def test_other_sets_give_what_is_there_and_no_more(shared_data: Path, folder: str, task: str, wanted: set[tuple[str, int]]) -> None:
    found = hunt(shared_data / folder, load_task(ROOT / "tasks" / f"{task}.toml"))
    assert {(one.kind, one.count) for one in found} == wanted


@pytest.mark.data
def test_the_later_columns_and_copies_of_the_tables_are_found_and_no_second_unit(shared_data: Path) -> None:
    found = hunt(shared_data / "ehr_tabular", label="hospdead")
    assert {"slos", "d.time", "surv2m", "surv6m", "prg2m", "prg6m", "sfdm2", "death", "dnr", "charges"} <= {one.columns[0] for one in only("after_index", found)}
    assert [(one.table, one.count) for one in only("duplicate_rows", found)] == [("indian_liver_patient.csv", 26)]
    assert only("two_units", found) == []
