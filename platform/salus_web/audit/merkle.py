"""The tree over event digests (RFC 6962, section 2.1): roots, proofs of inclusion and of consistency. Standard library only,
because the witness uses it too. Hashes are 32 raw bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

EMPTY = hashlib.sha256(b"").digest()


def leaf(data: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass
class Tree:
    """A tree that only grows, kept as the roots of its complete subtrees, largest first: log2(size) hashes."""

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)

    def add(self, leaves: Iterable[bytes]) -> None:
        """Append leaf hashes."""
        for hashed in leaves:
            self.peaks.append(hashed)
            size = self.size
            while size & 1:
                right = self.peaks.pop()
                self.peaks[-1] = node(self.peaks[-1], right)
                size >>= 1
            self.size += 1

    def root(self) -> bytes:
        """The root as RFC 6962 defines it."""
        if not self.peaks:
            return EMPTY
        found = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            found = node(peak, found)
        return found


def _split(count: int) -> int:
    """The largest power of two below a count above one."""
    return 1 << (count - 1).bit_length() - 1


def consistency(old: Tree, fresh: Sequence[bytes]) -> list[bytes]:
    """The proof that the old tree is the beginning of the one with these leaf hashes appended (RFC 6962, 2.1.2).

    Needs no old leaves: every old node that a proof names is the root of a complete subtree.
    """
    start, complete = 0, {}
    for peak, power in zip(old.peaks, _powers(old.size), strict=True):
        complete[start, start + power] = peak
        start += power

    def of(low: int, high: int) -> bytes:
        if low < old.size:
            return complete[low, high]
        tree = Tree()
        tree.add(fresh[low - old.size : high - old.size])
        return tree.root()

    def prove(low: int, high: int, is_whole: bool) -> list[bytes]:
        if high == old.size:
            return [] if is_whole else [of(low, high)]
        middle = low + _split(high - low)
        if old.size <= middle:
            return [*prove(low, middle, is_whole), of(middle, high)]
        return [*prove(middle, high, False), of(low, middle)]

    return prove(0, old.size + len(fresh), True) if old.size and fresh else []


def _powers(size: int) -> list[int]:
    """The powers of two that add up to a size, largest first."""
    return [1 << bit for bit in reversed(range(size.bit_length())) if size >> bit & 1]


def is_consistent(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that the larger tree begins with the smaller one (RFC 9162, 2.1.4.2)."""
    if old_size > size or (old_size in (0, size) and proof):
        return False
    if old_size == 0:
        return old_root == EMPTY
    if old_size == size:
        return old_root == root
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        return False
    at, last = old_size - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = path[0]
    for hashed in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = node(hashed, first), node(hashed, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node(second, hashed)
        at, last = at >> 1, last >> 1
    return (first, second, last) == (old_root, root, 0)


class Levels:
    """Every node of a tree, for proofs of inclusion. Memory and time grow with the number of leaves."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.rows = [list(leaves)]
        while len(self.rows[-1]) > 1:
            row = self.rows[-1]
            above = [node(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
            self.rows.append([*above, row[-1]] if len(row) % 2 else above)

    def root(self) -> bytes:
        """The root."""
        return self.rows[-1][0] if self.rows[-1] else EMPTY

    def path(self, index: int) -> list[bytes]:
        """The audit path of the leaf at an index from 0 (RFC 6962, 2.1.1)."""
        found = []
        for row in self.rows[:-1]:
            if index ^ 1 < len(row):
                found.append(row[index ^ 1])
            index >>= 1
        return found


def is_included(index: int, size: int, hashed: bytes, path: Sequence[bytes], root: bytes) -> bool:
    """Whether a path shows that a leaf hash stands at an index of the tree (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, hashed
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root
