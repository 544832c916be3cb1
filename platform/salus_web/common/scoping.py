"""Managers that refuse to read patient data until told for whom."""

from __future__ import annotations

from typing import Any, Protocol

from django.db import models

from salus_web.common.errors import ScopeMissing


class ActorLike(Protocol):
    """What scoping needs to know of an actor."""

    @property
    def is_system(self) -> bool: ...
    @property
    def roles(self) -> frozenset[str]: ...


class ScopedQuerySet(models.QuerySet[Any]):
    """Adds `for_actor`; the subclass's `scope` narrows the rows for a person."""

    patient_path = "patient"

    def for_actor(self, actor: ActorLike) -> ScopedQuerySet:
        """The rows this actor may know of. System actors see all."""
        if actor.is_system:
            return self
        return self.scope(actor)

    def scope(self, actor: ActorLike) -> ScopedQuerySet:
        """Narrow to a person's rows; each app overrides it."""
        raise ScopeMissing(f"{self.model.__name__} does not say who may read it.")


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
