"""Model fields that encrypt. A sealed field is bound to its table, column and row id."""

from __future__ import annotations

from typing import Any

from django.db import models

from salus_web.common.encryption import seal, unseal


class SealedText:
    """Descriptor: reads and writes a text through the encrypted binary column `<name>_sealed`.

    The row's id must be set before the text is (ids are made in Python, so it always is).
    """

    def __init__(self, column: str) -> None:
        self.column = column

    def _place(self, row: models.Model) -> str:
        return f"{row._meta.db_table}.{self.column}.{row.pk}"

    def __get__(self, row: Any, owner: type | None = None) -> Any:
        if row is None:
            return self
        sealed = getattr(row, self.column)
        return "" if not sealed else unseal(sealed, bound_to=self._place(row)).decode()

    def __set__(self, row: Any, text: str) -> None:
        setattr(row, self.column, seal(text.encode(), bound_to=self._place(row)) if text else b"")
