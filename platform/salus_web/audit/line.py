"""Reading checkpoints: signed notes become the line that the log has taken, with its forks. Pure.

Each note names the one before it. A note that names an earlier one leaves a branch; a branch is explained by a signed fork
record that names its last checkpoint, and by nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from salus_web.audit.chain import GENESIS
from salus_web.audit.notes import SIGNER, BadNote, Note, opened


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a signed checkpoint says: how many lines, their root, and how far each stripe had come (place, digest)."""

    note: str
    sequence: int
    size: int
    root: str
    heads: dict[int, tuple[int, str]]
    marks: bytes
    at: str


@dataclass(frozen=True, slots=True)
class Fork:
    """A signed word that a line was left: what was kept, what was left, why, when and by whom."""

    note: str
    kept: Mapping[str, Any]
    left: Mapping[str, Any]
    reason: str
    by: str
    at: str

    @property
    def sentence(self) -> str:
        """The fork by name."""
        return (
            f"A backup was restored: after line {self.kept['size']} the old line of {self.left['size']} lines was left, "
            f"{self.at[:16].replace('T', ' ')} UTC by {self.by}: {self.reason}"
        )


@dataclass
class Line:
    """The checkpoints of the line taken, in order; every note read; forks; ends of branches that no fork record explains."""

    checkpoints: list[Checkpoint] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)  # note → how many checkpoints the line had with it
    forks: list[Fork] = field(default_factory=list)
    branches: list[list[Checkpoint]] = field(default_factory=list)
    problem: str = ""

    def unexplained(self, forks: Iterable[Fork] = ()) -> list[list[Checkpoint]]:
        """Branches left without a fork record, known here or elsewhere."""
        left = {fork.left[name] for fork in [*self.forks, *forks] for name in ("checkpoint", "filed")}
        return [branch for branch in self.branches if not left & {reached.note for reached in branch}]


def read_line(notes: Iterable[tuple[Note, bytes]], *, signer: Ed25519PublicKey) -> Line:
    """The line of these notes (each with its marks), in the order they were written. Stops at the first that is not right."""
    line, last = Line(), GENESIS
    for note, marks in notes:
        try:
            content = opened(note, key=signer, voice=SIGNER)
            if content["previous"] != last:
                _branch(line, content["previous"])
            if content["kind"] == "fork":
                line.forks.append(
                    Fork(note.digest, content["kept"], content["left"], content["reason"], content["by"], content["at"])
                )
            else:
                _extend(line, note, content, marks)
        except BadNote as reason:
            line.problem = str(reason)
            return line
        except (KeyError, TypeError, ValueError, AttributeError):
            line.problem = "A signed note lacks something."
            return line
        last = note.digest
        line.notes[last] = len(line.checkpoints)
    return line


def _branch(line: Line, previous: str) -> None:
    """Go back to an earlier note; what came after it is a branch that was left."""
    if previous != GENESIS and previous not in line.notes:
        raise BadNote("A checkpoint is missing between two others.")
    kept = line.notes.get(previous, 0)
    if line.checkpoints[kept:]:
        line.branches.append(line.checkpoints[kept:])
        del line.checkpoints[kept:]
    for note in list(line.notes)[list(line.notes).index(previous) + 1 if previous in line.notes else 0 :]:
        del line.notes[note]


def _extend(line: Line, note: Note, content: dict[str, Any], marks: bytes) -> None:
    before = line.checkpoints[-1] if line.checkpoints else None
    heads = {int(stripe): (int(place), str(digest)) for stripe, (place, digest) in content["heads"].items()}
    found = Checkpoint(note.digest, content["sequence"], content["size"], content["root"], heads, marks, content["at"])
    if found.sequence != (before.sequence + 1 if before else 1) or found.size != sum(place for place, _ in heads.values()):
        raise BadNote("A checkpoint's own numbers do not fit one another.")
    if hashlib.sha256(marks).hexdigest() != content["marks"]:
        raise BadNote("A checkpoint's marks are not those it was signed with.")
    if before is not None and any(heads.get(stripe, (0, ""))[0] < place for stripe, (place, _) in before.heads.items()):
        raise BadNote("A checkpoint takes lines back.")
    line.checkpoints.append(found)
