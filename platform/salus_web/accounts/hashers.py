"""How passwords are kept: Argon2id (RFC 9106), at the cost that OWASP's Password Storage Cheat Sheet asks for."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class OneLane(Argon2PasswordHasher):
    """46 MiB, one pass, one lane: the first of OWASP's settings of equal strength. Django's own (100 MiB, two passes, eight lanes)
    hold both cores of a small server for a quarter of a second at each try, also at a stranger's."""

    time_cost, memory_cost, parallelism = 1, 47104, 1
