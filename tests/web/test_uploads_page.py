"""The page of uploads: whose file it was reads its name and why it was refused; everybody else reads what became of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from salus_web.accounts.models import User
from salus_web.accounts.tokens import make_token
from salus_web.audit.models import Event
from salus_web.ingest.models import Upload, UploadState
from salus_web.ingest.services import read_and_store, receive
from salus_web.jobs.models import Job

from tests.factories.people import SYSTEM, actor_of, client_of, make_site, make_user
from tests.house.test_no_patient_in_traces import bad_bundle

pytestmark = pytest.mark.django_db
ADDRESSES = ("/uploads/", "/uploads/rows/")


@pytest.fixture
def sender() -> User:
    return make_user("clinician", make_site())


@pytest.fixture
def refused(sender: User) -> Upload:
    """A file of the sender whose name and whose words name a patient."""
    site = sender.grants.get().site
    upload = receive(filename="Qname_HIV.json", content=bad_bundle("Qword"), site=site, by=actor_of(sender))
    read_and_store(upload=upload, by=SYSTEM)
    return Upload.objects.get(pk=upload.pk)


def read(user: User, address: str) -> str:
    return client_of(user).get(address).content.decode()


def lines(user: User) -> int:
    return Event.objects.filter(action="uploads.list", actor_id=str(user.pk)).count()


@pytest.mark.parametrize("address", ADDRESSES)
def test_whoever_sent_a_file_reads_its_name_and_its_refusal(sender: User, refused: Upload, address: str) -> None:
    page = read(sender, address)
    assert "Qname_HIV.json" in page and "Qword" in page


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("role", ["clinician", "administrator"])
def test_others_read_that_a_file_came_and_what_became_of_it(refused: Upload, role: str, address: str) -> None:
    other = make_user(role, refused.site)
    page = read(other, address)
    assert "Qname" not in page and "Qword" not in page
    assert ">a file<" in page and "Refused" in page and "told to whoever sent it" in page
    Upload.objects.filter(pk=refused.pk).update(state=UploadState.STORED, counts={"observations": 3})
    assert "observations 3" in read(other, address)


def test_a_program_gets_no_name_and_no_refusal(sender: User, refused: Upload) -> None:
    """Whoever's file it was; and it brings none in."""
    secret = make_token(user=sender, name="feed", purpose="integration", role="clinician", days=9, by=actor_of(sender))[1]
    header = {"authorization": f"Bearer {secret}"}
    answer = client_of(sender).get("/api/uploads/", headers=header)
    assert answer.json()["uploads"][0]["state"] == "refused"
    assert b"Qname" not in answer.content and b"Qword" not in answer.content
    assert Event.objects.filter(action="api.uploads.read", actor_id=str(sender.pk)).count() == 1
    assert client_of(sender).post("/api/uploads/", {"files": b"x"}, headers=header).status_code == 405
    assert Upload.objects.count() == 1


def test_the_list_alone_is_on_the_log_whenever_it_shows_something(sender: User) -> None:
    site, client = sender.grants.get().site, client_of(sender)
    waiting = receive(filename="a.json", content=b"{}", site=site, by=actor_of(sender))
    page = client.get("/uploads/").content.decode()
    asks, = re.findall(r'hx-get="([^"]+)"', page)

    def ask() -> Any:
        return client.get(asks.replace("&amp;", "&"))

    assert lines(sender) == 1
    assert [(answer.status_code, answer.content) for answer in (ask(), ask(), ask())] == [(204, b"")] * 3 and lines(sender) == 1
    Job.objects.filter(pk=waiting.job_id).update(state="running", progress=0.41, message="120 cases read")
    answer = ask()
    assert "120 cases read" in answer.content.decode() and lines(sender) == 2
    asks, = re.findall(r'hx-get="([^"]+)"', answer.content.decode())
    assert ask().status_code == 204 and lines(sender) == 2
    Upload.objects.filter(pk=waiting.pk).update(state=UploadState.STORED)
    assert "hx-get" not in ask().content.decode() and lines(sender) == 3
    assert client.get("/uploads/rows/").status_code == 200 and lines(sender) == 4, "without having seen the page"


def test_what_one_person_was_shown_is_no_answer_for_another(sender: User) -> None:
    site, other = sender.grants.get().site, make_user("administrator", sender.grants.get().site)
    receive(filename="a.json", content=b"{}", site=site, by=actor_of(sender))
    asks, = re.findall(r'hx-get="([^"]+)"', read(sender, "/uploads/"))
    assert client_of(other).get(asks.replace("&amp;", "&")).status_code == 200 and lines(other) == 1
