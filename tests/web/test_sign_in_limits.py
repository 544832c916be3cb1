"""Wrong tries are counted for the name and for the address, in the database, before anything is checked; sessions end by
idleness, by age, by hand and with their person."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client, override_settings
from salus_web.accounts.models import SignIn, TryCount, User
from salus_web.audit.models import Event
from salus_web.audit.scratch import scratch_database
from salus_web.common import clock

from tests.factories.factors import code_now, enter, give_app, wrong_code
from tests.factories.people import PASSWORD, make_site, make_user

WRONG = "not the password"


@pytest.fixture
def nurse(db: None) -> User:
    return make_user("clinician", make_site())


def knock(user: User | str, password: str = WRONG, **headers: str) -> int:
    name = user if isinstance(user, str) else user.username
    return Client().post("/login/", {"username": name, "password": password}, headers=headers).status_code


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    moment = clock.now() + by
    for module in ("lockout", "sessions", "selectors"):
        monkeypatch.setattr(f"salus_web.accounts.{module}.now", lambda: moment)


# --- too many tries


def test_the_sixth_try_is_not_even_looked_at(nurse: User, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [knock(nurse) for _ in range(5)] == [401] * 5
    checked: list[str] = []
    monkeypatch.setattr(User, "check_password", lambda self, raw: checked.append(raw) or True)
    assert knock(nurse, PASSWORD) == 429 and checked == []
    assert Event.objects.filter(action="session.refused", detail__why="too many tries").count() == 1


def test_the_lock_opens_after_fifteen_minutes_and_is_not_prolonged_by_trying(nurse: User, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        knock(nurse)
    later(monkeypatch, timedelta(minutes=14))
    assert knock(nurse, PASSWORD) == 429
    monkeypatch.undo()
    later(monkeypatch, timedelta(minutes=15, seconds=2))
    assert knock(nurse, PASSWORD) == 302


def test_a_right_password_begins_the_count_anew(nurse: User) -> None:
    for _ in range(4):
        knock(nurse)
    assert knock(nurse, PASSWORD) == 302
    assert [knock(nurse) for _ in range(5)] == [401] * 5 and knock(nurse, PASSWORD) == 429


def test_a_name_that_nobody_has_is_locked_in_the_same_way(nurse: User) -> None:
    words = []
    for name in ("nobody-of-this-name", nurse.username):
        answers = [Client().post("/login/", {"username": name, "password": WRONG}) for _ in range(6)]
        words.append([(answer.status_code, b"too many" in answer.content) for answer in answers])
    assert words[0] == words[1]


def test_one_address_cannot_try_many_names(nurse: User, settings: Any) -> None:
    settings.SALUS_TRIES_PER_ADDRESS, settings.SALUS_PROXIES = 5, 1
    there = {"x-forwarded-for": "203.0.113.7"}
    assert [knock(f"name-{number}", **there) for number in range(5)] == [401] * 5
    assert knock(nurse, PASSWORD, **there) == 429
    assert knock(nurse, PASSWORD, **{"x-forwarded-for": "203.0.113.8"}) == 302, "others are not locked out"


def test_an_address_cannot_be_made_up(nurse: User, settings: Any) -> None:
    """Only what our own proxy wrote is believed, not what the browser claims to have come from."""
    settings.SALUS_TRIES_PER_ADDRESS, settings.SALUS_PROXIES = 5, 1
    for number in range(5):
        assert knock(f"name-{number}", **{"x-forwarded-for": f"198.51.100.{number}, 203.0.113.7"}) == 401
    assert knock(nurse, PASSWORD, **{"x-forwarded-for": "198.51.100.99, 203.0.113.7"}) == 429
    settings.SALUS_PROXIES = 0
    assert knock("x", **{"x-forwarded-for": "203.0.113.7"}) == 401, "without a proxy the header is the browser's own word"


def test_a_sign_in_of_ones_own_does_not_clear_the_address(nurse: User, settings: Any) -> None:
    settings.SALUS_TRIES_PER_ADDRESS = 5
    for number in range(4):
        knock(f"name-{number}")
        assert knock(nurse, PASSWORD) == 302
    knock("name-4")
    assert knock(nurse, PASSWORD) == 429


def test_codes_are_counted_too(nurse: User) -> None:
    give_app(nurse)
    client = Client()
    client.post("/login/", {"username": nurse.username, "password": PASSWORD})
    assert [client.post("/login/code/", {"code": wrong_code()}).status_code for _ in range(5)] == [401] * 5
    answer = client.post("/login/code/", {"code": code_now()})
    assert answer.status_code == 429 and b"too many wrong tries" in answer.content
    assert client.get("/worklist/").status_code == 302


def test_what_was_typed_stands_nowhere(nurse: User) -> None:
    knock("Qtyped-by-mistake")
    assert "qtyped" not in str(list(TryCount.objects.values())).lower() + str(list(Event.objects.values())).lower()


PROGRAM = """
import sys
from salus_web.accounts import lockout
limits, let = [lockout.Limit("a" * 64, 5), lockout.Limit("b" * 64, 1000)], 0
print("ready", flush=True)
sys.stdin.readline()
for _ in range(6):
    try:
        lockout.take(limits)
        let += 1
    except lockout.TooManyTries:
        pass
