"""Secrets that are shown once and kept as a hash: made, and found again. For invitations and for programs' tokens."""

from __future__ import annotations

import secrets

from salus_web.common.encryption import keyed_hash


def new_secret(prefix: str = "") -> str:
    """256 random bits, in letters that fit into an address."""
    return prefix + secrets.token_urlsafe(32)


def hash_of(secret: str, *, purpose: str) -> str:
    """What is kept of it. The secret has 256 bits, so that a slow hash would add nothing."""
    return keyed_hash(secret.encode(), purpose=f"secret:{purpose}")
