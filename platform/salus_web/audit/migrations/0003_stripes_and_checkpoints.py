"""The log gets stripes, keyed hashes, checkpoints and saved searches. The chain so far is stripe 0 as it stands: its lines keep
their first form and their digests."""

import importlib

import salus_web.common.ids
from django.db import migrations, models

EVENT = importlib.import_module("salus_web.audit.migrations.0002_refuse_changes")
TABLE, SEQUENCE = "audit_checkpoint", "audit_event_number"


def guard(apps, schema_editor):
    """Put the events' triggers back: SQLite drops a table's triggers when a column is added."""
    EVENT.forwards(apps, schema_editor)


def unguard(apps, schema_editor):
    """Let the events be given their places."""
    EVENT.backwards(apps, schema_editor)


def places(apps, schema_editor):
    """What was the number is the place in stripe 0."""
    schema_editor.execute("UPDATE audit_event SET stripe = 0, place = number, form = 1")


def check_first_form(apps, schema_editor):
    """Going back is for a log without lines of the second form: their digests could not be checked any more."""
    if apps.get_model("audit", "Event").objects.exclude(form=1).exists():
        raise RuntimeError("The log holds lines of the second form, which the version before cannot verify. Restore a backup instead.")


def guard_checkpoints(apps, schema_editor):
    """Checkpoints are not changed or deleted either; on PostgreSQL, a sequence numbers the events of all stripes."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            f"CREATE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the log cannot be changed'; END $$"
        )
        schema_editor.execute(
            f"CREATE TRIGGER {TABLE}_no_change BEFORE UPDATE OR DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION {TABLE}_refuse()"
        )
        schema_editor.execute(f"CREATE SEQUENCE {SEQUENCE}")
        schema_editor.execute(f"SELECT setval('{SEQUENCE}', (SELECT coalesce(max(number), 0) + 1 FROM audit_event), false)")  # nosec B608 # a constant's name
        schema_editor.execute("ALTER TABLE audit_head SET (fillfactor = 10)")  # a head is written with every event
        return
    for verb in ("UPDATE", "DELETE"):
        schema_editor.execute(
            f"CREATE TRIGGER {TABLE}_no_{verb.lower()} BEFORE {verb} ON {TABLE} "
            "BEGIN SELECT RAISE(ABORT, 'the log cannot be changed'); END"
        )


def unguard_checkpoints(apps, schema_editor):
    """Take them away."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP TRIGGER {TABLE}_no_change ON {TABLE}")
        schema_editor.execute(f"DROP FUNCTION {TABLE}_refuse()")
        schema_editor.execute(f"DROP SEQUENCE {SEQUENCE}")
        schema_editor.execute("ALTER TABLE audit_head RESET (fillfactor)")
        return
    for verb in ("update", "delete"):
        schema_editor.execute(f"DROP TRIGGER {TABLE}_no_{verb}")


class Migration(migrations.Migration):

    dependencies = [("audit", "0002_refuse_changes")]

    operations = [
        migrations.RunPython(unguard, guard),
        migrations.RenameField("head", "number", "place"),
        migrations.AddField("event", "stripe", models.SmallIntegerField(null=True)),
        migrations.AddField("event", "place", models.BigIntegerField(null=True)),
        migrations.AddField("event", "form", models.SmallIntegerField(null=True)),
        migrations.AddField("event", "before_hash", models.CharField(blank=True, default="", max_length=64), preserve_default=False),
        migrations.AddField("event", "after_hash", models.CharField(blank=True, default="", max_length=64), preserve_default=False),
        migrations.RunPython(places, check_first_form),
        migrations.AlterField("event", "stripe", models.SmallIntegerField()),
        migrations.AlterField("event", "place", models.BigIntegerField()),
        migrations.AlterField("event", "form", models.SmallIntegerField()),
        migrations.AddConstraint("event", models.UniqueConstraint(fields=("stripe", "place"), name="one_event_per_place")),
        migrations.CreateModel(
            name="Checkpoint",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("previous", models.CharField(max_length=64, unique=True)),
                ("note", models.CharField(max_length=64, unique=True)),
                ("kind", models.CharField(max_length=20)),
                ("body", models.TextField()),
                ("signature", models.CharField(max_length=128)),
                ("marks", models.BinaryField(default=b"")),
                ("peaks", models.JSONField(default=list)),
                ("proof", models.JSONField(default=list)),
            ],
        ),
        migrations.CreateModel(
            name="Countersign",
            fields=[
                (
                    "checkpoint",
                    models.OneToOneField(
                        on_delete=models.CASCADE, primary_key=True, serialize=False, to="audit.checkpoint"
                    ),
                ),
                ("body", models.TextField(blank=True)),
                ("signature", models.CharField(blank=True, max_length=128)),
                ("refused", models.CharField(blank=True, max_length=300)),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="SavedSearch",
            fields=[
                ("id", models.UUIDField(default=salus_web.common.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ("owner_id", models.CharField(max_length=80)),
                ("name", models.CharField(max_length=80)),
                ("wanted", models.JSONField(default=dict)),
                ("saved_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("owner_id", "name"), name="one_saved_search_per_name")
                ]
            },
        ),
        migrations.RunPython(guard, unguard),
        migrations.RunPython(guard_checkpoints, unguard_checkpoints),
    ]
