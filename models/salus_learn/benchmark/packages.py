"""The peers' packages: which are installed, and the one place where they are loaded.

They are loaded by name when a peer is first fitted, never at import: Salus runs without them, and they take seconds that
every other command of the library would pay.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

INSTALL = "pip install -r requirements/peers.lock"


def version_of(distribution: str) -> str | None:
    """The installed version of a distribution; None where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def package(module: str) -> Any:
    """The module of a peer's package; asked for only after `version_of` has found it."""
    return import_module(module)
