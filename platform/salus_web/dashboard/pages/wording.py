"""How times, states, models and units are said on the screen; numbers are in `numbers`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from salus_web.common.clock import now
from salus_web.imaging.models import Instance

STATES = {
    "computed": ("•", "computed"),
    "abstained": ("◐", "cannot tell"),
    "stale": ("↻", "data changed since"),
    "superseded": ("↷", "superseded"),
    "failed": ("✕", "not computed"),
    "withdrawn": ("⌀", "withdrawn"),
}
SIDES = {"L": "left", "R": "right", "B": "both sides"}
MOMENT_NOT_SAID = "date not said"


def film_name(film: Instance) -> str:
    """What a film is of, and of which side of the body: DX chest PA, left. Several frames are said, as only the first is shown."""
    parts = [film.series.modality, film.series.body_part.lower(), film.view]
    name = " ".join(part for part in parts if part)
    name += f", {side}" if (side := SIDES.get(film.laterality.upper(), "")) else ""
    return f"{name}, first of {film.frames} frames" if film.frames > 1 else name


def film_moment(film: Instance) -> str:
    """When a film was made, to the minute."""
    return f"{film.acquired_at:%d %b %Y %H:%M}" if film.acquired_at else MOMENT_NOT_SAID


def ago(moment: datetime | None) -> str:
    """14 min, 3 h, 5 d: how long since."""
    if moment is None:
        return "none"
    minutes = int((now() - moment).total_seconds() // 60)
    if minutes < 1:
        return "now"
    if minutes < 120:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // 1440} d"


def as_of(moment: datetime) -> str:
    """3 h ago; from two days on the day itself, which nobody takes for today."""
    if now() - moment >= timedelta(days=2):
        return f"{moment:%d %b %Y}"
    said = ago(moment)
    return said if said == "now" else f"{said} ago"


def left_out(index_at: datetime, state: str, newest: datetime | None) -> datetime | None:
    """When the newest value of a patient was read, where it came after the moment that a risk speaks of and the risk still
    stands: it was computed without it, however late that was done."""
    return newest if newest and newest > index_at and state in {"computed", "abstained"} else None


def left(moment: datetime | None) -> str:
    """3 h 12 min: how long until; hours and minutes up to two days, then days."""
    minutes = 0 if moment is None else max(int((moment - now()).total_seconds() // 60), 0)
    if minutes >= 48 * 60:
        return f"{minutes // 1440} d"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


SINCE = {
    "live": "", "retired": ", which has since retired", "withdrawn": ", which was withdrawn",
    "candidate": ", which is a candidate that nobody has made live",
}  # fmt: skip


def how(origin: str, bundle_state: str) -> str:
    """By which model a risk was made, and what that model is today."""
    if origin == "out_of_fold":
        end = f"; the model of that training{SINCE[bundle_state].removeprefix(', which')}" if SINCE[bundle_state] else ""
        return f"by a model that had not seen this patient in training{end}"
    if bundle_state == "candidate":
        return f"by a model{SINCE[bundle_state]}"
    return f"by the model on duty{' then' if SINCE[bundle_state] else ''}{SINCE[bundle_state]}"


ANNOTATION = re.compile(r"\{[^{}]*\}")
UNITS = {"a": "y", "Cel": "°C", "mm[Hg]": "mmHg", "10*3/uL": "×10³/µL", "umol/L": "µmol/L", "1": ""}


def unit(code: str | None) -> str:
    """A UCUM code as the ward says it. What stands in braces has no meaning as a unit (UCUM §12), so `{score}` is none."""
    plain = ANNOTATION.sub("", code or "")
    return UNITS.get(plain, plain)
