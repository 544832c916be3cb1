"""A hospital's directory on one's own machine: an OpenID Connect server with a key of its own, and with every fault one asks for."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "salus", "a secret between the two"
KEY, OTHER_KEY = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))


class DirectoryServer:
    """The server's memory: codes that wait for their token, and what is to go wrong."""

    def __init__(self, address: str) -> None:
        self.address, self.codes = address, {}  # type: str, dict[str, dict[str, Any]]
        self.faults: dict[str, Any] = {}

    def came(self, location: str, claims: dict[str, Any]) -> str:
        """The person signs in there; the address at which the browser comes back."""
        asked = {name: values[0] for name, values in parse_qs(urlparse(location).query).items()}
        assert location.startswith(f"{self.address}/authorize") and asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256" and asked["response_type"] == "code" and asked["max_age"]
        code = f"code-{len(self.codes)}"
        self.codes[code] = {"asked": asked, "claims": claims}
        return f"{urlparse(asked['redirect_uri']).path}?code={code}&state={asked['state']}"

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Exchange a code; a code works once, with its verifier and the secret."""
        waiting = self.codes.pop(form.get("code", ""), None)
        verifier = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        if waiting is None or form.get("client_secret") != SECRET or verifier != waiting["asked"]["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        moment = int(time.time())
        claims = {"iss": self.address, "aud": CLIENT, "iat": moment, "exp": moment + 300, "auth_time": moment} | waiting["claims"]
        signed = jwt.encode(claims, self.faults.get("key", KEY), algorithm=self.faults.get("alg", "RS256"), headers={"kid": "k1"})
        return 200, {"access_token": "x", "token_type": "Bearer", "expires_in": 300} | ({} if self.faults.get("mute") else {"id_token": signed})

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """One request."""
        if self.faults.get("down"):
            return 503, {}
        if path == "/token":
            return self.token(form)
        if path == "/jwks":
            public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
            return 200, {"keys": [public | {"kid": "k1", "alg": "RS256", "use": "sig"}]}
        if path == "/.well-known/openid-configuration":
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks", "userinfo_endpoint": "me"}
            whole = {"issuer": self.address, "token_endpoint_auth_methods_supported": ["client_secret_post"]}
            return 200, whole | {name: f"{self.address}/{path}" for name, path in names.items()}
        return 404, {}


@contextmanager
def directory_server() -> Iterator[DirectoryServer]:
    """A server on a free port of this machine until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(server.answer(urlparse(self.path).path, {}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._say(server.answer(self.path, {name: values[0] for name, values in parse_qs(body).items()}))

        def _say(self, answer: tuple[int, dict[str, Any]]) -> None:
            body = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = DirectoryServer(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
