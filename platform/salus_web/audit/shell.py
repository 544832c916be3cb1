"""Who acts when a command of the log is given on the server's shell. People live in an app above this one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shell:
    """Whoever may open a shell on the server, as an actor."""

    id: str = "system:command line"
    name: str = "command line"
    roles: frozenset[str] = frozenset()
    session: str = ""
    request: str = ""
    is_system: bool = True


SHELL = Shell()
