"""Whether a patient bears the name of somebody who works here. By blind index only: nobody's name is opened to compare it."""

from __future__ import annotations

from collections.abc import Iterable

from salus_web.accounts.actors import system
from salus_web.accounts.models import User
from salus_web.audit.odd import Look, Mark, colleague, own_record
from salus_web.common.encryption import blind_index
from salus_web.records.models import PatientNameToken

TITLES = frozenset({"dr", "dr.", "prof", "prof.", "professor", "mr", "mr.", "mrs", "mrs.", "ms", "ms.", "sr", "sr.", "med", "med."})
_AUDIT = system("audit")
_AT_ONCE = 5_000


def words_of(name: str) -> list[str]:
    """A name's words without titles; the last is taken for the surname."""
    return [word for word in name.split() if word.casefold() not in TITLES]


class Names:
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
