"""The command line of the library: simulate, train, evaluate, score, leaks. Needs no web and no worker."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from salus_learn.benchmark.command import add_command
from salus_learn.console import end_progress, progress_or_lines, say, tell, whole_number
from salus_learn.contracts import RiskResult
from salus_learn.errors import LearnError
from salus_learn.imaging.memory import keep_freed_memory
from salus_learn.leaks.finding import to_json
from salus_learn.leaks.hunt import hunt
from salus_learn.reporting.write import write_report
from salus_learn.scoring.judge import add_kinds, fill_sheet, persons_of, target_of
from salus_learn.scoring.judged import judged_people
from salus_learn.scoring.score import score
from salus_learn.simulate.hospital import simulate
from salus_learn.store.bundle import load_bundle, new_folder, was_taught_by
from salus_learn.tasks.cases import cases_of, read_case_table, snapshot_of_row
from salus_learn.tasks.loader import load_task
from salus_learn.tasks.rows import CaseTable
from salus_learn.training.train import train

SAME_NAMES = "cases of the very names this model was trained on; if they are the same people, these figures flatter it"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. A refusal is one sentence on standard error and exit status 2."""
    options = _parser().parse_args(arguments)
    keep_freed_memory()
    try:
        return int(options.run(options))
    except LearnError as error:
        tell(f"salus-learn: {error}")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="salus-learn", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("simulate", help="write a simulated hospital with its planted truth")
    command.add_argument("--out", required=True, type=Path)
    command.add_argument("--patients", type=whole_number(1), default=260)
    command.add_argument("--present", type=whole_number(0), default=40, help="of these, still in hospital today")
    command.add_argument("--seed", type=whole_number(0), default=7)
    command.set_defaults(run=_simulate)
    command = commands.add_parser("train", help="train a task on a folder of cases and write a bundle")
    command.add_argument("--task", required=True, type=Path)
    command.add_argument("--data", required=True, type=Path)
    command.add_argument("--out", required=True, type=Path)
    command.add_argument("--seed", type=whole_number(0), default=0)
    command.add_argument("--repeats", type=whole_number(1), help="of cross-validation; 3, or 1 where the encoder is tuned")
    command.add_argument("--folds", type=whole_number(2), help="of cross-validation; 5, or 3 where the encoder is tuned")
    command.add_argument("--report", type=Path, help="folder for report.html, report.pdf and report.json")
    command.add_argument("--no-stress", action="store_true", help="leave out other ways to fuse and the tests of missing parts, poor images and maps")
    command.add_argument("--ablation", action="store_true", help="tune the first fold once more without variants of the images")
    command.set_defaults(run=_train)
    command = commands.add_parser("evaluate", help="judge a bundle on people it has not seen")
    command.add_argument("--bundle", required=True, type=Path)
    command.add_argument("--data", required=True, type=Path)
    command.add_argument("--json", type=Path)
    command.add_argument("--report", type=Path, help="folder for report.html, report.pdf and report.json")
    command.set_defaults(run=_evaluate)
    command = commands.add_parser("score", help="one explained risk per case, as JSON lines")
    command.add_argument("--bundle", required=True, type=Path)
    command.add_argument("--data", required=True, type=Path)
    command.add_argument("--out", required=True, type=Path)
    command.set_defaults(run=_score)
    command = commands.add_parser("leaks", help="look for what would flatter a model: twins, answers in disguise, sources")
    command.add_argument("--data", required=True, type=Path)
    command.add_argument("--task", type=Path)
    command.add_argument("--label", help="without a task: the column of the outcome; its two commonest words are compared")
    command.add_argument("--index", help="a column with the day of the prediction: what is dated later is known only later")
    command.add_argument("--json", type=Path)
    command.set_defaults(run=_leaks)
    add_command(commands)
    return parser


def _simulate(options: argparse.Namespace) -> int:
    truth = simulate(options.out, patients=options.patients, present=options.present, seed=options.seed, report=progress_or_lines)
    known = [entry["outcome"] for entry in truth["patients"] if entry["outcome"] is not None]
    end_progress()
    say(f"{len(truth['patients'])} patients, {sum(known)} of {len(known)} with the outcome; the truth is in truth.json")
    return 0


