"""Who looked at one record, in words that the patient understands: by day, who, in which role, why and what."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

from salus_web.accounts.actors import Actor, system
from salus_web.accounts.models import Role
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.places import where_allowed
from salus_web.audit.models import Event
from salus_web.audit.selectors import lines_about
from salus_web.audit.services import Act, record
from salus_web.common.errors import Hidden
from salus_web.dashboard.pages.care_history import CareHistory, care_history
from salus_web.records.models import Patient

LINES_AT_MOST = 2_000
NO_RELATION = "no care relation is on record for this moment"
_ACCESS = system("access")
WHAT = {
    "patient.read": "opened the record", "patient.list": "had the name on a list of patients", "worklist.read": "had the name on the work list",
    "search.read": "found the name in a search", "prediction.read": "opened a computed risk", "image.read": "looked at an image",
    "receipt.read": "opened the receipt of a risk", "replay.read": "read whether a risk could be computed again", "who_looked.read": "looked up who had looked", "prediction.request": "asked for a new risk",
    "prediction.review": "judged a risk", "access.look": "looked up who may see the record", "relation.start": "let somebody see the record",
    "emergency.break": "opened the record in an emergency", "emergency.hand_back": "handed the record back",
    "emergency.notice": "was told that somebody opened the record in an emergency", "emergency.seen": "took note of it",
    "emergency.read": "looked into an emergency access", "emergency.review": "reviewed an emergency access",
    "record.store": "brought in a file about the person", "relation.end": "ended somebody's access", "watch.start": "put the record under special watch", "watch.end": "ended the special watch over the record", "looked.report": "made this report", "audit.export": "exported lines of the log about the record",
    "consent.read": "looked up what is allowed", "consent.record": "recorded what is allowed",
    "hold.set": "protected the record from being erased", "hold.lift": "ended that protection", "follow_up.list": "listed what holds the person",
    "follow_up.done": "acted on what holds the person", "erasure.ask": "asked for the person to be erased", "erasure.decide": "decided on an erasure",
    "key.destroy": "destroyed the key of the data", "patient.erase": "erased the person", "retention.delete": "deleted what is kept no longer",
}  # fmt: skip
OFFICE = ("access.", "relation.", "looked.", "audit.", "watch.", "emergency.read", "emergency.review")
KEEPING = ("hold.", "follow_up.", "erasure.", "key.", "patient.erase", "retention.")
NOTHING_SHOWN = {"refused": "tried, and was refused: ", "withheld": "tried, and was told that it is not allowed: ", "erased": "tried, and was told of the erasure: "}


@dataclass
class Look:
    """One person's same act on one day."""

    who: str
    role: str
    why: str
    what: str
    times: list[datetime] = field(default_factory=list)

    @property
    def when(self) -> str:
        """The time of day, UTC, or the first and the last."""
        first, last = f"{self.times[0]:%H:%M}", f"{self.times[-1]:%H:%M}"
        return first if first == last else f"{first} to {last}"

    @property
    def how_often(self) -> int:
        """How many times."""
        return len(self.times)


def _called(patient: Patient) -> str:
    return f"record number ending in {patient.number_end}" if patient.number_end else "record of a person who was erased"


@dataclass(frozen=True, slots=True)
class Report:
    """Who looked at one record: days newest first. `called` says whose, by the end of the record number."""

    pseudonym: str
    called: str
    days: list[tuple[date, list[Look]]]
    people: int
    is_cut: bool
    refused: int = 0
    hospital: str = ""


def report_of(*, pseudonym: str, viewer: Actor) -> Report:
    """The report on one patient of the viewer's hospitals; logged before it is returned (4 queries and the log).

    Raises Hidden (404) for a patient elsewhere, as for none.
    """
    authorize(viewer, "audit.report", Resource("patient"))
    rows = Patient.objects.for_actor(_ACCESS).select_related("site").filter(where_allowed(viewer, "audit.report"), pseudonym=pseudonym)
    patient = rows.first()
    if patient is None:
        raise Hidden("There is no such page.")
    record(Act("looked.report", "patient", str(patient.pk), patient.pseudonym, "access report"), by=viewer)
    lines = lines_about(pseudonym=pseudonym, at_most=LINES_AT_MOST + 1)
    shown = lines[:LINES_AT_MOST]
    history = care_history(patients=[pseudonym], people={line.actor_id for line in shown})
    people = {line.actor_id for line in shown if line.outcome not in NOTHING_SHOWN}
    refused = {line.actor_id for line in shown if line.outcome == "refused"}
    return Report(pseudonym, _called(patient), _by_day(shown, history), len(people), len(lines) > LINES_AT_MOST, len(refused), patient.site.name)


def _by_day(lines: list[Event], history: CareHistory) -> list[tuple[date, list[Look]]]:
    """Days newest first; within one, people in the order in which they came."""
    days: dict[date, dict[tuple[str, ...], Look]] = {}
    for line in reversed(lines):
        why = _why(line, history)
        look = Look(line.actor_name, _role(line.role), why, said_of(line.action))
        if line.outcome in NOTHING_SHOWN:
            look.what, look.why = NOTHING_SHOWN[line.outcome] + look.what, "nothing was shown"
        day = days.setdefault(line.at.date(), {})
        day.setdefault((line.actor_id, look.role, look.why, look.what), look).times.append(line.at)
    return [(day, list(looks.values())) for day, looks in reversed(days.items())]


def said_of(action: str) -> str:
    """An act of the log in plain words."""
    return WHAT.get(action, action.replace(".", " ").replace("_", " "))


def _why(line: Event, history: CareHistory) -> str:
    if line.action.startswith(OFFICE):
        return "administration of access"
    if line.action.startswith(KEEPING):
        return "keeping and erasing"
    return history.why(actor_id=line.actor_id, patient=line.patient, at=line.at) or NO_RELATION


def _role(roles: str) -> str:
    """Roles as the log has them, in words."""
    return ", ".join(Role(role).label if role in Role.values else role for role in roles.split(",") if role) or "no role"
