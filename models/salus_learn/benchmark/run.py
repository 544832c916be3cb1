"""Runs the rows: trains ours, asks the peers on the same folds, writes the file after every row."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from salus_learn.benchmark.compare import against, survival_against
from salus_learn.benchmark.packages import INSTALL, version_of
from salus_learn.benchmark.peer import Peer, out_of_fold
from salus_learn.benchmark.peers_image import DenseNet
from salus_learn.benchmark.peers_record import CatBoost, Ebm, Logistic
from salus_learn.benchmark.peers_survival import Cox
from salus_learn.benchmark.people import Everybody, everybody
from salus_learn.benchmark.results import code_digest, machine, read_results, write_results
from salus_learn.benchmark.rows import Row, fingerprint
from salus_learn.contracts import Case, RiskTask
from salus_learn.errors import LearnError
from salus_learn.evaluation.figures import all_arms
from salus_learn.imaging.embed import Report
from salus_learn.reporting.write import write_report
from salus_learn.tasks.cases import cases_of, read_case_table
from salus_learn.training.train import Trained, train

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """How rows are run. repeats and folds as in `train`; `image_peer_minutes` caps the image peer over all folds of a
    task; with `image_peer_whole_time` it gets all of them, however little ours took."""

    seed: int = 0
    repeats: int | None = None
    folds: int | None = None
    image_peer: bool = True
    image_peer_minutes: float = 30.0
    image_peer_whole_time: bool = False

    def seconds_per_fold(self, ours_per_fit: float, folds: int) -> float:
        """What the image peer may take in each fold."""
        most = 60.0 * self.image_peer_minutes / folds
        return most if self.image_peer_whole_time else min(ours_per_fit, most)


def peers_of(task: RiskTask) -> list[Peer]:
    """The peers a task is compared with."""
    if task.outcome.time_column:
        return [Cox()] if task.features else []
    record: list[Peer] = [Logistic(), CatBoost(), Ebm()] if task.features else []
    return [*record, DenseNet()] if task.images else record


@dataclass(frozen=True, slots=True)
class Bench:
    """A run of the benchmark. `peers` names a task's peers; `bundles` is where bundles and reports are kept, if anywhere;
    `again` runs rows that are already there; `report` hears how training goes on."""

    out: Path
    settings: Settings
    say: Say
    peers: Callable[[RiskTask], list[Peer]] = peers_of
    bundles: Path | None = None
    again: bool = False
    report: Report | None = None

    def run(self, rows: Sequence[Row]) -> tuple[list[dict[str, Any]], list[str]]:
        """The rows as they stand in the file, and a sentence for each that failed. The file is written after each row."""
        kept, code = read_results(self.out), code_digest()
        done, failed = [], []
        for row in rows:
            before, found = kept.get(row.file), self._one(row, kept.get(row.file), code)
            if before is None or found["state"] != "absent" or before["state"] != "done":
                kept[row.file] = found
            write_results(self.out, kept)
            done.append(kept[row.file])
            failed += _failures(found)
        return done, failed

    def _one(self, row: Row, before: dict[str, Any] | None, code: str) -> dict[str, Any]:
        """One row; whatever goes wrong in it is written down, so that the others are run."""
        head = {"task_file": row.file, "task": row.task.id if row.task else None, "data": row.folder.name}
        if row.absent:
            self.say(f"{row.file}: absent. {row.absent}")
            return head | {"state": "absent", "why": row.absent}
        try:
            if row.task is None:
                raise LearnError(row.broken)
            identity = self._identity(row.task, row.folder, code)
            if before is not None and not self.again and not _failures(before) and before.get("identity") == identity:
                self.say(f"{row.file}: already in {self.out.name}")
                return before
            return head | {"state": "done"} | self._measured(row, row.task, identity)
        except Exception as error:  # noqa: BLE001 - a row that fails must not take the others with it
            self.say(f"{row.file}: failed. {_why(error)}")
            return head | {"state": "failed", "why": _why(error)}

    def _identity(self, task: RiskTask, folder: Path, code: str) -> dict[str, Any]:
        """What must be the same for a row not to be run again."""
        settings = asdict(self.settings)
        return {
            "task_digest": task.digest, "data": fingerprint(task, folder), "code": code,
            "settings": {name: value for name, value in settings.items() if task.images or not name.startswith("image_")},
            "peers": {peer.name: version_of(peer.package) for peer in self.peers(task)},
        }  # fmt: skip

    def _measured(self, row: Row, task: RiskTask, identity: dict[str, Any]) -> dict[str, Any]:
        """Ours and every peer on one task."""
        self.say(f"{row.file}: reading and training")
        table = read_case_table(task, row.folder)
        cases = cases_of(task, table)
        with self._place(row) as place:
            began = time.monotonic()
            trained = train(
                task, cases, place / "bundle", seed=self.settings.seed, repeats=self.settings.repeats,
                folds=self.settings.folds, stress=self.bundles is not None, report=self.report,
            )  # fmt: skip
            seconds = time.monotonic() - began
            if self.bundles is not None:
                write_report(trained.judged.of_table(table), place / "report")
        ours = _ours(trained, seconds)
        self.say(f"{row.file}: trained in {seconds:.0f} s, {ours['seconds_per_fit']:.1f} s a fit")
        people = everybody(task, cases, trained.fold_of)
        peers = {
            peer.name: self._peer(row, peer, people, trained, ours["seconds_per_fit"]) for peer in self.peers(task)
        }
        return _counts(trained, cases) | {"ours": ours, "peers": peers, "identity": identity, "machine": machine()}

    @contextmanager
    def _place(self, row: Row) -> Iterator[Path]:
        """Where a row's bundle is written: kept under its task file's name, or thrown away."""
        if self.bundles is None:
            with tempfile.TemporaryDirectory(prefix="salus-benchmark-") as thrown_away:
                yield Path(thrown_away)
            return
        place = self.bundles / Path(row.file).stem
        if (place / "bundle").exists():
            shutil.rmtree(place / "bundle")  # of an earlier run: a bundle is never written over another
        place.mkdir(parents=True, exist_ok=True)
        yield place

    def _peer(
        self, row: Row, peer: Peer, people: Everybody, trained: Trained, ours_per_fit: float
    ) -> dict[str, Any]:
        """One peer on the folds of ours, or why not."""
        head = {"package": peer.package, "version": version_of(peer.package), "reads": peer.reads, "how": peer.how}
        if peer.reads == "image" and not self.settings.image_peer:
            return head | {"state": "skipped", "why": "--no-image-peer"}
        if head["version"] is None:
            self.say(f"{row.file}: {peer.name} is not installed; {INSTALL}")
            return head | {"state": "not installed", "install": INSTALL}
        try:
            seconds = self.settings.seconds_per_fold(ours_per_fit, int(people.folds.max()) + 1)
            sheet = out_of_fold(peer, people, seed=self.settings.seed, seconds=seconds)
            place = {key: at for at, key in enumerate(people.taught.asked.keys.tolist())}
            judged = np.array([place[key] for key in trained.judged.keys.tolist()])
            found = against(trained.judged, sheet.probabilities[judged], sheet.flagged[judged], peer.reads)
            if people.taught.target.is_survival:
                found |= _survival(people, trained, sheet.probabilities)
        except Exception as error:  # noqa: BLE001 - a peer's own error says nothing about ours, which is kept
            self.say(f"{row.file}: {peer.name} failed. {_why(error)}")
            return head | {"state": "failed", "why": _why(error)}
        self.say(f"{row.file}: {peer.name} took {sheet.seconds:.0f} s: ours is {_SAID.get(found['claim'], found['claim'])}")
        caution = next((note["caution"] for note in sheet.notes if "caution" in note), None)
        return head | {"state": "done", "seconds": round(sheet.seconds, 2), "caution": caution, **found, "per_fold": sheet.notes}


_SAID = {"no difference shown": "not shown to differ"}


def _ours(trained: Trained, seconds: float) -> dict[str, Any]:
    """Our side of a row: figures of the first repeat's out-of-fold risks, which the peers are compared with."""
    crossval = trained.crossval
    fits = crossval["repeats"] * crossval["folds"] + 1
    return {
        "seconds": round(seconds, 2), "fits": fits, "seconds_per_fit": round(seconds / fits, 3),
        "repeats": crossval["repeats"], "folds": crossval["folds"], "encoder": crossval["encoder"], "bundle": trained.digest,
        "arms": all_arms(trained.judged),
        "mean_over_repeats": {key: crossval[key] for key in ("arms", "best_single", "fused_minus_best")},
        **{key: crossval[key] for key in ("survival", "kinds") if key in crossval},
    }  # fmt: skip


