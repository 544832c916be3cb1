"""Reading cohorts for a project's members: who is in one, and what may be said of them. Persons' rows stay here."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import fmean, stdev
from typing import Any

from django.db.models import Case, F, Q, QuerySet, Value, When
from salus_learn.contracts import EMPTY_WORD

from salus_web.accounts.actors import Actor
from salus_web.accounts.models import Role, RoleGrant
from salus_web.accounts.permissions import Resource, authorize
from salus_web.cohorts.definition import CohortDefinition
from salus_web.cohorts.disclosure import SMALLEST, safe_cells, safe_count, safe_share, safe_total
from salus_web.cohorts.models import Cohort, Project, ProjectGuest
from salus_web.cohorts.people import (
    ACTOR,
    RISK_BANDS,
    Person,
    age_band,
    common_unit,
    member_rows,
    numbers_of,
    patients_here,
    persons_in,
    risk_band,
    steps,
)
from salus_web.cohorts.performance import auroc
from salus_web.common.clock import now
from salus_web.common.errors import Hidden, Refused
from salus_web.predictions.models import CurrentRisk, Prediction, PredictionState
from salus_web.records.models import Condition, Observation, Patient
from salus_web.records.scopes import RESEARCH
from salus_web.registry.models import BundleState, ModelBundle, TaskFile

AGE_BAND_YEARS = 10
TOO_FEW = "Fewer than 11 people with the outcome, or without it, are known here, so nothing is shown."


@dataclass(frozen=True, slots=True)
class TableRow:
    """One line of table 1. None is suppressed or does not apply: `count` and `share` are of a level, `n`, `mean`
    and `sd` of a number in `unit`."""

    variable: str
    level: str = ""
    count: int | None = None
    share: float | None = None
    n: int | None = None
    mean: float | None = None
    sd: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class _Judged:
    """The prediction by which a patient's outcome is looked up and judged."""

    encounter_id: Any
    index_at: Any
    probability: float


def projects_of(*, viewer: Actor) -> list[Project]:
    """The running projects this person is a member of (1 query). One that has ended opens nothing, so it is not among them."""
    return list(_projects(viewer).filter(is_running()))


def resting_projects_of(*, viewer: Actor) -> list[Project]:
    """The projects of this person that have ended or not begun, for saying so: nothing of them is opened (1 query)."""
    return list(_projects(viewer).exclude(is_running()))


def _projects(viewer: Actor) -> QuerySet[Project]:
    authorize(viewer, "cohort.use", Resource("project"))
    rows = Project.objects.order_by("name")
    return rows if viewer.is_system else rows.filter(is_member(viewer))


def is_running() -> Q:
    """Which projects have begun and not ended; for filters of projects."""
    moment = now()
    return Q(starts_at__lte=moment) & (Q(ends_at__isnull=True) | Q(ends_at__gt=moment))


def is_member(viewer: Actor) -> Q:
    """Of which projects a person is a member now, or a guest whose time is not over; for filters of projects.

    Membership alone opens nothing: it holds while the person is a researcher at one of the project's hospitals.
    """
    moment = now()
    still = Q(ends_at__isnull=True) | Q(ends_at__gt=moment)
    guests = ProjectGuest.objects.filter(user_id=viewer.id, starts_at__lte=moment, ends_at__gt=moment)
    members = Project.members.through.objects.filter(user_id=viewer.id)
    grants = RoleGrant.objects.filter(still, user_id=viewer.id, role=Role.RESEARCHER, starts_at__lte=moment)
    here = Project.sites.through.objects.filter(site_id__in=grants.values("site_id"))
    joined = Q(pk__in=members.values("project_id")) | Q(pk__in=guests.values("project_id"))
    return joined & Q(pk__in=here.values("project_id"))


def project_for(viewer: Actor, project_id: Any) -> Project:
    """A running project of which the viewer is a member (1 query). Hidden, as for an absent one, for all others."""
    authorize(viewer, "cohort.use", Resource("project"))
    found = Project.objects.filter(pk=project_id)
    project = (found if viewer.is_system else found.filter(is_member(viewer))).first()
    authorize(viewer, "cohort.use", Resource("project", str(project_id), in_scope=project is not None))
    if project is None:  # the machine is refused nothing above
        raise Hidden("There is no such page.")
    if project.starts_at > now():
        raise Refused("This project has not begun.")
    if project.ends_at is not None and project.ends_at <= now():
        raise Refused("This project has ended.")
    return project


