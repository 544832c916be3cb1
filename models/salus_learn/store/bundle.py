"""The bundle folder: every file of a model, its manifest, and the refusal of anything changed. No pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from salus_learn.calibration.doubt import Doubt
from salus_learn.contracts import RiskTask
from salus_learn.errors import BundleError
from salus_learn.features.columns import schema_from_levels
from salus_learn.fusion.chair import Chair
from salus_learn.imaging.encoder import ServedEncoder, export, open_encoder, write_encoder
from salus_learn.imaging.gate import Gate
from salus_learn.imaging.head import ImageHead
from salus_learn.kinds.files import read_kinds, write_kinds
from salus_learn.store.model import Model
from salus_learn.store.pool import Pool
from salus_learn.tabular.line import Line
from salus_learn.tabular.trees import Trees
from salus_learn.tasks.loader import load_task

FORM = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A loaded bundle: the model, its served encoder, its card and figures. `digest` names it.

    `folds` are the models of the first repeat's outer folds, kept so that an out-of-fold risk can be replayed.
    """

    digest: str
    folder: Path
    model: Model
    folds: tuple[Model, ...]
    encoder: ServedEncoder | None
    fold_encoders: tuple[ServedEncoder | None, ...]
    card: dict[str, Any]
    crossval: dict[str, Any]


def new_folder(folder: Path) -> None:
    """Make the folder of a new bundle. Raises BundleError where it is there already and holds something."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BundleError(f"The folder {folder.name} is not empty; a bundle is never written over another.")


def fingerprint(keys: Iterable[str]) -> str:
    """What a card keeps of the cases that taught a model: the sha256 of their names, in order."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def was_taught_by(bundle: Bundle, keys: Sequence[str]) -> bool:
    """Whether cases have the very names of those that taught the bundle, each of them and no other. A table without a column of
    cases names them by its rows, so it may be chance."""
    return fingerprint(keys) == bundle.card.get("training_fingerprint")


def write_bundle(
    folder: Path, model: Model, *, card: dict[str, Any], crossval: dict[str, Any], folds: Sequence[Model] = ()
) -> str:
    """Write every file and then the manifest; returns the digest. The folder must be new or empty."""
    new_folder(folder)
    (folder / "task.toml").write_text(model.task.source_text, encoding="utf-8")
    weights = write_encoder(folder, model.network) if model.head is not None else ""
    _write_parts(folder, model, "")
    for slot, gate in model.gates.items():
        gate.to_file(folder / f"gate_{slot}.safetensors")
    for number, fold in enumerate(folds):
        _write_parts(folder, fold, f"fold{number}_")
        if fold.network is not None:
            # a fold only ever gives its risks again on the CPU that gave them, so it needs no other form
            export(fold.network.eval(), folder / f"fold{number}_encoder.onnx")
    _json(folder / "card.json", card | {"encoder_weights": weights})
    _json(folder / "crossval.json", crossval)
    manifest = {
        "form": FORM,
        "folds": len(folds),
        "task": {"id": model.task.id, "digest": model.task.digest},
        "versions": {name: version(name) for name in ("numpy", "scikit-learn", "xgboost-cpu", "torch", "onnxruntime")},
        "files": {path.name: _sha256(path) for path in sorted(folder.iterdir())},
    }
    _json(folder / MANIFEST, manifest)
    return _sha256(folder / MANIFEST)


def _write_parts(folder: Path, model: Model, prefix: str) -> None:
    """The files of one fitted model."""
    if model.head is not None:
        model.head.to_file(folder / f"{prefix}image_head.safetensors")
    if model.line is not None:
        model.line.to_file(folder / f"{prefix}line.json")
    if model.pool is not None:
        model.pool.to_file(folder / f"{prefix}pool.safetensors")
    if model.trees is not None:
        model.trees.to_file(folder / f"{prefix}record.ubj")
    if model.kinds is not None:
        write_kinds(folder, prefix, model.kinds)
    _json(folder / f"{prefix}chair.json", {name: _chair_json(chair) for name, chair in model.chairs.items()})
    reference = {
        "schema": model.schema.to_json(),
        "thresholds": model.thresholds,
        "doubts": {name: doubt.to_json() for name, doubt in model.doubts.items()},
        "always_there": list(model.always_there),
    }
    _json(folder / f"{prefix}reference.json", reference)


