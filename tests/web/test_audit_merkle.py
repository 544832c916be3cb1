"""The tree: roots as published for RFC 6962, and proofs of every size that a changed one fails."""

from __future__ import annotations

import pytest
from salus_web.audit.merkle import EMPTY, Levels, Tree, consistency, is_consistent, is_included, leaf

# the inputs and roots that implementations of certificate transparency test one another with
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf(bytes([number])) for number in range(40)]


def tree_of(leaves: list[bytes]) -> Tree:
    tree = Tree()
    tree.add(leaves)
    return tree


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_the_published_ones(size: int) -> None:
    leaves = [leaf(bytes.fromhex(text)) for text in INPUTS[:size]]
    assert tree_of(leaves).root().hex() == Levels(leaves).root().hex() == ROOTS[size - 1]
    assert Tree().root() == EMPTY == Levels([]).root()


@pytest.mark.parametrize("size", range(1, 41))
def test_every_leaf_is_proven_and_no_other(size: int) -> None:
    levels = Levels(LEAVES[:size])
    for index in range(size):
        path = levels.path(index)
        assert is_included(index, size, LEAVES[index], path, levels.root())
        assert not is_included(index, size, leaf(b"another"), path, levels.root())
        assert not is_included((index + 1) % size, size, LEAVES[index], path, levels.root()) or size == 1
        assert not is_included(index, size, LEAVES[index], [*path, EMPTY], levels.root())


@pytest.mark.parametrize("size", range(41))
def test_a_tree_extends_every_tree_it_began_with_and_no_other(size: int) -> None:
    root = tree_of(LEAVES[:size]).root()
    for begin in range(size + 1):
        old = tree_of(LEAVES[:begin])
        proof = consistency(old, LEAVES[begin:size])
        assert is_consistent(begin, old.root(), size, root, proof)
        if 0 < begin < size:
            forged = tree_of([leaf(b"another"), *LEAVES[1:begin]]).root()
            assert not is_consistent(begin, forged, size, root, proof)
            assert not is_consistent(begin, old.root(), size, tree_of([leaf(b"another"), *LEAVES[1:size]]).root(), proof)
            assert not is_consistent(begin, old.root(), size, root, proof[:-1])
            assert not is_consistent(begin, old.root(), size, root, [*proof, EMPTY])
    assert not is_consistent(size + 1, root, size, root, [])
