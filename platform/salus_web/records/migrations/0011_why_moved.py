from functools import partial

from django.db import migrations

from salus_web.common.fields import seal_column, unseal_column


def move(way, apps, editor):
    way(apps.get_model("records", "CareRelation"), "reason", "reason_sealed", "person:patient_id")


class Migration(migrations.Migration):
    # apart from the change of the tables: PostgreSQL alters no table that has rows changed in the same transaction

    dependencies = [
        ("records", "0010_why_sealed"),
    ]

    operations = [
        migrations.RunPython(partial(move, seal_column), partial(move, unseal_column)),
    ]
