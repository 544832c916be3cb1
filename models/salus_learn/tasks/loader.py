"""Reads a risk task file and refuses what cannot be. Case tables are read in cases.py."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

from salus_learn.contracts import EMPTY_WORD, FeatureSpec, ImageSpec, OutcomeSpec, RiskTask
from salus_learn.errors import TaskError
from salus_learn.tasks.moments import check_index
from salus_learn.tasks.regions import MEASURES
from salus_learn.tasks.table import DECIMALS, ENCODINGS

KINDS = ("number", "category", "flags")
AGGREGATIONS = ("latest", "first", "mean", "min", "max", "count", "slope_per_day")
RULES = ("sensitivity", "specificity", "youden", "alerts_per_100")
# A mirrored image of these is another patient's: the side is a finding.
ONE_SIDED = ("CHEST", "THORAX", "HEART", "ABDOMEN")
HEART = "the heart would lie on the right, and situs inversus is a finding, not noise"
CASES = ("row", "patient")
SIDES = tuple(range(160, 513, 32))  # the encoder halves its maps five times
ENCODERS = ("auto", "frozen", "tuned")
_TABLES: dict[str, dict[str, type | tuple[type, ...]]] = {
    "task": {
        "id": str, "title": str, "version": str, "who": str, "index": str, "use": str, "not_for": str,
        "data": str,
    },
    "outcome": {
        "label": str, "horizon_days": (int, float), "column": str, "positive": list, "negative": list,
        "code": str, "system": str, "time_column": str, "time_unit_days": (int, float),
        "kinds": dict, "separator": str,
    },
    "cases": {
        "table": str, "patient": str, "case": str, "missing": list, "only": dict, "same_person": list,
        "leave_out_unknown": bool, "one_case_per": str, "encoding": str, "decimal": str,
    },
    "threshold": {"rule": str, "target": (int, float)},
    "training": {"encoder": str},
    "feature": {
        "name": str, "label": str, "kind": str, "unit": str, "code": str, "system": str, "column": str,
        "levels": list, "separator": str, "low": (int, float), "high": (int, float),
        "window_days": (int, float), "aggregation": str, "modifiable": bool, "region": str, "measure": str,
    },
    "image": {
        "name": str, "label": str, "modality": str, "body_part": str, "view": str, "column": str,
        "folder": str, "region_column": str, "region_folder": str, "region_margin": (int, float),
        "may_be_missing": bool, "flips": bool, "side": int,
    },
}  # fmt: skip
_SEVERAL = ("feature", "image")
# letters, by table and key: what the platform's own tables have room for
_LONGEST = {
    "task": {"id": 80, "title": 180},
    "outcome": {"label": 120, "column": 80, "time_column": 80},
    "cases": {"table": 120},
    "feature": {"name": 80, "label": 200, "column": 80, "unit": 40},
    "image": {"name": 40, "label": 200, "modality": 16, "body_part": 64},
}
_NO_FILE_NAME = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]|^[ .]|[ .]$')
_TOP = {"task", "outcome", "cases", "threshold", "training", "feature", "image", "never"}


def load_task(path: Path | str) -> RiskTask:
    """Read and check a task file. Raises TaskError with a sentence naming the table and key."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise TaskError(f"The task file {path.name} is not written in UTF-8. Save it again as text with the encoding UTF-8.") from None
    except OSError as error:
        raise TaskError(f"The task file {path.name} cannot be read: {error.strerror}.") from None
    return task_from_text(text, name=path.name)


