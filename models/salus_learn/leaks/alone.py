"""How well one column alone tells the outcome, on people it was not fitted on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from salus_learn.evaluation.metrics import NOTHING, Z95, Figure, placements
from salus_learn.leaks.table import Table

FEWEST = 30
FOLDS = 5
# A tree is believed only where it sees clearly more than the order of the numbers: it has more freedom to be lucky.
TREE_BETTER = 0.05
_SHRINK = 2.0


def person_folds(y: np.ndarray, people: np.ndarray) -> np.ndarray:
    """(n,) fold numbers from 0: a person is in one fold only, and people with the outcome are dealt out evenly.

    y (n,) of 0 and 1, people (n,). The number of folds is 5, or fewer where fewer people have or lack the outcome.
    """
    _, which = np.unique(people, return_inverse=True)
    ill = np.zeros(which.max() + 1, dtype=int)
    np.maximum.at(ill, which, y.astype(int))
    folds = int(max(1, min(FOLDS, np.bincount(ill, minlength=2).min())))
    fold, rng = np.zeros(len(ill), dtype=int), np.random.default_rng(0)
    for group in (0, 1):
        members = rng.permutation(np.flatnonzero(ill == group))
        fold[members] = np.arange(len(members)) % folds
    return fold[which]


def auroc_by_person(y: np.ndarray, score: np.ndarray, people: np.ndarray) -> Figure:
    """AUROC with a 95 % interval that counts people, not rows (Obuchowski, Biometrics 1997;53:567).

    y (n,) of 0 and 1, score (n,) any scale, people (n,). With one row a person it is DeLong's interval.
    """
    m, n = int((y == 1).sum()), int((y == 0).sum())
    _, which = np.unique(people, return_inverse=True)
    if min(len(np.unique(which[y == 1])), len(np.unique(which[y == 0]))) < 2:
        return NOTHING
    of_cases, of_controls = placements(y, score)
    area, size = float(of_cases.mean()), int(which.max()) + 1
    cases = np.bincount(which[y == 1], of_cases - area, size)
    controls = np.bincount(which[y == 0], of_controls - area, size)
    k_cases, k_controls = len(np.unique(which[y == 1])), len(np.unique(which[y == 0]))
    spread = (cases**2).sum() * k_cases / (k_cases - 1) / m**2 + (controls**2).sum() * k_controls / (k_controls - 1) / n**2
    spread += 2 * (cases * controls).sum() * size / (size - 1) / (m * n)
    error = float(np.sqrt(max(spread, 0.0)))
    return area, max(0.0, area - Z95 * error), min(1.0, area + Z95 * error)


def alone(table: Table, column: str, y: np.ndarray, people: np.ndarray) -> Figure | None:
    """AUROC of one column alone; None where it has too little to say. y (n,) of 0 and 1, people (n,).

    Numbers by rank, either way round, or by a small tree where both ends matter; words by the share with the outcome
    among other people. A column of words counts only where most of its words come back under other people.
    """
    numbers = table.numbers(column)
    if numbers is not None and len(np.unique(numbers[np.isfinite(numbers)])) > 2:
        return by_numbers(numbers, y, people)
    known = table.filled(column)
    words = [cell for cell, there in zip(table.cells[column], known, strict=True) if there]
    return by_words(words, y[known], people[known]) if comes_back(words, people[known]) else None


def by_numbers(numbers: np.ndarray, y: np.ndarray, people: np.ndarray) -> Figure | None:
    """AUROC of numbers (n,), NaN where missing, in their order or through a tree of depth 3 fitted on other people."""
    known = np.isfinite(numbers)
    if not enough(y[known]):
        return None
    x, y, people = numbers[known], y[known], people[known]
    figure = auroc_by_person(y, x, people)
    if figure[0] < 0.5:
        figure = auroc_by_person(y, -x, people)
    fold, share = person_folds(y, people), np.full(len(y), y.mean())
    for test in (fold == one for one in range(fold.max() + 1)):
        if 0 < y[~test].sum() < (~test).sum():
            tree = DecisionTreeClassifier(max_depth=3, min_samples_leaf=max(5, len(y) // 50), random_state=0)
            share[test] = tree.fit(x[~test, None], y[~test]).predict_proba(x[test, None])[:, 1]
    bent = auroc_by_person(y, share, people)
    return bent if bent[0] > figure[0] + TREE_BETTER else figure


def by_words(words: Sequence[str], y: np.ndarray, people: np.ndarray) -> Figure | None:
    """AUROC of a word's smoothed share of outcomes among other people. y (n,) of 0 and 1, people (n,)."""
    if not enough(y):
        return None
    labels, which = np.unique(np.array(words), return_inverse=True)
    fold, share = person_folds(y, people), np.full(len(y), y.mean())
    if fold.max() < 1:
        return None
    for test in (fold == one for one in range(fold.max() + 1)):
        prior = float(y[~test].mean())
        seen = np.bincount(which[~test], minlength=len(labels))
        hits = np.bincount(which[~test], y[~test], len(labels))
        # Measured against the prior, so that folds of unlike size do not order the people.
        share[test] = ((hits + _SHRINK * prior) / (seen + _SHRINK) - prior)[which[test]]
    return auroc_by_person(y, share, people)


def comes_back(words: Sequence[str], people: np.ndarray) -> bool:
    """Whether there are two words or more, and most cells hold a word that two people have."""
    holders = Counter(word for word, _ in set(zip(words, people.tolist(), strict=True)))
    return len(holders) > 1 and sum(holders[word] > 1 for word in words) > 0.5 * len(words)


def enough(y: np.ndarray) -> bool:
    """Whether there are 30 rows or more, with both outcomes. y (n,) of 0 and 1."""
    return len(y) >= FEWEST and len(np.unique(y)) == 2
