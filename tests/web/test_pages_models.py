"""A model's report behind its page, and what a risk's page says would change it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from salus_web.audit.models import Event
from salus_web.registry.services import store_reports

from tests.factories.hospital import make_bundle, make_person
from tests.factories.people import SYSTEM, client_of, make_site, make_user, relate

pytestmark = pytest.mark.django_db
POLICY = "default-src 'none'; style-src 'sha256-abc'"


CHANGE = {"name": "crp", "label": "CRP", "part": "record", "crossing": 0.4, "width_now": 0.3, "width_then": 0.21, "low": 0.11, "high": 0.52, "n": 30}


@pytest.fixture
def desk() -> Client:
    return client_of(make_user("administrator", make_site()))


class Opened:
    """A risk and the page of it that its patient's clinician reads."""

    def __init__(self) -> None:
        site = make_site()
        user = make_user("clinician", site)
        person = make_person(site, "Qone", make_bundle())
        relate(user, person.patient)
        self.risk, self.client = person.prediction, client_of(user)
        self.account = json.loads(self.risk.account_json)

    def shown(self, account: dict[str, Any] | None = None, **columns: Any) -> str:
        """The page after these parts of the account and these columns were changed, with single spaces."""
        if account is not None:
            columns["account_json"] = json.dumps(self.account | account)
        for name, value in columns.items():
            setattr(self.risk, name, value)
        self.risk.save()
        return " ".join(self.client.get(f"/predictions/{self.risk.pk}/").content.decode().split())


@pytest.fixture
def opened() -> Opened:
    return Opened()


def test_a_report_is_a_page_of_its_own_policy_and_its_reading_is_logged(desk: Client) -> None:
    bundle = make_bundle()
    address = f"/models/{bundle.pk}/report.html"
    assert desk.get(address).status_code == 404, "none was written"
    assert "open the page" not in desk.get(f"/models/{bundle.pk}/").content.decode()
    store_reports(bundle=bundle, files={"html": b"<p>figures</p>", "pdf": b"%PDF", "json": b"{}"}, policy=POLICY, by=SYSTEM)
    answer = desk.get(address)
    assert answer.content == b"<p>figures</p>" and answer["Content-Type"].startswith("text/html")
    assert answer["Content-Security-Policy"] == f"{POLICY}; frame-ancestors 'none'"
    assert Event.objects.filter(action="models.report", object_id=address).exists()
    for form in ("pdf", "json"):
        answer = desk.get(f"/models/{bundle.pk}/report.{form}")
        assert answer["Content-Disposition"].startswith("attachment") and "default-src 'self'" in answer["Content-Security-Policy"]
    assert desk.get(f"/models/{bundle.pk}/report.exe").status_code == 404
    assert address in desk.get(f"/models/{bundle.pk}/").content.decode()


def test_a_changed_report_is_not_shown(desk: Client) -> None:
    bundle = make_bundle()
    store_reports(bundle=bundle, files={"html": b"one", "json": b"two"}, policy="", by=SYSTEM)
    rows = {row.form: row for row in bundle.reports.all()}
    bundle.reports.filter(form="html").update(blob_key=rows["json"].blob_key)
    desk.raise_request_exception = False
    answer = desk.get(f"/models/{bundle.pk}/report.html")
    assert answer.status_code == 500 and b"two" not in answer.content


