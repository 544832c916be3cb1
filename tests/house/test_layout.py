"""The repository's own rules: source roots, budgets, names, hidden imports, and documents that name every package."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

ROOTS = ("platform", "workers", "models")
PACKAGES = ("platform/salus_web", "workers/salus_workers", "models/salus_learn")
LONGEST_FILE, LONGEST_FUNCTION, MEDIAN_FILE = 400, 40, 80
FORBIDDEN_NAMES = {"utils.py", "helpers.py", "manager.py", "misc.py"}


def sources(root: Path, *, tests: bool = True) -> Iterator[Path]:
    for name in [*ROOTS, *(["tests"] if tests else [])]:
        for path in (root / name).rglob("*.py"):
            if "migrations" not in path.parts:
                yield path


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_source_roots_are_no_packages(repository_root: Path) -> None:
    """One `platform/__init__.py` would hide the standard library's module and break everything at once."""
    for name in ROOTS:
        assert list((repository_root / name).glob("*.py")) == [], name


def test_files_and_functions_keep_their_budget(repository_root: Path) -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources(repository_root)}
    assert {path.name: length for path, length in lengths.items() if length > LONGEST_FILE} == {}
    long = {
        f"{path.name}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in lengths
        for node in functions(path)
        if (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
    }
    assert long == {}
    code = [length for path, length in lengths.items() if "tests" not in path.parts and path.name != "__init__.py"]
    assert statistics.median(code) <= MEDIAN_FILE


def test_no_import_hides_in_a_function(repository_root: Path) -> None:
    hidden = [
        f"{path.name}:{inner.lineno}"
        for path in sources(repository_root, tests=False)
        for node in functions(path)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert hidden == []


def test_names_say_what_is_inside(repository_root: Path) -> None:
    assert [path for path in sources(repository_root, tests=False) if path.name in FORBIDDEN_NAMES] == []
    silent = [
        str(path.relative_to(repository_root))
        for path in sources(repository_root, tests=False)
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_architecture_names_every_package(repository_root: Path) -> None:
    text = (repository_root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    packages = [
        folder.name for base in PACKAGES for folder in (repository_root / base).iterdir() if (folder / "__init__.py").exists()
    ]
    assert len(packages) > 25
    assert [name for name in packages if name not in text] == []
