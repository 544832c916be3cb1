"""What a patient is called, and every other planted word of theirs, is in no address, no cookie, no line of the machine's log,
no message of the queue, no error page and no job; though the pages show it to those who may see it."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings as live
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import URLPattern
from kombu import pools
from salus_web.common.log_lines import PlainFacts
from salus_web.dashboard.processes import Household, queue_part, wait_until
from salus_web.ingest.services import receive
from salus_web.jobs.celery import app, configure
from salus_web.jobs.models import Job
from salus_web.jobs.services import enqueue, publish
from salus_workers.pipelines.registry import PIPELINES

from tests.factories.people import SYSTEM
from tests.factories.simulated import run
from tests.house.test_every_url import LETTER, ROLES, TABLE, TOKENS, Place, patterns, place  # noqa: F401 (a fixture)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
WORDS = tuple(TOKENS.values())
# attributes from which a browser makes requests, and keeps what it requested
ADDRESSES = frozenset({"href", "src", "action", "formaction", "data", "hx-get", "hx-post", "hx-vals", "poster", "ping"})


class Reader(HTMLParser):
    """Addresses a page holds, and whatever in it would run or style by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.posts = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Every tag."""
        said = dict(attrs)
        self.addresses += [value or "" for name, value in attrs if name in ADDRESSES]
        self.inline += [f"{tag} {name}" for name in said if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in said and said.get("type") != "application/json"):
            self.inline.append(tag)
        if any((value or "").strip().lower().startswith("javascript:") for value in said.values()):
            self.inline.append(f"{tag} javascript:")


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def planted_in(text: str) -> list[str]:
    return [word for word in WORDS if word.lower() in text.lower()]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that the machine's log would hold, debugging included, written as it is everywhere."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PlainFacts())
    loggers = [logging.getLogger(name) for name in ("", "django", "celery", "salus_web", "salus_workers")]
    levels = [logger.level for logger in loggers]
    loggers[0].addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield stream
    loggers[0].removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def walk(place: Place, role: str) -> Iterator[tuple[str, Any]]:  # noqa: F811
    """Every answer of every address to this role."""
    for pattern in patterns():
        for method in ("get", "post"):
            for whose in ("own", "unrelated") if pattern.pattern.converters else ("own",):
                yield f"{method} {pattern.name} as {role} about {whose}", place.ask(role, method, pattern, whose)


@pytest.mark.parametrize("role", ROLES)
def test_no_address_cookie_or_line_of_the_log_holds_a_planted_word(place: Place, role: str, log: io.StringIO) -> None:  # noqa: F811
    shown = addresses = 0
    for where, answer in walk(place, role):
        headers = "".join(f"{name}: {value}\n" for name, value in answer.headers.items())
        assert planted_in(headers + answer.cookies.output()) == [], where
        if answer.headers.get("Content-Type", "").startswith("text/html") and not answer.streaming:
            page = answer.content.decode()
            reader = read(page)
            addresses += len(reader.addresses)
            assert planted_in("\n".join(reader.addresses)) == [], where
            assert reader.inline == [], f"{where} has an inline style, script or handler"
            shown += bool(planted_in(page))
    assert addresses > 20 and (shown > 5) == (role == "clinician"), (addresses, shown)
    assert "/" in log.getvalue() and planted_in(log.getvalue()) == [], [line for line in log.getvalue().splitlines() if planted_in(line)][:3]


def test_a_search_is_in_no_address(place: Place, log: io.StringIO) -> None:  # noqa: F811
    client = place.client("clinician")
    for text in (f"MRN{TOKENS['own']}", f"Name{TOKENS['own']}", f"MRN{TOKENS['other']}"):
        answer = client.post("/patients/", {"q": text})
        assert planted_in(answer.headers["Location"]) == []
        assert planted_in(client.get(answer.headers["Location"]).headers.get("Location", "")) == []
    assert planted_in(str([row.get_decoded() for row in Session.objects.all()])) == [], "not in the session either, but sealed"
    forms = [line for line in client.get("/patients/").content.decode().split("<form")[1:] if 'name="q"' in line]
    assert len(forms) == 2 and all('method="post"' in form for form in forms)
    assert planted_in(log.getvalue()) == []


def everything_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the views call raises with a planted word in its words, as a database or a parser would."""
    for module in ("clinician", "risks", "looks", "operations", "audit", "research", "access", "people", "home"):
        for name in ("open_patient", "worklist_page", "my_patients", "search_patients", "prediction_page", "uploads_for", "jobs_for",
                     "events", "cohorts_for", "releases_for", "people_at", "first_page"):  # fmt: skip
            monkeypatch.setattr(f"salus_web.dashboard.views.{module}.{name}", Failing(), raising=False)


