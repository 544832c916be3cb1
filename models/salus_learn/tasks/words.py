"""What the cells of person and outcome in a case table say: whose row it is, the outcome's word, and the kind of it."""

from __future__ import annotations

from collections.abc import Mapping

from salus_learn.contracts import EMPTY_WORD, OutcomeSpec, RiskTask


def person_in(task: RiskTask, line: Mapping[str, str]) -> str:
    """Whose row it is; "" where the cell is empty or holds a word for “not recorded”, which is nobody's name."""
    person = line.get(task.patient_column or "", "")
    return "" if person in task.missing_words else person


def one_person(task: RiskTask, person: str) -> str:
    """The first of the ids that the task says are one person's."""
    return next((group[0] for group in task.same_person if person in group), person)


def word_of(task: RiskTask, line: Mapping[str, str]) -> str:
    """The word of a row's outcome cell, EMPTY_WORD where the task counts an empty cell as a word, "" where it is not known.

    A row that ends before the column has no cell there, and no cell is not an empty one.
    """
    cell = line.get(task.outcome.column or "")
    if cell == "" and EMPTY_WORD in (*task.outcome.positive, *task.outcome.negative):
        return EMPTY_WORD
    return "" if cell is None or cell in task.missing_words else cell


def outcome_of(outcome: OutcomeSpec, word: str) -> int | None:
    """1, 0, or None where the word is of neither list or not known. Of several words in a cell one that is positive is enough;
    without the outcome is only who has none and, where the task lists the negative ones, no other word.
    """
    words = words_in(outcome, word)
    if not words:
        return None
    if words & set(outcome.positive):
        return 1
    return 0 if not outcome.negative or words <= set(outcome.negative) else None


def kind_of(outcome: OutcomeSpec, word: str) -> str | None:
    """The kind that a word of the outcome's column belongs to, of several the last that the task names; None where it is no kind's."""
    words = words_in(outcome, word)
    return next((kind for kind, own in reversed(outcome.kinds) if words & set(own)), None)


def words_in(outcome: OutcomeSpec, cell: str) -> set[str]:
    """The words of a cell: one, or where the task says what separates them, all."""
    words = cell.split(outcome.separator) if outcome.separator else [cell]
    return {word.strip() for word in words} - {""}
