"""What somebody searched for, kept in their session so that a search has an address that names nobody. Sealed, and gone with it."""

from __future__ import annotations

from base64 import b85decode, b85encode
from secrets import token_urlsafe

from django.http import HttpRequest

from salus_web.common.encryption import seal, unseal
from salus_web.common.errors import IntegrityBroken

KEY, KEPT_AT_MOST = "salus_searches", 20


def _place(token: str) -> str:
    return f"session.search.{token}"


def keep(request: HttpRequest, text: str) -> str:
    """Keep the words of a search; returns the token that stands for them in this session. The oldest give way."""
    token, kept = token_urlsafe(9), request.session.get(KEY, {})
    kept[token] = b85encode(seal(text.encode(), bound_to=_place(token))).decode()
    request.session[KEY] = dict(list(kept.items())[-KEPT_AT_MOST:])
    return token


def kept(request: HttpRequest, token: str) -> str:
    """The words behind a token; empty for one that this session does not hold, or whose key was taken away meanwhile."""
    sealed = request.session.get(KEY, {}).get(token)
    try:
        return unseal(b85decode(sealed), bound_to=_place(token)).decode() if sealed else ""
    except IntegrityBroken:
        return ""
