"""What comes in wrong is a sentence or is left aside, on every page, and never an error of the machine."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from salus_web.accounts.models import RoleGrant, Site, User
from salus_web.audit.models import Event
from salus_web.cohorts.models import Cohort, Project
from salus_web.records.models import CareRelation, CareTeam

from tests.factories.cohorts import make_crowd, make_project
from tests.factories.hospital import make_bundle, make_person
from tests.factories.people import make_site, make_user, relate
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db
NUL, SQUARED, NEVER = "\x00", "²", "2026-02-31"
# role, address, what is asked, what is said (empty: the page itself)
ASKED = [
    ("clinician", "/worklist/", {"page": SQUARED}, ""),
    ("clinician", "/worklist/", {"page": "-1"}, ""),
    ("clinician", "/worklist/", {"page": "999999"}, ""),
    ("clinician", "/worklist/", {"task": "t48", "since": f"{NEVER}T00:00:00Z"}, ""),
    ("clinician", "/worklist/", {"task": "t48", "since": "2026-01-01T00:00:00"}, ""),
    ("clinician", "/worklist/", {"task": "t48", "since": "yesterday"}, ""),
    ("clinician", "/worklist/", {"task": NUL, "order": NUL}, "a character"),
    ("clinician", "/patients/", {"page": SQUARED}, ""),
    ("clinician", "/patients/", {"q": NUL}, "a character"),
    ("clinician", "/patients/", {"q": "a " * 3000}, "at most 20 words"),
    ("clinician", "/uploads/", {"page": SQUARED}, ""),
    ("clinician", "/jobs/", {"page": SQUARED, "state": "x"}, ""),
    ("clinician", "/models/", {"page": SQUARED}, ""),
    ("administrator", "/access/", {"site": "x", "mrn": "MRNQwrong"}, "Choose one of your hospitals"),
    ("administrator", "/access/", {"site": "own", "mrn": "MRNQwrong", "person": "x"}, "Choose a person from the list"),
    ("administrator", "/access/", {"site": "own", "mrn": NUL}, "a character"),
    ("administrator", "/audit/", {"since": NEVER}, "is not a date"),
    ("administrator", "/audit/", {"until": "9999-12-31"}, ""),
    ("administrator", "/audit/", {"since": "yesterday"}, "is not a date"),
    ("administrator", "/audit/", {"before": SQUARED}, ""),
    ("administrator", "/audit/", {"before": "9" * 40}, ""),
    ("administrator", "/audit/", {"person": NUL, "action": NUL}, "a character"),
]
COHORTS = [
    ({"age_low": "nan"}, "Age, from: “nan” is not a number"),
    ({"age_high": "inf"}, "Age, to: “inf” is not a number"),
    ({"age_low": "1e400"}, "Age, from: "),
    ({"age_low": "-1"}, "Age, from: must be whole years"),
    ({"age_low": "40.5"}, "Age, from: whole years"),
    ({"age_low": "70", "age_high": "60"}, "Age, from: must not be above “Age, to”."),
    ({"task": "t48", "risk_low": "nan"}, "Risk, from: “nan” is not a number"),
    ({"task": "t48", "risk_low": "500"}, "Risk, from: a risk lies between 0 and 100 %."),
    ({"task": "t48", "risk_high": "101"}, "Risk, to: a risk lies between 0 and 100 %."),
    ({"risk_high": "10"}, "With a risk of: a range of risk needs a choice"),
    ({"code_0": "8867-4", "code_low_0": "inf"}, "Measured, 8867-4, from"),
    ({"code_0": "8867-4", "code_low_0": "9", "code_high_0": "1"}, "Measured: low of 8867-4"),
    ({"code_0": "a", "code_1": "a"}, "named twice"),
    ({"code_0": "a" * 81}, "word"),
    ({"conditions": "a" * 81}, "Diagnosed with: "),
    ({"task": "a" * 81}, "With a risk of: "),
    ({"sex": "many"}, "Sex: "),
    ({"modality": "ct"}, "With an image: "),
    ({"site": "x"}, "Hospital: "),
]
FORMS = [
    ("/access/people/", {"ends": NEVER}, "is not a date"),
    ("/access/people/", {"ends": "1999-01-01"}, "must lie ahead"),
    ("/access/people/", {"role": "king"}, "is not a role"),
    ("/access/people/", {"username": "n" * 200}, "150"),
    ("/access/people/", {"display_name": "n" * 300}, "200"),
    ("/access/people/", {"username": f"n{NUL}"}, "a character"),
    ("/access/members/", {"person": "x"}, "Choose a person"),
    ("/access/members/", {"person": NUL}, "a character"),
    ("/access/members/", {"team": "  "}, "Name the care team"),
    ("/access/members/", {"team": f"a{NUL}b"}, "a character"),
    ("/access/members/", {"ends": NEVER}, "is not a date"),
    ("/access/members/", {"ends": "1999-01-01"}, "must lie ahead"),
    ("/access/relations/", {"reason": " "}, "Say why"),
    ("/access/relations/", {"reason": f"a{NUL}b"}, "a character"),
    ("/access/relations/", {"mrn": "nobody"}, "Nobody at this hospital"),
    ("/access/relations/", {"ends": "1999-01-01"}, "must lie ahead"),
]


@pytest.fixture
def here() -> Site:
    """A hospital with one patient, who is in the clinician's care."""
    return make_site()


