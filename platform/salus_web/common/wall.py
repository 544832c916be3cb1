"""The second wall: on PostgreSQL the database itself hides the rows of patients whom the person asking does not care for.

The scoped managers are the first wall. This one stands behind them, for the day when a query is written past them. Each
connection carries who asks in the setting `salus.who`; the policies of the patient tables (`policy_on`) read it. Empty is
nobody, who sees no row. Commands and workers are the machine itself, `system`. A web process starts as nobody and becomes
the person of each request; a read that a named part of the machine makes for them passes for that read alone.

Beside who asks stands what for: inside `reading_for`, and for a read that a queryset makes for a purpose, the setting
`salus.purpose` names it, and the policies of `purpose_on` leave out the rows of people who do not allow it, whoever asks
and however the query was written.

SQLite has no such policies, and everything here does nothing there. Source: PostgreSQL manual, "Row Security Policies".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created
from django.db.migrations import RunPython
from psycopg.pq import TransactionStatus

SYSTEM = "system"
NOBODY = ""
# The clocks of the web machine and of the database may differ by this; the first wall decides to the second.
TOLERANCE = "interval '1 minute'"
_asking: ContextVar[str | None] = ContextVar("salus_wall_asking", default=None)
_purpose: ContextVar[str] = ContextVar("salus_wall_purpose", default="")
_process = {"who": SYSTEM}


def begin_as_nobody() -> None:
    """From now on whoever has not said who asks is nobody. Web processes call it once as they start."""
    _process["who"] = NOBODY


def who() -> str:
    """The id of the person who asks, `system`, or empty for nobody."""
    asking = _asking.get()
    return _process["who"] if asking is None else asking


@contextmanager
def asked_by(person: str) -> Iterator[None]:
    """Inside, the database answers this person: an id, `system`, or empty for nobody."""
    with _saying("salus.who", _asking, person, before=who()):
        yield


@contextmanager
def reading_for(key: str) -> Iterator[None]:
    """Inside, the database answers for this purpose only: its name and `+` where silence allows it, `-` where not
    (`records.scopes.purpose_key`). Empty is no purpose in particular."""
    with _saying("salus.purpose", _purpose, key, before=_purpose.get()):
        yield


@contextmanager
def _saying(setting: str, kept: ContextVar[Any], value: str, *, before: str) -> Iterator[None]:
    """Inside, the database is told this value; after it, the one before. Where it cannot be told, nothing stays said here."""
    token = kept.set(value)
    try:
        if value != before:
            _tell(setting, value)
        yield
    finally:
        kept.reset(token)
        if value != before:
            _tell(setting, before)


def _tell(setting: str, value: str) -> None:
    """Say it on every connection that is open in this thread; one that opens later is told as it opens."""
    for connection in connections.all(initialized_only=True):
        if connection.vendor == "postgresql" and connection.connection is not None:
            _set(connection, setting, value)


def _set(connection: Any, setting: str, value: str) -> None:
    # past Django's cursor, so that what is counted and logged as a query stays the query of the page
    open_connection = connection.connection
    if open_connection.closed or open_connection.info.transaction_status == TransactionStatus.INERROR:
        return  # nothing can be read until it is rolled back, and rolling back brings the earlier value back as well
    with connection.wrap_database_errors:  # a connection that died is told from other faults by Django's name for it
        open_connection.execute("SELECT set_config(%s, %s, false)", [setting, value])


def _on_connection(connection: Any, **_: Any) -> None:
    if connection.vendor == "postgresql":
        _set(connection, "salus.who", who())
        _set(connection, "salus.purpose", _purpose.get())


connection_created.connect(_on_connection, dispatch_uid="salus-wall")


def _rule(table: str, column: str, *, at_their_hospital: bool) -> str:
    """The one rule, as SQL: it must say what `records.scopes.live_relations` says. The migrations that raised the wall first
    did not ask yet where somebody is clinician; `policy_again` puts the rule of now in the place of theirs."""
    live = f"{{0}}.starts_at <= clock_timestamp() + {TOLERANCE} AND ({{0}}.ends_at IS NULL OR {{0}}.ends_at > clock_timestamp() - {TOLERANCE})"
    asking = "current_setting('salus.who', true)"
    # every piece of this text is a constant of this file or a table and column named by a migration
    teams = f"SELECT m.team_id FROM records_careteammembership m WHERE m.user_id::text = {asking} AND {live.format('m')}"  # nosec B608
    # as an array, so that it is asked once for a query and not for each row
    clinician = f"SELECT g.site_id FROM accounts_rolegrant g WHERE g.user_id::text = {asking} AND g.role = 'clinician' AND {live.format('g')}"  # nosec B608
    there = f"AND r.site_id = ANY (ARRAY({clinician})) " if at_their_hospital else ""
    return (
        f"{asking} = '{SYSTEM}' OR EXISTS (SELECT 1 FROM records_carerelation r WHERE r.patient_id = {table}.{column} "  # nosec B608
        f"AND {live.format('r')} {there}AND (r.user_id::text = {asking} OR r.team_id IN ({teams})))"
    )


def policy_on(*tables: tuple[str, str]) -> RunPython:
    """A migration step that puts the wall before tables, each with the column that names the patient."""

    def raise_wall(apps: Any, editor: Any) -> None:
        if editor.connection.vendor != "postgresql":
            return
        for table, column in tables:
            rule = _rule(table, column, at_their_hospital=False)
            editor.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            # without FORCE the owner of the tables, who is also the one the platform signs in as, would pass
            editor.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
            editor.execute(f"CREATE POLICY salus_wall ON {table} USING ({rule}) WITH CHECK ({rule})")

    def take_down(apps: Any, editor: Any) -> None:
        if editor.connection.vendor != "postgresql":
            return
        for table, _ in tables:
            editor.execute(f"DROP POLICY IF EXISTS salus_wall ON {table}")
            editor.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
            editor.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")

    return RunPython(raise_wall, take_down)


def policy_again(*tables: tuple[str, str]) -> RunPython:
    """A migration step: the wall that stands before tables holds by the rule of now."""

    def replaced(*, at_their_hospital: bool) -> Any:
        def replace(apps: Any, editor: Any) -> None:
            if editor.connection.vendor == "postgresql":
                for table, column in tables:
                    rule = _rule(table, column, at_their_hospital=at_their_hospital)
                    editor.execute(f"ALTER POLICY salus_wall ON {table} USING ({rule}) WITH CHECK ({rule})")

        return replace

    return RunPython(replaced(at_their_hospital=True), replaced(at_their_hospital=False))


def _purpose_rule(table: str, column: str) -> str:
    """The one rule, as SQL: it must say what `records.scopes.allowing` says. The function (made by a migration of records)
    gives the people whose standing word on the purpose read for is yes, or no. It is asked once for a query and only while
    something is read for a purpose; as a function, so that the planner does not weigh it in every other query."""
    said = "(SELECT coalesce(current_setting('salus.purpose', true), ''))"
    return (
        f"{said} = '' OR CASE WHEN right({said}, 1) = '+' "
        f"THEN NOT ({table}.{column} IN (SELECT p FROM salus_said(false) AS p)) "  # nosec B608
        f"ELSE {table}.{column} IN (SELECT p FROM salus_said(true) AS p) END"
    )


def purpose_on(*tables: tuple[str, str]) -> RunPython:
    """A migration step: what is read for a purpose, or written meanwhile, is of people who allow it. Such a policy narrows
    what `policy_on` opens and opens nothing itself. Never on the table of consents, which it reads."""

    def narrow(apps: Any, editor: Any) -> None:
        if editor.connection.vendor == "postgresql":
            for table, column in tables:
                rule = _purpose_rule(table, column)
                editor.execute(f"CREATE POLICY salus_purpose ON {table} AS RESTRICTIVE USING ({rule}) WITH CHECK ({rule})")

    def widen(apps: Any, editor: Any) -> None:
        if editor.connection.vendor == "postgresql":
            for table, _ in tables:
                editor.execute(f"DROP POLICY IF EXISTS salus_purpose ON {table}")

    return RunPython(narrow, widen)
