"""The door in a real browser: a passkey set up, used alone and shown again; every page of it with axe-core finding nothing."""

from __future__ import annotations

from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.factories.factors import code_now
from tests.factories.people import PASSWORD, make_site, make_user

QUIET = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
pytestmark = [pytest.mark.browser, pytest.mark.slow, QUIET]
FINGER = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True,
    "automaticPresenceSimulation": True,
}  # fmt: skip


def accessible(page: Page) -> None:
    """Nothing for axe, at a desk and on a telephone, and nothing wider than the telephone."""
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        found = Axe().run(page)["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], page.url
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, page.url


def knock(page: Page, url: str) -> None:
    page.goto(f"{url}/login/")
    page.fill("[name=username]", "alma")
    page.fill("[name=password]", PASSWORD)
    page.click("main button.main")
    page.wait_for_load_state()


@pytest.mark.django_db(transaction=True)
def test_a_person_sets_up_a_passkey_and_comes_in_by_it(chromium: Browser, live_server: Any, emptied_log: None, settings: Any) -> None:
    settings.SALUS_MFA = "required"
    user, url = make_user("administrator", make_site(), "alma"), live_server.url
    page = chromium.new_context().new_page()
    page.on("console", lambda said: pytest.fail(said.text) if "Content Security Policy" in said.text else None)
    page.goto(f"{url}/login/")
    accessible(page)
    knock(page, url)
    assert page.url.endswith("/account/second-factor/")
    accessible(page)
    hand = page.context.new_cdp_session(page)
    hand.send("WebAuthn.enable")
    hand.send("WebAuthn.addVirtualAuthenticator", {"options": FINGER})
    page.goto(f"{url}/account/keys/")
    accessible(page)
    page.check("#passwordless")
    page.click("#add-key")
    page.wait_for_url("**/account/codes/")
    accessible(page)
    page.goto(f"{url}/account/app/")
    accessible(page)
    page.fill("[name=code]", code_now(page.inner_text("code.secret")))
    page.click("main button.main")
    page.wait_for_url("**/account/")
    for address in ("/account/", "/account/password/", "/account/app/remove/", "/account/codes/new/", f"/access/people/{user.pk}/", "/access/"):
        page.goto(url + address)
        accessible(page)
    comes_in_without_a_password(page, url)
    shows_the_key_again(page, url)


def comes_in_without_a_password(page: Page, url: str) -> None:
    """Name and password are not asked."""
    page.click("text=Sign out")
    page.wait_for_url("**/login/")
    page.click("#passkey")
    page.wait_for_url(lambda where: "/login" not in where)


def shows_the_key_again(page: Page, url: str) -> None:
    """At the second step, and in the middle of a session."""
    page.click("text=Sign out")
    knock(page, url)
    assert page.url.endswith("/login/code/")
    accessible(page)
    page.click("#key")
    page.wait_for_url(lambda where: "/login" not in where)
    for address in ("/again/code/?next=/access/", "/again/key/?next=/access/"):
        page.goto(url + address)
        accessible(page)
    page.click("#key")
    page.wait_for_url("**/access/")
