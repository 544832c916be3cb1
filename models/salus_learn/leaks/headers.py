"""What the headers of DICOM files tell of a case: with what and where it was taken, and whose it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from salus_learn.leaks.finding import MOST_ROWS, Finding
from salus_learn.leaks.table import Table
from salus_learn.tasks.dicom import dicom_words, is_dicom

# a column of each stands among the table's, under a name that says that it tells the source
WHERE_FROM = ("Manufacturer", "ManufacturerModelName", "StationName", "InstitutionName", "ViewPosition", "PhotometricInterpretation", "Modality")
PERSON = ("IssuerOfPatientID", "PatientID")


def header_words(images: Mapping[int, Sequence[Path]]) -> dict[int, dict[str, str]]:
    """By row, the words of its first DICOM file's header; no pixels are read, and what is no DICOM file is passed over."""
    found = {}
    for at, paths in images.items():
        for path in paths:
            if is_dicom(path):
                found[at] = dicom_words(path, path.name, (*WHERE_FROM, *PERSON))
                break
    return found


def source_columns(words: Mapping[int, Mapping[str, str]], rows: int) -> dict[str, list[str]]:
    """Columns of `rows` cells that tell where an image comes from, "" where it does not say."""
    columns = {f"device, DICOM {tag}": [words.get(at, {}).get(tag, "") for at in range(rows)] for tag in WHERE_FROM}
    return {name: cells for name, cells in columns.items() if len(set(cells)) > 1}


def one_header_for_two(table: Table, words: Mapping[int, Mapping[str, str]], people: np.ndarray) -> list[Finding]:
    """People (n,) whose images bear one PatientID of one issuer: the same person under two ids, or a wrong file."""
    rows: dict[tuple[str, ...], list[int]] = {}
    for at, said in words.items():
        if said["PatientID"]:
            rows.setdefault(tuple(said[tag] for tag in PERSON), []).append(at)
    shared = [places for places in rows.values() if len({str(people[at]) for at in places}) > 1]
    if not shared:
        return []
    concerned = sorted(int(table.rows[at]) for places in shared for at in places)
    one, other = sorted({str(people[at]) for at in shared[0]})[:2]
    sentence = (
        f"One PatientID of the DICOM headers stands under several people ({len(shared)} such), the first under {one} and {other}: "
        "one person under two ids, which same_person joins, or a file in the wrong row."
    )
    return [Finding("same_person_two_ids", "warns", table.name, (), tuple(concerned[:MOST_ROWS]), len(concerned), len(table.rows), sentence)]
