"""One person who asks on and on after having had too much, on twenty connections, against one synchronous web process: each
answer comes late and whole, and meanwhile the process answers others at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from salus_web.accounts.rates import LATE_SECONDS, WINDOW_SECONDS

from tests.drills.hostile_server import Server, answer_of

pytestmark = [pytest.mark.drill, pytest.mark.slow]
LIMIT, CONNECTIONS, NEEDED_SECONDS = 20, 20, 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, repository_root: Path) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), repository_root, threads=1, SALUS_REQUESTS_PER_PERSON=str(LIMIT)) as found:
        yield found


def wait_for_a_young_minute() -> None:
    """Counts are of a minute: at its end whoever had too much is let in again, which is not what is drilled here."""
    left = WINDOW_SECONDS - time.time() % WINDOW_SECONDS
    if left < NEEDED_SECONDS:
        time.sleep(left)


def test_who_asks_on_waits_and_others_do_not(server: Server) -> None:
    wait_for_a_young_minute()
    page = server.head("/uploads/", 0, verb="GET")
    statuses = []
    while 429 not in statuses and len(statuses) < 3 * LIMIT:
        statuses.append(int(server.ask(page)[9:12]))
    assert set(statuses) == {200, 429}
    lines, began = [server.open() for _ in range(CONNECTIONS)], time.monotonic()
    for line in lines:
        line.sendall(page)
    took = []
    for _ in range(10):
        asked = time.monotonic()
        assert server.ask(b"GET /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").startswith("HTTP/1.1 200")
        took.append(time.monotonic() - asked)
    assert time.monotonic() - began < LATE_SECONDS, "others were to be answered while the late ones are kept"
    answers = [answer_of(line) for line in lines]
    waited = time.monotonic() - began
    for line in lines:
        line.close()
    assert all(answer.startswith("HTTP/1.1 429") and answer.endswith("</html>\n") and "Retry-After" in answer for answer in answers)
    assert LATE_SECONDS <= waited < LATE_SECONDS + 2, "kept side by side, not one after another"
    assert max(took) < LATE_SECONDS / 2
