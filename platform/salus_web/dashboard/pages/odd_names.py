"""Whether a patient bears the name of somebody who works here. By blind index only: nobody's name is opened to compare it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from salus_web.accounts.actors import system
from salus_web.accounts.models import User
from salus_web.audit.odd import Look, Mark, colleague, own_record
from salus_web.common.encryption import blind_index
from salus_web.records.models import PatientNameToken

TITLES = frozenset({"dr", "dr.", "prof", "prof.", "professor", "mr", "mr.", "mrs", "mrs.", "ms", "ms.", "sr", "sr.", "med", "med."})
_AUDIT = system("audit")
_AT_ONCE = 5_000
_Bearer = tuple[str, str, frozenset[str]]  # id, name, tokens


def words_of(name: str) -> list[str]:
    """A name's words without titles; the last is taken for the surname."""
    return [word for word in name.split() if word.casefold() not in TITLES]


class Names:
    """Which patients (id to pseudonym) bear a word of whose name, known by tokens alone.

    The names of those who work here are read and hashed each time. To keep their tokens beside the names would be a dictionary
    with which a stolen database told the patients' surnames.
    """

    def __init__(self, looking: Iterable[tuple[str, str]], patients: Mapping[Any, str]) -> None:
        self._borne: dict[str, set[str]] = {}
        for pseudonym, token in _tokens(patients):
            self._borne.setdefault(pseudonym, set()).add(token)
        self._surnames = {name: _token(words_of(name)[-1]) for _, name in looking if words_of(name)}
        self._staff = _staff_with(set().union(*self._borne.values()))

    def shares_surname(self, look: Look) -> bool:
        """Whether a word of the patient's name is the surname of the one who looked."""
        return self._surnames.get(look.actor_name, "") in self._borne.get(look.patient, set())

    def marks(self, look: Look) -> list[Mark]:
        """Whether the patient bears the whole name of the one who looked, or of somebody who works here."""
        borne = self._borne.get(look.patient, set())
        bearers = {key: name for token in borne for key, name, tokens in self._staff.get(token, ()) if tokens <= borne}
        own = [own_record()] if bearers.pop(look.actor_id, None) else []
        return [*own, *(colleague(name) for name in sorted(set(bearers.values()))[:1])]


def _token(word: str) -> str:
    return blind_index(word, purpose="name")


def _staff_with(surnames: set[str]) -> dict[str, list[_Bearer]]:
    """Who works here and has a name of two words at least of which the last is one of these, by that word's token (1 query).
    Whoever bears a whole name bears its last word, so that nobody else need be compared."""
    found: dict[str, list[_Bearer]] = {}
    for key, name in User.objects.values_list("pk", "display_name").iterator() if surnames else ():
        words = words_of(name)
        surname = _token(words[-1]) if len(words) > 1 else ""
        if surname in surnames and len(tokens := frozenset(map(_token, words))) > 1:
            found.setdefault(surname, []).append((str(key), name, tokens))
    return found


def _tokens(patients: Mapping[Any, str]) -> Iterator[tuple[str, str]]:
    """Pairs of pseudonym and token (a query for each 5,000)."""
    ids = list(patients)
    for start in range(0, len(ids), _AT_ONCE):
        rows = PatientNameToken.objects.for_actor(_AUDIT).filter(patient_id__in=ids[start : start + _AT_ONCE])
        yield from ((patients[key], token) for key, token in rows.values_list("patient_id", "token"))
