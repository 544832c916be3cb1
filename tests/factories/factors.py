"""Second factors for tests: an authenticator app, and a key made of software that signs as a real one does."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from typing import Any

from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client
from fido2 import cbor
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode
from salus_web.accounts.models import User

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def give_app(user: User) -> None:
    """An authenticator app with the secret above."""
    TOTP.activate(user, SECRET)


def code_now(secret: str = SECRET, *, steps: int = 0) -> str:
    """What the app shows, or showed some steps of half a minute ago."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def wrong_code(secret: str = SECRET) -> str:
    """Six digits that are right at no moment near this one."""
    right = {code_now(secret, steps=step) for step in (-2, -1, 0, 1, 2)}
    return next(code for code in ("000000", "111111", "222222", "333333", "444444", "555555") if code not in right)


def data_of(page: bytes) -> Any:
    """The challenge a page hands to the browser's key."""
    found = re.search(r'<script id="js_data" type="application/json">(.*?)</script>', page.decode(), re.S)
    assert found, "the page holds no challenge"
    return json.loads(found.group(1))


class SoftKey:
    """A key with one credential (ES256, no attestation), bound to a host."""

    def __init__(self, host: str = "testserver") -> None:
        self.host, self.id, self.count = host, os.urandom(16), 0
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.owner = b""

    def _client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": f"https://{self.host}"}).encode()

    def _authenticator_data(self, *, attested: bytes = b"") -> bytes:
        self.count += 1
        flags = 0x01 | 0x04 | (0x40 if attested else 0)  # present, verified, with a credential
        return hashlib.sha256(self.host.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big") + attested

    def _response(self, kind: str, body: dict[str, bytes]) -> str:
        name = websafe_encode(self.id)
        words = {part: websafe_encode(value) for part, value in body.items()}
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": words, "clientExtensionResults": {}})

    def created(self, options: dict[str, Any]) -> str:
        """The answer to being asked for a new credential."""
        wanted = options["creation_options"]["publicKey"]
        self.owner = websafe_decode(wanted["user"]["id"])
        public = cbor.encode(dict(ES256.from_cryptography_key(self.private.public_key())))
        attested = b"\0" * 16 + len(self.id).to_bytes(2, "big") + self.id + public
        whole = cbor.encode({"fmt": "none", "attStmt": {}, "authData": self._authenticator_data(attested=attested)})
        client_data = self._client_data("webauthn.create", wanted["challenge"])
        return self._response("create", {"clientDataJSON": client_data, "attestationObject": whole})

    def shown(self, options: dict[str, Any], *, by: SoftKey | None = None) -> str:
        """The answer to a challenge; `by` another key that pretends to be this one."""
        client_data = self._client_data("webauthn.get", options["request_options"]["publicKey"]["challenge"])
        data = self._authenticator_data()
        signed = (by or self).private.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        return self._response("get", {
            "clientDataJSON": client_data, "authenticatorData": data, "signature": signed, "userHandle": self.owner,
        })  # fmt: skip


def enter(user: User, password: str, **options: Any) -> Client:
    """A browser in which this person signed in at the door, with a code where they have an app."""
    client = Client(**options)
    answer = client.post("/login/", {"username": user.username, "password": password})
    if answer.headers.get("Location", "").endswith("/login/code/"):
        client.post("/login/code/", {"code": code_now()})
    return client