def projects_with_cohorts(*, viewer: Actor) -> list[tuple[Project, list[Cohort]]]:
    """The running projects of this person, each with its cohorts by name and who kept them (2 queries, however many)."""
    projects = projects_of(viewer=viewer)
    kept: dict[Any, list[Cohort]] = {project.pk: [] for project in projects}
    for cohort in Cohort.objects.filter(project__in=projects).select_related("created_by").order_by("name"):
        kept[cohort.project_id].append(cohort)
    return [(project, kept[project.pk]) for project in projects]


def cohort_for(*, viewer: Actor, cohort_id: Any) -> Cohort:
    """One cohort of one of the viewer's projects (2 queries)."""
    authorize(viewer, "cohort.use", Resource("cohort"))
    cohort = Cohort.objects.select_related("project").filter(pk=cohort_id).first()
    if cohort is None:
        raise Hidden("There is no such page.")
    project_for(viewer, cohort.project_id)
    return cohort


def members(*, viewer: Actor, project: Project, definition: CohortDefinition) -> frozenset[str]:
    """The ids of the patients in a cohort (2 queries, however large)."""
    rows = member_rows(project_for(viewer, project.pk), definition)
    return frozenset(str(key) for key in rows.values_list("pk", flat=True))


def member_pseudonyms(*, viewer: Actor, project: Project, definition: CohortDefinition) -> frozenset[str]:
    """The pseudonyms of the patients in a cohort (2 queries): what the gate of releases remembers."""
    rows = member_rows(project_for(viewer, project.pk), definition)
    return frozenset(rows.values_list("pseudonym", flat=True))


def not_allowing(*, viewer: Actor, project: Project, pseudonyms: frozenset[str]) -> frozenset[str]:
    """Those of these people who do not allow research now, or are not here any more (2 queries)."""
    project_for(viewer, project.pk)
    allowed = Patient.objects.for_actor(ACTOR).for_purpose(RESEARCH).values_list("pseudonym", flat=True)
    # a set of thousands is no list of parameters, so it is taken from all
    return pseudonyms - frozenset(allowed)


def persons(*, viewer: Actor, project: Project, definition: CohortDefinition) -> list[Person]:
    """The members as rows (3 queries). Only for the machine that prepares a release; no person gets them."""
    if not viewer.is_system:
        raise Refused("Rows of patients are not shown. Ask for a release.")
    return persons_in(project_for(viewer, project.pk), definition)


def safe_counts(*, viewer: Actor, project: Project, definition: CohortDefinition) -> dict[str, Any]:
    """How many persons are in a cohort, and how many were left after each step (2 queries).

    Steps carry no “left out” figure: what a step took away may be a group too small to count.
    """
    asked = steps(definition)
    # each patient's first unmet step: later ones need not be looked up for those already out
    unmet = [When(~condition, then=Value(at)) for at, (_, condition) in enumerate(asked)]
    here = patients_here(project_for(viewer, project.pk)).annotate(out_at=Case(*unmet, default=Value(len(asked))))
    out_at = Counter(here.values_list("out_at", flat=True))
    left = [sum(n for at, n in out_at.items() if at > step) for step in range(-1, len(asked))]
    names = ["patients at the project's sites", *(name for name, _ in asked)]
    attrition = [{"step": name, "left": safe_count(n)} for name, n in zip(names, left, strict=True)]
    return {"sentence": definition.sentence(), "total": attrition[-1]["left"], "attrition": attrition}


