"""Proves a log whole, or says where it is not. Pure: it is given rows, checkpoints and what the witness saw, and reads nothing.

What is asked, in this order: does every stripe chain from its first line to its head; does every checkpoint of the database
stand for these very lines; has somebody else (the file of checkpoints, the witness) seen more than the database holds?
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from salus_web.audit import merkle
from salus_web.audit.chain import FORMS, GENESIS
from salus_web.audit.line import Checkpoint, Fork, Line

WHOLE, CHANGED, CUT_SHORT, ROLLED_BACK = 0, 2, 3, 4
MARK_BYTES = 8
_CHANGED, _CUT = "The log was changed at", "The log is cut short from"
_ROLLED = "The log was rolled back: others have seen more than the database holds, from"
_SORTED = orjson.OPT_SORT_KEYS


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found: `code`, and for all but WHOLE the first bad line (its stripe and its place there)."""

    code: int
    lines: int
    sentence: str
    stripe: int = 0
    place: int = 0
    root: str = ""
    sequence: int = 0
    remarks: tuple[str, ...] = ()


@dataclass
class Walked:
    """Every stripe's digests, end to end (32 bytes a line), and the first break of a chain, if any."""

    stripes: dict[int, bytearray] = field(default_factory=dict)
    broken: tuple[int, int] | None = None

    def places(self, stripe: int) -> int:
        """How many lines a stripe has."""
        return len(self.stripes.get(stripe, b"")) // 32

    def digest(self, stripe: int, place: int) -> str:
        """The digest at a place from 1; GENESIS before the first."""
        return self.stripes[stripe][32 * (place - 1) : 32 * place].hex() if place else GENESIS

    @property
    def lines(self) -> int:
        """How many lines in all."""
        return sum(len(held) for held in self.stripes.values()) // 32


@dataclass(frozen=True, slots=True)
class Seen:
    """What others have seen: the file of checkpoints, and what the witness signed last (its statement opened)."""

    filed: Line | None = None
    witnessed: Mapping[str, Any] | None = None


def walk(events: Iterable[Mapping[str, Any]]) -> Walked:
    """Follow every stripe's chain. Events come in order of place within their stripe; the stripes in any order."""
    found = Walked()
    ends: dict[int, tuple[int, str, int]] = {}
    for event in events:
        stripe, form = event["stripe"], event["form"]
        place, last, before = ends.get(stripe, (0, GENESIS, 1))
        place += 1
        body = {name: event[name] for name in FORMS.get(form, ())}
        raw = hashlib.sha256(orjson.dumps(body, option=_SORTED))
        is_right = event["place"] == place and event["previous"] == last and raw.hexdigest() == event["digest"] and form >= before
        if not is_right or (form == 1 and (stripe or event["number"] != place or event["before_hash"] or event["after_hash"])):
            found.broken = (stripe, place)
            return found
        ends[stripe] = (place, event["digest"], form)
        found.stripes.setdefault(stripe, bytearray()).extend(raw.digest())
    return found


def leaves(walked: Walked, before: Checkpoint | None, after: Mapping[int, tuple[int, str]]) -> Iterator[tuple[int, int, bytes]]:
    """The entries that came between two checkpoints, in the tree's order: stripe, place, digest."""
    for stripe in sorted(after):
        first = before.heads.get(stripe, (0, ""))[0] if before else 0
        held = walked.stripes.get(stripe, b"")
        for place in range(first + 1, after[stripe][0] + 1):
            yield stripe, place, bytes(held[32 * (place - 1) : 32 * place])


def verify(walked: Walked, *, heads: Mapping[int, tuple[int, str]] | None, held: Line, seen: Seen = Seen()) -> Finding:
    """What the walk, the database's heads and checkpoints (`held`) and the others' memory say together."""
    if walked.broken:  # a line put in between fits the one before it: only a checkpoint knows that it was not there
        earlier = _against_line(walked, held.checkpoints)
        is_named = earlier is not None and earlier.code == CHANGED and (earlier.stripe, earlier.place) < walked.broken
        return earlier if earlier and is_named else _bad(CHANGED, walked, *walked.broken, _CHANGED)
    problem = _against_heads(walked, heads) or _against_line(walked, held.checkpoints)
    if problem:
        return problem
    covered = held.checkpoints[-1].size if held.checkpoints else 0
    if held.problem:
        return _bad(CHANGED, walked, 0, covered + 1, f"{held.problem} The log cannot be vouched for from")
    forks = [*held.forks, *(seen.filed.forks if seen.filed else [])]
    problem = _against_file(walked, held, seen.filed) or _against_witness(walked, held, forks, seen.witnessed)
    return problem or _whole(walked, held, forks, seen)


def _bad(code: int, walked: Walked, stripe: int, place: int, words: str) -> Finding:
    where = f"line {place}" if list(walked.stripes) in ([], [0]) and not stripe else f"line {place} of stripe {stripe}"
    return Finding(code, walked.lines, f"{words} {where}.", stripe, place)


