"""Every known score of one patient. A score with a missing input is not computed: no silent zero."""

from __future__ import annotations

from salus_learn.contracts import PatientSnapshot
from salus_learn.known_scores.bedside import CURB65, NEWS2, QSOFA
from salus_learn.known_scores.charlson import CHARLSON, CHARLSON_WITH_AGE, ICD10
from salus_learn.known_scores.forms import Score, ScoreResult
from salus_learn.known_scores.inputs import score_codes

EVERY = (NEWS2, QSOFA, CURB65, CHARLSON, CHARLSON_WITH_AGE)
SCORES = tuple(score for score in EVERY if score.published)


def all_scores() -> tuple[Score, ...]:
    """The scores that may be shown: those with a published worked example that the tests repeat."""
    return SCORES


def score_patient(snapshot: PatientSnapshot, *, all_diagnoses: bool = False) -> tuple[ScoreResult, ...]:
    """Every known score as of the index moment; none where nothing that a score reads was recorded.

    `all_diagnoses` says that the snapshot holds every diagnosis of the person known by then, not only those that a task
    asked for; without it Charlson's index is not computed. Nothing is raised: what cannot be used is named in `missing`.
    """
    codes = score_codes()
    if not any(value.code in codes or value.system in ICD10 for value in snapshot.values):
        return ()
    return tuple(result_of(score, snapshot, all_diagnoses=all_diagnoses) for score in all_scores())


def result_of(score: Score, snapshot: PatientSnapshot, *, all_diagnoses: bool = False) -> ScoreResult:
    """One score of one patient."""
    parts, missing = score.reckon(snapshot, all_diagnoses)
    if missing:
        return ScoreResult(score.name, score.title, "not_computable", None, score.highest, (), missing, "", "", score.source)
    points = [part.points for part in parts]
    band, meaning = score.band(sum(points), points)
    return ScoreResult(score.name, score.title, "computed", sum(points), score.highest, parts, (), band, meaning, score.source)
