"""How a resource is known again."""

from __future__ import annotations

import hashlib

CASE_SYSTEM = "urn:salus:case-table:"  # and the data set: whose numbers the people of a case table have


def source_key(text: str) -> str:
    """A resource's identity within its patient, of fixed length."""
    return hashlib.sha256(text.encode()).hexdigest()