def task_from_text(text: str, *, name: str = "task file") -> RiskTask:
    """Check the text of a task file and build the RiskTask."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TaskError(f"{name} is not valid TOML: {error}.") from None
    _check_shape(raw, name)
    features = tuple(_feature(entry, name) for entry in raw.get("feature", []))
    images = tuple(_image(entry, name) for entry in raw.get("image", []))
    outcome = _outcome(raw["outcome"], name)
    task, cases, threshold = raw["task"], raw.get("cases", {}), raw.get("threshold", {})
    never = tuple(raw.get("never", []))
    _check_names(features, images, outcome, never, name)
    check_index(task.get("index", "case"), name)
    _check_read_from(features, images, outcome, cases, task.get("index", "case"), name)
    rule = _rule(threshold, name)
    if outcome.time_column and raw.get("training", {}).get("encoder") == "tuned":
        raise TaskError(f"{name}: a tuned encoder learns yes or no; with a time_column use encoder = \"frozen\".")
    encoder = _one_of(raw.get("training", {}), "training", "encoder", ENCODERS, "auto", name)
    digest = hashlib.sha256(json.dumps(raw, sort_keys=True, default=str).encode()).hexdigest()
    return RiskTask(
        id=task["id"], title=task["title"], version=str(task.get("version", "1")), who=task.get("who", ""),
        index=task.get("index", "case"), use=task.get("use", ""), not_for=task.get("not_for", ""),
        outcome=outcome, features=features, images=images, never=never, threshold_rule=rule,
        threshold_target=float(threshold.get("target", 0.9)), table=cases.get("table"),
        patient_column=cases.get("patient"), case_column=cases.get("case"),
        missing_words=tuple(str(word) for word in cases.get("missing", [""])), digest=digest, source_text=text, encoder=encoder,
        only=_only(cases, name), same_person=_same_person(cases, name), leave_out_unknown=bool(cases.get("leave_out_unknown")),
        pooled=_pooled(cases, outcome, name), encoding=_one_of(cases, "cases", "encoding", ENCODINGS, "", name),
        decimal=_one_of(cases, "cases", "decimal", DECIMALS, ".", name),
    )  # fmt: skip


def _one_of(table: dict[str, Any], section: str, key: str, known: tuple[str, ...], usual: str, name: str) -> str:
    """A word that must be one of a few; the usual one where nothing is said."""
    word = str(table.get(key, usual))
    if word not in (*known, usual):
        raise TaskError(f"{name}: [{section}] {key} “{word}” is not one of {', '.join(known)}.")
    return word


def _rule(threshold: dict[str, Any], name: str) -> str:
    """How the operating point is set; its target is a share, or alerts among a hundred people."""
    rule = _one_of(threshold, "threshold", "rule", RULES, "youden", name)
    most = {"sensitivity": 1, "specificity": 1, "alerts_per_100": 100}.get(rule)
    if most and not 0 < threshold.get("target", 0.9) < most:
        meant = " (0.9 is 90 %)" if most == 1 else ""
        raise TaskError(f"{name}: [threshold] target {threshold['target']} is not between 0 and {most}, as {rule} asks{meant}.")
    return rule


def _only(cases: dict[str, Any], name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The words by which rows are kept, by column."""
    for column, words in cases.get("only", {}).items():
        if not isinstance(words, list) or not words:
            raise TaskError(f"{name}: [cases] only: {column} must list the words that are kept.")
    return tuple((column, tuple(str(word) for word in words)) for column, words in cases.get("only", {}).items())


def _same_person(cases: dict[str, Any], name: str) -> tuple[tuple[str, ...], ...]:
    """Lists of ids that are one person."""
    groups = cases.get("same_person", [])
    if any(not isinstance(group, list) or len(group) < 2 for group in groups):
        raise TaskError(f"{name}: [cases] same_person must hold lists of two or more ids.")
    return tuple(tuple(str(entry) for entry in group) for group in groups)


def _pooled(cases: dict[str, Any], outcome: OutcomeSpec, name: str) -> bool:
    """Whether all rows of a person are one case."""
    if _one_of(cases, "cases", "one_case_per", CASES, "row", name) == "row":
        return False
    if not cases.get("patient"):
        raise TaskError(f"{name}: [cases] one_case_per = \"patient\" needs patient, the column that says whose row it is.")
    if outcome.time_column:
        raise TaskError(f"{name}: [cases] one_case_per = \"patient\" and a time_column do not go together: each row has a time of its own.")
    return True


def _check_shape(raw: dict[str, Any], name: str) -> None:
    """Every table and key is known and of the right type."""
    for table in ("task", "outcome"):
        if table not in raw:
            raise TaskError(f"{name} has no [{table}] table.")
    for table, body in raw.items():
        if table not in _TOP:
            raise TaskError(f"{name}: [{table}] is not a known table. Known are {', '.join(sorted(_TOP))}.")
        if table == "never":
            if not isinstance(body, list) or not all(isinstance(column, str) for column in body):
                raise TaskError(f"{name}: never must be a list of column names: never = [\"…\", \"…\"].")
            continue
        if isinstance(body, list) != (table in _SEVERAL):
            said = f"[[{table}]], in double brackets, as there may be several" if table in _SEVERAL else f"[{table}], in single brackets, as there is one"
            raise TaskError(f"{name}: write {said}.")
        for entry in body if isinstance(body, list) else [body]:
            _check_keys(table, entry, name)
    for key in ("id", "title"):
        if not raw["task"].get(key):
            raise TaskError(f"{name}: [task] needs {key}.")


