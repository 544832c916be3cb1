"""Each user's main path in a real browser, at two widths, in light and dark, with axe-core finding nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from salus_web.accounts.models import RoleGrant, Site, User
from salus_web.audit.models import Event
from salus_web.cohorts.services import create_project
from salus_web.common.clock import now
from salus_web.jobs.models import Job, JobState
from salus_web.predictions.models import Review, RiskMap
from salus_web.predictions.services import request
from salus_web.records.models import CareRelation, Encounter, Patient
from salus_web.records.services import join_team
from salus_web.releases.models import Release

from tests.browser.visiting import signed_in
from tests.factories.people import PASSWORD, SYSTEM
from tests.factories.simulated import make_live, open_hospital, run

# the test server closes a thread's view of the shared in-memory database from that thread; SQLite says so, harmlessly
QUIET = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
pytestmark = [pytest.mark.browser, pytest.mark.slow, QUIET]
ROLES = {"mira": "clinician", "alma": "administrator", "noor": "auditor", "tomas": "researcher", "ines": "researcher"}


@pytest.mark.django_db(transaction=True)
def test_every_user_walks_their_main_path(
    chromium: Browser, live_server: Any, emptied_log: None, tmp_path: Path
) -> None:
    furnish(tmp_path)
    url = live_server.url
    clinician_judges_a_risk(signed_in(chromium, url, "mira"), url)
    clinician_breaks_the_glass(signed_in(chromium, url, "mira"), url)
    administrator_gives_access(signed_in(chromium, url, "alma"), url)
    auditor_finds_the_look(signed_in(chromium, url, "noor"), url)
    researcher_takes_a_cohort_out(chromium, url)
    for username in ROLES:
        everything_is_accessible(chromium, url, username)


def furnish(folder: Path) -> None:
    """A simulated hospital with risks of those present, and five people."""
    open_hospital(folder / "hospital", patients=90, present=12)
    sites = list(Site.objects.order_by("code"))
    users = {}
    for username, role in ROLES.items():
        users[username] = User.objects.create_user(username, PASSWORD, display_name=username.title())
        for site in sites:
            RoleGrant.objects.create(user=users[username], site=site, role=role, starts_at=now(), granted_by="test")
    for ward, site in Encounter.objects.for_actor(SYSTEM).values_list("ward", "patient__site").distinct():
        join_team(site=Site.objects.get(pk=site), team_name=ward, user=users["mira"], by=SYSTEM)
    members = [users["tomas"].pk, users["ines"].pk]
    create_project(name="Wards", purpose="test", site_ids=[site.pk for site in sites], member_ids=members, by=SYSTEM)
    bundle = make_live()
    present = Encounter.objects.for_actor(SYSTEM).filter(ends_at__isnull=True).values_list("patient_id", flat=True)
    assert run(request(patient_ids=[str(key) for key in present], bundle=bundle, why="test", by=SYSTEM)).state == "done"


def clinician_judges_a_risk(page: Page, url: str) -> None:
    """Work list by keyboard, the risk, its map, the judgement, the receipt's replay."""
    page.goto(f"{url}/worklist/")
    assert page.locator("table.rows tbody tr").count() == 12
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/predictions/**")
    assert "90 % interval" in page.inner_text("main")
    assert page.locator("[aria-labelledby=why] .on-wide svg").is_visible()
    if page.locator("#opacity").count():
        page.locator("#opacity").fill("20")
        assert page.locator(".salus-map").first.get_attribute("opacity") == "0.2"
    page.check("[name=decision][value=override]")
    page.select_option("[name=reason]", "knows_more")
    page.fill("[name=note]", "Do not intubate")
    page.click("#judgement button")
    page.wait_for_selector("text=Overridden")
    assert Review.objects.for_actor(SYSTEM).get().note == "Do not intubate"
    page.click("button:has-text('Replay')")
    page.wait_for_selector("#replay progress")
    run(Job.objects.get(kind="replay"))
    page.wait_for_selector("text=the same risk and the same reasons")
    a_part_of_the_film_has_a_frame(page, url)
    page.click(".banner .name")
    page.wait_for_selector("text=The record on one time axis")


def clinician_breaks_the_glass(page: Page, url: str) -> None:
    """A record that is not in care, a reason, the red bar with its clock; at its end the page looks again by itself."""
    cared_for = CareRelation.objects.filter(ends_at__isnull=True).values("patient_id")
    stranger = Patient.objects.for_actor(SYSTEM).exclude(pk__in=cared_for).first()
    page.clock.install()
    page.goto(f"{url}/emergency/")
    page.select_option("[name=site]", str(stranger.site_id))
    page.fill("[name=mrn]", stranger.mrn)
    page.select_option("[name=reason_code]", "danger")
    page.fill("[name=reason]", "found on the floor of the corridor")
    page.click("button.alarm")
    page.wait_for_selector(".emergency button")
    assert page.inner_text("[data-seconds-left]") == "3 h 59 min"
    page.clock.fast_forward("02:00:00")
    page.wait_for_selector("text=/^[12] h \\d\\d min$/")
    with page.expect_navigation():
        page.clock.fast_forward("02:00:05")


def a_part_of_the_film_has_a_frame(page: Page, url: str) -> None:
    """Where the model was shown a part only: the dashes are really drawn."""
    page.goto(f"{url}/worklist/")
    mine = [str(link.get_attribute("href")).split("/")[2] for link in page.locator("a[href^='/predictions/']").all()]
    drawn = RiskMap.objects.for_actor(SYSTEM).filter(prediction_id__in=mine, prediction__state="computed")[0]
    RiskMap.objects.for_actor(SYSTEM).filter(pk=drawn.pk).update(box=[5, 5, 60, 60])
    page.goto(f"{url}/predictions/{drawn.prediction_id}/")
    line = page.eval_on_selector(".film .frame", "frame => [getComputedStyle(frame).stroke, getComputedStyle(frame).strokeDasharray]")
    assert line == ["rgb(255, 255, 255)", "6px, 4px"]


def administrator_gives_access(page: Page, url: str) -> None:
    """A role given, and the sentence why somebody may see a patient."""
    page.goto(f"{url}/access/")
    page.locator('[name=mrn]').first.fill('nobody')
    page.click("button:has-text('Ask')")
    page.wait_for_selector("text=Nobody at this hospital has this record number")
    panel = page.locator("section:has(h2:text-is('Put a person into a care team'))")
    panel.locator("input[name=person]").fill("noor")
    panel.locator("input[name=team]").fill("Night team")
    panel.locator("button").click()
    page.wait_for_selector("text=is in the care team Night team")


def auditor_finds_the_look(page: Page, url: str) -> None:
    """The clinician's look is on the log, and the log is whole."""
    page.goto(f"{url}/audit/?action=prediction.read")
    assert "Mira" in page.inner_text("table")
    page.click("button:has-text('Verify')")
    page.wait_for_selector("#proof progress")
    run(Job.objects.filter(kind="verify_log", state=JobState.QUEUED).get())
    page.wait_for_selector("text=The log is whole")
    number, written = Event.objects.count(), Event.objects.order_by("-number").first()
    assert written is not None and written.number == number


def researcher_takes_a_cohort_out(chromium: Browser, url: str) -> None:
    """A cohort with live counts, a release that two others decide, a file."""
    page = signed_in(chromium, url, "tomas")
    page.click("text=Build a cohort")
    page.wait_for_selector("#figures .figure")
    with page.expect_response(lambda answer: "fragment" in answer.url):
        page.fill("[name=age_low]", "50")
        page.locator("[name=age_low]").blur()
    page.wait_for_selector("text=aged from 50")
    page.fill("[name=name]", "Over fifty")
    page.click("button:has-text('Keep this cohort')")
    page.wait_for_selector("text=is kept")
    page.goto(f"{url}/cohorts/")
    page.fill("[name=purpose]", "A table for the paper")
    page.click("button:has-text('Ask for a release')")
    page.wait_for_selector("text=being prepared")
    run(Job.objects.get(kind="prepare_release"))
    for username, said in (("ines", "until somebody else has said yes too"), ("alma", "The release was let out")):
        other = signed_in(chromium, url, username)
        other.goto(f"{url}/releases/")
        other.click("text=Over fifty")
        other.check("[value=release]")
        other.fill("[name=why]", "Nobody can be told apart")
        other.click("button:has-text('Decide')")
        other.wait_for_selector(f"text={said}")
    page.goto(f"{url}/releases/{Release.objects.get().pk}/")
    with page.expect_download() as taken:
        page.click("text=cohort.csv")
    table = Path(taken.value.path()).read_text()
    assert table.count("\n") > 11 and "SIM" not in table


PAGES = {
    "clinician": ["/worklist/", "/patients/", "/requests/", "/emergency/", "emergency patient", "/uploads/", "/models/", "/jobs/", "first risk", "first patient"],
    "administrator": ["/access/", "first person", "first team", "/emergencies/", "first emergency", "/audit/", "/jobs/", "/operations/", "/models/", "first model"],
    "auditor": ["/audit/", "/audit/odd/", "/access/", "/emergencies/", "first emergency"],
    "researcher": ["/cohorts/", "first cohort", "/requests/", "/releases/", "first release"],
}


def everything_is_accessible(chromium: Browser, url: str, username: str) -> None:
    """axe-core finds nothing, and nothing runs out of the page sideways."""
    links = {"first risk": "a[href^='/predictions/']", "first patient": "a[href^='/patients/0']", "first model": "a[href^='/models/0']", "first cohort": "a[href^='/cohorts/projects/']", "first release": "a[href^='/releases/0']"}  # fmt: skip
    links |= {"emergency patient": "td a.button", "first emergency": ".card a", "first person": "a[href^='/access/people/0']", "first team": "a[href^='/access/teams/0']"}
    starts = {"first risk": "/worklist/", "first patient": "/patients/", "first person": "/access/", "first team": "/access/", "emergency patient": "/emergency/", "first emergency": "/emergencies/", "first model": "/models/", "first cohort": "/cohorts/", "first release": "/releases/"}
    for width, dark in ((1440, False), (390, True)):
        page = signed_in(chromium, url, username, width=width, dark=dark)
        for name in PAGES[ROLES[username]]:
            page.goto(url + starts.get(name, name))
            if name in links:
                page.locator(links[name]).first.click()
                page.wait_for_load_state()
            found = Axe().run(page)["violations"]
            said = [(entry["id"], [node["html"][:120] for node in entry["nodes"][:3]]) for entry in found]
            assert not said, f"{name} at {width}: {said}"
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} at {width} runs out sideways"
