"""Commands of the server's shell: what they say, and what they leave behind when something is wrong."""

from __future__ import annotations

import io
import unicodedata
import zipfile
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from salus_web.accounts.models import Site, User
from salus_web.ingest.management.commands.ingest import Patience
from salus_web.ingest.management.commands.load_cases import pack_cases
from salus_web.ingest.models import Upload
from salus_web.jobs.models import Job
from salus_web.records.models import CareTeamMembership

from tests.factories.cases import TASK, make_cases
from tests.factories.people import make_site, make_user

pytestmark = pytest.mark.django_db


def said(*arguments: str, **options: object) -> str:
    stream = io.StringIO()
    call_command(*arguments, stdout=stream, **options)
    return stream.getvalue()


def test_the_first_person_can_sign_in() -> None:
    words = said("add_person", "alma", "--name", "Alma Reyes", "--role", "administrator")
    password = words.strip().rsplit(" ", 1)[1]
    assert Site.objects.get().code == "main"
    client = Client()
    assert client.post("/login/", {"username": "alma", "password": password}).status_code == 302
    assert client.get("/access/").status_code == 200
    with pytest.raises(CommandError, match="already a person"):
        said("add_person", "alma", "--name", "Another", "--role", "auditor")


def test_an_unknown_hospital_is_named_and_leaves_nobody_behind() -> None:
    make_site("north")
    with pytest.raises(CommandError, match="no hospital with the code “south”. Known: north"):
        said("add_person", "alma", "--name", "Alma", "--role", "auditor", "--site", "south")
    assert not User.objects.exists()


def test_cases_come_in_for_the_hospitals_clinicians(tmp_path: Path) -> None:
    site = make_site("north")
    clinician, auditor = make_user("clinician", site), make_user("auditor", site)
    folder = make_cases(tmp_path / "data", people=8)
    said("load_cases", "--task", str(folder / "task.toml"), "--data", str(folder), "--no-wait")
    upload = Upload.objects.get()
    assert upload.job is not None and upload.job.kind == "load_cases"
    assert CareTeamMembership.objects.get().user_id == clinician.pk != auditor.pk
    assert "already here" in said("load_cases", "--task", str(folder / "task.toml"), "--data", str(folder))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--task", "{}/none.toml", "--data", "{}"], "none.toml cannot be read"),
        (["--task", "{}/task.toml", "--data", "{}/films"], "cases.csv of task.toml is not in the folder films"),
        (["--task", "{}/task.toml", "--data", "{}", "--for", "nobody"], "Nobody here has the sign-in name nobody"),
    ],
)
def test_a_wrong_call_is_one_sentence(tmp_path: Path, arguments: list[str], words: str) -> None:
    folder = make_cases(tmp_path / "data", people=4)
    with pytest.raises(CommandError, match=words):
        said("load_cases", *[argument.format(folder) for argument in arguments])
    assert not Upload.objects.exists()


def packed(folder: Path, task: str = "task.toml") -> dict[str, bytes]:
    """What load_cases packs, by name."""
    with zipfile.ZipFile(io.BytesIO(pack_cases(folder / task, folder))) as archive:
        assert len(archive.namelist()) == len(set(archive.namelist()))
        return {name: archive.read(name) for name in archive.namelist()}


RECORD_ONLY = TASK[: TASK.index("[[image]]")]


@pytest.mark.parametrize("text", [RECORD_ONLY, TASK, TASK.replace('folder = "films"\n', "")])
def test_the_task_that_is_asked_for_is_the_only_one_and_nothing_old_goes_with_it(tmp_path: Path, text: str) -> None:
    """The data folder's own task.toml stood twice in the zip, and the wrong one won."""
    folder = make_cases(tmp_path / "data", people=4)
    if "folder =" not in text:
        (folder / "cases.csv").write_text((folder / "cases.csv").read_text().replace(",c", ",films/c"))
    (folder / "task_v2.toml").write_text(text.replace('id = "tiny"', 'id = "asked-for"'))
    for old in ("bundle/manifest.json", "bundle/task.toml", "report/report.html", "risks.jsonl", "risks.maps/000000_0_film.npy", "films.zip"):
        (folder / old).parent.mkdir(exist_ok=True)
        (folder / old).write_bytes(b"old")
    found = packed(folder, "task_v2.toml")
    assert b'id = "asked-for"' in found.pop("task.toml")
    assert found.pop("cases.csv") == (folder / "cases.csv").read_bytes()
    assert set(found) == (set() if text == RECORD_ONLY else {f"films/c{at}.png" for at in range(4)})


def test_a_slot_with_a_folder_and_one_whose_cells_name_paths_go_together(tmp_path: Path) -> None:
    folder = make_cases(tmp_path / "data", people=4)
    second = '[[image]]\nname = "side"\nmodality = "DX"\ncolumn = "side"\n'
    (folder / "task.toml").write_text(TASK + second)
    lines = (folder / "cases.csv").read_text().splitlines()
    names = ["sides/a.png", unicodedata.normalize("NFD", "sides/ü, 1.png"), "../elsewhere.png", "s" * 300 + ".png"]
    (folder / "cases.csv").write_text("\n".join([f"{lines[0]},side", *(f'{line},"{name}"' for line, name in zip(lines[1:], names, strict=True))]))
    (folder / "sides").mkdir()
    for name in ("a.png", "ü, 1.png", "not named.png"):
        (folder / "sides" / name).write_bytes(b"film")
    (tmp_path / "elsewhere.png").write_bytes(b"film")
    assert set(packed(folder)) == {"task.toml", "cases.csv", "sides/a.png", "sides/ü, 1.png", *(f"films/c{at}.png" for at in range(4))}


@pytest.mark.parametrize(("old", "new"), [("[cases]", "[[cases]]"), ("[[image]]", "[image]"), ("[task]", "[[task]]")])
def test_a_task_file_in_another_form_is_no_trace_on_the_console(tmp_path: Path, old: str, new: str) -> None:
    make_site("north")
    folder = make_cases(tmp_path / "data", people=4)
    (folder / "task.toml").write_text(TASK.replace(old, new))
    try:
        said("load_cases", "--task", str(folder / "task.toml"), "--data", str(folder), "--no-wait")
    except CommandError as refused:
        assert "task.toml" in str(refused)
    else:
        assert Upload.objects.get().job is not None, "the worker refuses it in words"


def test_who_waits_for_a_worker_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    patience = Patience(heard.append)
    patience.waiting(is_running=False)
    assert heard == []
    patience.since -= Patience.SECONDS + 1
    for _ in range(3):
        patience.waiting(is_running=False)
    assert len(heard) == 1 and "./salus up" in heard[0]


@pytest.mark.parametrize(("word", "words"), [("seven", "“seven” is not the id of a risk"), (str(UUID(int=7)), "There is no risk")])
def test_a_replay_of_what_is_not_there_is_said_at_once(word: str, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        said("replay", word)
    assert not Job.objects.exists(), "no worker was asked"
