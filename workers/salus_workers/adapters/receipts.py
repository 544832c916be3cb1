"""A stored risk beside its receipt: what the pages show and the receipt says otherwise. Recomputes nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from salus_web.predictions.models import Prediction
from salus_web.predictions.selectors import account_of


def changed_since(row: Prediction, receipt: dict[str, Any]) -> list[str]:
    """Sentences that name each difference: a hand in the database is seen here and by no recomputing."""
    stored = orjson.loads(orjson.dumps({name: getattr(row, name) for name in receipt["outputs"]}))
    stored["index_at"] = row.index_at
    said = receipt["outputs"] | {"index_at": datetime.fromisoformat(receipt["outputs"]["index_at"])}
    found = [
        f"The stored {name.replace('_', ' ')} is {stored[name]}, and the receipt says {value}."
        for name, value in said.items() if stored[name] != value
    ]  # fmt: skip
    if row.bundle.digest != receipt["bundle"]:
        found.append("The risk is stored under another model than the one its receipt names.")
    if account_of(row) != receipt["account"]:
        found.append("The stored reasons are not those of the receipt.")
    return found
