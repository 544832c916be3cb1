"""`salus-learn benchmark`: every task we ship, trained and judged beside plain peers, in one file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from salus_learn.benchmark.rows import rows_of
from salus_learn.benchmark.run import Bench, Settings
from salus_learn.console import progress, say, tell, whole_number
from salus_learn.errors import CaseError

SHIPPED = Path(__file__).resolve().parents[3] / "tasks"


def add_command(commands: Any) -> None:
    """Add `benchmark` to the subparsers of the library's command line."""
    command = commands.add_parser("benchmark", help="train every task we ship beside plain peers and write one file of figures")
    command.add_argument("--data", required=True, type=Path, help="folder of data sets, one folder each")
    command.add_argument("--out", required=True, type=Path, help="results.json; rows already in it are not run again")
    command.add_argument("--tasks", type=Path, default=SHIPPED, help="folder of task files; those we ship")
    command.add_argument("--only", action="append", default=[], metavar="TASK", help="a task's id or file; may be repeated")
    command.add_argument("--again", action="store_true", help="also run rows that are already there")
    command.add_argument("--bundles", type=Path, help="folder where bundles and reports are kept; else they are not")
    command.add_argument("--seed", type=whole_number(0), default=0)
    command.add_argument("--repeats", type=whole_number(1), help="as for train")
    command.add_argument("--folds", type=whole_number(2), help="as for train")
    command.add_argument("--no-image-peer", action="store_true", help="leave the image peer out, which takes longest")
    command.add_argument("--image-peer-minutes", type=float, default=30.0, help="at most, over all folds of a task; 30")
    command.add_argument(
        "--image-peer-whole-time", action="store_true", help="give it all these minutes, not only what a fit of ours took"
    )
    command.set_defaults(run=_benchmark)


def _benchmark(options: argparse.Namespace) -> int:
    """Run the rows and print the table; 1 when a row or a peer failed."""
    if not options.data.is_dir():
        raise CaseError(f"There is no folder {options.data}.")
    settings = Settings(
        options.seed, options.repeats, options.folds, not options.no_image_peer, options.image_peer_minutes,
        options.image_peer_whole_time,
    )  # fmt: skip
    bench = Bench(options.out, settings, tell, bundles=options.bundles, again=options.again, report=progress)
    done, failed = bench.run(rows_of(options.tasks, options.data, options.only))
    for line in table(done):
        say(line)
    for line in failed:
        say(f"failed: {line}")
    return 1 if failed else 0


def table(rows: list[dict[str, Any]]) -> list[str]:
    """The rows as lines: ours, then each peer with the difference and what it shows (* under caution)."""
    lines = []
    for row in rows:
        if row["state"] != "done":
            lines.append(f"{row['task_file']:<26} {row['state']}: {row['why']}")
            continue
        lines.append(_our_line(row))
        lines += [_peer_line(name, peer) for name, peer in row["peers"].items()]
    return lines


def _our_line(row: dict[str, Any]) -> str:
    """AUROC of those whose outcome is known; of time to an event Harrell's C of everybody, where a peer was asked."""
    own, called, n, events = row["ours"]["arms"]["fused"]["auroc"], "AUROC", row["judged"], row["judged_events"]
    for peer in row["peers"].values():
        if "survival" in peer:
            own, called, n, events = peer["survival"]["ours"]["harrell_c"], "C", row["cases"], row["events"]
    return f"{row['task_file']:<26} {called} {shown(own)}  of {n}, {events} with the outcome, {row['ours']['seconds']:.0f} s"


def _peer_line(name: str, peer: dict[str, Any]) -> str:
    if peer["state"] != "done":
        return f"    {name:<12} {peer['state']}: {peer.get('why') or peer.get('install')}"
    own, gap, called = peer["figures"]["auroc"], peer["ours_minus_peer"]["auroc"], "AUROC"
    if "survival" in peer:
        both = peer["survival"]
        own, gap, called = both["peer"]["harrell_c"], both["harrell_c_ours_minus_peer"], "C"
    star = "*" if peer["caution"] else ""
    return f"    {name:<12} {called} {shown(own)}  ours minus it {shown(gap, signed=True)}  {peer['claim']}{star}, {peer['seconds']:.0f} s"


def shown(figure: dict[str, Any], *, signed: bool = False) -> str:
    """A figure and its interval to three digits."""
    if figure["value"] is None:
        return "not computable"
    form = "+.3f" if signed else ".3f"
    if figure["low"] is None or figure["high"] is None:
        return f"{figure['value']:{form}} (no interval)"
    return f"{figure['value']:{form}} ({figure['low']:{form}} to {figure['high']:{form}})"
