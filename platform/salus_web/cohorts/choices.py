"""What a definition can name in a project: codes, units and kinds of image that enough of its people have.

Read for research, so nobody who refused it, nobody erased and nobody of another hospital stands behind a choice; and what
fewer than eleven people have is no choice: a rare code, or one record's own words for it, would say something of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.db.models import Count

from salus_web.accounts.actors import Actor
from salus_web.cohorts.definition import CodeRule, CohortDefinition
from salus_web.cohorts.disclosure import SMALLEST
from salus_web.cohorts.models import Project
from salus_web.cohorts.people import ACTOR
from salus_web.cohorts.selectors import project_for
from salus_web.common.errors import BadInput
from salus_web.imaging.models import Series
from salus_web.records.models import Observation
from salus_web.records.scopes import RESEARCH

MOST_CODES = 60
PEOPLE = Count("patient", distinct=True)


def code_choices(*, viewer: Actor, project: Project) -> list[tuple[str, str]]:
    """(code, words) of measurements, those of most people first; the words are those that most have it under (2 queries)."""
    rows = _of(Observation, project_for(viewer, project.pk)).values("code", "display").annotate(people=PEOPLE)
    words: dict[str, str] = {}
    for code, said in rows.filter(people__gte=SMALLEST).order_by("-people", "code", "display").values_list("code", "display"):
        words.setdefault(code, said)
    return list(words.items())[:MOST_CODES]


def unit_choices(*, viewer: Actor, project: Project) -> list[tuple[str, str]]:
    """(unit, the codes that are recorded in it) of numbers (2 queries)."""
    rows = _units(project_for(viewer, project.pk)).exclude(unit="").filter(people__gte=SMALLEST).order_by("unit", "-people", "code")
    codes: dict[str, list[str]] = {}
    for code, unit, _ in rows:
        codes.setdefault(unit, []).append(code)
    return [(unit, ", ".join(found[:5])) for unit, found in codes.items()]


def modality_choices(*, viewer: Actor, project: Project) -> list[str]:
    """The kinds of image, by name (2 queries)."""
    rows = _of(Series, project_for(viewer, project.pk)).values("modality").annotate(people=PEOPLE)
    return list(rows.filter(people__gte=SMALLEST).order_by("modality").values_list("modality", flat=True))


def with_units(*, viewer: Actor, project: Project, definition: CohortDefinition) -> CohortDefinition:
    """The definition with a unit at every limit (at most 2 queries): 2 mg/dL of creatinine and 2 µmol/L are not the same kidneys.

    Where a code is recorded in one unit that one is meant. Raises BadInput where somebody has to choose.
    """
    asked = [rule for rule in definition.codes if not rule.unit and (rule.low is not None or rule.high is not None)]
    if not asked:
        return definition
    known: dict[str, dict[str, int]] = {rule.code: {} for rule in asked}
    for code, unit, people in _units(project_for(viewer, project.pk)).filter(code__in=list(known)):
        known[code][unit] = people
    return replace(definition, codes=tuple(_with_unit(rule, known[rule.code]) if rule in asked else rule for rule in definition.codes))


def _with_unit(rule: CodeRule, people: dict[str, int]) -> CodeRule:
    """The rule in the one unit that enough people's values are in. Fewer people's other units are left out, and not told of."""
    usual = sorted(unit for unit, count in people.items() if count >= SMALLEST)
    if len(usual) == 1:  # numbers without a unit stay as they are asked for
        return replace(rule, unit=usual[0])
    if not usual:  # whether few people have it, in one unit or in two, or nobody: the same sentence
        raise BadInput(f"Fewer than {SMALLEST} people have {rule.code} in one unit here. Choose the unit that your limits are in.")
    named = ", ".join(unit for unit in usual if unit)
    raise BadInput(f"{rule.code} is recorded in more than one unit here: {named}. Choose the unit that your limits are in.")


def _units(project: Project) -> Any:
    """(code, unit, how many people) of numbers."""
    return _of(Observation, project).filter(value_number__isnull=False).values_list("code", "unit").annotate(people=PEOPLE)


def _of(model: Any, project: Project) -> Any:
    """Rows of people at the project's hospitals who allow research, of nobody erased."""
    rows = model.objects.for_actor(ACTOR).for_purpose(RESEARCH)
    return rows.filter(patient__site__in=project.sites.values("pk"), patient__erased_at__isnull=True).order_by()
