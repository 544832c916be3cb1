"""The kinds' files in a bundle: kinds.json with names and chairs, and each kind's judges beside it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from salus_learn.imaging.head import ImageHead
from salus_learn.kinds.chair import KindChair
from salus_learn.kinds.model import KindJudges, Kinds
from salus_learn.tabular.line import Line
from salus_learn.tabular.trees import Trees


def write_kinds(folder: Path, prefix: str, kinds: Kinds) -> None:
    """Write every file under `prefix`."""
    chairs = {
        pattern: {"judges": chair.judges, "weight": chair.weight.tolist(), "offset": chair.offset.tolist(), "ridge": chair.ridge}
        for pattern, chair in kinds.chairs.items()
    }
    body = json.dumps({"names": kinds.names, "chairs": chairs}, indent=1, sort_keys=True)
    (folder / f"{prefix}kinds.json").write_text(body, encoding="utf-8")
    for at, judges in enumerate(kinds.judges):
        line, trees, head = _paths(folder, prefix, at)
        if judges.line is not None:
            judges.line.to_file(line)
        if judges.trees is not None:
            judges.trees.to_file(trees)
        if judges.head is not None:
            judges.head.to_file(head)


def read_kinds(folder: Path, prefix: str, slots: tuple[str, ...]) -> Kinds | None:
    """Read what `write_kinds` wrote; None where a bundle has no kinds."""
    path = folder / f"{prefix}kinds.json"
    if not path.exists():
        return None
    body = json.loads(path.read_text(encoding="utf-8"))
    chairs = {
        pattern: KindChair(tuple(one["judges"]), np.array(one["weight"]), np.array(one["offset"]), float(one["ridge"]))
        for pattern, one in body["chairs"].items()
    }
    judges = []
    for at in range(len(body["names"])):
        line, trees, head = _paths(folder, prefix, at)
        judges.append(KindJudges(
            Line.from_file(line) if line.exists() else None, Trees.from_file(trees) if trees.exists() else None,
            ImageHead.from_file(head, slots) if head.exists() else None,
        ))  # fmt: skip
    return Kinds(tuple(body["names"]), tuple(judges), chairs)


def _paths(folder: Path, prefix: str, at: int) -> tuple[Path, Path, Path]:
    own = f"{prefix}kind{at}_"
    return folder / f"{own}line.json", folder / f"{own}record.ubj", folder / f"{own}image_head.safetensors"
