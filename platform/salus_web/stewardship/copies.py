"""Clearing an older copy of data or keys of whoever was erased since it was made."""

from __future__ import annotations

from typing import Any

from salus_web.common import erased_list, keyring
from salus_web.records.models import DestroyedKey, Patient
from salus_web.records.personal_keys import finish_destroying
from salus_web.stewardship.erasing import erase_person, keep_list
from salus_web.stewardship.holdings import KEEPER

_AT_ONCE = 500


def apply_erasures(*, by: Any) -> int:
    """Erase again whoever was erased before: by the list outside the database, by the file of keys, and by the database's
    own decisions. For after a restore, or when an older file of keys was put back. Returns how many people went again."""
    finish_destroying(by=by)
    known = erased_list.people() | keyring.destroyed_people()
    known |= {str(key) for key in DestroyedKey.objects.values_list("person_id", flat=True)}
    number, wanted = 0, sorted(known)
    for start in range(0, len(wanted), _AT_ONCE):
        here = Patient.objects.for_actor(KEEPER).filter(pk__in=wanted[start : start + _AT_ONCE], erased_at__isnull=True)
        for patient in list(here.only("pk")):
            erase_person(patient=patient, reason="Erased before; a copy from before had them.", by=by, again=True)
            number += 1
    keep_list()
    return number
