"""What goes wrong has a page of our own, with the headers of every page and not one word of the error."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.http import UnreadablePostError
from django.test import Client
from salus_web.audit.models import Event
from salus_web.common.plain_pages import WORDS, plain_page

from tests.factories.people import make_site, make_user

pytestmark = pytest.mark.django_db
SECRET = "Jane Planted 4417"


@pytest.fixture
def client() -> Client:
    """A clinician, whose errors are answered and not raised."""
    found = Client(raise_request_exception=False)
    found.force_login(make_user("clinician", make_site()))
    return found


def broken(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr("salus_web.dashboard.pages.worklist.page_of", fail)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError(SECRET), 500), (OperationalError(SECRET), 503), (UnreadablePostError(SECRET), 400),
        (SuspiciousOperation(SECRET), 400), (PermissionDenied(SECRET), 403), (KeyError(SECRET), 500),
    ],
)  # fmt: skip
def test_an_error_is_a_page_without_a_word_of_it(client: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int) -> None:
    broken(monkeypatch, error)
    answer = client.get("/worklist/")
    said = answer.content.decode()
    assert answer.status_code == status and WORDS[status][0] in said and WORDS[status][2] in said
    for hidden in ("Planted", "4417", "Traceback", "Error", "salus_web", ".py"):
        assert hidden not in said, hidden
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"] and answer.headers["Cache-Control"] == "no-store, private"
    assert ("Retry-After" in answer.headers) == (status == 503)


@pytest.mark.parametrize("status", sorted(WORDS))
def test_every_page_says_what_happened_what_is_safe_and_what_to_do(status: int) -> None:
    answer = plain_page(None, status)
    said = answer.content.decode()
    assert answer.status_code == status and all(words in said for words in WORDS[status]) and f"For IT: {status}" in said


def test_an_unknown_host_is_refused_with_all_headers(settings: Any) -> None:
    answer = Client(raise_request_exception=False, HTTP_HOST="evil.example").get("/login/")
    assert answer.status_code == 400 and "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "evil.example" not in answer.content.decode()


def test_a_form_of_another_site_is_a_page_of_ours() -> None:
    answer = Client(enforce_csrf_checks=True).post("/login/", {"username": "x", "password": "y"})
    assert answer.status_code == 403 and "not shown by this site" in answer.content.decode()


def test_the_disk_is_full(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("salus_web.common.arrivals.Arrival.write", full)
    answer = upload(client, b"x" * 10)
    assert answer.status_code == 507 and "disk of this system is full" in answer.content.decode()


def upload(client: Client, content: bytes) -> Any:
    from_disk = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n' + content + b"\r\n--b--\r\n"
    return client.post("/uploads/", from_disk, content_type="multipart/form-data; boundary=b")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"x", {"CONTENT_LENGTH": "1,5"}, 400), (b"x", {"CONTENT_LENGTH": "9" * 30}, 400), (b"x", {"CONTENT_LENGTH": "-5"}, 400),
        (b"x", {"CONTENT_LENGTH": str(2 << 30)}, 413), (b"x", {"HTTP_TRANSFER_ENCODING": "chunked"}, 411),
    ],
)  # fmt: skip
def test_a_body_must_say_its_size_and_be_small_enough(client: Client, body: bytes, headers: dict[str, str], status: int) -> None:
    assert client.post("/uploads/", body, content_type="multipart/form-data; boundary=b", **headers).status_code == status


def test_a_file_past_the_limit_inside_a_request_that_may_pass_is_on_the_log(client: Client, settings: Any) -> None:
    settings.SALUS_UPLOAD_LIMIT_BYTES = 1000
    answer = upload(client, b"x" * 1001)
    assert answer.status_code == 413 and "Nothing was kept" in answer.content.decode()
    assert Event.objects.filter(action="upload.receive", outcome="refused").count() == 1


def test_a_form_of_more_than_a_megabyte_is_refused_everywhere_else(client: Client) -> None:
    assert client.post("/patients/", {"q": "a" * (1 << 20)}).status_code == 413
    assert client.post("/worklist/ask/", {"task": "t", "file": __file__}).status_code == 409
