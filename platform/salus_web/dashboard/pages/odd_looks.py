"""What the rules of audit.odd need to know: the looks of the last days, care relations then, records under watch, and names, by
their blind index only: nobody's name is opened to compare it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from salus_web.accounts.actors import Actor, system
from salus_web.accounts.models import User
from salus_web.accounts.permissions import Resource, authorize
from salus_web.audit.odd import Look, Mark, Odd, colleague, own_record, rank, under_watch
from salus_web.audit.selectors import LOOKS_AT_MOST, looks_since, watched
from salus_web.common.clock import now
from salus_web.common.encryption import blind_index
from salus_web.dashboard.pages.care_history import care_history
from salus_web.records.models import Patient, PatientNameToken

DAYS, ROWS = 7, 50
TITLES = frozenset({"dr", "dr.", "prof", "prof.", "professor", "mr", "mr.", "mrs", "mrs.", "ms", "ms.", "sr", "sr.", "med", "med."})
_AUDIT = system("audit")
_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class OddPage:
    """The oddest looks first; whether there were more than could be gone through, and back to when they reach."""

    rows: list[Odd]
    looks: int
    is_cut: bool
    since: datetime


def odd_looks(*, viewer: Actor) -> list[Odd]:
    """The oddest looks of the last seven days, at most 50."""
    return odd_page(viewer=viewer).rows


def odd_page(*, viewer: Actor) -> OddPage:
    """The same with how much was gone through (7 queries for up to 5,000 patients, two more for each 5,000 further)."""
    authorize(viewer, "audit.read", Resource("log"))
    since = now() - timedelta(days=DAYS)
    looks = [
        Look(number, at, actor, name, patient, outcome == "refused", object_id)
        for number, at, actor, name, patient, outcome, object_id in looks_since(since=since)
    ]
    patients, people = {look.patient for look in looks if look.patient}, {look.actor_id for look in looks}
    history = care_history(patients=patients, people=people)
    names, under = _Names({(look.actor_id, look.actor_name) for look in looks}, patients), watched()

    def marks(look: Look) -> Sequence[Mark]:
        row = under.get(look.patient)
        return [*names.marks(look), *([under_watch(row.get_why_display())] if row else [])]

    found = rank(
        looks,
        has_relation=lambda look: history.relation(actor_id=look.actor_id, patient=look.patient, at=look.at) is not None,
        shares_surname=names.shares_surname,
        marks=marks,
    )
    is_cut = len(looks) == LOOKS_AT_MOST
    return OddPage(found[:ROWS], len(looks), is_cut, min((look.at for look in looks), default=since) if is_cut else since)


def words_of(name: str) -> list[str]:
    """A name's words without titles; the last is taken for the surname."""
    return [word for word in name.split() if word.casefold() not in TITLES]


class _Names:
    """Which patients bear a word of whose name, known by tokens alone."""

    def __init__(self, looking: Iterable[tuple[str, str]], patients: Iterable[str]) -> None:
        staff = {str(key): name for key, name in User.objects.values_list("pk", "display_name")}
        self._staff = {key: (name, frozenset(map(_token, words_of(name)))) for key, name in staff.items()}
        self._surnames = {name: _token(words_of(name)[-1]) for _, name in looking if words_of(name)}
        wanted = {token for _, tokens in self._staff.values() for token in tokens} | set(self._surnames.values())
        self._borne: dict[str, set[str]] = {}
        for pseudonym, token in _tokens(patients, wanted):
            self._borne.setdefault(pseudonym, set()).add(token)

    def shares_surname(self, look: Look) -> bool:
        """Whether a word of the patient's name is the surname of the one who looked."""
        return self._surnames.get(look.actor_name, "") in self._borne.get(look.patient, set())

    def marks(self, look: Look) -> list[Mark]:
        """Whether the patient bears the whole name of the one who looked, or of somebody who works here."""
        borne = self._borne.get(look.patient)
        if not borne:
            return []
        bearers = {key: name for key, (name, tokens) in self._staff.items() if len(tokens) > 1 and tokens <= borne}
        own = [own_record()] if bearers.pop(look.actor_id, None) else []
        return [*own, *(colleague(name) for name in sorted(set(bearers.values()))[:1])]


def _token(word: str) -> str:
    return blind_index(word, purpose="name")


def _tokens(patients: Iterable[str], wanted: set[str]) -> Iterable[tuple[str, str]]:
    """Pairs of pseudonym and token, for those tokens that are asked for."""
    ordered, tokens = sorted(patients), list(wanted)
    for start in range(0, len(ordered), _AT_ONCE):
        part = ordered[start : start + _AT_ONCE]
        rows = PatientNameToken.objects.for_actor(_AUDIT).filter(token__in=tokens, patient__pseudonym__in=part)
        yield from rows.values_list("patient__pseudonym", "token")


def watched_here(*, viewer: Actor) -> list[tuple[Any, str]]:
    """Records under watch of the viewer's hospitals, each with the end of its record number (2 queries)."""
    authorize(viewer, "audit.read", Resource("log"))
    under = watched()
    theirs = Patient.objects.for_actor(_AUDIT).filter(pseudonym__in=list(under), site_id__in=list(viewer.site_ids))
    ends = {patient.pseudonym: patient.mrn[-4:] for patient in theirs}
    return [(row, ends[pseudonym]) for pseudonym, row in under.items() if pseudonym in ends]
