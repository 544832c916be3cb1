"""Reading cohorts for a project's members: who is in one, and what may be said of them. Persons' rows stay here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, F, Q, QuerySet, Value, When, Window
from django.db.models.functions import RowNumber

from salus_web.accounts.actors import Actor
from salus_web.accounts.models import Role, RoleGrant
from salus_web.accounts.permissions import Resource, authorize
from salus_web.cohorts.blurring import Blurred, blurred
from salus_web.cohorts.definition import CohortDefinition
from salus_web.cohorts.disclosure import SMALLEST, safe_cells, safe_count, safe_share, share_of
from salus_web.cohorts.models import Cohort, Project, ProjectGuest
from salus_web.cohorts.people import (
    ACTOR,
    Person,
    age_band,
    common_unit,
    draw_of,
    member_rows,
    numbers_of,
    patients_here,
    persons_in,
    steps,
)
from salus_web.common.clock import now
from salus_web.common.errors import Hidden, Refused
from salus_web.records.models import Patient
from salus_web.records.scopes import RESEARCH

AGE_BAND_YEARS = 10


@dataclass(frozen=True, slots=True)
class TableRow:
    """One line of table 1. None is suppressed or does not apply: `count` and `share` are of a level, `n` and `blurred` of a
    number in `unit`."""

    variable: str
    level: str = ""
    count: int | None = None
    share: float | None = None
    n: int | None = None
    blurred: Blurred | None = None
    unit: str = ""
    is_number: bool = False


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


def first_cohorts(*, viewer: Actor, projects: Sequence[Project], each: int) -> list[tuple[Project, list[Cohort], bool]]:
    """Projects of this person's, each with its first cohorts by name, who kept them, and whether there are more (1 query)."""
    authorize(viewer, "cohort.use", Resource("project"))
    place = Window(RowNumber(), partition_by=[F("project_id")], order_by=[F("name").asc(), F("pk").asc()])
    rows = Cohort.objects.filter(project__in=[project.pk for project in projects]).annotate(place=place).filter(place__lte=each + 1)
    kept: dict[Any, list[Cohort]] = {project.pk: [] for project in projects}
    for cohort in rows.select_related("created_by").order_by("name", "pk"):
        kept[cohort.project_id].append(cohort)
    return [(project, kept[project.pk][:each], len(kept[project.pk]) > each) for project in projects]


def cohorts_of(*, viewer: Actor, project_id: Any) -> tuple[Project, QuerySet[Cohort]]:
    """One running project of this person's and all its cohorts, by name. Raises Hidden for one that is not theirs."""
    project = project_for(viewer, project_id)
    return project, Cohort.objects.filter(project=project).select_related("created_by").order_by("name", "pk")


def cohort_for(*, viewer: Actor, cohort_id: Any) -> Cohort:
    """One cohort of one of the viewer's projects (2 queries)."""
    authorize(viewer, "cohort.use", Resource("cohort"))
    cohort = Cohort.objects.select_related("project").filter(pk=cohort_id).first()
    if cohort is None:
        raise Hidden("There is no such page.")
    project_for(viewer, cohort.project_id)
    return cohort


def member_pseudonyms(*, viewer: Actor, project: Project, definition: CohortDefinition) -> frozenset[str]:
    """The pseudonyms of the patients in a cohort (2 queries): what the gate of releases remembers. For the machine alone."""
    _check_machine(viewer)
    rows = member_rows(project_for(viewer, project.pk), definition)
    return frozenset(rows.values_list("pseudonym", flat=True))


def not_allowing(*, viewer: Actor, project: Project, pseudonyms: frozenset[str]) -> frozenset[str]:
    """Those of these people who do not allow research now, or are not here any more (2 queries). For the machine alone."""
    _check_machine(viewer)
    project_for(viewer, project.pk)
    allowed = Patient.objects.for_actor(ACTOR).for_purpose(RESEARCH).values_list("pseudonym", flat=True)
    # a set of thousands is no list of parameters, so it is taken from all
    return pseudonyms - frozenset(allowed)


def persons(*, viewer: Actor, project: Project, definition: CohortDefinition) -> list[Person]:
    """The members as rows (3 queries). Only for the machine that prepares a release; no person gets them."""
    _check_machine(viewer)
    return persons_in(project_for(viewer, project.pk), definition)


def _check_machine(viewer: Actor) -> None:
    if not viewer.is_system:
        raise Refused("Rows of patients are not shown. Ask for a release.")


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
        if has >= SMALLEST:
            rows.append(TableRow("Image", modality, shown, share_of(shown, has, len(found))))
    ages = {person.id: float(person.age) for person in found if person.age is not None}
    rows.append(_numbers("Age", ages, "years"))
    for rule in definition.codes:
        unit = common_unit(found, rule.code)
        numbers = numbers_of(found, rule.code, unit)
        if len(numbers) >= SMALLEST:  # words have no mean, and a line of few would tell that anybody has a number
            rows.append(_numbers(rule.code, numbers, unit))
    return rows


def _levels(variable: str, levels: Sequence[str]) -> list[TableRow]:
    """The levels of one variable that at least 11 people have. That anybody has another must not be told, so nothing depends
    on the others: they have no line, there is no total of all levels, and no line is hidden on their account."""
    counts = Counter(levels)
    told = [name for name in sorted(counts) if counts[name] >= SMALLEST]
    return [TableRow(variable, name, safe_count(counts[name]), safe_share(counts[name], len(levels))) for name in told]


def _numbers(variable: str, values: Mapping[str, float], unit: str) -> TableRow:
    """Mean and spread of one number by person, of 11 at least, blurred."""
    found = None if len(values) < SMALLEST else blurred(list(values.values()), draw_of(variable, values))
    return TableRow(variable, n=safe_count(len(values)), blurred=found, unit=unit, is_number=True)
