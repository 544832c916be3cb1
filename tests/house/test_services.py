"""Services write: keyword-only, typed, said in words, and by somebody."""

from __future__ import annotations

import ast
from pathlib import Path

# name: why it needs no `by` or takes a positional argument
EXCEPTIONS = {
    "audit.record": "takes the act first, so that a call reads as a sentence",
    "audit.record_many": "takes the acts first",
    "jobs.publish": "the machine sends an id; nobody acts",
    "jobs.claim": "a worker acts for the machine",
    "jobs.progress": "a worker reports on its own claim",
    "jobs.heartbeat": "a worker reports on its own claim",
    "jobs.check_fence": "checks, writes nothing",
    "jobs.reconcile": "the machine repairs its own queue",
    "releases.file_bytes": "reads a released file for a viewer, and logs it",
}


def public_services(root: Path) -> dict[str, ast.FunctionDef]:
    found = {}
    for path in (root / "platform/salus_web").glob("*/services.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                found[f"{path.parent.name}.{node.name}"] = node
    return found


def test_every_service_is_keyword_only_typed_and_by_somebody(repository_root: Path) -> None:
    services = public_services(repository_root)
    assert len(services) > 25
    faults = []
    for name, node in services.items():
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        if any(argument.annotation is None for argument in arguments) or node.returns is None:
            faults.append(f"{name} is not typed")
        if not ast.get_docstring(node):
            faults.append(f"{name} has no docstring")
        if name in EXCEPTIONS:
            continue
        if node.args.args or node.args.posonlyargs:
            faults.append(f"{name} takes positional arguments")
        if "by" not in {argument.arg for argument in node.args.kwonlyargs}:
            faults.append(f"{name} does not say by whom")
    assert faults == []


def test_no_exception_outlives_its_service(repository_root: Path) -> None:
    assert set(EXCEPTIONS) <= set(public_services(repository_root))
