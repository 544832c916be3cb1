"""What people write in their own words, checked. No decisions, no database."""

from __future__ import annotations

from salus_web.common.errors import BadInput

SHORTEST, LONGEST = 10, 1000


def sentence(text: str, name: str) -> str:
    """A sentence for whoever reads it later. Raises BadInput for less than ten letters and more than a thousand."""
    said = text.strip()
    if not SHORTEST <= len(said) <= LONGEST:
        raise BadInput(f"{name}: please say it in a sentence of {SHORTEST} to {LONGEST} letters.")
    return said
