"""Model fields that encrypt. A sealed field is bound to its table, column and row id, and names whose key seals it."""

from __future__ import annotations

from typing import Any

import orjson
from django.db import models

from salus_web.common.encryption import seal, unseal
from salus_web.common.keyring import KeyGone

GONE = "destroyed with the key of this person's data"
_ROWS_AT_ONCE = 500


class SealedText(property):
    """Reads and writes a text through the encrypted binary column `<name>_sealed`.

    `owner` says whose key: `person:patient_id` is the key of the person whose id that attribute holds. The row's id and
    that attribute must be set before the text is (ids are made in Python, so they always are). A property, so that
    Django takes the name as an argument when a row is made.
    """

    def __init__(self, column: str, owner: str) -> None:
        # Django asks whether there is a setter before it takes the name as an argument
        super().__init__(self.__get__, self.__set__)
        self.column = column
        self.owner_kind, _, self.owner_attribute = owner.partition(":")

    def place(self, row: Any) -> str:
        """What the ciphertext is bound to."""
        return f"{row._meta.db_table}.{self.column}.{row.pk}"

    def owner(self, row: Any) -> str:
        """Whose key seals this row."""
        return f"{self.owner_kind}:{getattr(row, self.owner_attribute)}"

    def __get__(self, row: Any, owner: type | None = None) -> Any:
        if row is None:
            return self
        sealed = getattr(row, self.column)
        return self.empty() if not sealed else self.read(unseal(sealed, bound_to=self.place(row)))

    def __set__(self, row: Any, value: Any) -> None:
        sealed = seal(self.written(value), bound_to=self.place(row), owner=self.owner(row)) if value else b""
        setattr(row, self.column, sealed)

    def empty(self) -> Any:
        """What an empty column means."""
        return ""

    def read(self, plain: bytes) -> Any:
        """The value that bytes stand for."""
        return plain.decode()

    def written(self, value: Any) -> bytes:
        """The bytes of a value."""
        return value.encode()


def text_or_gone(row: Any, name: str) -> str:
    """A sealed text for a page that is about more than one person: where the key was destroyed, that it was."""
    try:
        said: str = getattr(row, name)
    except KeyGone:
        return GONE
    return said


class SealedList(SealedText):
    """The same for a list of JSON values."""

    def empty(self) -> Any:
        """No entries."""
        return []

    def read(self, plain: bytes) -> Any:
        """The list."""
        return orjson.loads(plain)

    def written(self, value: Any) -> bytes:
        """As JSON."""
        return orjson.dumps(value)


def seal_column(model: Any, plain: str, sealed: str, owner: str) -> None:
    """For migrations: seal what a plain column holds into a binary one, as the field of that name does. What is about a
    person whose key was destroyed is not kept."""
    field = _field_for(model, plain, sealed, owner)
    rows = []
    for row in model.objects.iterator(chunk_size=_ROWS_AT_ONCE):
        if value := getattr(row, plain):
            try:
                field.__set__(row, value)
            except KeyGone:
                continue
            rows.append(row)
        if len(rows) == _ROWS_AT_ONCE:
            model.objects.bulk_update(rows, [sealed])
            rows = []
    model.objects.bulk_update(rows, [sealed])


def unseal_column(model: Any, plain: str, sealed: str, owner: str) -> None:
    """The way back."""
    field = _field_for(model, plain, sealed, owner)
    for row in model.objects.exclude(**{sealed: b""}).iterator(chunk_size=_ROWS_AT_ONCE):
        try:
            model.objects.filter(pk=row.pk).update(**{plain: field.__get__(row)})
        except KeyGone:
            continue


def _field_for(model: Any, plain: str, sealed: str, owner: str) -> SealedText:
    is_list = model._meta.get_field(plain).get_internal_type() == "JSONField"
    return SealedList(sealed, owner) if is_list else SealedText(sealed, owner)


def sealed_fields(model: type[models.Model]) -> list[SealedText]:
    """The sealed fields of a model."""
    return [found for found in vars(model).values() if isinstance(found, SealedText)]