def _train(options: argparse.Namespace) -> int:
    task = load_task(options.task)
    table = read_case_table(task, options.data)
    _ready_folder(options.out, "--out")
    new_folder(options.out)
    _ready_folder(options.report, "--report", beside=options.out)
    done = train(
        task, cases_of(task, table), options.out, seed=options.seed, repeats=options.repeats, folds=options.folds,
        stress=not options.no_stress,
        ablation=options.ablation, report=progress_or_lines,
    )
    end_progress()
    say(f"bundle {done.digest}")
    _show(done.crossval)
    for finding in done.crossval["leaks"]:
        say(f"  leak hunt, {finding['severity']}: {finding['evidence']}")
    _say_left_out(table)
    for said, n in table.taken_for_without():
        say(f"  taken for without the outcome: {n} {said}")
    for word in table.unseen:
        say(f"  the task lists “{word}” for the outcome, and no row holds it")
    if options.report:
        write_report(done.judged.of_table(table), options.report)
    return 0


def _say_left_out(table: CaseTable) -> None:
    """Who of the table is no case."""
    for said, n in table.left_out():
        say(f"  left out of the table: {n} {said}")


def _evaluate(options: argparse.Namespace) -> int:
    bundle = load_bundle(options.bundle)
    task = bundle.model.task
    table = read_case_table(task, options.data, require_never=False)
    _ready_file(options.json, "--json", beside=options.bundle)
    _ready_folder(options.report, "--report", beside=options.bundle)
    cases = cases_of(task, table)
    sheet = fill_sheet(bundle, cases)
    found = sheet.report(task, target_of(cases), persons_of(cases))
    add_kinds(found, task, cases, sheet, persons_of(cases))
    found["trained_on_these"] = was_taught_by(bundle, [case.snapshot.key for case in cases])
    _show(found)
    _say_left_out(table)
    if found["trained_on_these"]:
        say(f"  judged on {SAME_NAMES}")
    if options.report:
        threshold = bundle.model.thresholds["fused"]
        origin = SAME_NAMES if found["trained_on_these"] else "cases the model was given"
        judged = judged_people(task, cases, sheet, origin=origin, threshold=threshold)
        write_report(judged.of_table(table), options.report)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


def _leaks(options: argparse.Namespace) -> int:
    task = load_task(options.task) if options.task else None
    _ready_file(options.json, "--json")
    findings = hunt(options.data, task, label=options.label, index=options.index, report=progress_or_lines)
    if options.json:
        options.json.write_text(json.dumps(to_json(findings), indent=1))
    for finding in findings:
        rows = f" Rows {', '.join(str(row) for row in finding.rows[:6])}." if finding.rows else ""
        say(f"{finding.severity:<6} {finding.table}: {finding.evidence}{rows}")
    say(f"{len(findings)} finding(s)")
    return 1 if any(finding.severity == "blocks" for finding in findings) else 0


def _score(options: argparse.Namespace) -> int:
    bundle = load_bundle(options.bundle)
    task, maps = bundle.model.task, options.out.with_suffix(".maps")
    if maps == options.out:
        raise LearnError(f"--out {options.out.name}: the maps go into a folder of that name; give the file another ending.")
    table = read_case_table(task, options.data, require_outcome=False)
    _ready_file(options.out, "--out", beside=options.bundle)
    _ready_folder(maps, "--out")
    results = score(bundle, [snapshot_of_row(task, row) for row in table.rows], report=progress_or_lines)
    with options.out.open("w", encoding="utf-8") as stream:
        for number, result in enumerate(results):
            kinds = {"kinds": {kind.name: kind.probability for kind in result.kinds}} if task.outcome.kinds else {}
            stream.write(json.dumps(_line(result, maps, number) | kinds) + "\n")
    end_progress()
    _say_left_out(table)
    return 0


