"""A researcher's form in a real browser, with and without script: what is kept is what is on the screen; what is refused is seen."""

from __future__ import annotations

import os
from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from salus_web.cohorts.models import Cohort, Project
from salus_web.common.clock import now

from tests.browser.visiting import signed_in
from tests.factories.cohorts import make_bundle, make_crowd, make_project, observe, picture, predict
from tests.factories.people import make_site, make_user

QUIET = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
pytestmark = [pytest.mark.browser, pytest.mark.slow, QUIET, pytest.mark.django_db(transaction=True)]
# where pictures of the pages are put, for whoever wants to look at them; empty: nowhere
PICTURES = os.environ.get("SALUS_TEST_PICTURES", "")
SENTENCE = (
    "Female patients, aged between 30 and 70 years, with 2160-0 between 1 and 9 mg/dL, diagnosed with 38341003, "
    "with an image of modality CT, with a risk by tiny between 5 and 90 %, at 1 chosen site."
)


@pytest.fixture
def furnished(emptied_log: None) -> Project:
    """Forty women with everything that can be asked for, and twenty men with nothing."""
    site = make_site("here")
    project = make_project(site, members=[make_user("researcher", site, "tomas")])
    bundle = make_bundle("tiny", 'column = "ill"\npositive = ["yes"]')
    for number, person in enumerate(make_crowd(site, 40)):
        observe(person, "2160-0", 2 + number % 7, unit="mg/dL")
        picture(person, "CT")
        predict(person, bundle, 0.1 + number / 60)
    make_crowd(site, 20, sex="male")
    return project


def fill(page: Page) -> None:
    """Every field of the form once."""
    for name, value in {
        "age_low": "30", "age_high": "70", "code_0": "2160-0", "code_low_0": "1", "code_high_0": "9", "code_unit_0": "mg/dL",
        "conditions": "38341003", "risk_low": "5", "risk_high": "90",
    }.items():  # fmt: skip
        page.fill(f"[name={name}]", value)
    page.check("[name=sex][value=female]")
    page.check("[name=modality][value=CT]")
    page.select_option("[name=task]", "tiny")
    page.locator("[name=site]").first.check()


def fields(page: Page) -> dict[str, str]:
    """What stands in the fields, ticks included."""
    return {
        box.get_attribute("name") or "": str(box.is_checked()) if box.get_attribute("type") == "checkbox" else box.input_value()
        for box in page.locator("#cohort input, #cohort select").all()
    }  # fmt: skip


@pytest.mark.parametrize("script", [True, False])
def test_what_is_kept_is_what_is_on_the_screen(chromium: Browser, live_server: Any, furnished: Project, script: bool) -> None:
    page = signed_in(chromium, live_server.url, "tomas", script=script)
    page.goto(f"{live_server.url}/cohorts/projects/{furnished.pk}/")
    fill(page)
    before = fields(page)
    page.click("button:has-text('Show')")
    page.wait_for_selector(f"h2:text-is('{SENTENCE}')")
    assert fields(page) == before, "a page that shows figures shows what they are of"
    page.fill("#keep [name=name]", "Everything")
    page.click("button:has-text('Keep this cohort')")
    page.wait_for_selector("text=The cohort “Everything” is kept")
    assert Cohort.objects.get().sentence == SENTENCE and SENTENCE in page.inner_text("main")


def test_enter_in_a_field_shows_without_losing_the_others(chromium: Browser, live_server: Any, furnished: Project) -> None:
    page = signed_in(chromium, live_server.url, "tomas")
    page.goto(f"{live_server.url}/cohorts/projects/{furnished.pk}/")
    page.check("[name=sex][value=male]")
    page.fill("[name=age_low]", "40")
    page.press("[name=age_low]", "Enter")
    page.wait_for_selector("h2:text-is('Male patients, aged from 40 years up.')")
    assert page.is_checked("[name=sex][value=male]") and page.input_value("[name=age_low]") == "40"


def accessible(page: Page, name: str) -> None:
    """Nothing for axe at a desk and on a telephone, and nothing wider than the telephone."""
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        found = Axe().run(page)["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], f"{name} at {width}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        if PICTURES:
            page.screenshot(path=f"{PICTURES}/{name}-{width}.png", full_page=True)


def test_a_refusal_is_seen_and_old_figures_are_marked(chromium: Browser, live_server: Any, furnished: Project) -> None:
    page = signed_in(chromium, live_server.url, "tomas")
    address = f"{live_server.url}/cohorts/projects/{furnished.pk}/"
    for said in ("The cohort “Women” is kept", "already has a cohort named Women. Nothing was changed."):
        page.goto(address)
        assert page.locator("#said[role=status]").inner_text() == "", "the region is there before there is anything to say"
        page.fill("#keep [name=name]", "Women")
        page.click("button:has-text('Keep this cohort')")
        page.wait_for_selector(f"#said :text('{said}')")
    assert page.url == address and page.input_value("#keep [name=name]") == "Women", "one stays where one was"
    assert page.locator("[data-old]").count() == 0, "the figures are as good as before"
    page.check("[name=sex][value=female]")
    page.wait_for_selector("h2:text-is('Female patients.')")
    assert page.locator(".trouble").count() == 0, "what went well takes the old trouble away"
    Project.objects.update(ends_at=now())
    page.check("[name=sex][value=male]")
    page.wait_for_selector("#said :text('This project has ended')")
    assert page.locator("#figures[data-old]").count() == 1 and "Not up to date" in page.inner_text("#figures")
    assert "Female patients." in page.inner_text("#figures")
    accessible(page, "cohort-old")
    Project.objects.update(ends_at=None)
    page.click("button:has-text('Show')")
    page.wait_for_selector("h2:text-is('Female or male patients.')")
    assert page.locator("[data-old], .old-note, .trouble").count() == 0


def test_what_cannot_be_reached_is_said(chromium: Browser, live_server: Any, furnished: Project) -> None:
    page = signed_in(chromium, live_server.url, "tomas")
    page.goto(f"{live_server.url}/cohorts/projects/{furnished.pk}/")
    page.route("**/*fragment*", lambda route: route.abort())
    page.check("[name=sex][value=male]")
    page.wait_for_selector("#said :text('could not be reached')")
    assert page.locator("#figures[data-old]").count() == 1


def test_an_administrator_makes_a_project_and_ends_it(chromium: Browser, live_server: Any, furnished: Project) -> None:
    site = furnished.sites.get()
    make_user("administrator", site, "alma")
    newcomer = make_user("researcher", site, "ines")
    page = signed_in(chromium, live_server.url, "alma")
    page.goto(f"{live_server.url}/access/")
    page.click("text=Research projects")
    accessible(page, "projects")
    page.fill("[name=name]", "Sepsis on the wards")
    page.fill("[name=purpose]", "Does it help?")
    page.check("[name=site]")
    page.check(f"[name=member][value='{newcomer.pk}']")
    page.click("button:has-text('Make the project')")
    page.wait_for_selector("text=The project “Sepsis on the wards” runs")
    page.fill("[name=person]", "tomas")
    page.click("button:has-text('Put in')")
    page.wait_for_selector("text=Tomas is in the project")
    accessible(page, "project")
    page.click("[aria-label='Take Ines out']")
    page.wait_for_selector("text=Ines is not in the project any more")
    page.click("button:has-text('End the project now')")
    page.wait_for_selector("text=The project has ended")
