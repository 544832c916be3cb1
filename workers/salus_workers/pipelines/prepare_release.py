"""A cohort becomes files that may leave: no name, no date, nobody in a group of fewer than five, no value of one person alone. Two people decide later."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, TypeVar

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from salus_web.accounts.actors import system
from salus_web.cohorts.definition import CodeRule, CohortDefinition, from_json, to_json
from salus_web.cohorts.disclosure import SMALLEST, k_anonymous, safe_count, safe_share
from salus_web.cohorts.people import RISK_BANDS, Measured, Person, age_band, common_unit, risk_band
from salus_web.cohorts.selectors import persons
from salus_web.common import wall
from salus_web.common.clock import now
from salus_web.common.errors import Refused, SalusError, StateConflict
from salus_web.jobs.services import Claim
from salus_web.records.scopes import RESEARCH, purpose_key
from salus_web.releases.gate import People
from salus_web.releases.models import Release
from salus_web.releases.services import PreparedFile, mark_failed, store_prepared
from salus_web.releases.words import TOO_SMALL

from salus_workers.pipelines.release_images import image_files, told

ACTOR = system("prepare_release")
K, L = 5, 2
AGE_BAND_YEARS = 5
QUASI = ("age_band", "sex", "site")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
TOO_ALIKE = f"Fewer than {SMALLEST} people share their age, sex and site with enough others, so nothing leaves."
NUMBERS_SAFE = f"three significant digits; at least {SMALLEST} people at each end; never one for a whole group"
WORDS_SAFE = f"only words of {SMALLEST} people or more; never one for a whole group"
CSV, PARQUET = "text/csv; charset=utf-8", "application/vnd.apache.parquet"

Cell = TypeVar("Cell", float | None, str)
Group = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the files: its name, its kind (word, number or flag), and what it means."""

    name: str
    kind: str
    meaning: str
    unit: str = ""
    made_safe: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows that may leave, by column name, whom they are about, and what was lost on the way."""

    columns: tuple[Column, ...]
    rows: list[dict[str, Any]]
    people: People
    report: dict[str, Any]
    names: dict[str, str]  # pseudonym to the name in this release; kept nowhere


def run(claim: Claim, report: Callable[[float, str], None]) -> None:
    """Prepare one release. A refusal is kept on the release with its sentence and raised again for the job."""
    release = Release.objects.select_related("cohort", "project", "requested_by").get(pk=claim.payload["release_id"])
    try:
        definition = from_json(release.cohort.definition)
        with wall.reading_for(purpose_key(RESEARCH)):
            found = persons(viewer=ACTOR, project=release.project, definition=definition)
            report(0.3, "people read")
            table = make_table(definition, found)
            files = _files(table)
            if release.with_images:
                report(0.4, "images are being de-identified")
                files += _with_images(table)
        receipt = _receipt(release, definition, table, files)
        files.append(PreparedFile("receipt.json", "application/json", orjson.dumps(receipt, option=orjson.OPT_INDENT_2)))
        report(0.9, "files written")
        store_prepared(
            claim=claim, release=release, files=files, report=table.report, receipt=receipt, people=table.people,
            by=ACTOR,
        )  # fmt: skip
    except StateConflict:
        raise  # another worker has it, or it was decided: its state is not ours to write
    except SalusError as refusal:
        mark_failed(claim=claim, release=release, why=str(refusal), by=ACTOR)
        raise


def _with_images(table: Table) -> list[PreparedFile]:
    """The zips, and what is said of them added to the report."""
    zips, lost, counts = image_files(table.names)
    table.report["utility_lost"] += lost
    table.report["images"] = told(counts)
    return zips


def make_table(definition: CohortDefinition, found: Sequence[Person]) -> Table:
    """De-identify the members and leave out whoever stands out. Raises Refused when too few are left."""
    if len(found) < SMALLEST:
        raise Refused(TOO_SMALL)
    sensitive = "risk_band" if _risk_can_vary(definition) else None
    coded = [_quasi(person, definition) | {"at": at} for at, person in enumerate(found)]
    kept, left_out = k_anonymous(coded, QUASI, K, sensitive, L)
    if len(kept) < SMALLEST:
        raise Refused(TOO_ALIKE)
    stay = [found[row["at"]] for row in kept]
    columns, cells, lost = _cells(definition, stay)
    names = [column.name for column in columns]
    rows = [_quasi(person, definition) | own for person, own in zip(stay, cells, strict=True)]
    # by the random id, so that the order of the rows tells nothing of the order they are stored in
    rows = [{name: row.get(name) for name in names} for row in sorted(rows, key=lambda row: row["person"])]
    people = People(frozenset(person.pseudonym for person in found), frozenset(person.pseudonym for person in stay))
    report = _report(found, stay, left_out, sensitive, lost)
    report |= {"l": L if sensitive or definition.codes else None, "columns": [asdict(column) for column in columns]}
    return Table(columns, rows, people, report, {person.pseudonym: own["person"] for person, own in zip(stay, cells, strict=True)})


def _risk_can_vary(definition: CohortDefinition) -> bool:
    """Whether the definition leaves more than one band of risk. If not, being in the cohort already tells it."""
    if definition.task_id is None:
        return False
    low = 0.0 if definition.risk_low is None else definition.risk_low
    high = 1.0 if definition.risk_high is None else definition.risk_high
    # a range that only touches the next band does not reach into it
    first, last = math.floor(low * len(RISK_BANDS)), math.ceil(high * len(RISK_BANDS)) - 1
    return last > first


def _quasi(person: Person, definition: CohortDefinition) -> dict[str, Any]:
    """What others could know of a person, and their risk, in bands."""
    found = {"age_band": age_band(person.age, AGE_BAND_YEARS), "sex": person.sex, "site": person.site}
    if definition.task_id is not None:
        found["risk_band"] = "" if person.risk is None else risk_band(person.risk)
    return found


def _cells(
    definition: CohortDefinition, stay: Sequence[Person]
) -> tuple[tuple[Column, ...], list[dict[str, Any]], list[str]]:
    """The columns, each person's own cells, and sentences on what was lost."""
    columns = [
        Column("person", "word", "a random name for the person in this release only"),
        Column("age_band", "word", "age today, or at death", "years", f"bands of {AGE_BAND_YEARS}; 90 and over together"),
        Column("sex", "word", "administrative sex"),
        Column("site", "word", "code of the hospital"),
    ]
    cells: list[dict[str, Any]] = [{"person": secrets.token_hex(8)} for _ in stay]
    lost: list[str] = []
    coded = [_quasi(person, definition) for person in stay]
    groups = [tuple(row[name] for name in QUASI) for row in coded]
    for rule in definition.codes:
        column, values, sentences = _value_column(rule, stay, groups)
        columns.append(column)
        lost += sentences
        for own, value in zip(cells, values, strict=True):
            own[column.name] = value
    lost += _image_columns(columns, cells, stay)
    if definition.task_id is not None:
        columns.append(Column("risk_band", "word", f"current risk by {definition.task_id}", "", "bands of 20 points"))
    return tuple(columns), cells, lost