def _line(result: RiskResult, maps: Path, number: int) -> dict[str, Any]:
    """One case as JSON; maps are written beside as NumPy arrays of percentage points."""
    files = []
    for at, found in enumerate(result.maps):
        path = maps / f"{number:06d}_{at}_{found.slot}.npy"
        np.save(path, found.points)
        files.append({"slot": found.slot, "file": f"{maps.name}/{path.name}", "box": list(found.box)})
    return {
        "case": result.key, "state": result.state.value, "why": result.why, "probability": result.probability,
        "interval": result.interval, "set": list(result.prediction_set),
        "reference": result.reference_probability, "above_threshold": result.above_threshold,
        "reasons": [
            {"name": reason.name, "value": reason.value, "points": reason.points} for reason in result.reasons
        ],
        "missing": [dataclasses.asdict(entry)["name"] for entry in result.missing], "maps": files,
    }  # fmt: skip


def _show(found: dict[str, Any]) -> None:
    """The figures as a small table, each with its interval."""
    say(f"{found['task']}: {found['n']} cases, {found['events']} with the outcome")
    for arm, figures in found["arms"].items():
        shown = "  ".join(f"{name} {_figure(figures[name])}" for name in _SHOWN)
        say(f"  {arm:<6} n {figures['n']}  {shown}")
    if found["fused_minus_best"]:
        say(f"  fused minus {found['best_single']} (AUROC, paired, n {found['compared']}): {_figure(found['fused_minus_best'])}")
    if "kinds" in found:
        _show_kinds(found["kinds"])
    for arm, figures in found.get("survival", {}).get("arms", {}).items():
        shown = "  ".join(f"{name} {_figure(figures[name])}" for name in ("harrell_c", "auroc_at_horizon"))
        say(f"  {arm:<6} n {figures['n']}  {shown}")
    if "survival" in found:
        whole, nobody = found["survival"]["integrated_brier"], found["survival"]["integrated_brier_of_kaplan_meier"]
        say(f"  integrated Brier {_figure(whole)}, of Kaplan–Meier {_figure(nobody)}")


def _show_kinds(found: dict[str, Any]) -> None:
    """Each class against the rest, and all of them together."""
    for one in found["classes"]:
        say(f"  {one['name']:<20} n {one['n']}  auroc {_figure(one['auroc'])}")
    whole = "  ".join(f"{name} {_figure(found[name])}" for name in ("macro_auroc", "accuracy", "accuracy_among_kinds"))
    say(f"  all classes  n {found['n']}  {whole}")


def _ready_folder(place: Path | None, option: str, *, beside: Path | None = None) -> None:
    """Make the folder that an option names, before anything is worked out for it. Raises LearnError where it cannot be written to,
    or lies in the bundle `beside`, which would no longer be whole with it. Nothing where the option was not given."""
    if place is None:
        return
    if beside is not None and place.resolve().is_relative_to(beside.resolve()):
        raise LearnError(f"{option} {place} lies in the bundle's folder, which holds the bundle alone.")
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = "is a file, and a folder is wanted" if place.is_file() else f"cannot be made ({error.strerror})"
        raise LearnError(f"{option}: {place} {what}.") from None
    if not os.access(place, os.W_OK):
        raise LearnError(f"{option}: {place} may not be written to.")


def _ready_file(place: Path | None, option: str, *, beside: Path | None = None) -> None:
    """As `_ready_folder`, for a file: its folder is made."""
    if place is None:
        return
    if place.is_dir():
        raise LearnError(f"{option}: {place} is a folder, and a file is wanted.")
    _ready_folder(place.parent, option, beside=beside)
    if place.exists() and not os.access(place, os.W_OK):
        raise LearnError(f"{option}: {place} may not be written to.")


_SHOWN = ("auroc", "brier", "calibration_slope", "sensitivity", "specificity")


def _figure(figure: list[float | None]) -> str:
    if figure[0] is None:
        return "not computable"
    low, high = figure[1:]
    return f"{figure[0]:.3f} " + ("(no interval)" if low is None or high is None else f"({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    sys.exit(main())