def table_one(*, viewer: Actor, project: Project, definition: CohortDefinition) -> list[TableRow]:
    """Who is in a cohort: ages, sexes, sites, images, and the definition's values (3 queries).

    Empty for fewer than 11 persons: of so few even an empty cell would tell what none of them has.
    """
    found = persons_in(project_for(viewer, project.pk), definition)
    if len(found) < SMALLEST:
        return []
    rows = _levels("Age", [age_band(person.age, AGE_BAND_YEARS) for person in found])
    rows += _levels("Sex", [person.sex for person in found])
    rows += _levels("Site", [person.site for person in found])
    for modality in sorted({kind for person in found for kind in person.modalities}):
        has = sum(modality in person.modalities for person in found)
        # those without the image are a group too, and must not be what is left of the total
        shown = safe_cells({"with": has, "without": len(found) - has})["with"]
        rows.append(TableRow("Image", modality, shown, _share(shown, has, len(found))))
    ages = [float(person.age) for person in found if person.age is not None]
    rows.append(_numbers("Age", ages, "years"))
    for rule in definition.codes:
        unit = common_unit(found, rule.code)
        rows.append(_numbers(rule.code, numbers_of(found, rule.code, unit), unit))
    return rows


def outcomes(*, viewer: Actor, project: Project, definition: CohortDefinition, task_id: str) -> dict[str, Any]:
    """How the members' risks by a task spread over five bands, and how well they told the outcome (6 queries)."""
    project = project_for(viewer, project.pk)
    inside = member_rows(project, definition).values("pk")
    risks = CurrentRisk.objects.for_actor(ACTOR).for_purpose(RESEARCH).filter(
        task_id=task_id, state=PredictionState.COMPUTED, sort_probability__isnull=False, patient_id__in=inside
    )
    found = list(risks.values_list("sort_probability", flat=True))
    return {"task_id": task_id, **_bands(found), "performance": _performance(task_id, inside)}


def known_outcomes(task_id: str, patient_ids: Sequence[str] | QuerySet[Any]) -> dict[str, int]:
    """What became of those of these patients who have a risk by the task and whose outcome is known: 1 or 0,
    by patient id (4 queries). For code, not for people: it names patients.

    For a case table's task the outcome is the case's value recorded after its start under the outcome's
    column; for a record's task a condition with the outcome's code, recorded within the horizon after the
    index moment. Before the horizon is over nothing is known.
    """
    outcome = _outcome_table(task_id)
    return _known(outcome, _judged(task_id, patient_ids, outcome), patient_ids) if outcome else {}


def _bands(found: list[float]) -> dict[str, Any]:
    """The five bands, made safe together; nothing at all of fewer than 11 persons."""
    if 0 < len(found) < SMALLEST:
        return {"bands": [{"band": band, "count": None, "share": None} for band in RISK_BANDS], "with_risk": None}
    counts = dict.fromkeys(RISK_BANDS, 0) | Counter(risk_band(risk) for risk in found)
    cells = safe_cells(counts)
    shown = [
        {"band": band, "count": cells[band], "share": _share(cells[band], counts[band], len(found))} for band in RISK_BANDS
    ]
    return {"bands": shown, "with_risk": safe_total(cells.values())}


def _performance(task_id: str, patients: QuerySet[Any]) -> dict[str, Any]:
    """Area under the ROC curve of the members with a known outcome, or a sentence why there is none.

    Two decimals: more would let the ranks of single persons be worked out.
    """
    outcome = _outcome_table(task_id)
    judged = _judged(task_id, patients, outcome) if outcome else {}
    known = _known(outcome, judged, patients) if outcome else {}
    y = list(known.values())
    risks = [judged[key].probability for key in known]
    events = sum(y)
    area = auroc(y, risks) if min(events, len(y) - events) >= SMALLEST else None
    if area is None:
        return {"refused": TOO_FEW}
    return {
        "n": safe_count(len(y)), "events": safe_count(events), "auroc": round(area.value, 2),
        "low": round(area.low, 2), "high": round(area.high, 2), "mean_risk": round(fmean(risks), 2),
        "observed": safe_share(events, len(y)),
    }  # fmt: skip


def _outcome_table(task_id: str) -> dict[str, Any]:
    """The [outcome] of the task's newest file; empty when there is no such task (1 query)."""
    task = TaskFile.objects.filter(task_id=task_id).order_by("-loaded_at").first()
    return tomllib.loads(task.text)["outcome"] if task else {}


