"""Charlson's comorbidity index: the 1987 weights over ICD-10 diagnoses, grouped as Quan did in 2005.

A condition that is not coded counts nothing: that is the published rule. It only holds where every diagnosis was looked
at, so the index is refused unless the caller says that the snapshot holds them all, at least one of them is an ICD-10
code, and none is in SNOMED CT alone (Quan's table does not read it). Of a mild and a severe form only the severe one counts.
Quan counts leukaemia and lymphoma with the tumours, once; Charlson's list of 1987 had them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from salus_learn.contracts import PatientSnapshot, RecordValue
from salus_learn.known_scores.forms import Score, ScorePart
from salus_learn.known_scores.inputs import INPUTS, SNOMED, find, score_codes

ICD10 = frozenset({
    "http://hl7.org/fhir/sid/icd-10", "http://hl7.org/fhir/sid/icd-10-cm", "http://fhir.de/CodeSystem/bfarm/icd-10-gm",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Group:
    """One condition: its weight, the beginnings of its ICD-10 codes (without the dot; “C00-C26” is a range), and the
    severer form under which it counts nothing."""

    name: str
    label: str
    weight: int
    written: str
    under: str = ""

    @property
    def beginnings(self) -> tuple[str, ...]:
        """Every beginning of a code of this condition."""
        return tuple(code for part in self.written.split() for code in _spread(part))


def _spread(part: str) -> Iterator[str]:
    """“K713-K715” as its three codes; any other code as itself."""
    first, _, last = part.partition("-")
    for number in range(int(first[1:]), int((last or first)[1:]) + 1):
        yield f"{first[0]}{number:0{len(first) - 1}d}"


GROUPS = (
    Group("infarction", "Myocardial infarction", 1, "I21 I22 I252"),
    Group("heart_failure", "Heart failure", 1, "I099 I110 I130 I132 I255 I420 I425-I429 I43 I50 P290"),
    Group("vessels", "Peripheral vascular disease", 1, "I70 I71 I731 I738 I739 I771 I790 I792 K551 K558 K559 Z958 Z959"),
    Group("brain_vessels", "Cerebrovascular disease", 1, "G45 G46 H340 I60-I69"),
    Group("dementia", "Dementia", 1, "F00-F03 F051 G30 G311"),
    Group("lung", "Chronic lung disease", 1, "I278 I279 J40-J47 J60-J67 J684 J701 J703"),
    Group("rheumatic", "Rheumatic disease", 1, "M05 M06 M315 M32-M34 M351 M353 M360"),
    Group("ulcer", "Peptic ulcer", 1, "K25-K28"),
    Group("liver_mild", "Liver disease, mild", 1, "B18 K700-K703 K709 K713-K715 K717 K73 K74 K760 K762-K764 K768 K769 Z944", "liver_severe"),
    Group("diabetes", "Diabetes without complication", 1, "E100 E101 E106 E108 E109 E110 E111 E116 E118 E119 E120 E121 E126 E128 E129 "
          "E130 E131 E136 E138 E139 E140 E141 E146 E148 E149", "diabetes_severe"),
    Group("diabetes_severe", "Diabetes with complication", 2, "E102-E105 E107 E112-E115 E117 E122-E125 E127 E132-E135 E137 E142-E145 E147"),
    Group("palsy", "Hemiplegia or paraplegia", 2, "G041 G114 G801 G802 G81 G82 G830-G834 G839"),
    Group("kidney", "Kidney disease", 2, "I120 I131 N032-N037 N052-N057 N18 N19 N250 Z490-Z492 Z940 Z992"),
    Group("cancer", "Cancer, leukaemia or lymphoma", 2, "C00-C26 C30-C34 C37-C41 C43 C45-C58 C60-C76 C81-C85 C88 C90-C97", "metastases"),
    Group("liver_severe", "Liver disease, moderate or severe", 3, "I850 I859 I864 I982 K704 K711 K721 K729 K765-K767"),
    Group("metastases", "Metastatic solid tumour", 6, "C77-C80"),
    Group("aids", "AIDS", 6, "B20-B22 B24"),
)  # fmt: skip


def group_of(code: str) -> Group | None:
    """The condition an ICD-10 code belongs to (with or without its dot; longer national codes by their beginning)."""
    plain = code.upper().replace(".", "").strip()
    return next((group for group in GROUPS if plain.startswith(group.beginnings)), None)


def age_points(age_years: float) -> int:
    """Charlson 1994: one point for each decade from the fifties on, four from 80 years (no more are given here: what
    is taken from 90 years differs between sources)."""
    return min(max(int(age_years // 10) - 4, 0), 4)


def reckon(snapshot: PatientSnapshot, all_diagnoses: bool) -> tuple[tuple[ScorePart, ...], tuple[str, ...]]:
    """The conditions found, with their points; a milder form is listed with none. Else what is missing."""
    coded = [value for value in snapshot.values if value.system in ICD10 and value.time <= snapshot.index_time]
    if not all_diagnoses:
        return (), ("The full list of diagnoses",)
    if not coded:
        return (), ("Diagnoses in ICD-10",)
    read = {(value.source, value.time) for value in coded}  # one thing in two vocabularies
    foreign = sum(_is_foreign(value, snapshot) and (value.source, value.time) not in read for value in snapshot.values)
    if foreign:
        return (), (f"{foreign} of the diagnoses in SNOMED CT alone, which the table of this score does not read.",)
    first: dict[str, RecordValue] = {}
    for value in sorted(coded, key=lambda value: (value.time, value.code)):
        group = group_of(value.code)
        if group is not None:
            first.setdefault(group.name, value)
    parts = tuple(_part(group, first[group.name], under=group.under in first) for group in GROUPS if group.name in first)
    nothing = ScorePart("None of the 17 conditions is coded", f"{len(coded)} ICD-10 codes read", 0, coded[-1].source, coded[-1].time)
    return parts or (nothing,), ()


def reckon_with_age(snapshot: PatientSnapshot, all_diagnoses: bool) -> tuple[tuple[ScorePart, ...], tuple[str, ...]]:
    """The same with a part for age."""
    parts, missing = reckon(snapshot, all_diagnoses)
    age = find(snapshot, "age_years")
    if not isinstance(age.value, float):
        missing = (*missing, age.problem or INPUTS["age_years"].label)
    if missing or not isinstance(age.value, float):
        return (), missing
    return (*parts, ScorePart("Age", age.text, age_points(age.value), age.source, age.time)), ()


def _is_foreign(value: RecordValue, snapshot: PatientSnapshot) -> bool:
    """A diagnosis (a fact without unit, value 1) in SNOMED CT, known by the index moment."""
    is_fact = value.system == SNOMED and value.value == 1.0 and not value.unit
    return is_fact and value.time <= snapshot.index_time and value.code not in score_codes()


def _part(group: Group, value: RecordValue, *, under: bool) -> ScorePart:
    text = f"{value.code}, counted in its severer form" if under else value.code
    return ScorePart(group.label, text, 0 if under else group.weight, value.source, value.time)


def _band(points: int, _: Sequence[int]) -> tuple[str, str]:
    for limit, words, died in ((0, "0", 12), (2, "1 to 2", 26), (4, "3 to 4", 52)):
        if points <= limit:
            return words, f"of the patients of the 1987 paper {died} % died within a year"
    return "5 or more", "of the patients of the 1987 paper 85 % died within a year"


def _no_band(_points: int, _: Sequence[int]) -> tuple[str, str]:
    return "", ""


CHARLSON = Score(
    "charlson", "Charlson comorbidity index", 29, (), reckon, _band,
    "Charlson and others, J Chronic Dis 1987;40:373 (weights); Quan and others, Med Care 2005;43:1130 (ICD-10)",
    ("https://docs.ropensci.org/ciecl/reference/cie_comorbid.html",
     "https://epidemiology.blog/knowledgebase/how-is-the-charlson-comorbidity-index-calculated"),
)  # fmt: skip
# no published worked example of the figure with age was found, and sources differ from 90 years on: it is not shown
CHARLSON_WITH_AGE = Score(
    "charlson_age", "Charlson comorbidity index with age", 33, (INPUTS["age_years"],), reckon_with_age, _no_band,
    "Charlson and others, J Clin Epidemiol 1994;47:1245", (),
)  # fmt: skip