def _image_columns(columns: list[Column], cells: list[dict[str, Any]], stay: Sequence[Person]) -> list[str]:
    """A flag per modality that at least 11 have and at least 11 have not. The sentence on the others names none and is always
    there: that anybody has such an image, or is the one who has not, is what it must not tell."""
    held = Counter(kind for person in stay for kind in person.modalities)
    for kind in sorted(held):
        if min(held[kind], len(stay) - held[kind]) < SMALLEST:
            continue
        columns.append(Column(f"image_{kind}", "flag", f"has an image of modality {kind}"))
        for own, person in zip(cells, stay, strict=True):
            own[f"image_{kind}"] = kind in person.modalities
    return [f"who has an image is told of no modality that fewer than {SMALLEST} people have, or have not"]


def _value_column(rule: CodeRule, stay: Sequence[Person], groups: Sequence[Group]) -> tuple[Column, list[Any], list[str]]:
    """One code's column: numbers in the unit most are in, or words; neither anybody's own nor that of a whole group."""
    unit = common_unit(stay, rule.code)
    found = [person.values.get(rule.code) for person in stay]
    name, meaning = f"value_{rule.code}", f"newest value of {rule.sentence()}"
    numbers = [
        float(f"{value.number:.3g}") if value and value.number is not None and value.unit == unit else None
        for value in found
    ]
    if any(number is not None for number in numbers):
        safe = _made_safe(numbers, groups, _ends_shared, None)
        return Column(name, "number", meaning, unit, NUMBERS_SAFE), safe, _lost_numbers(rule.code, unit, found, numbers, safe)
    words = [value.text if value else "" for value in found]
    often = _words_shared(words)
    told = _made_safe(words, groups, _words_shared, "")
    # a rare word may be a person's own story, or a name
    lost = [f"{rule.code}: words of fewer than {SMALLEST} people are blank"] if often != words else []
    if told != often:
        lost.append(f"{rule.code}: words are blank where everybody of one age band, sex and site has the same")
    return Column(name, "word", meaning, "", WORDS_SAFE), told, lost


def _made_safe(values: Sequence[Cell], groups: Sequence[Group], share: Callable[[list[Cell]], list[Cell]], blank: Cell) -> list[Cell]:
    """The cells with none that too few share, and none that a whole group shares (l-diversity, distinct form): whoever knows
    that somebody is in a group must not learn their value. Each can undo the other, so both until nothing changes."""
    now_safe = list(values)
    while True:
        shared = share(now_safe)
        held: dict[Group, set[Cell]] = defaultdict(set)
        for group, value in zip(groups, shared, strict=True):
            held[group].add(value)
        told = [value if len(held[group]) >= L else blank for group, value in zip(groups, shared, strict=True)]
        if told == now_safe:
            return told
        now_safe = told