def _check_keys(table: str, entry: Any, name: str) -> None:
    """The keys of one table entry."""
    if not isinstance(entry, dict):
        raise TaskError(f"{name}: [{table}] must be a table of keys and values.")
    for key, value in entry.items():
        wanted = _TABLES[table].get(key)
        if wanted is None:
            raise TaskError(f"{name}: [{table}] has an unknown key “{key}”. Known are {', '.join(_TABLES[table])}.")
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise TaskError(f"{name}: [{table}] {key} has a value of the wrong kind ({value!r}).")
        longest = _LONGEST.get(table, {}).get(key)
        if longest and isinstance(value, str) and len(value) > longest:
            raise TaskError(f"{name}: [{table}] {key} “{value[:40]}…” has {len(value)} letters; at most {longest} are taken.")


def _feature(entry: dict[str, Any], name: str) -> FeatureSpec:
    """One [[feature]]."""
    if not entry.get("name"):
        raise TaskError(f"{name}: a [[feature]] has no name.")
    kind, label = entry.get("kind", "number"), entry.get("label", entry["name"].replace("_", " "))
    if kind not in KINDS:
        raise TaskError(f"{name}: feature {entry['name']}: kind “{kind}” is not one of {', '.join(KINDS)}.")
    if entry.get("aggregation", "latest") not in AGGREGATIONS:
        raise TaskError(f"{name}: feature {entry['name']}: aggregation must be one of {', '.join(AGGREGATIONS)}.")
    _check_source(entry, kind, f"{name}: feature {entry['name']}")
    known = {key: value for key, value in entry.items() if key not in {"label", "kind", "levels"}}
    return FeatureSpec(label=label, kind=kind, levels=tuple(str(word) for word in entry.get("levels", [])), **known)


def _check_source(entry: dict[str, Any], kind: str, where: str) -> None:
    """A feature is read in one place: a column or a code, or a region that is marked on an image."""
    if not entry.get("region"):
        if entry.get("measure"):
            raise TaskError(f"{where}: measure needs region, the name of the [[image]] on which something is marked.")
        if not entry.get("column") and not entry.get("code"):
            raise TaskError(f"{where} needs a column (case table), a code (record) or a region (of an image).")
        return
    if entry.get("measure") not in MEASURES:
        raise TaskError(f"{where}: with a region, measure must be one of {', '.join(MEASURES)}.")
    others = sorted({"column", "code", "system", "unit", "window_days", "aggregation", "modifiable"} & entry.keys())
    if others or kind != "number":
        raise TaskError(f"{where}: a measure of a region is a plain number, so it takes no {others[0] if others else 'other kind'}.")


def _image(entry: dict[str, Any], name: str) -> ImageSpec:
    """One [[image]]."""
    if not entry.get("name") or not entry.get("modality"):
        raise TaskError(f"{name}: an [[image]] needs a name and a modality.")
    if _NO_FILE_NAME.search(entry["name"]):
        raise TaskError(f"{name}: image “{entry['name']}”: the name becomes part of file names, so it takes none of / \\ : * ? \" < > | and no dot or space at an end.")
    label = entry.get("label", entry["name"].replace("_", " "))
    spec = ImageSpec(label=label, **{key: value for key, value in entry.items() if key != "label"})
    if spec.flips and spec.body_part.upper() in ONE_SIDED:
        raise TaskError(f"{name}: image {spec.name}: flips is not allowed on a {spec.body_part} image: {HEART}.")
    if spec.side not in SIDES:
        raise TaskError(f"{name}: image {spec.name}: side {spec.side} is not one of {', '.join(map(str, SIDES))} pixels.")
    return spec


def _outcome(entry: dict[str, Any], name: str) -> OutcomeSpec:
    """The [outcome] table."""
    if not entry.get("column") and not entry.get("code"):
        raise TaskError(f"{name}: [outcome] needs a column (case table) or a code (record).")
    if entry.get("column") and not entry.get("positive"):
        raise TaskError(f"{name}: [outcome] with a column needs the words that count as positive.")
    if entry.get("time_column") and not float(entry.get("horizon_days", 0)) > 0:
        raise TaskError(f"{name}: [outcome] with a time_column needs horizon_days above 0: the risk is of the outcome by then.")
    return OutcomeSpec(
        label=entry.get("label", "outcome"),
        horizon_days=float(entry.get("horizon_days", 0)),
        column=entry.get("column"),
        positive=_words(entry.get("positive", [])),
        negative=_words(entry.get("negative", [])),
        code=entry.get("code"),
        system=entry.get("system"),
        time_column=entry.get("time_column"),
        time_unit_days=float(entry.get("time_unit_days", 1.0)),
        kinds=_kinds(entry, name),
        separator=_separator(entry, name),
    )


