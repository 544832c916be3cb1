"""How much of a web process's time one person may take: dear requests run out sooner than light ones, and others go on."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from salus_web.accounts import rates, shares
from salus_web.audit.models import Event

from tests.factories.people import PASSWORD, make_site, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def shared(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Many requests a minute are allowed, a tenth of the time is; the clock of the bucket stands until it is moved."""
    settings.SALUS_REQUESTS_PER_PERSON, settings.SALUS_REQUESTS_PER_ADDRESS, settings.SALUS_SHARE_PER_PERSON = 10_000, 10_000, 0.1
    rates.counter.forget()
    shares.shares.forget()
    shares.load.forget()
    clock = {"monotonic": 50.0, "thread": 0.0}
    monkeypatch.setattr(shares.time, "monotonic", lambda: clock["monotonic"])
    monkeypatch.setattr(shares.time, "thread_time", lambda: clock["thread"])
    return clock


def costing(clock: dict[str, float], seconds: float) -> Any:
    """The rate limits before a page that takes so much processor time."""

    def page(request: HttpRequest) -> HttpResponse:
        clock["thread"] += seconds
        return HttpResponse("page")

    return rates.RateLimits(page)


def asked(limits: Any, user: Any) -> int:
    request = HttpRequest()
    request.environ = request.META = {"REMOTE_ADDR": "10.1.1.1"}  # type: ignore[attr-defined]
    request.path, request.actor = "/worklist/", user  # type: ignore[attr-defined]
    return int(limits(request).status_code)


def actor(name: str) -> Any:
    client = Client()
    client.force_login(make_user("clinician", make_site(), name))
    return client.get("/worklist/").wsgi_request.actor


def test_dear_requests_run_out_sooner_than_light_ones(shared: dict[str, float]) -> None:
    dear, light = actor("dear"), actor("light")
    assert [asked(costing(shared, 0.4), dear) for _ in range(5)] == [200] * 2 + [429] * 3
    assert [asked(costing(shared, 0.01), light) for _ in range(50)] == [200] * 50, "others go on"


def test_time_gives_it_back(shared: dict[str, float]) -> None:
    somebody = actor("back")
    answers = [asked(costing(shared, 0.5), somebody) for _ in range(5)]
    assert answers[-1] == 429
    rates.counter.forget()  # the session is not shut any longer
    shared["monotonic"] += 5
    shares.load.add(3.0)  # others keep the process busy
    assert asked(costing(shared, 0.5), somebody) == 200


def test_who_asks_while_nobody_else_does_has_no_share(shared: dict[str, float]) -> None:
    """A program that reads a record after the other at night; once others come, it has its share and no more."""
    program, answers = actor("program"), []
    for _ in range(60):
        answers.append(asked(costing(shared, 0.1), program))
        shared["monotonic"] += 0.6
    assert answers == [200] * 60
    shares.load.add(3.0)
    assert asked(costing(shared, 0.1), program) == 429
    rates.counter.forget()
    shared["monotonic"] += 15
    shares.load.add(3.0)
    assert asked(costing(shared, 0.1), program) == 200, "what was taken in quiet times is not held against it for long"


def test_one_long_report_shuts_nobody_out(shared: dict[str, float]) -> None:
    somebody = actor("report")
    assert asked(costing(shared, 60.0), somebody) == 200
    assert asked(costing(shared, 0.01), somebody) == 200


def test_the_first_one_too_many_is_one_line_on_the_log(shared: dict[str, float]) -> None:
    somebody = actor("noted share")
    for _ in range(8):
        asked(costing(shared, 0.5), somebody)
    assert Event.objects.filter(action="rate.limited", outcome="refused").count() == 1


def test_nothing_is_counted_where_no_share_is_set(shared: dict[str, float], settings: Any) -> None:
    settings.SALUS_SHARE_PER_PERSON = 0
    somebody = actor("free")
    assert {asked(costing(shared, 9.0), somebody) for _ in range(8)} == {200}


def test_the_time_is_the_processors(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.undo()
    settings.SALUS_SHARE_PER_PERSON = 0.001
    shares.shares.forget()
    with shares.spending("person:1"):
        time.sleep(0.2)
    shares.shares.take("person:1", shares.shares.full - 0.1, 0.001)
    assert shares.shares.seconds_to_wait("person:1", 0.001) == (0, False), "waiting cost nothing"


def wrong(name: str, address: str) -> Any:
    return Client(REMOTE_ADDR=address).post("/login/", {"username": name, "password": "not this one"})


def test_an_address_may_be_wrong_only_so_fast(shared: dict[str, float], settings: Any) -> None:
    settings.SALUS_TRIES_PER_ADDRESS, settings.SALUS_WRONG_A_SECOND = 10_000, 0.1
    shares.wrong_sign_ins.forget()
    answers = [wrong(f"nobody {at}", "10.7.7.7") for at in range(7)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 2
    assert "Several sign-ins from this place were wrong. Please wait 10 seconds." in answers[-1].content.decode()
    assert wrong("nobody", "10.7.7.8").status_code == 401, "another address goes on"
    shared["monotonic"] += 9.5
    assert [wrong(f"later {at}", "10.7.7.7").status_code for at in range(2)] == [401, 429]


def test_right_sign_ins_are_not_counted(shared: dict[str, float], settings: Any) -> None:
    settings.SALUS_WRONG_A_SECOND = 0.1
    shares.wrong_sign_ins.forget()
    make_user("clinician", make_site(), "morning")
    for _ in range(12):
        client = Client(REMOTE_ADDR="10.7.7.9")
        assert client.post("/login/", {"username": "morning", "password": PASSWORD}).status_code == 302
