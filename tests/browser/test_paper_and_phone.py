"""What stands on paper, and what a phone shows first: nothing hidden, nothing pale, the newest in view, a finger's width to touch."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from playwright.sync_api import Browser, Page
from salus_web.common.clock import now
from salus_web.common.encryption import blind_index
from salus_web.records.models import PatientNameToken

from tests.browser.test_main_paths import QUIET
from tests.browser.visiting import signed_in
from tests.factories.cohorts import observe
from tests.factories.hospital import make_bundle, make_person
from tests.factories.people import make_site, make_user, relate

pytestmark = [pytest.mark.browser, pytest.mark.slow, QUIET]
A4 = 718  # pixels between margins of 10 mm


@pytest.mark.django_db(transaction=True)
@override_settings(SALUS_SIMULATED=True)
def test_paper_a_phone_and_the_way_back(chromium: Browser, live_server: Any, emptied_log: None) -> None:
    site, bundle = make_site(), make_bundle()
    nurse = make_user("clinician", site, "mira")
    people = [make_person(site, token, bundle, probability=0.31) for token in ("Qone", "Qtwo")]
    for person in people:
        relate(nurse, person.patient)
        PatientNameToken.objects.create(patient=person.patient, token=blind_index("Haddad", purpose="name"))
        for hours in range(1, 9):
            observe(person.patient, "8867-4", 80 + hours, unit="/min", at=now() - timedelta(hours=6 * hours))
    url, risk = live_server.url, f"/predictions/{people[0].prediction.pk}/"
    patient = f"/patients/{people[0].patient.pk}/"
    a_refused_judgement_is_in_view(signed_in(chromium, url, "mira", width=390), url + risk)
    the_newest_is_in_view(signed_in(chromium, url, "mira", width=390), url, patient)
    back_leads_to_what_was_found(signed_in(chromium, url, "mira"), url)
    paper_is_whole_and_light(signed_in(chromium, url, "mira", width=A4, dark=True), url, patient)


def a_refused_judgement_is_in_view(page: Page, risk: str) -> None:
    """The message, the note that was typed, and the heading, which the patient's banner does not cover."""
    page.goto(risk)
    page.check("[name=decision][value=override]")
    page.select_option("[name=reason]", "agree")
    page.fill("[name=note]", "Palliative since Tuesday")
    page.click("#judgement button.main")
    page.wait_for_selector("#judgement .bad")
    page.wait_for_timeout(300)
    assert page.input_value("[name=note]") == "Palliative since Tuesday"
    heading, message, banner = (page.locator(what).bounding_box() for what in ("#judgement h2", "#judgement .bad", ".banner"))
    assert heading and message and banner
    assert banner["y"] + banner["height"] <= heading["y"] and message["y"] + message["height"] <= 900


def the_newest_is_in_view(page: Page, url: str, patient: str) -> None:
    """The right end of the time axis, the item of the bar that one is on, and cards that open wherever they are touched."""
    page.goto(url + patient)
    axis = page.eval_on_selector(".scroll.wide", "one => [one.scrollLeft + one.clientWidth, one.scrollWidth]")
    assert axis[0] >= axis[1] - 1 and axis[1] >= 900
    page.goto(f"{url}/jobs/")
    item = page.locator(".bar nav [aria-current]").bounding_box()
    assert item and item["x"] >= 0 and item["x"] + item["width"] <= 390
    page.goto(f"{url}/worklist/")
    card = page.locator("#rows tbody tr").first
    box, name = card.bounding_box(), card.locator("td a").first.bounding_box()
    assert box and name and name["height"] >= 44
    card.click(position={"x": box["width"] - 20, "y": box["height"] - 12})
    page.wait_for_url("**/predictions/**")


def back_leads_to_what_was_found(page: Page, url: str) -> None:
    """No question whether a form shall be sent again, and no name in the address."""
    page.goto(f"{url}/patients/")
    page.fill("main [name=q]", "Haddad")
    page.press("main [name=q]", "Enter")
    page.wait_for_url("**/patients/?found=*")
    assert page.locator("main tbody tr").count() == 2
    page.locator("main tbody a").first.click()
    page.wait_for_selector(".banner")
    page.go_back()
    page.wait_for_selector("h1:has-text('Found in your care')")
    assert page.locator("main tbody tr").count() == 2 and "Haddad" not in page.url


def paper_is_whole_and_light(page: Page, url: str, patient: str) -> None:
    """Of the work list nothing lies beside the sheet; it is dark on light although the screen is dark; it says what it is and when."""
    page.goto(f"{url}/worklist/")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.emulate_media(media="print")
    assert page.evaluate("Math.max(...[...document.querySelectorAll('html, .scroll')].map(one => one.scrollWidth))") <= A4
    assert page.eval_on_selector("body", "one => getComputedStyle(one).color") == "rgb(22, 25, 28)"
    assert page.locator(".simulated").is_visible() and page.locator("text=This list was made on").is_visible()
    assert page.locator(".tabs [aria-current]").first.is_visible(), "which question it is of"
    cell = "getComputedStyle(one, '::after').content"
    assert " UTC" in page.eval_on_selector("#rows td[data-label='as of'] time", f"one => {cell}")
    page.goto(url + patient)
    said = page.eval_on_selector_all("main aside time[title$=' UTC']", f"all => all.map(one => one.previousSibling.textContent.trim().split(' ').slice(-2).join(' ') + ' ' + {cell})")
    assert said and all(re.search(r"(as of|computed) .*\(.* UTC.*\)", one.replace('"', "")) for one in said), f"which of two moments each is: {said}"
