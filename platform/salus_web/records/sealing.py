"""Everything sealed here, table by table and blob by blob, and sealing it anew with the key that it should have.

Should have: a person's or an upload's own key, where the row says whose it is; else the current master key. Knows the
tables by their sealed fields, so an app above this one is found without being named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models

from salus_web.common import keyring, vault
from salus_web.common.encryption import key_name, seal, unseal
from salus_web.common.errors import IntegrityBroken
from salus_web.common.fields import SealedText, sealed_fields
from salus_web.common.keyring import KeyGone

OWN = "person:patient_id"


@dataclass(frozen=True, slots=True)
class SealedTable:
    """A table with sealed columns."""

    model: type[models.Model]
    fields: tuple[SealedText, ...]

    @property
    def place(self) -> str:
        """Its name."""
        return self.model._meta.db_table


@dataclass(frozen=True, slots=True)
class BlobColumn:
    """A column that names blobs whose owner the row tells: `owner` is a kind and an attribute, `person:patient_id`."""

    model: type[models.Model]
    column: str
    owner: str

    @property
    def place(self) -> str:
        """Its name."""
        return f"{self.model._meta.db_table}.{self.column}"


def sealed_tables() -> list[SealedTable]:
    """Every table with sealed columns."""
    found = ((model, tuple(sealed_fields(model))) for model in apps.get_models())
    return [SealedTable(model, fields) for model, fields in found if fields]


def blob_columns() -> list[BlobColumn]:
    """Every column that names a blob of one owner: `<x>_key` beside `<x>_sha256`, in a table of one person's rows or one
    that says `vault_owner`."""
    found = []
    for model in apps.get_models():
        names = {field.attname for field in model._meta.concrete_fields}
        owner = getattr(model, "vault_owner", OWN if "patient_id" in names else "")
        stems = sorted(name.removesuffix("_key") for name in names if name.endswith("_key"))
        found += [BlobColumn(model, f"{stem}_key", owner) for stem in stems if owner and f"{stem}_sha256" in names]
    return found


def rows_after(model: type[models.Model], after: str, at_most: int, columns: Iterable[str], **only: Any) -> list[Any]:
    """The next rows by primary key, read for the machine: whoever seals anew looks at every row."""
    rows = models.QuerySet(model).filter(**only)
    if after:
        rows = rows.filter(pk__gt=after)
    return list(rows.order_by("pk").only("pk", *columns)[:at_most])


def seal_rows_anew(table: SealedTable, rows: Iterable[Any]) -> tuple[int, list[str]]:
    """Bring rows' sealed columns under the keys they should have; returns how many values moved, and where one does not open.

    A value that somebody changes meanwhile is left as they wrote it.
    """
    moved, broken = 0, []
    old = [(row, field) for row in rows for field in table.fields if _is_under_master(getattr(row, field.column))]
    keyring.make_missing(field.owner(row) for row, field in old)
    for row, field in old:
        held, place = bytes(getattr(row, field.column)), field.place(row)
        try:
            again = seal(unseal(held, bound_to=place), bound_to=place, owner=field.owner(row))
        except KeyGone:
            continue  # destroyed: what is left of it goes with the row
        except IntegrityBroken:
            broken.append(place)
            continue
        same = models.QuerySet(table.model).filter(pk=row.pk, **{field.column: held})
        moved += same.update(**{field.column: again})
    return moved, broken


def _is_under_master(held: bytes | memoryview | None) -> bool:
    """Whether a sealed value is there and no owner's key sealed it."""
    return bool(held) and not key_name(held or b"").owned


def seal_blobs_anew(column: BlobColumn, rows: Iterable[Any]) -> tuple[int, list[str]]:
    """The same for the blobs that rows name. A blob under any owner's key stays: a file that came twice is one blob."""
    moved, broken = 0, []
    kind, _, attribute = column.owner.partition(":")
    with vault.Resealing() as batch:
        for row in rows:
            key = getattr(row, column.column)
            try:
                if key and not vault.sealed_with(key).owned:
                    batch.add(key, owner=f"{kind}:{getattr(row, attribute)}")
                    moved += 1
            except KeyGone:
                continue
            except IntegrityBroken:
                broken.append(f"{column.place}.{row.pk}")
    return moved, broken


def columns_read(table: SealedTable) -> list[str]:
    """What sealing a table's rows anew has to read."""
    return sorted({field.column for field in table.fields} | {field.owner_attribute for field in table.fields})


def bring_under_own_key(patient_id: Any) -> None:
    """Everything of one person that an earlier version sealed with a master key. Raises IntegrityBroken when some of it does
    not open."""
    broken: list[str] = []
    for table in sealed_tables():
        if all(field.owner_kind == "person" for field in table.fields):
            only = {table.fields[0].owner_attribute: patient_id}
            broken += seal_rows_anew(table, _all(table.model, columns_read(table), only))[1]
    for column in blob_columns():
        if column.owner == OWN:
            broken += seal_blobs_anew(column, _all(column.model, ["patient_id", column.column], {"patient_id": patient_id}))[1]
    if broken:
        raise IntegrityBroken("Some of this person's stored data does not open, so its key was not destroyed. Please call IT.")


def _all(model: type[models.Model], columns: list[str], only: dict[str, Any]) -> Iterator[Any]:
    yield from models.QuerySet(model).filter(**only).only("pk", *columns).iterator(chunk_size=500)
