"""SQLite also refuses to put another line in the place of one: INSERT OR REPLACE deletes without asking the triggers of DELETE."""

from django.db import migrations

TAKEN = {
    "audit_event": ("number = NEW.number", "stripe = NEW.stripe AND place = NEW.place"),
    "audit_checkpoint": ("id = NEW.id", "previous = NEW.previous", "note = NEW.note"),
}


def forwards(apps, schema_editor):
    """Put the triggers in place. PostgreSQL has no such statement: its upsert is an UPDATE, which is refused."""
    if schema_editor.connection.vendor == "postgresql":
        return
    for table, keys in TAKEN.items():
        there = " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE {key})" for key in keys)  # nosec B608 # constants of this file
        schema_editor.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {there} "
            "BEGIN SELECT RAISE(ABORT, 'the log cannot be changed'); END"
        )


def backwards(apps, schema_editor):
    """Remove them."""
    if schema_editor.connection.vendor != "postgresql":
        for table in TAKEN:
            schema_editor.execute(f"DROP TRIGGER {table}_no_replace")


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_search_by_index")]
    operations = [migrations.RunPython(forwards, backwards)]
