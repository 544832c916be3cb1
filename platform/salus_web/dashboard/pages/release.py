"""The release page: what those who decide have to see before they say yes. Every count on it was made safe before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from salus_web.cohorts.definition import from_json
from salus_web.cohorts.disclosure import SMALLEST
from salus_web.dashboard.pages.numbers import percent
from salus_web.releases.models import Release
from salus_web.releases.selectors import sites_in

FEW = f"fewer than {SMALLEST}"


@dataclass(frozen=True, slots=True)
class Page:
    """Who the files are of, in words; what stands in them; what the gate found; and what was lost on the way."""

    sentence: str
    sites: list[str]
    columns: list[dict[str, str]]
    facts: list[tuple[str, str]]
    lost: list[str]

    @property
    def is_prepared(self) -> bool:
        """Whether there are files yet."""
        return bool(self.facts)


def page_of(release: Release, report: dict[str, Any]) -> Page:
    """What is shown of a release that the viewer may see, from its cohort and its report (1 query)."""
    definition = from_json(release.cohort.definition)
    return Page(
        sentence=definition.sentence(), sites=[site.name for site in sites_in(release)], columns=report.get("columns", []),
        facts=_facts(report) if report else [], lost=report.get("utility_lost", []),
    )  # fmt: skip


def _facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """The gate's figures, each as a label and words."""
    alike = ", ".join(name.replace("_", " ") for name in report.get("quasi_identifiers", []))
    share = report.get("left_out_share")
    facts = [
        ("people in the cohort", _people(report, "people_in_cohort")), ("people in the files", _people(report, "people_in_files")),
        ("left out, as they would stand out", _people(report, "left_out") + (f" ({percent(share)})" if share else "")),
    ]  # fmt: skip
    if report.get("k"):
        facts.append((f"people who share one {alike}", f"at least {report['k']}"))
    if report.get("l"):
        facts.append(("different values among them", f"at least {report['l']}"))
    if report.get("images"):
        facts += _images(report["images"])
    return [*facts, ("simulated people", str(report.get("simulated", "not known")))]


def _images(told: dict[str, Any]) -> list[tuple[str, str]]:
    """How many images leave, and what was done with them."""
    counts = [f"about {number:,} {modality}" for modality, number in sorted(told["images"].items())]
    return [("images", ", ".join(counts) or "none may leave"), ("de-identified by", told["method"])]


def _people(report: dict[str, Any], name: str) -> str:
    """A safe count in words: a suppressed one is of fewer than 11 people, which is not the same as not known. So is nobody, who
    was told apart in reports that were kept earlier."""
    if name not in report:
        return "not known"
    count = report[name]
    return f"about {count:,}" if count else FEW
