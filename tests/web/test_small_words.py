"""What a page says at the edges: past the end of a list, of one and of many, of next to nothing, and without scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from salus_web.dashboard.charts.risk import signed
from salus_web.dashboard.templatetags.wording import figure

from tests.factories.hospital import make_job
from tests.web.test_pages_clinician import text_of, ward  # noqa: F401

pytestmark = pytest.mark.django_db
STATIC = Path(__file__).parents[2] / "platform/salus_web/dashboard/static/salus"


@pytest.mark.parametrize(("address", "empty"), [("/worklist/", "has a risk for this question"), ("/patients/", "Nobody is in your care")])
def test_past_its_end_a_list_does_not_say_that_nobody_is_there(ward: Any, address: str, empty: str) -> None:  # noqa: F811
    client, admit = ward
    admit("Qone")
    page = client.get(f"{address}?page=9")
    assert "This list ends before page 9. To its first page" in text_of(page) and empty not in text_of(page)
    assert "◂ previous" not in text_of(page), "page 8 is no page either"


def test_points_that_round_to_nothing_have_no_sign() -> None:
    assert [signed(value) for value in (-0.04, 0.0, 0.04, -0.05001, 6.12, -3.0)] == ["0.0", "0.0", "0.0", "−0.1", "+6.1", "−3.0"]


def test_an_interval_below_nothing_is_read_in_one_way() -> None:
    assert figure([0.857, 0.806, 0.908]) == "0.857 (0.806–0.908)"
    assert figure([0.048, -0.069, 0.166]) == "0.048 (−0.069 to 0.166)" and figure([-0.004, None, None]) == "−0.004 (no interval)"


@pytest.mark.parametrize(("state", "goes_on"), [("queued", True), ("running", True), ("failed", False)])
def test_the_page_that_waits_goes_on_without_scripts_too(ward: Any, state: str, goes_on: bool) -> None:  # noqa: F811
    client, admit = ward
    person = admit("Qwait")
    job = make_job("predict", state, patient_ids=[str(person.patient.pk)])
    head = client.get(f"/patients/{person.patient.pk}/waiting/{job.pk}/").content.decode().split("</head>")[0]
    assert ('<noscript><meta http-equiv="refresh" content="5"></noscript>' in head) is goes_on


@override_settings(SALUS_SIMULATED=True)
def test_that_patients_are_simulated_stands_in_a_landmark_and_on_paper(ward: Any) -> None:  # noqa: F811
    client, _ = ward
    assert '<aside class="simulated" aria-label="Demonstration">▒ Demonstration' in client.get("/worklist/").content.decode()
    paper = (STATIC / "salus.css").read_text().split("@media print")[1]
    assert ".simulated" not in paper


def test_paper_says_when_it_was_made(ward: Any) -> None:  # noqa: F811
    client, admit = ward
    admit("Qpaper")
    said = text_of(client.get("/worklist/"))
    assert "This list was made on" in said and "This page was made on" in said and said.count("counts from then") == 2
