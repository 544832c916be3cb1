"""The cohort page: what was asked, safe counts, table 1, outcomes. Nothing here is a count that was not made safe."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import orjson
from django.http import HttpRequest, QueryDict

from salus_web.cohorts.choices import code_choices, modality_choices, unit_choices, with_units
from salus_web.cohorts.definition import SEXES, CohortDefinition, from_json, to_json
from salus_web.cohorts.models import Project
from salus_web.cohorts.outcomes import outcomes
from salus_web.cohorts.selectors import TableRow, safe_counts, table_one
from salus_web.common.errors import BadInput
from salus_web.dashboard.charts.figures import bars

CODE_ROWS = 3
ENDS = ("age_low", "age_high", "risk_low", "risk_high")
# the definition's fields, as the form that is filled in calls them
CALLED = {
    "age_low": "Age, from", "age_high": "Age, to", "sexes": "Sex", "codes": "Measured", "condition_codes": "Diagnosed with",
    "modalities": "With an image", "task_id": "With a risk of", "risk_low": "Risk, from", "risk_high": "Risk, to", "site_ids": "Hospital",
}  # fmt: skip
RULE = {"code": "code", "low": "code_low", "high": "code_high", "unit": "code_unit"}


@dataclass(frozen=True, slots=True)
class Page:
    """What the cohort page shows; `problem` stands in place of figures when the definition cannot be used."""

    project: Project
    definition: CohortDefinition | None
    problem: str
    counts: dict[str, Any]
    attrition: str
    table: list[TableRow]
    outcome: dict[str, Any]
    bands: str

    @property
    def kept_as(self) -> str:
        """The definition on the screen, as the form that keeps it brings it back; empty where nothing is shown."""
        return "" if self.definition is None else orjson.dumps(to_json(self.definition)).decode()


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be chosen in the form."""

    codes: list[tuple[str, str]]
    units: list[tuple[str, str]]
    modalities: list[str]
    tasks: list[tuple[str, str]]
    sites: list[Any]
    sexes: tuple[str, ...]


def shown_in(form: QueryDict) -> CohortDefinition:
    """The definition whose figures were on the screen when it was to be kept; read from its fields where the form brings
    none. Raises BadInput."""
    if "definition" not in form:
        return definition_of(form)
    try:
        return from_json(orjson.loads(form["definition"]))
    except orjson.JSONDecodeError:
        raise BadInput("No figures are shown yet that could be kept. Choose who is in the cohort first.") from None


def asked_of(form: QueryDict) -> dict[str, Any]:
    """What stands in the form's fields, so that a page that is loaded anew shows what it was asked."""
    rows = [{"at": at, **{name: form.get(f"{field}_{at}", "") for name, field in RULE.items()}} for at in range(CODE_ROWS)]
    return {
        **{name: form.get(name, "") for name in (*ENDS, "conditions", "task")}, "rows": rows,
        **{name: form.getlist(name) for name in ("sex", "modality", "site")},
    }  # fmt: skip


def logged(request: HttpRequest) -> dict[str, Any]:
    """What the log keeps of a look at a cohort: everything that was asked, so that an auditor sees who takes two cohorts from
    each other. None where it was no definition, for then nothing is shown."""
    try:
        asked = to_json(definition_of(request.GET))
    except BadInput:
        return {"definition": None}
    return {"definition": {name: value for name, value in asked.items() if value not in (None, [])}}


def definition_of(form: QueryDict) -> CohortDefinition:
    """The definition in a submitted form. Raises BadInput naming the field as the form does."""
    codes = []
    for at in range(CODE_ROWS):
        code = form.get(f"code_{at}", "").strip()
        if code:
            codes.append({
                "code": code, "low": _number(form, f"code_low_{at}", f"Measured, {code}, from"),
                "high": _number(form, f"code_high_{at}", f"Measured, {code}, to"),
                "unit": form.get(f"code_unit_{at}", "").strip(),
            })  # fmt: skip
    conditions = [word for word in form.get("conditions", "").replace(",", " ").split() if word]
    task = form.get("task", "") or None
    fields = {
        "age_low": _whole(form, "age_low"), "age_high": _whole(form, "age_high"), "sexes": form.getlist("sex"), "codes": codes,
        "modalities": form.getlist("modality"), "condition_codes": conditions, "task_id": task,
        "risk_low": _share(form, "risk_low"), "risk_high": _share(form, "risk_high"), "site_ids": form.getlist("site"),
    }  # fmt: skip
    try:
        return from_json(fields)
    except BadInput as problem:
        raise BadInput(_in_words_of_the_form(str(problem))) from None


def _in_words_of_the_form(problem: str) -> str:
    """A sentence about a definition names its fields, as a stored one does; whoever fills in the form sees their labels."""
    begun = re.sub(rf"^({'|'.join(CALLED)})(?=:)", lambda found: CALLED[found[0]], problem)
    return re.sub(rf"\b({'|'.join(CALLED)})\b", lambda found: f"“{CALLED[found[0]]}”", begun)


def _share(form: QueryDict, name: str) -> float | None:
    """A risk, asked for in percent."""
    found = _number(form, name, CALLED[name])
    if found is not None and not 0 <= found <= 100:
        raise BadInput(f"{CALLED[name]}: a risk lies between 0 and 100 %.")
    return None if found is None else found / 100


def _number(form: QueryDict, name: str, called: str) -> float | None:
    text = form.get(name, "").strip()
    try:
        found = float(text) if text else None
    except ValueError:
        found = math.nan
    if found is not None and not math.isfinite(found):
        raise BadInput(f"{called}: “{text}” is not a number.")
    return found


def _whole(form: QueryDict, name: str) -> int | None:
    found = _number(form, name, CALLED[name])
    if found is not None and found != int(found):
        raise BadInput(f"{CALLED[name]}: whole years, please.")
    return None if found is None else int(found)


def page_of(project: Project, viewer: Any, form: QueryDict) -> Page:
    """Counts, table and outcomes of the definition in a form (a fixed number of queries)."""
    try:
        definition = with_units(viewer=viewer, project=project, definition=definition_of(form))
        counts = safe_counts(viewer=viewer, project=project, definition=definition)
    except BadInput as problem:
        return Page(project, None, str(problem), {}, "", [], {}, "")
    rows = [(step["step"], step["left"], _said(step["left"])) for step in counts["attrition"]]
    outcome: dict[str, Any] = {}
    shown = ""
    if definition.task_id:
        outcome = outcomes(viewer=viewer, project=project, definition=definition, task_id=definition.task_id)
        found = [(band["band"], band["count"], _said(band["count"])) for band in outcome["bands"]]
        shown = bars(found, "How many people are in each band of risk") if found else ""
    table = table_one(viewer=viewer, project=project, definition=definition)
    return Page(project, definition, "", counts, bars(rows, "People left after each step"), table, outcome, shown)


def _said(count: int | None) -> str:
    return "fewer than 11, not shown" if count is None else f"{count:,}"


def choices_of(project: Project, viewer: Any, tasks: list[tuple[str, str]]) -> Choices:
    """What the form offers (7 queries)."""
    where: dict[str, Any] = {"viewer": viewer, "project": project}
    return Choices(
        codes=code_choices(**where), units=unit_choices(**where), modalities=modality_choices(**where), tasks=tasks,
        sites=list(project.sites.order_by("name")), sexes=SEXES,
    )  # fmt: skip
