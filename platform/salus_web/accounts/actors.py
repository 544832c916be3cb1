"""Who is acting: a signed-in person or a named part of the machine. No decisions here."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Actor:
    """The one who acts. `id` is the user's id as text, or `system:<name>`. A role is held at a hospital, and what it allows
    there it allows nowhere else: `roles_at` keeps both together, and `places` reads it."""

    id: str
    name: str
    roles_at: frozenset[tuple[str, str]] = frozenset()  # each role with the id of its site
    session: str = ""
    request: str = ""
    is_system: bool = False
    address: str = field(default="", compare=False)
    token_purpose: str = ""  # what a program's token is for; empty for a person at a browser

    @property
    def roles(self) -> frozenset[str]:
        """The roles held at some hospital: whether an action is theirs at all, never where."""
        return frozenset(role for role, _ in self.roles_at)

    @property
    def is_anonymous(self) -> bool:
        """Nobody signed in."""
        return not self.id


ANONYMOUS = Actor(id="", name="nobody signed in")


def system(name: str) -> Actor:
    """A named part of the machine, such as `ingest` or `reconciler`."""
    return Actor(id=f"system:{name}", name=name, is_system=True)
