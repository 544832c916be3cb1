"""Filters: how numbers and times are said."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from salus_web.common.clock import now
from salus_web.dashboard.pages import numbers, wording
from salus_web.dashboard.pages.looks import said_of
from salus_web.dashboard.pages.model import only_arm

register = template.Library()
register.filter("percent", numbers.percent)
register.filter("as_of", wording.as_of)
register.filter("only_arm", only_arm)
register.filter("film_name", wording.film_name)
register.filter("film_moment", wording.film_moment)


@register.filter
def ago(moment: datetime | None) -> str:
    """How long since."""
    return wording.ago(moment)


@register.filter
def aging(moment: datetime | None, form: str = "ago") -> SafeString | str:
    """How long since (`ago`) or of when (`as_of`), in an element that salus.js keeps true while the page stays open."""
    if moment is None:
        return wording.ago(moment)
    words = wording.as_of(moment) if form == "as_of" else wording.ago(moment)
    return format_html(
        '<time datetime="{}" title="{} UTC" data-age="{}" data-form="{}" data-day="{}">{}</time>',
        moment.isoformat(), f"{moment:%d %b %Y %H:%M}", round((now() - moment).total_seconds()), form, f"{moment:%d %b %Y}", words,
    )  # fmt: skip


@register.filter
def since(moment: datetime | None) -> str:
    """How long ago in whole words, to the second in the first two minutes."""
    if moment is None:
        return "not known"
    seconds = int((now() - moment).total_seconds())
    return f"{max(seconds, 0)} s ago" if seconds < 120 else f"{wording.ago(moment)} ago"


@register.filter
def left(moment: datetime | None) -> str:
    """How long until."""
    return wording.left(moment)


@register.filter
def act(action: str) -> str:
    """An act of the log in plain words."""
    return said_of(action)


@register.filter
def moment(value: datetime | None) -> str:
    """An absolute time in UTC, to the minute."""
    return f"{value:%d %b %Y %H:%M}" if value else "not known"


@register.filter
def with_time(text: str, time: str) -> str:
    """A day that was asked for without a time of day, for a field that holds both."""
    return f"{text}T{time}" if text and "T" not in text else text


@register.filter
def shortened(text: str) -> str:
    """An id by its first eight signs; a word as it is."""
    return f"{text[:8]}…" if len(text) > 24 else text


@register.filter
def figure(value: Any) -> str:
    """[value, low, high] as 0.857 (0.806–0.908), or −0.012 (−0.045 to 0.021); in words where a bound is missing."""
    if not isinstance(value, list) or not value or value[0] is None:
        return "not computable"
    if len(value) < 3 or value[1] is None or value[2] is None:
        return f"{_thousandths(value[0])} (no interval)"
    between = " to " if value[1] < 0 else "–"
    return f"{_thousandths(value[0])} ({_thousandths(value[1])}{between}{_thousandths(value[2])})"


def _thousandths(value: float) -> str:
    """With a real minus."""
    return f"{value:.3f}".replace("-", "−")


@register.filter
def plain(value: float) -> str:
    """A number without false digits or trailing zeros: 0.05, 2, 200."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


@register.filter
def points(share: float) -> str:
    """A share as percentage points: 0.02 is 2."""
    return plain(100 * share)


@register.filter
def state_sign(state: str) -> str:
    """The sign of a risk's state."""
    return wording.STATES.get(state, ("", state))[0]


@register.filter
def state_word(state: str) -> str:
    """The word of a risk's state."""
    return wording.STATES.get(state, ("", state))[1]


@register.filter
def lookup(mapping: Any, key: str) -> Any:
    """mapping[key], or nothing."""
    return mapping.get(key, "") if isinstance(mapping, dict) else ""


@register.filter
def counted(counts: Any) -> str:
    """What was counted, without what there was none of: images 149, patients 167."""
    return ", ".join(f"{kind} {count:,}" for kind, count in counts.items() if count)


@register.filter
def took(start: datetime, end: datetime) -> str:
    """How long something took."""
    seconds = (end - start).total_seconds()
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


@register.filter
def words(name: str) -> str:
    """A key as words."""
    return name.replace("_", " ")
