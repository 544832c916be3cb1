"""A work list that stays open, in a real browser: its ages go on, and rows that are put in anew leave the keyboard where it was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser
from salus_web.audit.models import Event
from salus_web.common.clock import now
from salus_web.predictions.models import CurrentRisk

from tests.browser.visiting import signed_in
from tests.factories.hospital import make_bundle, make_person
from tests.factories.people import SYSTEM, make_site, make_user, relate

# the test server closes a thread's view of the shared in-memory database from that thread; SQLite says so, harmlessly
QUIET = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
pytestmark = [pytest.mark.browser, pytest.mark.slow, QUIET]


@pytest.mark.django_db(transaction=True)
def test_a_list_that_stays_open_keeps_its_ages_and_its_place(chromium: Browser, live_server: Any, emptied_log: None) -> None:
    site, bundle = make_site(), make_bundle()
    user = make_user("clinician", site, "mira")
    people = [make_person(site, f"Qopen{at}", bundle, probability=0.5 - at / 100) for at in range(3)]
    for person in people:
        relate(user, person.patient)
    page = signed_in(chromium, live_server.url, "mira")
    page.clock.install()
    page.goto(f"{live_server.url}/worklist/")
    ages = page.locator("table.rows tbody tr:first-child time")
    assert ages.all_inner_texts() == ["now", "now", "28 h"]
    page.keyboard.press("j")
    page.keyboard.press("j")
    chosen, focused = page.locator("tr.chosen"), "document.activeElement.textContent"
    assert "NameQopen1" in chosen.inner_text() and "NameQopen1" in page.evaluate(focused)
    looks = Event.objects.filter(action="worklist.read").count()
    page.clock.run_for(3 * 3600 * 1000)
    assert ages.all_inner_texts() == ["3 h ago", "3 h", "31 h"]
    assert Event.objects.filter(action="worklist.read").count() == looks, "nobody looked again"
    CurrentRisk.objects.for_actor(SYSTEM).filter(patient=people[2].patient).update(sort_probability=0.9, updated_at=now() + timedelta(seconds=1))
    page.clock.run_for(11_000)
    page.wait_for_selector("table.rows tbody tr:first-child:has-text('NameQopen2')")
    assert chosen.count() == 1 and "NameQopen1" in chosen.inner_text() and "NameQopen1" in page.evaluate(focused)
    page.keyboard.press("k")
    assert "NameQopen0" in chosen.inner_text(), "the row above the one chosen, as the list stands now"
