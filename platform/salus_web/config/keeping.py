"""Reading from the environment what a hospital decided about silence, and refusing words that mean nothing."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

KNOWN = frozenset({"care", "research", "training"})


def silent_purposes(text: str) -> frozenset[str]:
    """The purposes that a patient who said nothing is taken to allow. Raises ImproperlyConfigured for an unknown one."""
    found = frozenset(word.strip() for word in text.split(",") if word.strip())
    if found - KNOWN:
        raise ImproperlyConfigured(
            f"SALUS_CONSENT_WHEN_SILENT names “{', '.join(sorted(found - KNOWN))}”; it takes care, research and training, with commas."
        )
    return found