print(let, flush=True)
"""


@pytest.mark.slow
def test_many_processes_trying_at_once_get_five_tries_together(repository_root: Path) -> None:
    manage = [sys.executable, str(repository_root / "manage.py")]
    run = [*manage, "shell", "-v", "0", "-c", PROGRAM]
    with scratch_database() as around:
        subprocess.run([*manage, "migrate", "-v", "0"], env=around, check=True)
        crowd = [subprocess.Popen(run, env=around, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        for one in crowd:
            assert one.stdout is not None and one.stdout.readline().strip() == "ready"
        for one in crowd:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        assert sum(int(one.communicate(timeout=60)[0]) for one in crowd) == 5


# --- how long a session lasts


def is_in(client: Client) -> bool:
    return client.get("/worklist/").status_code == 200


@pytest.mark.parametrize(("minutes", "stays"), [(14, True), (15, False)])
def test_fifteen_idle_minutes_end_a_session(nurse: User, monkeypatch: pytest.MonkeyPatch, minutes: int, stays: bool) -> None:
    client = enter(nurse, PASSWORD)
    later(monkeypatch, timedelta(minutes=minutes, seconds=1))
    assert is_in(client) is stays
    if not stays:
        assert b"nothing happened for a while" in enter_page(client)
        assert Event.objects.get(action="session.end").detail["why"] == "idle"
        assert SignIn.objects.get().ended_why == "idle"


def enter_page(client: Client) -> bytes:
    return client.get("/login/").content


def test_twelve_hours_end_a_session_however_busy(nurse: User, monkeypatch: pytest.MonkeyPatch) -> None:
    client = enter(nurse, PASSWORD)
    for minutes in range(10, 12 * 60, 10):
        later(monkeypatch, timedelta(minutes=minutes))
        assert is_in(client), minutes
        monkeypatch.undo()
    later(monkeypatch, timedelta(hours=12))
    assert not is_in(client) and SignIn.objects.get().ended_why == "too long"


def test_a_page_that_looks_again_by_itself_keeps_no_session_alive(nurse: User, monkeypatch: pytest.MonkeyPatch) -> None:
    client = enter(nurse, PASSWORD)
    for minutes in (5, 10, 14):
        later(monkeypatch, timedelta(minutes=minutes))
        assert client.get("/worklist/", headers={"x-salus-unasked": "1"}).status_code == 200
        monkeypatch.undo()
    later(monkeypatch, timedelta(minutes=15, seconds=1))
    assert not is_in(client)


def test_a_stolen_cookie_is_worth_nothing_after_the_end(nurse: User) -> None:
    client = enter(nurse, PASSWORD)
    cookie = client.cookies["sessionid"].value
    client.post("/logout/")
    client.cookies["sessionid"] = cookie
    assert not is_in(client)


def test_a_session_that_nobody_began_at_the_door_is_none(nurse: User) -> None:
    client = enter(nurse, PASSWORD)
    SignIn.objects.all().delete()
    assert not is_in(client)


def test_a_person_ends_their_other_session_and_nobody_elses(nurse: User) -> None:
    here, there, other = enter(nurse, PASSWORD), enter(nurse, PASSWORD), make_user("clinician", make_site())
    theirs = enter(other, PASSWORD)
    rows = {row.user_id: row for row in SignIn.objects.order_by("started_at")}
    assert here.post(f"/account/sessions/{rows[other.pk].pk}/end/").status_code == 404 and is_in(theirs)
    assert here.post(f"/account/sessions/{rows[nurse.pk].pk}/end/").status_code == 302
    assert is_in(here) and not is_in(there)


def test_an_expired_person_is_out_at_once_and_cannot_come_back(nurse: User) -> None:
    client = enter(nurse, PASSWORD)
    assert is_in(client)
    User.objects.filter(pk=nurse.pk).update(expires_at=clock.now() - timedelta(seconds=1))
    assert not is_in(client) and knock(nurse, PASSWORD) == 401
    User.objects.filter(pk=nurse.pk).update(expires_at=clock.now() + timedelta(hours=1))
    assert knock(nurse, PASSWORD) == 302


def test_a_fragment_of_a_page_whose_session_is_over_takes_the_page_to_the_door(nurse: User) -> None:
    headers = {"hx-request": "true", "hx-current-url": "http://testserver/worklist/?task=t48"}
    answer = Client().get("/worklist/?since=2026-01-01T00:00:00Z", headers=headers)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/login/?next=%2Fworklist%2F")


@override_settings(SALUS_IDLE_SECONDS=10**6)
def test_seen_is_written_once_a_minute_at_most(nurse: User, django_assert_max_num_queries: Any) -> None:
    client = enter(nurse, PASSWORD)
    before = SignIn.objects.get().last_seen_at
    is_in(client)
    assert SignIn.objects.get().last_seen_at == before