def test_leaks_and_survival_figures_stand_on_the_models_page(desk: Client) -> None:
    bundle = make_bundle()
    arm = {"n": 90, "harrell_c": [0.71, 0.66, 0.76], "auroc_at_horizon": [0.73, 0.68, 0.78]}
    bundle.crossval = bundle.crossval | {
        "leaks": [{"severity": "blocks", "evidence": "grade alone tells the outcome."}],
        "survival": {"n": 90, "events": 40, "horizon_days": 365.0, "arms": {"fused": arm},
                     "integrated_brier": [0.11, 0.1, 0.12], "integrated_brier_of_kaplan_meier": [0.13, 0.12, 0.14]},
    }  # fmt: skip
    bundle.save()
    page = desk.get(f"/models/{bundle.pk}/").content.decode()
    assert "grade alone tells the outcome." in page and "✕ an input gives the answer away" in page
    assert "Harrell" in page and "0.710" in page and "Kaplan–Meier" in page
    assert "How the encoder learned" not in page
    bundle.crossval["leaks"] = []
    bundle.crossval["tuning_curves"] = [[[0.7, 0.72], [0.4, 0.5], [0.2, 0.45]], [[0.6, None], [0.3, None]]]
    bundle.save()
    page = desk.get(f"/models/{bundle.pk}/").content.decode()
    assert "Nothing suspicious" in page
    chart = page.split("How the encoder learned")[1].split("</section>")[0]
    assert chart.count("k-accent") == 2 + 1 + 1 and chart.count("k-ink dash") == 2 + 1, "drawn steps and the legend; none where it was not measured"


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        ([0.05, 0.01, 0.09], "Fusion helps here."), ([0.01, -0.02, 0.04], "The interval holds zero: fusion is not shown to help here."),
        ([-0.05, -0.09, -0.01], "Fusion does not help here: the best single arm alone is better."),
        ([None, None, None], "From these people it cannot be told whether fusion helps."), (None, "From these people it cannot be told whether fusion helps."),
    ],
)  # fmt: skip
def test_what_is_said_of_fusing_is_what_its_interval_shows(desk: Client, difference: Any, said: str) -> None:
    bundle = make_bundle()
    bundle.crossval = bundle.crossval | {"fused_minus_best": difference}
    bundle.save()
    page = desk.get(f"/models/{bundle.pk}/").content.decode()
    assert said in page and sum(words in page for words in ("Fusion helps", "holds zero", "Fusion does not help", "cannot be told")) == 1


def test_an_auroc_without_an_interval_is_shown_with_that_said(desk: Client) -> None:
    bundle = make_bundle()
    arms = bundle.crossval["arms"]
    bundle.crossval = bundle.crossval | {"arms": {name: arm | {"auroc": [1.0, None, None]} for name, arm in arms.items()}}
    bundle.save()
    for address in (f"/models/{bundle.pk}/", "/models/"):
        assert "1.000 (no interval)" in desk.get(address).content.decode()


def test_of_a_model_of_one_arm_nothing_is_said_to_be_fused(desk: Client) -> None:
    bundle = make_bundle()
    arms = bundle.crossval["arms"]
    bundle.crossval = bundle.crossval | {"arms": {"image": arms["line"], "fused": arms["fused"]}, "fused_minus_best": [-0.003, -0.006, -0.001]}
    bundle.save()
    page = desk.get(f"/models/{bundle.pk}/").content.decode()
    assert "There is one arm, image, so nothing is fused" in page and "Fusion" not in page and "-0.003" not in page
    row = desk.get("/models/").content.decode()
    assert "one arm" in row and "-0.003" not in row


def test_what_a_task_file_does_not_say_is_not_left_empty(desk: Client) -> None:
    bundle = make_bundle()
    bundle.card = bundle.card | {"who": "", "use": "", "not_for": "Any decision", "features": []}
    bundle.save()
    page = desk.get(f"/models/{bundle.pk}/").content.decode()
    assert page.count("<dd>not stated</dd>") == 2 and "<dd>Any decision</dd>" in page and "<dt>record inputs</dt><dd>none</dd>" in page


def test_inputs_have_the_names_that_the_task_file_gives_them(desk: Client) -> None:
    bundle = make_bundle()
    labels = {"age_years": "Age", "spo2": "Oxygen saturation", "film": "Chest film"}
    bundle.card = bundle.card | {"features": ["age_years", "spo2", "old"], "images": ["film"], "always_there": ["spo2"], "labels": labels}
    bundle.crossval = bundle.crossval | {"best_single": "trees", "fused_minus_best": [0.02, 0.01, 0.03]}
    bundle.save()
    page = desk.get(f"/models/{bundle.pk}/").content.decode()
    assert "<dd>Age, Oxygen saturation, old</dd>" in page and "<dd>Chest film</dd>" in page and "<dd>Oxygen saturation (of those who" in page
    assert "Fused minus record, trees, same people" in page


def test_who_trained_a_model_is_said_by_name(desk: Client) -> None:
    bundle, trainer = make_bundle(), make_user("administrator", make_site(), username="berta")
    assert "trained by Salus itself (train task)" in desk.get(f"/models/{bundle.pk}/").content.decode()
    bundle.trained_by = str(trainer.pk)
    bundle.save()
    page = desk.get(f"/models/{bundle.pk}/").content.decode()
    assert "trained by Berta" in page and str(trainer.pk) not in page


