"""`./salus drill load`: 50 people at the pages of a day, then the same beside one who means harm; prints JSON, and ends with 1
when a goal is missed. What is run lies in load_house, what people do in load_people and load_hostile.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.drills.load_house import House, demonstration, locust

P95_MS, TIMES_AT_MOST = 400, 2.0
LIGHT = ("image", "style and script")  # asked for by pages, so not clicks; the goal is judged without them
DOOR = "sign in"


def percentile(values: Iterable[float], share: float) -> float:
    """The nearest-rank percentile; 0 of nothing."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else 0.0


def figures(taken: list[float]) -> dict[str, float]:
    """How many, and how long they took."""
    return {"n": len(taken)} | {f"p{share}_ms": round(percentile(taken, share / 100), 1) for share in (50, 95, 99)}


def judged(found: dict[str, Any]) -> dict[str, Any]:
    """One load in figures. Times are of what was asked for once everybody was in, sign-ins apart; errors and lines of all."""
    pages: dict[str, list[float]] = {}
    for began, name, took, _ in found["seen"]:
        if began >= found["started"] or name.startswith(DOOR):
            pages.setdefault(name, []).append(took)
    clicks = [took for name, taken in pages.items() if name not in LIGHT and not name.startswith(DOOR) for took in taken]
    wrong = [f"{name}: {problem}" for _, name, _, problem in found["seen"] if problem]
    return {
        "clicks": figures(clicks), "images": figures(pages.get("image", [])), "errors": len(wrong), "first_errors": wrong[:5],
        "audit": lines(found), "pages": {name: figures(taken) for name, taken in sorted(pages.items())}, "harm": found["harm"],
        "opened": sorted({name for _, name, _, _ in found["seen"]}),
    }  # fmt: skip


def lines(found: dict[str, Any]) -> dict[str, Any]:
    """Lines that the answers owed and lines that the log holds, person by person and act by act. An answer that was lost on its
    way may have owed a line of its act or none, and nothing else may be off."""
    held, owed = found["held"]["lines"], found["owed"]
    wrong = []
    for person in sorted({*held, *owed}):
        one, other = owed.get(person, {}), held.get(person, {})
        for act in sorted({*one, *other} - {"rate.limited refused"}):
            more = other.get(act, 0) - one.get(act, 0)
            if not 0 <= more <= found["unclear"].get(person, {}).get(act, 0):
                wrong.append(f"{person}, {act}: owed {one.get(act, 0)}, held {other.get(act, 0)}")
    return {
        "owed": sum(sum(acts.values()) for acts in owed.values()), "held": sum(sum(acts.values()) for acts in held.values()),
        "unclear": sum(sum(acts.values()) for acts in found["unclear"].values()), "wrong": len(wrong), "first_wrong": wrong[:5], "whole": found["held"]["code"] == 0,
    }  # fmt: skip


def goals(plain: dict[str, Any], beside: dict[str, Any] | None) -> dict[str, bool]:
    """Which of the goals are met."""
    runs = [plain] + ([beside] if beside else [])
    met = {
        f"p95 at most {P95_MS} ms": plain["clicks"]["p95_ms"] <= P95_MS, "no error": all(run["errors"] == 0 for run in runs),
        "audit exact": all(run["audit"]["wrong"] == 0 and run["audit"]["whole"] for run in runs),
    }  # fmt: skip
    if beside:
        met[f"one hostile person: at most {TIMES_AT_MOST:g} times"] = ratio(plain, beside) <= TIMES_AT_MOST
    return met


def ratio(plain: dict[str, Any], beside: dict[str, Any]) -> float:
    """The others' p95 beside the hostile person, as times of what it was without."""
    return round(beside["clicks"]["p95_ms"] / plain["clicks"]["p95_ms"], 2) if plain["clicks"]["p95_ms"] else math.inf


def run(house: House, people: int, seconds: float, *, hostile: bool, pause: str = "1-2", hostile_seconds: float | None = None) -> dict[str, Any]:
    """Both loads, one after the other."""
    plain = judged(house.load(people, seconds, hostile=False, pause=pause))
    beside = judged(house.load(people, hostile_seconds or seconds, hostile=True, pause=pause)) if hostile else None
    found = goals(plain, beside)
    return {
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "machine": machine(), "people": people, "seconds": seconds, "hostile_seconds": hostile_seconds or seconds,
        "database": "postgresql" if house.environment.get("DATABASE_URL") else "sqlite", "plain": plain, "hostile": beside,
        "hostile_times": ratio(plain, beside) if beside else None, "goals": found, "met": all(found.values()),
    }  # fmt: skip


def machine() -> dict[str, Any]:
    """What this ran on, server and load together, and how busy it was before."""
    words = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = {line.partition(":")[2].strip() for line in words.splitlines() if line.startswith("model name")}
    return {"cores": os.cpu_count(), "processor": ", ".join(sorted(names)), "load_before": round(os.getloadavg()[0], 1)}


def main() -> int:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(prog="./salus drill load", description="50 people at once, then beside one who means harm.")
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--hostile-seconds", type=float, help="of the second load; as long as the first where nothing is said")
    parser.add_argument("--no-hostile", action="store_true", help="only the 50")
    parser.add_argument("--folder", type=Path, help="keep the hospital there, or use the one that is there")
    asked = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "salus_web.config.settings.base")
    if locust() is None:
        parser.error("locust is not installed; ./salus drill load installs it")
    with demonstration(asked.folder) as house:
        found = run(house, asked.people, asked.seconds, hostile=not asked.no_hostile, hostile_seconds=asked.hostile_seconds)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0 if found["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
