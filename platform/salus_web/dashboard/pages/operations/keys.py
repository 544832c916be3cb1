"""The age of the master key, the last rotation, and until when the site's certificate is good."""

from __future__ import annotations

from datetime import timedelta

from salus_web.audit.selectors import last_done
from salus_web.common.clock import now
from salus_web.common.keys import key_set
from salus_web.dashboard.certificate import Certificate
from salus_web.dashboard.pages.operations.figure import BAD, GOOD, LOOK, UNKNOWN, Figure, age, known
from salus_web.dashboard.probes import Answer
from salus_web.jobs.models import Measure
from salus_web.jobs.workers import KEY

KEY_OLD, CERTIFICATE_SOON = timedelta(days=365), timedelta(days=21)


def key_figures(measures: dict[str, Measure]) -> list[Figure]:
    """How long the current master key has been in use, and the last rotation."""
    return [known("Master key", lambda: _master(measures)), known("Last rotation", _rotation)]


def _master(measures: dict[str, Measure]) -> Figure:
    current = key_set().current
    seen = measures.get(f"{KEY}{current}")
    if seen is None:
        return Figure("Master key", f"{current}, age not known", UNKNOWN, "A worker notes when it first sees a key.")
    days = (now() - seen.at).days
    is_old = now() - seen.at > KEY_OLD
    said = f"{current}, here since {seen.at:%d %b %Y} ({days} days)"
    return Figure("Master key", said, LOOK if is_old else GOOD, "Over a year old: manage.py rotate_keys." if is_old else "")


def _rotation() -> Figure:
    found = last_done(action="keys.rotated")
    if found is None:
        return Figure("Last rotation", "never", hint="See docs/administrator/keys.md.")
    broken = found.detail.get("broken", 0)
    said = f"{age(found.at)}, {found.detail.get('moved', 0):,} values moved"
    return Figure("Last rotation", said, BAD if broken else GOOD, f"{broken} places did not open: verify a backup." if broken else "")


def certificate_figure(answer: Answer | None) -> Figure:
    """Until when the site's certificate is good."""
    label = "Certificate"
    if answer is None:
        return Figure(label, "not set", UNKNOWN, "SALUS_CERTIFICATE names its PEM file, or the address that shows it.")
    if answer.trouble:
        return Figure(label, "not known", UNKNOWN, answer.trouble)
    found: Certificate = answer.value
    left = found.until - now()
    said = f"made {age(found.since)}, good until {found.until:%d %b %Y} ({left.days} days), {found.subject}"
    if found.until <= now() or found.since > now():
        return Figure(label, said, BAD, "It is not good now: browsers refuse the site.")
    return Figure(label, said, LOOK if left < CERTIFICATE_SOON else GOOD, "It ends soon: have it renewed." if left < CERTIFICATE_SOON else "")
