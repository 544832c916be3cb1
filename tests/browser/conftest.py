"""A real Chromium, and the hospital it looks at."""

from __future__ import annotations

import importlib
import os
import shutil
import threading
import time
from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import connection
from playwright.sync_api import Browser, sync_playwright

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium from the system, headless; a skip that says so where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium is installed")
    # Playwright's own loop runs in this thread; Django would take it for an asynchronous caller
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


def nobody_asks(browser: Browser) -> None:
    """Closes the pages, which go on asking by themselves, and waits until the server has answered what it was asked."""
    for context in browser.contexts:
        context.close()
    until = time.monotonic() + 30
    while any("process_request_thread" in thread.name for thread in threading.enumerate()):
        assert time.monotonic() < until, "the test's server still answers a page that is closed"
        time.sleep(0.02)


@pytest.fixture
def emptied_log(transactional_db: None, chromium: Browser) -> Iterator[None]:
    """After a test that really commits, the log must be emptied, which its triggers rightly refuse: they are taken
    off for that moment and put back. A page that still asked meanwhile would leave a line behind for every later test."""
    yield
    nobody_asks(chromium)
    triggers = importlib.import_module("salus_web.audit.migrations.0002_refuse_changes")
    with connection.schema_editor() as editor:
        triggers.backwards(apps, editor)
        editor.execute("DELETE FROM audit_event")
        editor.execute("DELETE FROM audit_head")
        triggers.forwards(apps, editor)
