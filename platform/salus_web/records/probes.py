"""The condition that a row's patient may be read by a person, written out as SQL once in a process instead of at each query.

The rule itself stays in `scopes` and nowhere else: it is handed in as a builder of ordinary conditions, compiled for a person
and a moment that do not exist, and these two are put in when a query runs. Building and compiling it anew took ten times as
long as asking the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import BooleanField, Expression, F, Model, QuerySet

# two people and two moments that do not exist: what differs between them is what is put in anew for each query
NOBODY, NOBODY_ELSE = UUID("5a1a5000-0000-4000-8000-00000000d0d0"), UUID("5a1a5000-0000-4000-8000-00000000d0d1")
NEVER, NEVER_ELSE = (datetime(1901, 2, 3, 4, 5, second, 789, tzinfo=UTC) for second in (6, 7))
Builder = Callable[[Any, datetime], Any]
_written: dict[Hashable, tuple[str, list[Any]]] = {}


class Probe(Expression):
    """True where the row's patient (`path`) fits the condition that `build` makes of a person and a moment.

    `build` is called with stand-ins once for each `key` and kind of database, on `model` (the patients themselves); what it
    makes must depend on nothing but the key, the person's id and the moment. Raises ValueError where it does.
    """

    output_field = BooleanField()

    def __init__(self, path: str, *, person: Any, moment: datetime, model: type[Model], key: Hashable, build: Builder) -> None:
        super().__init__()
        self.column: Any = F(path)
        self.person, self.moment, self.model, self.key, self.build = UUID(str(person)), moment, model, key, build

    def get_source_expressions(self) -> list[Any]:
        """The column of the patient."""
        return [self.column]

    def set_source_expressions(self, exprs: Any) -> None:
        """As resolved or relabelled by the query around."""
        (self.column,) = exprs

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        """The text, with this query's column, person and moment."""
        column, params = compiler.compile(self.column)
        if params:
            raise ValueError("The patient of a row is a plain column.")
        place = (connection.vendor, self.key)
        if place not in _written:
            _written[place] = _write(self.model, self.build, connection)
        text, stand_ins = _written[place]
        real = {"person": _prepared(self.model, self.person, connection), "moment": connection.ops.adapt_datetimefield_value(self.moment)}
        return text.replace("{patient}", column), [real[one[1]] if isinstance(one, tuple) else one for one in stand_ins]


def _prepared(model: type[Model], value: Any, connection: Any) -> Any:
    return model._meta.pk.get_db_prep_value(value, connection)  # type: ignore[union-attr]


def _write(model: type[Model], build: Builder, connection: Any) -> tuple[str, list[Any]]:
    """The condition's text with its own names for tables, and its values with a tuple in place of each stand-in."""
    (text, values), (other, others) = (_compiled(model, build(*pair), connection) for pair in ((NOBODY, NEVER), (NOBODY_ELSE, NEVER_ELSE)))
    moments = [connection.ops.adapt_datetimefield_value(moment) for moment in (NEVER, NEVER_ELSE)]
    people = [_prepared(model, person, connection) for person in (NOBODY, NOBODY_ELSE)]
    found: list[Any] = []
    for pair in zip(values, others, strict=True):
        if pair[0] == pair[1]:
            found.append(pair[0])
        elif list(pair) in (moments, people):
            found.append(("stand-in", "moment" if list(pair) == moments else "person"))
        else:  # such as a moment of its own, which would never pass again
            raise ValueError("The condition depends on more than the person and the moment.")
    if text != other:
        raise ValueError("The condition is not the same for everybody.")
    return text, found


def _compiled(model: type[Model], condition: Any, connection: Any) -> tuple[str, list[Any]]:
    sql, params = QuerySet(model).filter(condition).query.get_compiler(connection=connection).as_sql()
    head, where, text = sql.partition(" WHERE ")
    quote = connection.ops.quote_name
    column = f"{quote(model._meta.db_table)}.{quote(model._meta.pk.column)}"  # type: ignore[union-attr]
    if not where or "%s" in head or " ORDER BY " in text or column not in text or "{" in text:
        raise ValueError("The condition cannot be written out.")
    # inside another subquery the names Django gives (U0, V0 …) would hide those of the query around
    return re.sub(r'(?<![\w"])([T-Z]+\d+)(?![\w"])', r"care_\1", text.replace(column, "{patient}")), list(params)
