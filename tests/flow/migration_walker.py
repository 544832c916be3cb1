"""Walks every migration of the platform back, one at a time, and forward again, in a database of its own. `python -m` prints JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import django

django.setup()

from django.apps import apps  # noqa: E402 - Django must be up first
from django.db import connection  # noqa: E402
from django.db.migrations.executor import MigrationExecutor  # noqa: E402

Key = tuple[str, str]
OURS = {config.label for config in apps.get_app_configs() if config.name.startswith("salus_web.")}
SQLITE = "SELECT type, tbl_name, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name"
POSTGRESQL = (
    "SELECT table_name, column_name, data_type, is_nullable, character_maximum_length FROM information_schema.columns "
    "WHERE table_schema = 'public' ORDER BY 1, 2",
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2",
    "SELECT tablename, policyname, cmd, qual, with_check FROM pg_policies ORDER BY 1, 2",
    "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1",
    "SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2",
    "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1",
)


def schema() -> list[str]:
    """Everything the database knows of the shape of our tables: columns, indexes, constraints, triggers, policies."""
    found, others = [], tables_of(app for app in apps.app_configs if app not in OURS) | {"django_migrations"}
    with connection.cursor() as cursor:
        for query in POSTGRESQL if connection.vendor == "postgresql" else (SQLITE,):
            cursor.execute(query)
            found += [" ".join(str(word) for word in row) for row in cursor.fetchall() if not others & {str(word) for word in row[:2]}]
    return sorted(columns_in_order(line) for line in found)


def tables_of(labels: Iterable[str]) -> set[str]:
    """Tables of these apps, those between two models too."""
    return {model._meta.db_table for label in labels for model in apps.get_app_config(label).get_models(include_auto_created=True)}


def columns_in_order(line: str) -> str:
    """A table made anew may have its columns in another order, which nothing depends on."""
    head, opened, body = line.partition("(")
    if not line.startswith("table ") or not opened:
        return line
    parts, depth, last = [], 0, 0
    for at, letter in enumerate(body):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if (letter == "," and depth == 0) or depth < 0:
            parts.append(body[last:at].strip())
            last = at + 1
    return f"{head}({', '.join(sorted(parts))}"


def move(targets: list[tuple[str, str | None]]) -> None:
    """Migrate to these, as the command does."""
    MigrationExecutor(connection).migrate(targets)


def walk() -> dict[str, Any]:
    """Forward, back one at a time, forward one at a time, forward at once; what differs."""
    executor = MigrationExecutor(connection)
    leaves = executor.loader.graph.leaf_nodes()
    order = [(found.app_label, found.name) for found, _ in executor.migration_plan(leaves) if found.app_label in OURS]
    move(leaves)
    first, before = schema(), dict[Key, list[str]]()
    graph = MigrationExecutor(connection).loader.graph
    for key in reversed(order):
        before[key] = schema()
        parents = [parent.key for parent in graph.node_map[key].parents if parent.key[0] == key[0]]
        move(parents or [(key[0], None)])
    left = sorted(tables_of(OURS) & set(connection.introspection.table_names()))
    unlike = []
    for key in order:
        move([key])
        if schema() != before[key]:
            unlike.append([".".join(key), *sorted(set(schema()) ^ set(before[key]))[:6]])
    move(leaves)
    return {"walked": len(order), "left": left, "unlike": unlike, "same": schema() == first}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(walk()))
