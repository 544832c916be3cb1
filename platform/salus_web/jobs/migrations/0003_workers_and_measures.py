from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("jobs", "0002_reconciler")]

    operations = [
        migrations.CreateModel(
            name="Measure",
            fields=[
                ("name", models.CharField(max_length=80, primary_key=True, serialize=False)),
                ("value", models.BigIntegerField(default=0)),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Worker",
            fields=[
                ("name", models.CharField(max_length=120, primary_key=True, serialize=False)),
                ("queues", models.CharField(max_length=80)),
                ("process_id", models.PositiveIntegerField()),
                ("started_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("versions", models.JSONField(default=dict)),
            ],
        ),
        migrations.AddIndex(
            model_name="outbox", index=models.Index(fields=["tries", "-published_at"], name="outbox_sent_again")
        ),
    ]
