"""One word stands for each purpose, the database refuses to change what was said, and the wall knows purposes."""

from django.db import migrations, models

from salus_web.common.wall import policy_on, purpose_on

SAID = ("id", "patient_id", "purpose", "version", "granted", "form", "said_on", "recorded_at", "recorded_by", "recorded_by_name")
WORDS = "what a patient said cannot be changed; record a new version"
POSTGRESQL = [
    f"CREATE FUNCTION records_consent_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{WORDS}'; END $$",
    "CREATE TRIGGER records_consent_no_change BEFORE UPDATE ON records_consent FOR EACH ROW WHEN (OLD.superseded_at IS NOT NULL OR "
    + " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in SAID) + ") EXECUTE FUNCTION records_consent_refuse()",
]
SQLITE = [
    "CREATE TRIGGER records_consent_no_change BEFORE UPDATE ON records_consent WHEN OLD.superseded_at IS NOT NULL OR "
    + " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in SAID) + f" BEGIN SELECT RAISE(ABORT, '{WORDS}'); END",
]


# who said yes, or no, to what is read for at present; reads the consents alone, so that no policy asks itself
SAID_SO = """CREATE FUNCTION salus_said(answer boolean) RETURNS SETOF uuid LANGUAGE plpgsql STABLE ROWS 1000 AS $$ BEGIN
RETURN QUERY SELECT c.patient_id FROM records_consent c WHERE c.superseded_at IS NULL AND c.granted = answer
AND c.purpose = rtrim(current_setting('salus.purpose', true), '+-'); END $$"""


def forwards(apps, schema_editor):
    """Put the trigger in place for this kind of database."""
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement)


def make_function(apps, schema_editor):
    """The policies' question."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(SAID_SO)


def drop_function(apps, schema_editor):
    """Remove it."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION salus_said(boolean)")


def backwards(apps, schema_editor):
    """Remove it."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP TRIGGER records_consent_no_change ON records_consent")
        schema_editor.execute("DROP FUNCTION records_consent_refuse()")
    else:
        schema_editor.execute("DROP TRIGGER IF EXISTS records_consent_no_change")


class Migration(migrations.Migration):
    dependencies = [("records", "0008_older_words_are_replaced")]
    operations = [
        migrations.AddConstraint(
            model_name="consent",
            constraint=models.UniqueConstraint(
                fields=["patient", "purpose"], name="one_consent_stands", condition=models.Q(superseded_at__isnull=True)
            ),
        ),
        migrations.RunPython(forwards, backwards),
        migrations.RunPython(make_function, drop_function),
        policy_on(("records_legalhold", "patient_id")),
        purpose_on(
            ("records_patient", "id"),
            ("records_patientnametoken", "patient_id"),
            ("records_encounter", "patient_id"),
            ("records_observation", "patient_id"),
            ("records_condition", "patient_id"),
            ("records_medication", "patient_id"),
            ("records_allergy", "patient_id"),
        ),
    ]
