"""How passwords are kept outside the tests, whose own hashes are fast."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, check_password, make_password
from salus_web.config.settings import base

WORDS = "correct horse battery"


@pytest.fixture(autouse=True)
def as_in_production(settings: Any) -> None:
    settings.PASSWORD_HASHERS = base.PASSWORD_HASHERS


def test_a_password_is_kept_as_owasp_asks_for() -> None:
    kept = make_password(WORDS)
    assert kept.startswith("argon2$argon2id$v=19$m=47104,t=1,p=1$")
    assert check_password(WORDS, kept) and not check_password(WORDS + "!", kept)


def test_who_has_an_older_hash_comes_in_and_gets_a_new_one() -> None:
    hasher = Argon2PasswordHasher()
    older, renewed = hasher.encode(WORDS, hasher.salt()), []
    assert not check_password("another", older, setter=renewed.append) and renewed == []
    assert check_password(WORDS, older, setter=renewed.append)
    assert renewed == [WORDS]
