"""Who is acting: a signed-in person or a named part of the machine. No decisions here."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Actor:
    """The one who acts. `id` is the user's id as text, or `system:<name>`."""

    id: str
    name: str
    roles: frozenset[str] = frozenset()
    site_ids: frozenset[str] = frozenset()
    session: str = ""
    request: str = ""
    is_system: bool = False
    address: str = field(default="", compare=False)
    token_purpose: str = ""  # what a program's token is for; empty for a person at a browser

    @property
    def is_anonymous(self) -> bool:
        """Nobody signed in."""
        return not self.id


ANONYMOUS = Actor(id="", name="nobody signed in")


def system(name: str) -> Actor:
    """A named part of the machine, such as `ingest` or `reconciler`."""
    return Actor(id=f"system:{name}", name=name, is_system=True)
