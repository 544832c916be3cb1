"""How numbers, times and states are said on the screen."""

from __future__ import annotations

import re
from datetime import datetime

from salus_web.common.clock import now

STATES = {
    "computed": ("•", "computed"),
    "abstained": ("◐", "cannot tell"),
    "stale": ("↻", "data changed since"),
    "superseded": ("↷", "superseded"),
    "failed": ("✕", "not computed"),
    "withdrawn": ("⌀", "withdrawn"),
}


def percent(value: float | None) -> str:
    """A probability as whole percent, never 0 % or 100 %: no model is that sure."""
    if value is None:
        return ""
    whole = round(100 * value)
    return "<1 %" if whole < 1 else ">99 %" if whole > 99 else f"{whole} %"


def interval(low: float | None, high: float | None) -> str:
    """22–41, in percent; never 0 or 100, for the same reason as above."""
    if low is None or high is None:
        return ""
    return f"{max(round(100 * low), 1)}–{min(round(100 * high), 99)}"


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


def left(moment: datetime | None) -> str:
    """3 h 12 min: how long until; hours and minutes up to two days, then days."""
    minutes = 0 if moment is None else max(int((moment - now()).total_seconds() // 60), 0)
    if minutes >= 48 * 60:
        return f"{minutes // 1440} d"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


ANNOTATION = re.compile(r"\{[^{}]*\}")
UNITS = {"a": "y", "Cel": "°C", "mm[Hg]": "mmHg", "10*3/uL": "×10³/µL", "umol/L": "µmol/L", "1": ""}


def unit(code: str | None) -> str:
    """A UCUM code as the ward says it. What stands in braces has no meaning as a unit (UCUM §12), so `{score}` is none."""
    plain = ANNOTATION.sub("", code or "")
    return UNITS.get(plain, plain)


def points(value: float) -> str:
    """+6 or −3, whole points; a tenth below one."""
    digits = 1 if abs(value) < 0.95 else 0
    return f"{'+' if value >= 0 else '−'}{abs(value):.{digits}f}"
