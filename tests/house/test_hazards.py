"""The hazard file is whole, and every test and file it names is there."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

SEVERITIES = {"negligible", "minor", "serious", "critical", "catastrophic"}
FIELDS = {"id", "hazard", "cause", "harm", "severity", "controls", "tests", "residual"}
# those that the design names; one of them gone is a hole
NAMED = ("wrong patient", "old risk", "job that failed", "unit is guessed", "missing value", "another version of the model", "abstained", "wrong side",
         "outside the people", "log cannot be written", "alert fatigue", "wrong zone", "two patients become one")  # fmt: skip


@pytest.fixture(scope="module")
def hazards(repository_root: Path) -> list[dict[str, Any]]:
    return tomllib.loads((repository_root / "docs/safety/hazards.toml").read_text(encoding="utf-8"))["hazard"]


@cache
def named_in(path: Path) -> frozenset[str]:
    """The names of a file's tests."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def faults_of(row: dict[str, Any], root: Path) -> list[str]:
    """What is wrong with one row."""
    found = [f"lacks or has too many of {sorted(FIELDS ^ set(row))}"] if set(row) != FIELDS else []
    for field in ("hazard", "cause", "harm", "residual"):
        if len(str(row.get(field, ""))) < 3:
            found.append(f"{field} says nothing")
    if row.get("severity") not in SEVERITIES:
        found.append(f"severity {row.get('severity')}")
    if str(row.get("residual", "")).partition(":")[0] not in {"low", "medium", "high"}:
        found.append("residual is neither low, medium nor high")
    if str(row.get("residual", "")) in {"medium", "high"}:
        found.append("residual does not say why")
    for control in row.get("controls") or [{}]:
        if not (control.get("what") and (root / control.get("file", "no file")).exists()):
            found.append(f"control {control}")
    for name in row.get("tests") or ["none"]:
        path, _, test = name.partition("::")
        if not (root / path).is_file() or test not in named_in(root / path):
            found.append(f"no such test: {name}")
    return found


def test_every_hazard_has_its_control_and_a_test_that_exists(hazards: list[dict[str, Any]], repository_root: Path) -> None:
    assert {row["id"]: faults for row in hazards if (faults := faults_of(row, repository_root))} == {}
    assert [row["id"] for row in hazards] == [f"H{number:02}" for number in range(1, len(hazards) + 1)] and len(hazards) >= 25


@pytest.mark.parametrize("words", NAMED)
def test_no_hazard_of_the_design_is_forgotten(hazards: list[dict[str, Any]], words: str) -> None:
    assert [row["id"] for row in hazards if words in row["hazard"].lower()], words


def test_a_row_with_a_hole_is_found(hazards: list[dict[str, Any]], repository_root: Path) -> None:
    row = hazards[0]
    holes: list[dict[str, Any]] = [
        {"tests": []}, {"tests": ["tests/web/test_hazards.py::test_of_nothing"]}, {"controls": [{"what": "x", "file": "gone.py"}]}, {"controls": []},
        {"severity": "bad"}, {"residual": "high"}, {"residual": "none"}, {"cause": ""}, {"more": 1},
    ]  # fmt: skip
    assert faults_of(row, repository_root) == []
    assert all(faults_of(row | hole, repository_root) for hole in holes)
