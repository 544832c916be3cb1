"""Each search of the log walks one index from its newest line on, by time; and records under special watch."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("audit", "0003_stripes_and_checkpoints")]

    operations = [
        migrations.CreateModel(
            name="WatchedRecord",
            fields=[
                ("pseudonym", models.CharField(max_length=40, primary_key=True, serialize=False)),
                (
                    "why",
                    models.CharField(
                        choices=[
                            ("public", "known to the public"),
                            ("staff", "works here, or is family of somebody who does"),
                            ("threatened", "must be protected from somebody"),
                            ("case", "a complaint or a case at law"),
                            ("asked", "the patient asked for it"),
                        ],
                        max_length=20,
                    ),
                ),
                ("since", models.DateTimeField()),
                ("by_name", models.CharField(max_length=200)),
            ],
        ),
        migrations.RemoveIndex("event", name="audit_event_patient_2a5704_idx"),
        migrations.RemoveIndex("event", name="audit_event_actor_i_8c5cca_idx"),
        migrations.RemoveIndex("event", name="audit_event_action_76570e_idx"),
        migrations.RemoveIndex("event", name="audit_event_at_34ce9a_idx"),
        migrations.AddIndex("event", models.Index(fields=["-at", "-number"], name="event_at")),
        migrations.AddIndex("event", models.Index(fields=["patient", "-at", "-number"], name="event_patient")),
        migrations.AddIndex("event", models.Index(fields=["actor_id", "-at", "-number"], name="event_actor")),
        migrations.AddIndex("event", models.Index(fields=["action", "-at", "-number"], name="event_action")),
        migrations.AddIndex(
            "event",
            models.Index(fields=["outcome", "-at", "-number"], name="event_outcome", condition=~models.Q(outcome="done")),
        ),
        migrations.AddIndex(
            "event",
            models.Index(
                fields=["purpose", "-at", "-number"], name="event_purpose", condition=~models.Q(purpose__in=["", "care"])
            ),
        ),
    ]