@pytest.fixture
def ward(here: Site) -> dict[str, Client]:
    """A signed-in browser per role."""
    person = make_person(here, "Qwrong", make_bundle())
    clients = {}
    for role in ("clinician", "administrator", "researcher"):
        user, clients[role] = make_user(role, here), Client(raise_request_exception=False)
        clients[role].force_login(user)
        if role == "clinician":
            relate(user, person.patient)
    return clients


@pytest.mark.parametrize(("role", "address", "asked", "words"), ASKED)
def test_a_wrong_question_is_answered(
    here: Site, ward: dict[str, Client], role: str, address: str, asked: dict[str, str], words: str
) -> None:
    if asked.get("site") == "own":
        asked = asked | {"site": str(here.pk)}
    ask = ward[role].post if address == "/access/" or "q" in asked else ward[role].get
    answer = ask(address, asked)
    assert answer.status_code < 500 and words in text_of(answer)
    if not words:
        assert answer.status_code == 200


@pytest.mark.parametrize(("asked", "words"), COHORTS)
def test_a_wrong_definition_is_a_sentence_that_names_the_field(
    here: Site, ward: dict[str, Client], asked: dict[str, str], words: str
) -> None:
    project: Project = make_project(here, members=[User.objects.get(grants__role="researcher")])
    make_crowd(here, 20)
    for more in ({}, {"fragment": ""}):
        answer = ward["researcher"].get(f"/cohorts/projects/{project.pk}/", asked | more)
        assert answer.status_code == 200 and words in text_of(answer) and b'role="alert"' in answer.content
        assert " people" not in text_of(answer).split("counts are of people")[-1].replace("rounded", "")
    answer = ward["researcher"].post(f"/cohorts/projects/{project.pk}/save/", asked | {"name": "Wrong"})
    assert answer.status_code == 409 and words in text_of(answer)
    assert not Cohort.objects.exists()


@pytest.mark.parametrize(("address", "changes", "words"), FORMS)
def test_a_wrong_form_changes_nothing_at_all(
    here: Site, ward: dict[str, Client], address: str, changes: dict[str, str], words: str
) -> None:
    clinician = User.objects.get(grants__role="clinician")
    form: dict[str, Any] = {
        "username": "new", "display_name": "Dr New", "role": "auditor", "site": str(here.pk),
        "person": str(clinician.pk), "team": "Night", "mrn": "MRNQwrong", "reason": "consult",
    }  # fmt: skip
    tables = (User, RoleGrant, CareTeam, CareRelation)
    before = [table.objects.count() for table in tables]
    acts = Event.objects.exclude(action__in=("access.look", "access.read")).count()
    answer = ward["administrator"].post(address, form | changes)
    assert 400 <= answer.status_code < 500 and words in text_of(answer)
    assert [table.objects.count() for table in tables] == before, "said that nothing was changed, and something was"
    assert Event.objects.exclude(action__in=("access.look", "access.read")).count() == acts
    assert ward["administrator"].post(address, form).status_code in {200, 302}, "the right form is taken after the wrong one"


@pytest.mark.parametrize("username", [NUL, "n" * 10_000, ""])
def test_a_wrong_sign_in_name_is_a_wrong_sign_in(db: None, username: str) -> None:
    answer = Client(raise_request_exception=False).post("/login/", {"username": username, "password": "x"})
    assert answer.status_code in {400, 401} and not answer.wsgi_request.user.is_authenticated