def _words(listed: list[Any]) -> tuple[str, ...]:
    """Words of the outcome's column; "" stands for an empty cell."""
    return tuple(str(word) or EMPTY_WORD for word in listed)


def _separator(entry: dict[str, Any], name: str) -> str:
    """What stands between the words of one cell; none of the listed words may hold it."""
    separator = str(entry.get("separator", ""))
    if separator and not entry.get("column"):
        raise TaskError(f"{name}: [outcome] separator stands between the words of a column's cells, and no column is named.")
    broken = [word for key in ("positive", "negative") for word in entry.get(key, []) if separator and separator in str(word)]
    if broken:
        raise TaskError(f"{name}: [outcome] “{broken[0]}” holds the separator “{separator}”, so it is no one word.")
    return separator


def _kinds(entry: dict[str, Any], name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """[outcome.kinds]: at least two names, and every positive word under exactly one of them."""
    kinds = entry.get("kinds", {})
    if not kinds:
        return ()
    if entry.get("time_column"):
        raise TaskError(f"{name}: [outcome.kinds] and a time_column do not go together.")
    if len(kinds) < 2 or not all(isinstance(words, list) and words for words in kinds.values()):
        raise TaskError(f"{name}: [outcome.kinds] must name at least two kinds, each with a list of words.")
    words = [str(word) for listed in kinds.values() for word in listed]
    if sorted(words) != sorted(str(word) for word in entry.get("positive", [])):
        raise TaskError(f"{name}: [outcome.kinds] must hold each positive word once, and no other.")
    return tuple((kind, _words(listed)) for kind, listed in kinds.items())


def _check_names(
    features: tuple[FeatureSpec, ...],
    images: tuple[ImageSpec, ...],
    outcome: OutcomeSpec,
    never: tuple[str, ...],
    name: str,
) -> None:
    """No name twice, nothing that gives the answer away, something to predict from."""
    inputs: list[FeatureSpec | ImageSpec] = [*features, *images]
    names = [spec.name for spec in inputs]
    twice = {entry for entry in names if names.count(entry) > 1}
    if twice:
        raise TaskError(f"{name}: the name {sorted(twice)[0]} is used twice.")
    if not names:
        raise TaskError(f"{name} names no feature and no image, so there is nothing to predict from.")
    if len({image.side for image in images}) > 1:
        raise TaskError(f"{name}: all images of a task are shown equally large, so they take the same side.")
    for feature in features:
        marked = next((image for image in images if image.name == feature.region), None)
        if feature.region and (marked is None or not marked.region_column):
            raise TaskError(f"{name}: feature {feature.name}: region “{feature.region}” is no [[image]] with a region_column.")
    for spec in inputs:
        if spec.column and spec.column in never:
            raise TaskError(f"{name}: column {spec.column} is an input and also under never.")
        if spec.column and spec.column == outcome.time_column:
            raise TaskError(f"{name}: column {spec.column} is the time to the outcome and cannot be an input.")
        if spec.column and spec.column == outcome.column:
            raise TaskError(f"{name}: column {spec.column} is the outcome and cannot be an input.")


def _check_read_from(
    features: tuple[FeatureSpec, ...],
    images: tuple[ImageSpec, ...],
    outcome: OutcomeSpec,
    cases: dict[str, Any],
    index: str,
    name: str,
) -> None:
    """A case table is read by columns, and its index is the case; a record has neither table nor columns."""
    inputs: list[FeatureSpec | ImageSpec] = [*features, *images]
    if index != "case":
        by_column = [spec.column for spec in (*inputs, outcome) if spec.column]
        if cases.get("table") or by_column:
            what = f"column “{by_column[0]}”" if by_column else f"table “{cases['table']}”"
            raise TaskError(f"{name}: [task] index “{index}” is of a stay, and the {what} is of a case table; a case table's index is the case: index = \"case\".")
        return
    for spec in inputs:
        if not spec.column and not (isinstance(spec, FeatureSpec) and spec.region):
            kind = "feature" if isinstance(spec, FeatureSpec) else "image"
            raise TaskError(f"{name}: {kind} {spec.name} needs a column: each case is a row of a table, and nothing else is read of it.")
