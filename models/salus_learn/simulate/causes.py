"""The written causal graph of the simulated hospital, and the one routine that draws from it. Writes nothing.

What stands here is what is drawn and what truth.json prints: there is no second copy of any coefficient.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

# Pulse oximeters read too high under darker skin (Sjoding et al., N Engl J Med 2020); planted so that a subgroup view can find it.
SPO2_OVERREAD_POINTS = 2.0
Values = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Node:
    """One variable. Its linear part is `base` + sum of coefficient x (parent - the parent's `centre`).

    kind "number": linear part + normal noise of standard deviation `noise`, clipped to [low, high].
    kind "chance": 1 with probability sigma(linear part), else 0. kind "site": a site number, each equally likely.
    """

    name: str
    label: str
    kind: str
    base: float = 0.0
    parents: dict[str, float] = field(default_factory=dict)
    noise: float = 0.0
    low: float = -np.inf
    high: float = np.inf
    centre: float = 0.0
    unit: str = ""
    seen_in: str = "record"


OUTCOME = "deterioration"

GRAPH: tuple[Node, ...] = (
    Node("site", "Site", "site"),
    Node("age_years", "Age", "number", 66, {"site": -2.0}, 13.5, 21, 97, centre=66, unit="a"),
    Node("male", "Male", "chance", 0.05),
    Node("darker_skin", "Darker skin (Fitzpatrick V or VI)", "chance", -1.3, {"site": 0.5}),
    Node("ever_smoked", "Has smoked", "chance", -0.5, {"male": 0.4}),
    Node("copd", "COPD", "chance", -2.2, {"ever_smoked": 1.4, "age_years": 0.03}),
    Node("heart_failure", "Heart failure", "chance", -1.5, {"age_years": 0.05}),
    Node("diabetes", "Type 2 diabetes", "chance", -1.3, {"age_years": 0.012}),
    Node("kidney_disease", "Chronic kidney disease", "chance", -2.2, {"age_years": 0.03, "diabetes": 0.8}),
    Node("hypertension", "Hypertension", "chance", -0.6, {"age_years": 0.03}),
    Node("infection", "Acute infection", "chance", 0.1, {"copd": 0.5, "diabetes": 0.3}, seen_in="nowhere"),
    Node("lung_severity", "Severity of the infection in the lungs", "number", -0.45, {"infection": 1.35}, 0.7, 0, 3,
         centre=0.6, seen_in="film"),
    Node("systemic_severity", "Severity of the infection in the body", "number", -0.2, {"infection": 1.0}, 0.6, 0, 3,
         centre=0.6, seen_in="nowhere"),
    Node("spo2_percent", "Oxygen saturation", "number", 95.2,
         {"lung_severity": -0.5, "systemic_severity": -0.6, "copd": -1.6, "heart_failure": -0.6}, 1.9, 79, 100,
         centre=95, unit="%"),
    Node("resp_rate_per_min", "Respiratory rate", "number", 18.0,
         {"systemic_severity": 1.6, "lung_severity": 0.3, "copd": 0.8}, 3.2, 9, 42, centre=18, unit="/min"),
    Node("lactate_mmol_l", "Lactate", "number", 1.6, {"systemic_severity": 0.45}, 0.7, 0.4, 9, centre=1.6, unit="mmol/L"),
    Node("heart_rate_per_min", "Heart rate", "number", 84, {"systemic_severity": 7.0}, 12, 45, 170, unit="/min"),
    Node("temperature_cel", "Temperature", "number", 37.0, {"infection": 0.25, "systemic_severity": 0.3}, 0.45, 35.0, 40.6, unit="Cel"),
    Node("systolic_mm_hg", "Systolic blood pressure", "number", 130,
         {"systemic_severity": -6.0, "age_years": 0.2, "hypertension": 9.0}, 14, 78, 205, unit="mm[Hg]"),
    Node("creatinine_umol_l", "Creatinine", "number", 82, {"kidney_disease": 75, "age_years": 0.3, "male": 10}, 14, 35, 480, unit="umol/L"),
    Node("crp_mg_l", "C-reactive protein", "number", 30, {"infection": 22, "systemic_severity": 34}, 32, 1, 390, unit="mg/L"),
    Node("wbc_10e3_ul", "White cells", "number", 8.2, {"infection": 0.9, "systemic_severity": 1.5}, 2.4, 1.8, 34, unit="10*3/uL"),
    Node("haemoglobin_g_dl", "Haemoglobin", "number", 12.6, {"male": 1.2, "kidney_disease": -1.4}, 1.2, 6.5, 18, unit="g/dL"),
    Node(OUTCOME, "Acute respiratory failure within 48 h of the index moment", "chance", -1.7,
         {"spo2_percent": -0.62, "resp_rate_per_min": 0.29, "age_years": 0.052, "lactate_mmol_l": 0.85,
          "heart_failure": 0.5, "lung_severity": 2.6}),
    Node("lactate_missing", "Lactate was never measured", "chance", -0.6, {"lactate_mmol_l": -1.3}),
    Node("crp_missing", "CRP was never measured", "chance", -2.6, {"site": 0.9}),
    Node("film_missing", "No chest film was made", "chance", -2.0, {"systemic_severity": -0.7}),
    Node("bedside_film", "The film was made at the bedside (AP)", "chance", -1.2, {"age_years": 0.03, "systemic_severity": 0.8}),
    Node("antibiotic", "An antibiotic was ordered before the index moment", "chance", -1.6, {"infection": 2.4}),
)  # fmt: skip

BY_NAME = {node.name: node for node in GRAPH}


def sigmoid(margin: np.ndarray) -> np.ndarray:
    """Log odds of any shape to probabilities in (0, 1)."""
    return 1.0 / (1.0 + np.exp(-margin))


def linear_part(name: str, values: Values) -> np.ndarray:
    """(n,) `base` + sum of coefficient x (parent - centre) of one node, from its parents' values."""
    node = BY_NAME[name]
    total = np.full(len(values["site"]), float(node.base))
    for parent, coefficient in node.parents.items():
        total += coefficient * (values[parent] - BY_NAME[parent].centre)
    return total


def draw_values(patients: int, sites: int, rng: np.random.Generator) -> Values:
    """Every node for (patients,) people, parents before children. chance nodes are 0.0 or 1.0."""
    values: Values = {"site": rng.integers(sites, size=patients).astype(float)}
    for node in GRAPH[1:]:
        linear = linear_part(node.name, values)
        if node.kind == "chance":
            values[node.name] = (rng.random(patients) < sigmoid(linear)).astype(float)
        else:
            values[node.name] = np.clip(linear + node.noise * rng.standard_normal(patients), node.low, node.high)
    return values


def true_probability(values: Values) -> np.ndarray:
    """(n,) probability of the outcome given all its parents, the hidden one included."""
    return sigmoid(linear_part(OUTCOME, values))


def ranked_causes(values: Values) -> list[dict[str, Any]]:
    """The outcome's parents, largest first, by their mean absolute push on the log odds in these people."""
    found = [
        {
            "name": parent, "label": BY_NAME[parent].label, "seen_in": BY_NAME[parent].seen_in,
            "coefficient_per_unit": coefficient,
            "mean_absolute_log_odds": round(float(np.abs(coefficient * (values[parent] - values[parent].mean())).mean()), 4),
        }
        for parent, coefficient in BY_NAME[OUTCOME].parents.items()
    ]  # fmt: skip
    return sorted(found, key=lambda entry: -float(entry["mean_absolute_log_odds"]))


def written_graph() -> list[dict[str, Any]]:
    """The graph as JSON can hold it; limits that do not bind are null."""
    out = []
    for node in GRAPH:
        body = asdict(node)
        for bound in ("low", "high"):
            body[bound] = body[bound] if np.isfinite(body[bound]) else None
        out.append(body)
    return out
