from functools import partial

from django.db import migrations

from salus_web.common.fields import seal_column, unseal_column

# model, plain column, sealed column, whose key
MOVED = [
    ('study', 'description', 'description_sealed', 'person:patient_id'),
    ('series', 'description', 'description_sealed', 'person:patient_id'),
    ('instance', 'pixel_problem', 'pixel_problem_sealed', 'person:patient_id'),
    ('instance', 'source', 'source_sealed', 'person:patient_id'),
]


def move(way, apps, editor):
    for model, plain, sealed, owner in MOVED:
        way(apps.get_model('imaging', model), plain, sealed, owner)


class Migration(migrations.Migration):
    # apart from the change of the tables: PostgreSQL alters no table that has rows changed in the same transaction

    dependencies = [
        ('imaging', '0002_free_text_sealed'),
    ]

    operations = [
        migrations.RunPython(partial(move, seal_column), partial(move, unseal_column)),
    ]
