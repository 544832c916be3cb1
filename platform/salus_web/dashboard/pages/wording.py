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
    return at(film.acquired_at) if film.acquired_at else MOMENT_NOT_SAID


def at(moment: datetime) -> str:
    """A moment with its day, its year and its zone, so that it reads alone."""
    return f"{moment:%d %b %Y %H:%M} UTC"


def ago(moment: datetime | None) -> str:
    """14 min, 3 h, 5 d: how long since. What lies ahead is said to, with a doubt: nothing was measured in the future."""
    if moment is None:
        return "none"
    minutes = int((now() - moment).total_seconds() // 60)
    if minutes < -1:
        return f"in {_long(-minutes)}, if the clock is right"
    return "now" if minutes < 1 else _long(minutes)


def _long(minutes: int) -> str:
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"


def as_of(moment: datetime) -> str:
    """3 h ago; from two days on the day itself, which nobody takes for today."""
    if now() - moment >= timedelta(days=2):
        return f"{moment:%d %b %Y}"
    said = ago(moment)
    return said if said == "now" or moment > now() else f"{said} ago"


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
POWER = re.compile(r"10[*^](-?\d+)")
MICRO = re.compile(r"(?<![A-Za-z])u(?=(?:mol|g|L|l|kat|IU|U|m|s|V)(?![A-Za-z]))")
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
UNITS = {"a": "y", "Cel": "°C", "[degF]": "°F", "1": ""}


def unit(code: str | None) -> str:
    """A UCUM code as the ward says it. What stands in braces has no meaning as a unit (UCUM §12), so `{score}` is none."""
    plain = ANNOTATION.sub("", code or "")
    if plain in UNITS:
        return UNITS[plain]
    plain = MICRO.sub("µ", plain.replace("[", "").replace("]", ""))
    return POWER.sub(lambda found: f"×10{found[1].translate(RAISED)}", plain)