def test_known_scores_stand_beside_the_risk_and_a_missing_input_is_no_number(opened: Opened) -> None:
    part = {"label": "Pulse", "value": "135 /min", "points": 3, "source": "x", "time": None}
    news2 = {"name": "news2", "title": "NEWS2", "points": 3, "highest": 20, "parts": [part], "missing": [], "band": "low to medium", "meaning": "review", "source": "RCP 2017"}
    curb = {"name": "curb65", "title": "CURB-65", "points": None, "highest": 5, "parts": [], "missing": ["urea"], "band": "", "meaning": "", "source": "Lim 2003"}
    assert "Known scores" not in opened.shown()
    page = opened.shown({"known_scores": [news2, curb]})
    assert "<strong>NEWS2 3</strong> of 20: low to medium" in page and "Pulse: 135 /min, 3 points" in page and "RCP 2017" in page
    assert '<strong>CURB-65</strong> <span class="state">✕ not computed</span> for want of: urea' in page and "CURB-65 None" not in page


def test_what_would_change_a_risk_stands_on_its_page_and_goes_with_the_number(opened: Opened) -> None:
    missing = {"missing": [{"name": "crp", "label": "CRP", "part": "record"}]}
    assert "What would change this" not in opened.shown(missing), "an old risk for which it was not asked"
    page = opened.shown(missing | {"would_change": [CHANGE]})
    assert "12 of 30" in page and "30 → 21" in page and "11–52" in page.replace(" ", "")
    assert "Nothing would" in opened.shown(missing | {"would_change": []})
    page = opened.shown(missing | {"would_change": [CHANGE]}, state="abstained", prediction_set=["ill", "not ill"])
    assert "12 of 30" in page and "11–52" not in page.replace(" ", ""), "no number beside what cannot be told"
    page = opened.shown(state="abstained", prediction_set=["ill"], why="The image looks upside down.")
    assert "What would change this" not in page and "looks upside down" in page and "The interval runs" not in page


def test_what_nobody_lacked_who_taught_is_named_where_it_is_missing(opened: Opened) -> None:
    gap = {"name": "crp", "label": "CRP", "part": "record", "untaught": True}
    page = opened.shown({"missing": [gap, gap | {"label": "Ferritin", "untaught": False}], "would_change": [CHANGE]})
    assert "CRP, Ferritin" in page and "Hardly anybody who taught the model lacked CRP, so" in page and "The interval is as wide as" in page
    assert "What else is missing is asked once that is known." in page
    page = opened.shown(state="abstained", prediction_set=["ill"], why="Missing: CRP. It hangs on it.")
    assert "Missing: CRP. It hangs on it." in page and "12 of 30" in page and "The interval is as wide as" not in page
    assert "11–52" not in page.replace(" ", ""), "no number beside what cannot be told"


def test_the_kinds_stand_beside_the_number_and_wrong_reasons_hide_them(opened: Opened) -> None:
    p, p0 = opened.risk.probability, opened.risk.reference_probability
    assert p is not None and p0 is not None
    rest = [0.0] * (len(opened.account["reasons"]) - 1)
    rare = {"name": "Glioma", "probability": 0.1 * p, "reference_probability": 0.1 * p0, "points": [10 * (p - p0), *rest]}
    usual = {"name": "Meningioma", "probability": 0.9 * p, "reference_probability": 0.9 * p0, "points": [90 * (p - p0), *rest]}

    def shown(kinds: list[dict[str, Any]], state: str = "computed") -> str:
        return opened.shown({"kinds": kinds}, state=state)

    page = shown([rare, usual])
    part = page.split("Which kind")[1].split("</section>")[0]
    assert part.index("<strong>Meningioma 28 %</strong>") < part.index("<strong>Glioma 3 %</strong>"), "likeliest first"
    assert "Which kind" not in shown([rare, usual | {"points": [91 * (p - p0) + 1, *rest]}])
    assert "Which kind" not in shown([rare, usual], state="abstained"), "no number beside what cannot be told"
    assert "Which kind" not in shown([])
