"""Who is in a cohort, as queries. Only for `selectors`, which decide for whom and let only safe figures out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import (
    DateField,
    Exists,
    F,
    FloatField,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import (
    Cast,
    Coalesce,
    ExtractDay,
    ExtractMonth,
    ExtractYear,
    Floor,
    JSONObject,
    TruncDate,
)

from salus_web.accounts.actors import system
from salus_web.cohorts.blurring import Draw
from salus_web.cohorts.definition import CodeRule, CohortDefinition
from salus_web.cohorts.models import Project
from salus_web.common.clock import now
from salus_web.common.encryption import keyed_hash
from salus_web.imaging.models import Series
from salus_web.predictions.models import CurrentRisk, PredictionState
from salus_web.records.models import Condition, Observation, Patient
from salus_web.records.scopes import RESEARCH, allowing, silence_allows

# Researchers have no care relation, so no patient table would answer them; this app reads for them.
ACTOR = system("cohorts")
OLDEST_BAND = 90
RISK_BANDS = ("0–20 %", "20–40 %", "40–60 %", "60–80 %", "80–100 %")
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Measured:
    """A person's newest value that meets a rule of the definition."""

    number: float | None
    text: str
    unit: str


@dataclass(frozen=True, slots=True)
class Person:
    """One member with what the cohort's tables and files are made of. For the machine only."""

    id: str
    pseudonym: str
    site: str
    sex: str
    age: int | None
    is_simulated: bool
    risk: float | None
    values: dict[str, Measured]
    modalities: frozenset[str]


def patients_here(project: Project) -> QuerySet[Any]:
    """Patients at the project's sites, whatever they allow, with their age (at death for the dead). Nobody erased."""
    until = Coalesce(TruncDate("died_at"), Value(now().date()), output_field=DateField())
    apart = _as_number(until) - _as_number(F("birth_date"))
    return (
        Patient.objects.for_actor(ACTOR)
        .filter(site_id__in=project.sites.values("pk"), erased_at__isnull=True)
        .annotate(age=Cast(Floor(Cast(apart, FloatField()) / Value(10000.0)), IntegerField()))
    )


def _as_number(day: Any) -> Any:
    """A date as yyyymmdd, so that two differ by ten thousand per whole year on every database."""
    year, month, of_month = ExtractYear(day), ExtractMonth(day), ExtractDay(day)
    return year * Value(10000) + month * Value(100) + of_month


def steps(definition: CohortDefinition) -> list[tuple[str, Q]]:
    """Each thing the definition asks, in words and as a condition, in the order it is asked. Consent is always asked."""
    words = "who have not refused research" if silence_allows(RESEARCH) else "who have allowed research"
    found = [(words, allowing(RESEARCH, "pk"))]
    if definition.site_ids:
        found.append(("at the chosen sites", Q(site_id__in=definition.site_ids)))
    if definition.age_low is not None or definition.age_high is not None:
        asked = Q(age__isnull=False) & _within("age", definition.age_low, definition.age_high)
        found.append(("in the range of age", asked))
    if definition.sexes:
        found.append((" or ".join(definition.sexes), Q(sex__in=definition.sexes)))
    for rule in definition.codes:
        found.append((f"with {rule.sentence()}", Q(Exists(_meeting(rule)))))
    for code in definition.condition_codes:
        diagnosed = Condition.objects.for_actor(ACTOR).filter(patient_id=OuterRef("pk"), code=code)
        found.append((f"diagnosed with {code}", Q(Exists(diagnosed))))
    if definition.modalities:
        series = Series.objects.for_actor(ACTOR).filter(patient_id=OuterRef("pk"), modality__in=definition.modalities)
        found.append((f"with an image of modality {' or '.join(definition.modalities)}", Q(Exists(series))))
    if definition.task_id is not None:
        ranged = _within("sort_probability", definition.risk_low, definition.risk_high)
        found.append((f"in the range of risk by {definition.task_id}", Q(Exists(_risk(definition).filter(ranged)))))
    return found


def member_rows(project: Project, definition: CohortDefinition) -> QuerySet[Any]:
    """The members as a query that other queries can hold inside them. Read for research: on PostgreSQL the database itself
    holds to what the members allow as well."""
    found = patients_here(project).for_purpose(RESEARCH)
    for _, condition in steps(definition):
        found = found.filter(condition)
    return found