class Failing:
    """Fails whatever is asked of it."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        cause = KeyError(f"Name{TOKENS['own']}")
        raise ValueError(f"invalid value “{TOKENS['own']}”") from cause

    def __getattr__(self, name: str) -> Any:
        return self


def test_an_error_shows_its_kind_and_place_and_none_of_its_words(place: Place, log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    everything_fails(monkeypatch)
    failed = 0
    for role in ("clinician", "auditor"):
        for where, answer in walk(place, role):
            if answer.status_code == 500:
                failed += 1
                assert planted_in(answer.content.decode()) == [] and "Traceback" not in answer.content.decode(), where
    said = log.getvalue()
    assert failed > 10 and "ValueError" in said and "KeyError" in said and "test_no_patient_in_traces.py:" in said
    assert planted_in(said) == [], [line for line in said.splitlines() if planted_in(line)][:3]


def test_a_message_that_repeats_an_exception_loses_its_words() -> None:
    """As Celery and Django write them."""
    formatter = PlainFacts()
    try:
        raise ValueError(f"name {TOKENS['own']}")
    except ValueError as error:
        for text, values in (("Task x raised unexpected: %r", (error,)), ("%s: /patients/", (str(error),)), ("%(exc)s", ({"exc": repr(error)},))):
            record = logging.LogRecord("celery", logging.ERROR, __file__, 1, text, values, (ValueError, error, error.__traceback__))
            said = formatter.format(record)
            assert planted_in(said) == [] and "ValueError" in said


def test_every_handler_of_the_settings_writes_this_way() -> None:
    for handler in live.LOGGING["handlers"].values():
        assert live.LOGGING["formatters"][handler["formatter"]]["()"] == "salus_web.common.log_lines.PlainFacts"
    assert all(not logger["handlers"] for logger in live.LOGGING["loggers"].values())


@pytest.fixture
def broker(tmp_path: Path, settings: Any) -> Iterator[redis.Redis]:
    """A real one, embedded, empty, which nobody reads."""
    household = Household(tmp_path / "logs")
    part, address = queue_part(household, tmp_path)
    household.start(part)
    socket = Path(address.removeprefix("redis+socket://"))
    wait_until(socket.exists, household, seconds=10, what="queue")
    connect_to(settings, address)
    client = redis.Redis(unix_socket_path=str(socket))
    yield client
    client.close()
    household.stop()
    connect_to(settings, "memory://")


def connect_to(settings: Any, address: str) -> None:
    """Celery keeps its connections; these go."""
    settings.CELERY_BROKER_URL = address
    configure()
    pools.reset()
    app._after_fork()  # type: ignore[attr-defined]


def held_by(client: redis.Redis) -> list[str]:
    """Every value in the broker, as text."""
    found = []
    for key in client.scan_iter():
        kind = client.type(key)
        read_all: dict[bytes, Callable[[], Any]] = {
            b"list": lambda: client.lrange(key, 0, -1), b"set": lambda: client.smembers(key),  # noqa: B023
            b"hash": lambda: client.hgetall(key), b"zset": lambda: client.zrange(key, 0, -1), b"string": lambda: client.get(key),  # noqa: B023
        }  # fmt: skip
        found.append(f"{key!r} {read_all[kind]()!r}")
    return found


def test_the_queue_holds_ids_and_nothing_else(place: Place, broker: redis.Redis, tmp_path: Path) -> None:  # noqa: F811
    patient = place.people["own"].patient
    content = f'{{"resourceType": "Bundle", "note": "{TOKENS["own"]}"}}'.encode()
    upload = receive(filename=f"{TOKENS['own']}.json", content=content, site=place.here, by=SYSTEM)
    jobs = [upload.job] + [
        enqueue(kind=kind, unique_key=f"traces {kind}", payload={"patient_ids": [str(patient.pk)]}, title=kind, by=SYSTEM)
        for kind in PIPELINES
    ]
    sent = [job for job in jobs if job is not None and publish(job_id=str(job.pk))]
    assert len(sent) == len(PIPELINES) + 1
    held = held_by(broker)
    on_disk = b"".join(path.read_bytes() for path in (tmp_path / "queue").rglob("*") if path.is_file()).decode("latin-1")
    for job in sent:
        assert any(str(job.pk) in text for text in held) and str(job.pk) in on_disk, "the search is blind"
    assert planted_in("".join(held)) == [] and planted_in(on_disk) == []
    assert str(patient.pk) not in "".join(held), "not even whose data it is about"


def test_jobs_in_rows_hold_no_planted_word(place: Place, log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setitem(PIPELINES, "trial", Failing())
    failed = run(enqueue(kind="trial", unique_key="trial", payload={}, by=SYSTEM))
    refused = run(receive(filename=f"{TOKENS['own']}.json", content=bad_bundle(TOKENS["own"]), site=place.here, by=SYSTEM).job)
    assert failed.state == "failed" and refused.state == "done"
    rows = "".join(str(row) for row in Job.objects.exclude(unique_key__startswith="p").values())
    assert planted_in(rows) == [] and planted_in(log.getvalue()) == []


def bad_bundle(word: str) -> bytes:
    """A file whose refusal quotes it."""
    patient = f'{{"resourceType": "Patient", "birthDate": "{word}", "identifier": [{{"value": "{word}"}}]}}'
    return f'{{"resourceType": "Bundle", "entry": [{{"resource": {patient}}}]}}'.encode()


def test_no_template_has_anything_inline(repository_root: Path) -> None:
    """Also those that no walk reaches."""
    found = {}
    for path in sorted((repository_root / "platform/salus_web").rglob("templates/**/*.html")):
        if inline := read(path.read_text()).inline:
            found[path.name] = inline
    assert found == {}
    assert read('<p style="x" onclick="y"><script>z</script><style></style><a href="javascript:x">').inline == [
        "p style", "p onclick", "script", "style", "a javascript:",
    ]  # fmt: skip


def test_the_walk_reaches_what_it_should(place: Place) -> None:  # noqa: F811
    """A page that did show a word in an address would be found."""
    assert planted_in("\n".join(read(f'<a href="/x/?q={TOKENS["own"]}">').addresses)) == [TOKENS["own"]]
    names = {pattern.name for pattern in patterns() if isinstance(pattern, URLPattern)}
    assert names == set(TABLE) and LETTER["clinician"] in TABLE["patients"][2]
    assert isinstance(place.client("clinician"), Client)
