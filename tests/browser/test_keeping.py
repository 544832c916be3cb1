"""What a patient allows, holds, retention and an erasure by two people in a real browser, with axe-core finding nothing."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe
from django.db.models import QuerySet
from playwright.sync_api import Browser, Page
from salus_web.accounts.models import Site
from salus_web.common import keyring
from salus_web.common.clock import now
from salus_web.records.models import Encounter, Patient
from salus_web.registry.models import BundlePerson
from salus_web.releases.models import ReleaseState

from tests.browser.visiting import signed_in
from tests.factories.cohorts import make_project
from tests.factories.hospital import make_bundle, make_person, make_release
from tests.factories.people import SYSTEM, make_site, make_user, relate

QUIET = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
pytestmark = [pytest.mark.browser, pytest.mark.slow, QUIET]
# where pictures of the pages are put, for whoever wants to look at them; empty: nowhere
PICTURES = os.environ.get("SALUS_TEST_PICTURES", "")


def accessible(page: Page, name: str) -> None:
    """Nothing for axe in light and dark, at a desk and on a telephone, and nothing wider than the telephone."""
    for width, scheme in ((1440, "light"), (390, "dark")):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        found = Axe().run(page)["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], f"{name} at {width}"
        if PICTURES:
            page.screenshot(path=f"{PICTURES}/{name}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1440, "height": 900})


def furnish(site: Site) -> Patient:
    """A patient in care, held by an export and a model; one who is due; an administrator and a second one."""
    bundle, researcher = make_bundle(), make_user("researcher", site)
    person = make_person(site, "Vesper", bundle)
    for username, role in (("mira", "clinician"), ("alma", "administrator"), ("bela", "administrator")):
        user = make_user(role, site, username)
        if role == "clinician":
            relate(user, person.patient)
    make_release(make_project(site, members=[researcher]), researcher, state=ReleaseState.RELEASED, people=(person.patient.pseudonym,))
    BundlePerson.objects.create(bundle=bundle, patient=person.patient)
    old, held = make_person(site, "Alder", bundle), make_person(site, "Birch", bundle)
    moment = now() - timedelta(days=6000)
    QuerySet(Encounter).filter(patient__in=[old.patient, held.patient]).update(starts_at=moment, ends_at=moment)
    return person.patient


@pytest.mark.django_db(transaction=True)
def test_a_patient_takes_back_their_word_and_is_erased(
    chromium: Browser, live_server: Any, emptied_log: None, settings: Any, tmp_path: Path
) -> None:
    settings.SALUS_PERSON_KEYS_FILE, settings.SALUS_ERASED_FILE = str(tmp_path / "keys.sqlite3"), str(tmp_path / "erased.jsonl")
    keyring.forget()
    patient, url = furnish(make_site()), live_server.url
    ward = signed_in(chromium, url, "mira")
    takes_back(ward, f"{url}/patients/{patient.pk}/")
    first, second = signed_in(chromium, url, "alma"), signed_in(chromium, url, "bela")
    acts_on_each(first, url)
    holds_and_asks_who_is_due(first, second, url)
    is_erased(first, second, ward, url, patient)
    keyring.forget()


def takes_back(page: Page, address: str) -> None:
    page.goto(address)
    page.click("text=what is allowed")
    for purpose, said, form in (("research", "yes", "Research consent 3.1"), ("research", "no", "Withdrawal 1.0"), ("training", "no", "Withdrawal 1.0")):
        page.check(f"[name=purpose][value={purpose}]")
        page.check(f"[name=said][value={said}]")
        page.fill("[name=form]", form)
        page.click("text=Keep as a new version")
        page.wait_for_selector("text=the earlier word stays")
    assert "put on the administrators' list" in page.inner_text("main") and "Research consent 3.1" in page.inner_text("main")
    accessible(page, "consent")


def acts_on_each(page: Page, url: str) -> None:
    page.goto(f"{url}/keeping/")
    assert page.locator("text=Mark as done").count() == 2
    page.locator("[name=words]").first.fill("The project deleted its copy and wrote so on 4 November.")
    page.locator("text=Mark as done").first.click()
    page.wait_for_selector("text=Marked as done")
    assert page.locator("text=Mark as done").count() == 1


def panel(page: Page, title: str) -> Any:
    return page.locator(f'section:has(h2:text-is("{title}"))')


def holds_and_asks_who_is_due(first: Page, second: Page, url: str) -> None:
    hold = panel(first, "Hold a patient's data")
    hold.locator("[name=mrn]").fill("MRNBirch")
    hold.locator("[name=reason]").fill("Coroner's enquiry 17")
    hold.locator("button").click()
    first.wait_for_selector("text=The hold stands")
    first.locator("input[name=years]").first.fill("10")
    first.locator("button:has-text('Set')").first.click()
    first.wait_for_selector("text=The rule holds from now on")
    first.click("text=Dry run: who is due?")
    first.wait_for_selector("text=This is a dry run")
    body = first.inner_text("main")
    assert "people 1, rows 18" in body and "Coroner's enquiry 17" in body and "another administrator has to decide" in body
    second.goto(first.url)
    accessible(second, "dry-run")
    second.check("[value=refuse]")
    second.fill("[name=why]", "Not before the move")
    second.click("button:has-text('Decide')")
    second.wait_for_selector("text=Refused; nothing goes")


def is_erased(first: Page, second: Page, ward: Page, url: str, patient: Patient) -> None:
    first.goto(f"{url}/keeping/")
    ask = panel(first, "Ask for a person to be erased")
    ask.locator("[name=mrn]").fill("MRNVesper")
    ask.locator("[name=reason]").fill("asked for in writing")
    ask.locator("button").click()
    first.wait_for_selector("text=Nothing was erased yet")
    second.goto(first.url)
    accessible(second, "erasure")
    second.check("[value=erase]")
    second.fill("[name=why]", "The letter is on file")
    second.click("button:has-text('Decide')")
    second.wait_for_selector("text=The person was erased")
    second.goto(f"{url}/keeping/")
    accessible(second, "keeping")
    ward.goto(f"{url}/patients/{patient.pk}/")
    assert "⌧ erased" in ward.inner_text("main")
    accessible(ward, "erased")
    assert Patient.objects.for_actor(SYSTEM).get(pk=patient.pk).erased_at is not None
