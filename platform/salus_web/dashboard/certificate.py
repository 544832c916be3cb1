"""Until when the certificate is good by which browsers know this site. Reads a file or asks an address; judges nothing else about it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Certificate:
    """From when until when it is good, and for which name it was made out."""

    since: datetime
    until: datetime
    subject: str


def read_certificate(where: str) -> Certificate:
    """The first certificate of a PEM file, or the one an address (HOST:PORT or https://HOST) shows.

    Raises OSError when it cannot be had and ValueError when it is none. Whether it is to be trusted is for browsers to say.
    """
    pem = _shown_by(where) if _is_address(where) else Path(where).read_bytes()
    found = x509.load_pem_x509_certificates(pem)[0]
    return Certificate(found.not_valid_before_utc, found.not_valid_after_utc, found.subject.rfc4514_string()[:120])


def _is_address(where: str) -> bool:
    return where.startswith("https://") or (":" in where and "/" not in where)


def _shown_by(where: str) -> bytes:
    host, _, port = where.removeprefix("https://").split("/")[0].partition(":")
    return ssl.get_server_certificate((host, int(port or 443)), timeout=SECONDS).encode()
