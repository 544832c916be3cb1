"""The operations page with a broker that is there: what lies in its queues and what it is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from salus_web.dashboard.pages.operations import page
from salus_web.dashboard.processes import Household, queue_part, wait_until

from tests.factories.people import client_of, make_site, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["embedded", "server"])
def real_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a broker that is there: the one `up` starts, and the one that SALUS_TEST_REDIS_URL names."""
    if request.param == "server":
        if not os.environ.get("SALUS_TEST_REDIS_URL"):
            pytest.skip("no server is named (SALUS_TEST_REDIS_URL); .ci/run names one in its second pass")
        yield os.environ["SALUS_TEST_REDIS_URL"].rpartition("/")[0] + "/9"  # apart from what other tests send
        return
    household = Household(tmp_path / "logs")
    try:
        part, address = queue_part(household, tmp_path)
        household.start(part)
        wait_until((household.short_folder / "queue.sock").exists, household, seconds=10, what="queue")
        yield address
    finally:
        household.stop()


def test_a_real_broker_says_what_lies_in_its_queues(settings: Any, real_broker: str) -> None:
    with redis.Redis.from_url(real_broker.replace("redis+socket://", "unix://", 1)) as link:
        link.delete("cpu", "gpu")
        link.lpush("gpu", "one", "two", "three")
        try:
            settings.CELERY_BROKER_URL = real_broker
            page.broker_probe(real_broker).start()
            page.broker_probe(real_broker).answer(until=time.monotonic() + 10)
            found = client_of(make_user("administrator", make_site())).get("/operations/").context["page"]
        finally:
            link.delete("gpu")
    assert {row.queue.name: row.depth for row in found.queues} == {"cpu": 0, "gpu": 3}
    version = next(one for one in dict(found.groups)["Version"] if one.label == "Broker")
    assert version.state == "good" and version.said.split()[0] in {"Redis", "Valkey"} and version.said.split()[1][0].isdigit()
