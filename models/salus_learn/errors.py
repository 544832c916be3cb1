"""Every error the library raises on purpose, as one family. No behaviour lives here.

LearnError
├── TaskError          the task file asks for something that cannot be
├── CaseError          a case table, a row, a column or an image of it is wrong
├── SnapshotError      one patient's inputs cannot be used (unit, range, after the index moment)
├── TrainingError      the data cannot carry a model (one class, too few people)
├── BundleError        a stored bundle is damaged, foreign or of another version
└── ExplanationError   the reasons do not add up to the risk
"""


class LearnError(Exception):
    """Base of the family. The message is a sentence a nurse or researcher can act on."""


class TaskError(LearnError):
    """The task file asks for something that cannot be."""


class CaseError(LearnError):
    """A case table, a row, a column or an image of it is wrong."""


class SnapshotError(LearnError):
    """One patient's inputs cannot be used (unit, range, after the index moment)."""


class TrainingError(LearnError):
    """The data cannot carry a model (one class, too few people)."""


class BundleError(LearnError):
    """A stored bundle is damaged, foreign or of another version."""


class ExplanationError(LearnError):
    """The reasons do not add up to the risk."""