def _ends_shared(numbers: list[float | None]) -> list[float | None]:
    """Numbers beyond what 11 people reach set to that, at both ends (top and bottom coding; Hundepool et al., "Statistical
    Disclosure Control", 2012, ch. 3). All blank where fewer than 22 people have one: the ends would cross."""
    known = sorted(number for number in numbers if number is not None)
    if len(known) < 2 * SMALLEST:
        return [None] * len(numbers)
    low, high = known[SMALLEST - 1], known[-SMALLEST]
    return [None if number is None else min(max(number, low), high) for number in numbers]


def _words_shared(words: list[str]) -> list[str]:
    """Words of fewer than 11 people blanked."""
    often = Counter(words)
    return [word if often[word] >= SMALLEST else "" for word in words]


def _lost_numbers(
    code: str, unit: str, found: Sequence[Measured | None], numbers: Sequence[float | None], safe: Sequence[float | None]
) -> list[str]:
    """Sentences on what became of a column of numbers."""
    pairs = list(zip(numbers, safe, strict=True))
    lost = []
    if any(value is not None and number is None for value, number in zip(found, numbers, strict=True)):
        lost.append(f"{code}: values that are words or not in {unit or 'the common unit'} are blank")
    if any(kept is not None and kept != number for number, kept in pairs):
        lost.append(f"{code}: each end is a number that at least {SMALLEST} people reach; numbers beyond are set to it")
    if any(kept is None and number is not None for number, kept in pairs):
        lost.append(
            f"{code}: numbers are blank where everybody of one age band, sex and site has the same, or where fewer than "
            f"{2 * SMALLEST} people have one"
        )
    return lost


def _report(
    found: Sequence[Person], stay: Sequence[Person], left_out: int, sensitive: str | None, lost: list[str]
) -> dict[str, Any]:
    """What those who decide read, and the one who asked too, before anything leaves: every count of people is a safe one.

    The true number of rows is in the receipt alone, which leaves with them.
    """
    simulated = sum(person.is_simulated for person in stay)
    return {
        "people_in_cohort": safe_count(len(found)),
        "people_in_files": safe_count(len(stay)),
        "left_out": safe_count(left_out),
        "left_out_share": safe_share(left_out, len(found)),
        "k": K,
        "quasi_identifiers": list(QUASI),
        "sensitive": sensitive,
        "simulated": "all" if simulated == len(stay) else "none" if not simulated else "some",
        "utility_lost": lost,
    }


def _files(table: Table) -> list[PreparedFile]:
    """The rows twice and the dictionary."""
    names = [column.name for column in table.columns]
    rows = [[row[name] for name in names] for row in table.rows]
    head = ["column", "kind", "unit", "meaning", "made_safe"]
    entries = [[column.name, column.kind, column.unit, column.meaning, column.made_safe] for column in table.columns]
    return [
        PreparedFile("cohort.csv", CSV, write_csv(names, rows)),
        PreparedFile("cohort.parquet", PARQUET, _parquet(table)),
        PreparedFile("data_dictionary.csv", CSV, write_csv(head, entries)),
    ]


def write_csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """A CSV no cell of which a spreadsheet would run as a formula (OWASP, "CSV Injection")."""
    stream = io.StringIO()
    out = csv.writer(stream, lineterminator="\n")
    out.writerow([_cell(name) for name in head])
    out.writerows([[_cell(value) for value in row] for row in rows])
    return stream.getvalue().encode()


def _cell(value: Any) -> str:
    """One cell as text. Negative numbers are marked too; the Parquet file holds them as numbers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    mark = "'" if text.startswith(FORMULA_STARTS) else ""
    # a lone carriage return is not quoted by the writer and would begin a new row
    return mark + text.replace("\r", " ").replace("\n", " ")


def _parquet(table: Table) -> bytes:
    kinds = {"word": pa.string(), "number": pa.float64(), "flag": pa.bool_()}
    schema = pa.schema([(column.name, kinds[column.kind]) for column in table.columns])
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(table.rows, schema=schema), stream)
    return stream.getvalue()


def _receipt(
    release: Release, definition: CohortDefinition, table: Table, files: Sequence[PreparedFile]
) -> dict[str, Any]:
    """What anybody needs to say later what these files are."""
    return {
        "release": str(release.pk),
        "project": release.project.name,
        "cohort": release.cohort.name,
        "definition": to_json(definition),
        "sentence": definition.sentence(),
        "purpose": release.purpose,
        "asked_by": release.requested_by.display_name,
        "asked_at": release.requested_at.isoformat(),
        "prepared_at": now().isoformat(),
        "code_version": version("salus"),
        "counts": {"people_in_cohort": table.report["people_in_cohort"], "rows": len(table.rows), "left_out": table.report["left_out"]},
        "disclosure": {key: table.report[key] for key in ("k", "l", "quasi_identifiers", "sensitive", "simulated")},
        "utility_lost": {key: table.report[key] for key in ("left_out_share", "utility_lost")},
        "images": table.report.get("images"),
        "risk_bands": list(RISK_BANDS) if definition.task_id is not None else [],
        "files": [
            {"name": file.name, "bytes": len(file.content), "sha256": hashlib.sha256(file.content).hexdigest()}
            for file in files
        ],
    }
