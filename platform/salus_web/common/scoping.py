"""Managers that refuse to read patient data until told for whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from django.db import models

from salus_web.common import wall
from salus_web.common.errors import ScopeMissing


class ActorLike(Protocol):
    """What scoping needs to know of an actor."""

    @property
    def is_system(self) -> bool: ...
    @property
    def roles(self) -> frozenset[str]: ...


class ScopedQuerySet(models.QuerySet[Any]):
    """Adds `for_actor`; the subclass's `scope` narrows the rows for a person. What a system actor reads passes the
    database's own wall as well, for that read alone."""

    patient_path = "patient"
    by_system = False
    purpose = ""  # what the rows are read for, as the database's wall is told it; empty: nothing in particular

    def for_actor(self, actor: ActorLike) -> ScopedQuerySet:
        """The rows this actor may know of. System actors see all."""
        if actor.is_system:
            found: ScopedQuerySet = self._chain()  # type: ignore[attr-defined]
            found.by_system = True
            return found
        return self.scope(actor)

    def scope(self, actor: ActorLike) -> ScopedQuerySet:
        """Narrow to a person's rows; each app overrides it."""
        raise ScopeMissing(f"{self.model.__name__} does not say who may read it.")

    @contextmanager
    def _passing(self) -> Iterator[None]:
        """What the wall is told while rows are fetched; also taken back where saying the second fails."""
        with ExitStack() as said:
            if self.by_system:
                said.enter_context(wall.asked_by(wall.SYSTEM))
            if self.purpose:
                said.enter_context(wall.reading_for(self.purpose))
            yield

    def _clone(self) -> ScopedQuerySet:
        copy: ScopedQuerySet = super()._clone()  # type: ignore[misc]
        copy.by_system, copy.purpose = self.by_system, self.purpose
        return copy

    def _fetch_all(self) -> None:
        with self._passing():
            super()._fetch_all()  # type: ignore[misc]

    def iterator(self, chunk_size: int | None = None) -> Iterator[Any]:
        """As Django's; the rows of a system read pass the wall until the last is read."""
        with self._passing():
            yield from super().iterator(chunk_size=chunk_size) if chunk_size else super().iterator()

    def count(self) -> int:
        """As Django's."""
        with self._passing():
            return super().count()

    def exists(self) -> bool:
        """As Django's."""
        with self._passing():
            return super().exists()

    def aggregate(self, *args: Any, **values: Any) -> dict[str, Any]:
        """As Django's."""
        with self._passing():
            return super().aggregate(*args, **values)

    def update(self, **values: Any) -> int:
        """As Django's."""
        with self._passing():
            return super().update(**values)

    def delete(self) -> tuple[int, dict[str, int]]:
        """As Django's."""
        with self._passing():
            return super().delete()


class ScopedManager(models.Manager[Any]):
    """Default manager of patient tables: every read names an actor first."""

    queryset_class: type[ScopedQuerySet] = ScopedQuerySet

    def get_queryset(self) -> models.QuerySet[Any]:
        raise ScopeMissing(f"{self.model.__name__} was read without an actor; call for_actor(actor) first.")

    def for_actor(self, actor: ActorLike) -> Any:
        """The rows this actor may know of."""
        return self.queryset_class(self.model, using=self._db).for_actor(actor)

    def bulk_create(self, objs: Any, **options: Any) -> Any:
        """Writing needs no scope: services decide."""
        return self.queryset_class(self.model, using=self._db).bulk_create(objs, **options)

    def create(self, **values: Any) -> Any:
        """Writing needs no scope: services decide."""
        return self.queryset_class(self.model, using=self._db).create(**values)
