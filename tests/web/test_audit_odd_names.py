"""Who bears whose name: the same answer as comparing everybody with everybody, without doing so."""

from __future__ import annotations

import random
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from salus_web.accounts.models import Site, User
from salus_web.audit.odd import Look, Mark, colleague, own_record
from salus_web.common.clock import now
from salus_web.common.encryption import blind_index
from salus_web.dashboard.pages import odd_names
from salus_web.dashboard.pages.odd_names import TITLES, Names, words_of
from salus_web.records.models import Patient, PatientNameToken

from tests.factories.people import make_patient

pytestmark = pytest.mark.django_db
FIRST = ("Mira", "MIRA", "Ida", "Ida-Li", "Jo", "Holt", "van")
LAST = ("Holt", "holt", "Berg", "Lind", "Mira", "Li")


def staff(names: list[str]) -> list[User]:
    start = User.objects.count()
    return User.objects.bulk_create(User(username=f"u{start + at}", display_name=name, password="!") for at, name in enumerate(names))


def patient_called(site: Site, name: str) -> Patient:
    """A patient with the tokens of the name as `records.services` keeps them."""
    patient = make_patient(site)
    for token in {blind_index(word, purpose="name") for word in name.split()}:
        PatientNameToken.objects.create(patient=patient, token=token)
    return patient


def look(user: User, patient: str) -> Look:
    return Look(1, now(), str(user.pk), user.display_name, patient)


def marks_of(user: User, borne: str, everybody: list[User]) -> list[Mark]:
    """What `marks` must say, by comparing the plain words of everybody."""
    has = {word.casefold() for word in borne.split()}
    same = [one for one in everybody if len(words := {word.casefold() for word in words_of(one.display_name)}) > 1 and words <= has]
    others = sorted({one.display_name for one in same if one.pk != user.pk})
    return [*([own_record()] if user in same else []), *map(colleague, others[:1])]


def test_names_are_compared_as_if_everybody_were_compared_with_everybody(site: Site) -> None:
    rng = random.Random(11)
    titles = ["", "", "Dr ", "PROF. ", "Dr med. "]
    names = [f"{rng.choice(titles)}{' '.join(rng.choices(FIRST, k=rng.choice([0, 1, 1, 2])))} {rng.choice(LAST)}".strip() for _ in range(60)]
    everybody = staff([*names, "Holt", "Dr", "Dr Prof."])
    borne = {patient_called(site, text): text for text in (" ".join(rng.choices(FIRST + LAST, k=rng.choice([1, 2, 3, 5]))) for _ in range(40))}
    nobody = make_patient(site)
    found = Names({(str(user.pk), user.display_name) for user in everybody}, {one.pk: one.pseudonym for one in (*borne, nobody)})
    assert any(len(marks_of(user, text, everybody)) == 2 for user in everybody for text in borne.values())
    for user in everybody:
        assert found.marks(look(user, nobody.pseudonym)) == [] and not found.shares_surname(look(user, nobody.pseudonym))
        for one, text in borne.items():
            assert found.marks(look(user, one.pseudonym)) == marks_of(user, text, everybody), (user.display_name, text)
            words = words_of(user.display_name)
            assert found.shares_surname(look(user, one.pseudonym)) == (bool(words) and words[-1].casefold() in text.casefold().split())
    assert {"dr", "prof."} <= TITLES


def test_what_is_asked_and_hashed_grows_with_surnames_alone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    patient, hashed = patient_called(site, "Mira Anna Holt"), []
    keyed = odd_names.blind_index
    monkeypatch.setattr(odd_names, "blind_index", lambda word, *, purpose: hashed.append(word) or keyed(word, purpose=purpose))

    def asked() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as seen:
            Names(set(), {patient.pk: patient.pseudonym})
        return len(seen), sum(len(query["sql"]) for query in seen.captured_queries)

    staff([f"Mira{number} Quill{number}" for number in range(5)])
    before = asked()
    staff([f"Mira{number} Anna{number} Quill{number}" for number in range(5, 300)])
    hashed.clear()
    assert asked() == before, "no query carries the names of those who work here"
    assert len(hashed) == 300, "of somebody whose surname no patient bears, the surname alone"


def test_where_nobody_was_looked_at_nobodys_name_is_read(site: Site, django_assert_num_queries: Any) -> None:
    (mira,) = staff(["Mira Holt"])
    with django_assert_num_queries(0):
        assert Names(set(), {}).marks(look(mira, "x")) == []