def _counts(trained: Trained, cases: Sequence[Case]) -> dict[str, Any]:
    """How many; `judged` are those whose outcome (at the horizon) is known."""
    judged = trained.judged
    return {
        "title": judged.task.title, "cases": len(cases), "people": len({case.snapshot.person for case in cases}),
        "events": sum(case.outcome for case in cases), "judged": len(judged.y), "judged_events": int(judged.y.sum()),
    }  # fmt: skip


def _survival(people: Everybody, trained: Trained, theirs: np.ndarray) -> dict[str, Any]:
    """Harrell's C over everybody, also those lost before the horizon."""
    said = {result.key: result.probability for result in trained.out_of_fold}
    ours = np.array([said.get(key) for key in people.taught.asked.keys.tolist()], dtype=np.float64)
    horizon = people.taught.task.outcome.horizon_days
    found = survival_against(people.taught.target, ours, theirs, people.taught.persons, horizon, people.folds)
    return {"claim": found.pop("claim"), "claim_on": "harrell_c", "survival": found}


def _why(error: Exception) -> str:
    """A sentence: our own errors are one already."""
    return str(error) if isinstance(error, LearnError) else f"{error.__class__.__name__}: {error}"


def _failures(found: dict[str, Any]) -> list[str]:
    """A line for a failed row, or for each of its peers that failed."""
    if found["state"] == "failed":
        return [f"{found['task_file']}: {found['why']}"]
    peers = found.get("peers", {})
    return [f"{found['task_file']}, {name}: {one['why']}" for name, one in peers.items() if one["state"] == "failed"]