def _against_heads(walked: Walked, heads: Mapping[int, tuple[int, str]] | None) -> Finding | None:
    """Every stripe must reach its head, end there, and end with its digest."""
    for stripe in sorted({*heads, *walked.stripes} if heads is not None else ()):
        place, digest = (heads or {}).get(stripe, (0, GENESIS))
        if walked.places(stripe) < place:
            return _bad(CUT_SHORT, walked, stripe, walked.places(stripe) + 1, _CUT)
        if walked.places(stripe) > place:
            return _bad(CHANGED, walked, stripe, place + 1, _CHANGED)
        if walked.digest(stripe, place) != digest:
            return _bad(CHANGED, walked, stripe, place, _CHANGED)
    return None


def _against_line(walked: Walked, checkpoints: list[Checkpoint], *, is_elsewhere: bool = False) -> Finding | None:
    """Every checkpoint must stand for these very lines. One that only others hold says that the log was rolled back."""
    tree, before = merkle.Tree(), None
    changed, cut = ((ROLLED_BACK, _ROLLED),) * 2 if is_elsewhere else ((CHANGED, _CHANGED), (CUT_SHORT, _CUT))
    for checkpoint in checkpoints:
        entries = list(leaves(walked, before, checkpoint.heads))
        for at, (stripe, place, digest) in enumerate(entries):
            mark = checkpoint.marks[MARK_BYTES * at : MARK_BYTES * (at + 1)]
            if not digest:
                return _bad(cut[0], walked, stripe, place, cut[1])
            if mark and mark != digest[:MARK_BYTES]:
                return _bad(changed[0], walked, stripe, place, changed[1])
        tree.add(merkle.leaf(digest) for _, _, digest in entries)
        if tree.root().hex() != checkpoint.root:  # without marks the root still says between which two checkpoints
            stripe, place, _ = entries[0] if entries else (0, 1, b"")
            return _bad(changed[0], walked, stripe, place, changed[1])
        before = checkpoint
    return None


def _against_file(walked: Walked, held: Line, filed: Line | None) -> Finding | None:
    """The file of checkpoints must not know of lines that the database does not hold."""
    if filed is None:
        return None
    for line in (filed.checkpoints, *(_whole_branch(filed, branch) for branch in filed.unexplained(held.forks))):
        if line and line[-1].note not in held.notes:
            return _against_line(walked, line, is_elsewhere=True) or _left(walked, held, line)
    if filed.problem:
        covered = filed.checkpoints[-1].size if filed.checkpoints else 0
        return _bad(CHANGED, walked, 0, covered + 1, f"The file of checkpoints is not as it was written. {filed.problem} It says nothing from")
    return None


def _whole_branch(filed: Line, branch: list[Checkpoint]) -> list[Checkpoint]:
    """A branch from the log's first line on."""
    return [*filed.checkpoints[: branch[0].sequence - 1], *branch]


def _left(walked: Walked, held: Line, line: list[Checkpoint]) -> Finding:
    """The lines are all there but the database does not hold the checkpoint: it was taken back to before it."""
    common = [checkpoint for checkpoint in line if checkpoint.note in held.notes]
    return _bad(ROLLED_BACK, walked, 0, (common[-1].size if common else 0) + 1, _ROLLED)


def _against_witness(walked: Walked, held: Line, forks: list[Fork], witnessed: Mapping[str, Any] | None) -> Finding | None:
    """The witness must not have seen a checkpoint that the database does not hold, unless a fork record explains it."""
    if witnessed is None or witnessed["note"] in held.notes or witnessed["note"] in {fork.left["checkpoint"] for fork in forks}:
        return None
    if witnessed["sequence"] > len(held.checkpoints):
        return _bad(ROLLED_BACK, walked, 0, walked.lines + 1, _ROLLED)
    before = held.checkpoints[witnessed["sequence"] - 2].size if witnessed["sequence"] > 1 else 0
    return _bad(ROLLED_BACK, walked, 0, before + 1, "The log was rolled back and went on: the witness saw other lines from")


def _whole(walked: Walked, held: Line, forks: list[Fork], seen: Seen) -> Finding:
    """Whole, with what is worth knowing beside it."""
    last = held.checkpoints[-1] if held.checkpoints else None
    remarks = [fork.sentence for fork in {fork.note: fork for fork in forks}.values()]
    if walked.lines > (last.size if last else 0):
        remarks.append(f"{walked.lines - (last.size if last else 0)} newest lines are not under a checkpoint yet.")
    if seen.witnessed is not None:
        remarks.append(f"The witness has signed checkpoint {seen.witnessed['sequence']}.")
    return Finding(
        WHOLE, walked.lines, f"The log is whole: lines 1 to {walked.lines}.", root=last.root if last else "",
        sequence=last.sequence if last else 0, remarks=tuple(remarks),
    )  # fmt: skip
