"""People: invited by a link that works once, until a last day, with sessions an administrator may end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from salus_web.accounts.models import Invitation, Site, User
from salus_web.accounts.services import accept_invitation, invite, let_until, remove_factors
from salus_web.audit.models import Event
from salus_web.common import clock
from salus_web.common.errors import Hidden, Refused, StateConflict

from tests.factories.factors import enter, give_app
from tests.factories.people import PASSWORD, SYSTEM, actor_of, make_patient, make_site, make_user, relate

pytestmark = pytest.mark.django_db
CHOSEN = {"password": "a long enough one", "again": "a long enough one"}


@pytest.fixture
def alma(site: Site) -> User:
    return make_user("administrator", site)


@pytest.fixture
def desk(alma: User) -> Client:
    return enter(alma, PASSWORD)


def link_of(answer: Any) -> str:
    return answer.context["link"].removeprefix("http://testserver")


def invited(desk: Client, site: Site, **changes: str) -> str:
    form = {"display_name": "Dr New", "username": "new", "role": "clinician", "site": str(site.pk)} | changes
    return link_of(desk.post("/access/people/", form))


def is_in(client: Client) -> bool:
    return client.get("/worklist/").status_code == 200


def test_a_link_is_good_once_and_only_its_hash_is_kept(desk: Client, site: Site) -> None:
    link = invited(desk, site)
    secret = link.split("/")[2]
    assert len(secret) >= 43 and secret not in str(list(Invitation.objects.values())) + str(list(Event.objects.values()))
    assert b"Welcome, Dr New" in Client().get(link).content
    assert Client().post(link, CHOSEN | {"again": "another one of length"}).status_code == 409
    assert Client().post(link, {"password": "short", "again": "short"}).status_code == 409
    assert Client().post(link, CHOSEN).headers["Location"] == "/login/"
    assert is_in(enter(User.objects.get(username="new"), CHOSEN["password"]))
    for again in (Client().get(link), Client().post(link, {"password": "some other long one", "again": "some other long one"})):
        assert again.status_code == 404 and b"Ask your administrator for a new one" in again.content
    assert not is_in(enter(User.objects.get(username="new"), "some other long one"))
    assert Event.objects.filter(action__in=["user.invite", "user.invitation.used"]).count() == 2


def test_a_link_is_over_after_72_hours(desk: Client, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    link = invited(desk, site)
    for hours, status in ((71, 200), (72, 404)):
        moment = clock.now() + timedelta(hours=hours, seconds=1)
        monkeypatch.setattr("salus_web.accounts.own.now", lambda moment=moment: moment)
        assert Client().get(link).status_code == status
    monkeypatch.undo()
    Invitation.objects.update(expires_at=clock.now())
    assert Client().post(link, CHOSEN).status_code == 404


def test_of_two_who_use_a_link_at_once_the_second_is_refused(site: Site) -> None:
    """Both saw the page while the link was good; the row decides."""
    nurse = make_user("clinician", site)
    _, secret = invite(user=nurse, by=SYSTEM)
    accept_invitation(secret=secret, password="a long enough one", by=SYSTEM)
    with pytest.raises(Hidden):
        accept_invitation(secret=secret, password="the second one's choice", by=SYSTEM)
    row, secret = invite(user=nurse, by=SYSTEM)
    Invitation.objects.filter(pk=row.pk).update(expires_at=clock.now())
    with pytest.raises(Hidden):
        accept_invitation(secret=secret, password="the second one's choice", by=SYSTEM)
    nurse.refresh_from_db()
    assert nurse.check_password("a long enough one")


def test_a_new_link_ends_the_old_one(desk: Client, site: Site) -> None:
    old = invited(desk, site)
    user = User.objects.get(username="new")
    new = link_of(desk.post(f"/access/people/{user.pk}/invite/"))
    assert Client().get(old).status_code == 404 and Client().get(new).status_code == 200


def test_a_link_made_up_or_cut_short_is_answered_alike(desk: Client, site: Site) -> None:
    link = invited(desk, site)
    pages = {Client().get(address).content for address in (link[:-2] + "/", "/invitation/x/", f"/invitation/{'a' * 500}/")}
    assert len(pages) == 1


def test_a_link_for_somebody_who_has_a_password_ends_their_sessions(desk: Client, site: Site) -> None:
    nurse = make_user("clinician", site)
    theirs = enter(nurse, PASSWORD)
    link = link_of(desk.post(f"/access/people/{nurse.pk}/invite/"))
    assert is_in(theirs), "asking for a link throws nobody out"
    Client().post(link, CHOSEN)
    assert not is_in(theirs) and not is_in(enter(nurse, PASSWORD))


def test_the_last_day_ends_sessions_and_sign_ins(desk: Client, site: Site, alma: User) -> None:
    nurse = make_user("clinician", site)
    theirs = enter(nurse, PASSWORD)
    assert desk.post(f"/access/people/{nurse.pk}/until/", {"now": "1"}).status_code == 302
    assert not is_in(theirs) and not is_in(enter(nurse, PASSWORD))
    assert Event.objects.filter(action="session.end", detail__why="account ended", actor_id=str(alma.pk)).exists()
    desk.post(f"/access/people/{nurse.pk}/until/", {"ends": ""})
    assert is_in(enter(nurse, PASSWORD))
    lines = Event.objects.filter(action="user.until", object_id=str(nurse.pk)).order_by("number")
    assert [line.detail["until"] == "open" for line in lines] == [False, True]


def test_an_invitation_for_somebody_who_has_ended_is_none(desk: Client, site: Site) -> None:
    link = invited(desk, site)
    let_until(user=User.objects.get(username="new"), expires_at=clock.now(), by=SYSTEM)
    assert Client().get(link).status_code == 404


def test_an_administrator_sees_and_ends_sessions_of_their_people_only(desk: Client, site: Site) -> None:
    nurse, stranger = make_user("clinician", site), make_user("clinician", make_site())
    theirs, elsewhere = enter(nurse, PASSWORD), enter(stranger, PASSWORD)
    page = desk.get(f"/access/people/{nurse.pk}/")
    row = page.context["sessions"][0]
    assert desk.get(f"/access/people/{stranger.pk}/").status_code == 404
    mixed = desk.post(f"/access/people/{nurse.pk}/sessions/{stranger.sign_ins.get().pk}/end/")
    assert mixed.status_code == 404 and is_in(elsewhere)
    assert desk.post(f"/access/people/{nurse.pk}/sessions/{row.pk}/end/").status_code == 302
    assert not is_in(theirs) and is_in(elsewhere)
    assert b"ended, by you from another place or by an administrator" in theirs.get("/login/").content


def test_a_lost_telephone_is_taken_away_by_another_person(desk: Client, site: Site, alma: User) -> None:
    nurse = make_user("clinician", site)
    give_app(nurse)
    theirs = enter(nurse, PASSWORD)
    assert is_in(theirs)
    assert desk.post(f"/access/people/{nurse.pk}/factors/remove/").status_code == 302
    assert not Authenticator.objects.filter(user=nurse).exists() and not is_in(theirs)
    give_app(alma)
    with pytest.raises(StateConflict, match="another administrator"):
        remove_factors(user=alma, by=actor_of(alma))
    with pytest.raises(StateConflict, match="another administrator"):
        let_until(user=alma, expires_at=clock.now(), by=actor_of(alma))


@pytest.mark.parametrize("role", ["clinician", "auditor", "researcher"])
def test_nobody_else_invites_or_ends_anybody(site: Site, role: str) -> None:
    by, nurse = actor_of(make_user(role, site)), make_user("clinician", site)
    give_app(nurse)
    acts = (lambda: invite(user=nurse, by=by), lambda: let_until(user=nurse, expires_at=None, by=by), lambda: remove_factors(user=nurse, by=by))
    for act in acts:
        with pytest.raises(Refused, match="role"):
            act()
    assert not Invitation.objects.exists() and Authenticator.objects.filter(user=nurse).exists()


def test_why_can_she_see_this_says_standing_role_and_relation(desk: Client, site: Site) -> None:
    nurse, auditor, patient = make_user("clinician", site), make_user("auditor", site), make_patient(site, mrn="MRN777")
    relation = relate(nurse, patient, team_name="Ward 3B")

    def why(user: User) -> str:
        return str(desk.post("/access/", {"site": str(site.pk), "mrn": "MRN777", "person": str(user.pk)}).context["sentence"])

    assert f"{nurse.display_name} may see this patient with no end set: care team Ward 3B, since" in why(nurse)
    assert "not a clinician at present (at present: auditor)" in why(auditor)
    relation.team, relation.user, relation.kind, relation.reason = None, nurse, "break-glass", "cardiac arrest"
    relation.ends_at = clock.now() + timedelta(hours=4)
    relation.save()
    assert "break-glass (cardiac arrest)" in why(nurse)
    let_until(user=nurse, expires_at=clock.now(), by=SYSTEM)
    assert "the account ended on" in why(nurse)
    assert desk.get("/access/", {"site": str(site.pk), "mrn": "MRN777"}).context["asked"]["mrn"] == "", "no record number in an address"