def load_bundle(folder: Path | str, *, device: str = "auto") -> Bundle:
    """Check every file against the manifest, then load. Raises BundleError on any changed, missing or extra file."""
    folder = Path(folder)
    manifest = _checked_manifest(folder)
    task = load_task(folder / "task.toml")
    if task.digest != manifest["task"]["digest"]:
        raise BundleError(f"The bundle {folder.name} holds another task than its manifest says.")
    card = _read(folder / "card.json")
    gates = {spec.name: Gate.from_file(path, spec) for spec in task.images if (path := folder / f"gate_{spec.name}.safetensors").exists()}
    model = replace(_read_parts(folder, task, ""), gates=gates)
    prefixes = [f"fold{number}_" for number in range(manifest.get("folds", 0))]
    folds = tuple(replace(_read_parts(folder, task, prefix), gates=gates) for prefix in prefixes)
    encoder = open_encoder(folder, card.get("encoder_weights", ""), device=device) if model.head else None
    crossval = _read(folder / "crossval.json")
    served = tuple(_fold_encoder(folder, f"fold{number}_", encoder) for number in range(len(folds)))
    return Bundle(_sha256(folder / MANIFEST), folder, model, folds, encoder, served, card, crossval)


def _fold_encoder(folder: Path, prefix: str, encoder: ServedEncoder | None) -> ServedEncoder | None:
    """A fold's own tuned encoder, on the CPU that gave its risks; else the one all folds share."""
    if (folder / f"{prefix}encoder.onnx").exists():
        return open_encoder(folder, encoder.weights if encoder else "", device="cpu", prefix=prefix)
    return encoder


def _read_parts(folder: Path, task: RiskTask, prefix: str) -> Model:
    """One fitted model from its files."""
    reference = _read(folder / f"{prefix}reference.json")
    line, trees = folder / f"{prefix}line.json", folder / f"{prefix}record.ubj"
    pool = folder / f"{prefix}pool.safetensors"
    return Model(
        task=task,
        schema=schema_from_levels(task, reference["schema"]["levels"]),
        line=Line.from_file(line) if line.exists() else None,
        trees=Trees.from_file(trees) if trees.exists() else None,
        head=_head(folder / f"{prefix}image_head.safetensors", task),
        chairs={name: _chair(name, body) for name, body in _read(folder / f"{prefix}chair.json").items()},
        doubts={name: Doubt.from_json(body) for name, body in reference["doubts"].items()},
        thresholds=reference["thresholds"],
        pool=Pool.from_file(pool) if pool.exists() else None,
        kinds=read_kinds(folder, prefix, tuple(spec.name for spec in task.images)),
        # a bundle of before this was kept speaks as it did when it was judged
        always_there=tuple(reference.get("always_there", ())),
    )


def _checked_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = _read(folder / MANIFEST)
        files = dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError):
        raise BundleError(f"{folder.name} is not a bundle: its manifest cannot be read.") from None
    if manifest.get("form") != FORM:
        raise BundleError(f"The bundle {folder.name} has form {manifest.get('form')}; this version reads {FORM}.")
    present = {path.name for path in folder.iterdir()} - {MANIFEST}
    if present != set(files):
        odd = sorted(present ^ set(files))[0]
        raise BundleError(f"The bundle {folder.name} is not whole: {odd} is missing or does not belong.")
    for name, wanted in files.items():
        if _sha256(folder / name) != wanted:
            raise BundleError(f"The bundle {folder.name} was changed: {name} is not the file that was written.")
    return manifest


def _head(path: Path, task: RiskTask) -> ImageHead | None:
    return ImageHead.from_file(path, tuple(spec.name for spec in task.images)) if path.exists() else None


def _chair_json(chair: Chair) -> dict[str, Any]:
    body: dict[str, Any] = {
        "judges": list(chair.judges), "weight": chair.weight.tolist(), "offset": chair.offset, "ridge": chair.ridge,
        "link": chair.link,
    }  # fmt: skip
    if chair.times is not None and chair.hazard is not None:
        body |= {"times_days": chair.times.tolist(), "hazard": chair.hazard.tolist()}
    return body


def _chair(name: str, body: dict[str, Any]) -> Chair:
    times, hazard = (np.array(body[key]) if key in body else None for key in ("times_days", "hazard"))
    return Chair(
        name, tuple(body["judges"]), np.array(body["weight"]), float(body["offset"]), float(body["ridge"]),
        body.get("link", "logit"), times, hazard,
    )  # fmt: skip


def _json(path: Path, body: Any) -> None:
    path.write_text(json.dumps(body, indent=1, sort_keys=True), encoding="utf-8")


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
