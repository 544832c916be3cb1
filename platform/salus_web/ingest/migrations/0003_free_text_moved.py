from functools import partial

from django.db import migrations

from salus_web.common.fields import seal_column, unseal_column

# model, plain column, sealed column, whose key
MOVED = [
    ('upload', 'problems', 'problems_sealed', 'upload:id'),
]


def move(way, apps, editor):
    for model, plain, sealed, owner in MOVED:
        way(apps.get_model('ingest', model), plain, sealed, owner)


class Migration(migrations.Migration):
    # apart from the change of the tables: PostgreSQL alters no table that has rows changed in the same transaction

    dependencies = [
        ('ingest', '0002_free_text_sealed'),
    ]

    operations = [
        migrations.RunPython(partial(move, seal_column), partial(move, unseal_column)),
    ]
