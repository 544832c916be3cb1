"""Signing in by the page, as a person does, in a browser that fails the test on a script error or a refusal of the page's own policy."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from tests.factories.people import PASSWORD


def signed_in(chromium: Browser, url: str, username: str, *, width: int = 1440, dark: bool = False, script: bool = True) -> Page:
    """A page of this person's, just signed in."""
    scheme = "dark" if dark else "light"
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script)
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"script error: {error}"))
    page.on("console", lambda said: pytest.fail(said.text) if "Content Security Policy" in said.text else None)
    page.goto(f"{url}/login/")
    page.fill("[name=username]", username)
    page.fill("[name=password]", PASSWORD)
    page.click("main button.main")
    page.wait_for_url(lambda where: "/login/" not in where)
    return page
