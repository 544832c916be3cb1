"""The hospital's own directory (OpenID Connect): it vouches for people who are in Salus already, and makes none."""

from __future__ import annotations

from typing import Any

import jwt
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, get_adapter
from allauth.socialaccount.internal import jwtkit
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET
from requests import RequestException

from salus_web.accounts import proofs
from salus_web.accounts.access import declare
from salus_web.accounts.models import User
from salus_web.audit.services import Act, record
from salus_web.common.errors import Hidden

PROVIDER = "hospital"
LONGEST_ID, LONGEST_NAME = 191, 150
# keys of two halves only: a directory's public key must never pass for a shared secret, nor no signature for one
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
TWO_STEPS = frozenset({"mfa", "otp", "hwk", "swk", "sc"})  # RFC 8176
UNKNOWN = "The directory knows you, but nobody in Salus has this name. Ask your administrator for an invitation."
FAILED = "The hospital's directory did not answer as it should. Nothing was changed; try again, or use your password."


class Directory(OpenIDConnectOAuth2Adapter):
    """The library's client, which takes a token unchecked from a server it reached over TLS; this one checks it always."""

    def _decode_id_token(self, app: Any, id_token: str) -> dict[str, Any]:
        """The claims of a token whose signature, issuer, audience and time are right. Raises OAuth2Error."""
        try:
            if jwt.get_unverified_header(id_token).get("alg") not in ALGORITHMS:
                raise OAuth2Error("The token is not signed in a way that is taken here.")
            claims: dict[str, Any] = jwtkit.verify_and_decode(
                credential=id_token, keys_url=self.openid_config["jwks_uri"], issuer=self.openid_config["issuer"],
                audience=app.client_id, lookup_kid=jwtkit.lookup_kid_jwk, verify_signature=True,
            )  # fmt: skip
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            raise OAuth2Error("The token could not be read.") from error
        if not _is_name(claims.get("sub"), LONGEST_ID):
            raise OAuth2Error("The token names nobody.")
        return claims

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **options: Any) -> Any:
        """The claims are kept for this request; the database keeps none of them but the person's id at the directory."""
        if not options["response"].get("id_token"):
            raise OAuth2Error("The directory sent no token about the person.")
        login = super().complete_login(request, app, token, **options)
        request.claims = login.account.extra_data.get("id_token", {})  # type: ignore[attr-defined]
        login.account.extra_data = {}
        return login


class DirectoryAdapter(DefaultSocialAccountAdapter):
    """Existing people only."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Administrators make people; a directory does not."""
        return False

    def send_notification_mail(self, *args: Any, **options: Any) -> None:
        """People here have no mail address."""

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Find the person the first time by their sign-in name, from then on by the directory's own id of them."""
        claims = getattr(request, "claims", {})
        if not sociallogin.is_existing:
            name = claims.get(settings.SALUS_OIDC_CLAIM)
            user = User.objects.filter(username=name).first() if _is_name(name, LONGEST_NAME) else None
            if user is None or _belongs_to_another(user):
                raise ImmediateHttpResponse(_refused(request, "nobody of this name", UNKNOWN, 403))
            with transaction.atomic():
                record(Act("directory.link", "user", str(user.pk)), by=request.actor)  # type: ignore[attr-defined]
                sociallogin.connect(request, user)
        request.vouched = _vouched(claims)  # type: ignore[attr-defined]

    def on_authentication_error(self, request: HttpRequest, provider: Any, **options: Any) -> None:
        """One sentence for whatever went wrong on the way; the log has it too."""
        raise ImmediateHttpResponse(_refused(request, "directory", FAILED, 401))


def _is_name(claim: Any, longest: int) -> bool:
    """Letters that a database can hold, neither none nor too many."""
    return isinstance(claim, str) and 0 < len(claim) <= longest and claim.isprintable()


def _belongs_to_another(user: User) -> bool:
    """Whether the person is known at the directory under another id already: names are given anew, ids are not."""
    return user.socialaccount_set.filter(provider=PROVIDER).exists()  # type: ignore[attr-defined]


def _vouched(claims: dict[str, Any]) -> dict[str, Any]:
    """What a sign-in by the directory is worth here: when the person showed something there, and whether it was two things."""
    shown, ways = claims.get("auth_time"), claims.get("amr")
    two = isinstance(ways, list) and bool(TWO_STEPS & {str(way) for way in ways})
    return {"at": float(shown) if isinstance(shown, int | float) else 0.0, "second_factor": two and settings.SALUS_OIDC_TRUSTS_FACTOR}


def note_vouched(request: HttpRequest) -> None:
    """Write into the session what the directory vouched for, in place of the moment at which it sent the person here."""
    vouched = getattr(request, "vouched", None)
    rows = request.session.get(AUTHENTICATION_METHODS_SESSION_KEY) or []
    if vouched is None:
        return
    for row in rows:
        if row["method"] == proofs.DIRECTORY:
            row.update(vouched, at=min(row["at"], vouched["at"]))
    request.session[AUTHENTICATION_METHODS_SESSION_KEY] = rows


def _refused(request: HttpRequest, why: str, sentence: str, status: int) -> HttpResponse:
    record(Act("session.refused", outcome="refused", detail={"by": ["directory"], "why": why}), by=request.actor)  # type: ignore[attr-defined]
    return render(request, "accounts/login.html", {"problem": sentence, "next": "", "directory": settings.SALUS_OIDC_NAME}, status=status)


def _check_there_is_one() -> None:
    if not settings.SALUS_OIDC_NAME:
        raise Hidden("There is no such page.")


@declare(None)
@require_GET
def to_directory(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Send the browser to the directory. Who is signed in already is asked there once more for who they are."""
    _check_there_is_one()
    target = request.GET.get("next", "")
    wanted = {"max_age": str(settings.SALUS_SESSION_SECONDS)} | ({"prompt": "login"} if request.user.is_authenticated else {})
    next_url = target if url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}) else None
    try:
        return get_adapter().get_provider(request, PROVIDER).redirect(request, "login", next_url, auth_params=wanted)
    except (RequestException, KeyError, ValueError):
        return _refused(request, "directory", FAILED, 401)


@declare(None)
@require_GET
def from_directory(request: HttpRequest, provider_id: str) -> HttpResponse:
    """What the directory says of the person who comes back."""
    _check_there_is_one()
    try:
        return OAuth2CallbackView.adapter_view(Directory(request, PROVIDER))(request)
    except (KeyError, TypeError, ValueError):
        return _refused(request, "directory", FAILED, 401)