def persons_in(project: Project, definition: CohortDefinition) -> list[Person]:
    """The members as rows (2 queries)."""
    rows = member_rows(project, definition)
    series = Series.objects.for_actor(ACTOR).filter(patient_id__in=rows.values("pk"))
    images: dict[Any, set[str]] = {}
    for key, modality in series.values_list("patient_id", "modality").distinct():
        images.setdefault(key, set()).add(modality)
    value = JSONObject(number="value_number", text="value_text", unit="unit")
    newest = {
        f"value{at}": Subquery(_meeting(rule).order_by("-observed_at", "-pk").values(found=value)[:1])
        for at, rule in enumerate(definition.codes)
    }
    rows = rows.annotate(risk=Subquery(_risk(definition).values("sort_probability")[:1]), **newest)
    columns = ("pk", "pseudonym", "site__code", "sex", "age", "is_simulated", "risk", *newest)
    return [_person(row, definition, images) for row in rows.values_list(*columns)]


def _person(row: Sequence[Any], definition: CohortDefinition, images: dict[Any, set[str]]) -> Person:
    key, pseudonym, site, sex, age, simulated, risk, *found = row
    pairs = zip(definition.codes, found, strict=True)
    values = {rule.code: Measured(**value) for rule, value in pairs if value is not None}
    return Person(str(key), pseudonym, site, sex, age, simulated, risk, values, frozenset(images.get(key, ())))


def _within(field: str, low: float | None, high: float | None) -> Q:
    asked = Q()
    if low is not None:
        asked &= Q(**{f"{field}__gte": low})
    if high is not None:
        asked &= Q(**{f"{field}__lte": high})
    return asked


def _meeting(rule: CodeRule) -> QuerySet[Any]:
    """A patient's measurements that meet a rule, for use inside a query of patients."""
    found = Observation.objects.for_actor(ACTOR).filter(patient_id=OuterRef("pk"), code=rule.code)
    if rule.unit:
        found = found.filter(unit=rule.unit)
    return found.filter(_within("value_number", rule.low, rule.high))


def _risk(definition: CohortDefinition) -> QuerySet[Any]:
    """A patient's current risk by the definition's task. Only a computed one has a number."""
    return CurrentRisk.objects.for_actor(ACTOR).filter(
        patient_id=OuterRef("pk"), task_id=definition.task_id, state=PredictionState.COMPUTED,
        sort_probability__isnull=False,
    )  # fmt: skip


def age_band(age: int | None, years: int) -> str:
    """The band an age falls into; all from 90 on share one, as the very old are few (HIPAA Safe Harbor,
    45 CFR 164.514(b)(2)(i)(C))."""
    if age is None or age < 0:
        return UNKNOWN
    if age >= OLDEST_BAND:
        return f"{OLDEST_BAND} and over"
    low = age // years * years
    return f"{low} to {low + years - 1}"


def risk_band(risk: float) -> str:
    """The fifth of the scale a risk falls into."""
    return RISK_BANDS[min(int(risk * len(RISK_BANDS)), len(RISK_BANDS) - 1)]


def common_unit(found: Iterable[Person], code: str) -> str:
    """The unit most persons' value is in. Values in another unit are left out of figures and files, never mixed in."""
    units = Counter(person.values[code].unit for person in found if code in person.values)
    return min(units, key=lambda unit: (-units[unit], unit), default="")


def numbers_of(found: Iterable[Person], code: str, unit: str) -> dict[str, float]:
    """The persons' numbers for a code in one unit, by person."""
    values = {person.id: person.values[code] for person in found if code in person.values}
    return {key: value.number for key, value in values.items() if value.number is not None and value.unit == unit}


def draw_of(figure: str, values: Mapping[str, Any]) -> Draw:
    """What a figure over these people's values is blurred by: the same for the same people and values, whatever was asked to
    find them, and for nobody to work out without the installation's key. The values belong to it: were the people alone to
    decide, a value that is corrected tomorrow could be subtracted from today's."""
    said = orjson.dumps([figure, sorted(values.items())])

    def draw(name: str) -> float:
        digest = keyed_hash(name.encode() + b" " + said, purpose="cohort blur")
        return 2 * int(digest[:13], 16) / (16**13 - 1) - 1

    return draw