def _judged(task_id: str, patients: Sequence[str] | QuerySet[Any], outcome: dict[str, Any]) -> dict[str, _Judged]:
    """Each patient's one prediction to judge, by the one bundle that speaks or else was trained last (2 queries)."""
    bundles = ModelBundle.objects.filter(task__task_id=task_id).order_by("-trained_at")
    ordered = sorted(bundles.only("pk", "state"), key=lambda bundle: bundle.state != BundleState.LIVE)
    rows = _predictions(ordered[0].pk if ordered else None, patients)
    if not outcome.get("column"):
        rows = rows.filter(index_at__lte=now() - timedelta(days=float(outcome.get("horizon_days", 0))))
    # a later row replaces an earlier one, and “out_of_fold” sorts after “live”: whoever the bundle was trained on
    # is judged by the risk of a model that had not seen them
    rows = rows.order_by("origin", "index_at", "created_at")
    columns = ("patient_id", "encounter_id", "index_at", "probability")
    return {str(key): _Judged(*rest) for key, *rest in rows.values_list(*columns)}


def _predictions(bundle_id: Any, patients: Sequence[str] | QuerySet[Any]) -> QuerySet[Any]:
    return Prediction.objects.for_actor(ACTOR).for_purpose(RESEARCH).filter(
        bundle_id=bundle_id, state=PredictionState.COMPUTED, probability__isnull=False, patient_id__in=patients
    )


def _known(
    outcome: dict[str, Any], judged: dict[str, _Judged], patients: Sequence[str] | QuerySet[Any]
) -> dict[str, int]:
    """The outcomes of judged predictions where they are known (1 query)."""
    if outcome.get("column"):
        return _known_cases(outcome, judged, patients)
    end = timedelta(days=float(outcome.get("horizon_days", 0)))
    recorded: dict[str, list[Any]] = {key: [] for key in judged}
    found = Condition.objects.for_actor(ACTOR).for_purpose(RESEARCH).filter(code=outcome.get("code"), patient_id__in=patients)
    for key, moment in found.values_list("patient_id", "recorded_at"):
        if str(key) in recorded:
            recorded[str(key)].append(moment)
    return {
        key: int(any(one.index_at < moment <= one.index_at + end for moment in recorded[key]))
        for key, one in judged.items()
    }  # fmt: skip


def _known_cases(
    outcome: dict[str, Any], judged: dict[str, _Judged], patients: Sequence[str] | QuerySet[Any]
) -> dict[str, int]:
    """The words in the outcome's column. A word that is neither positive nor negative, where both are listed, is none."""
    found = Observation.objects.for_actor(ACTOR).for_purpose(RESEARCH).filter(
        code=outcome["column"], encounter__kind="case", observed_at__gt=F("encounter__starts_at"), patient_id__in=patients
    )
    words = {
        case: text or f"{number:g}"
        for case, text, number in found.values_list("encounter_id", "value_text", "value_number")
        if text or number is not None
    }
    # an empty cell is stored as a word where the task file lists it
    positive, negative = ({str(word) or EMPTY_WORD for word in outcome.get(key, [])} for key in ("positive", "negative"))
    known = {key: words[one.encounter_id] for key, one in judged.items() if one.encounter_id in words}
    return {
        key: int(word in positive) for key, word in known.items() if word in positive or not negative or word in negative
    }


def _levels(variable: str, levels: Sequence[str]) -> list[TableRow]:
    """The levels of one variable, made safe together, with a total from the rounded cells."""
    counts = Counter(levels)
    cells = safe_cells(counts)
    rows = [
        TableRow(variable, name, cells[name], _share(cells[name], counts[name], len(levels))) for name in sorted(counts)
    ]
    return [*rows, TableRow(variable, "all", safe_total(cells.values()))]


def _share(shown: int | None, part: int, whole: int) -> float | None:
    """No share beside a suppressed count."""
    return None if shown is None else safe_share(part, whole)


def _numbers(variable: str, values: Sequence[float], unit: str) -> TableRow:
    """Mean and spread of one number, of 11 persons at least, to three significant digits."""
    if len(values) < SMALLEST:
        return TableRow(variable, n=safe_count(len(values)), unit=unit)
    figures = [float(f"{figure:.3g}") for figure in (fmean(values), stdev(values))]
    return TableRow(variable, n=safe_count(len(values)), mean=figures[0], sd=figures[1], unit=unit)
