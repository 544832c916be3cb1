"""A film may not say when it was made, and its identifier is looked for among all that are here."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('imaging', '0007_outline'),
        ('records', '0014_encounters_by_start'),
    ]

    operations = [
        migrations.AlterField(
            model_name='instance',
            name='acquired_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name='study',
            name='started_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name='instance',
            index=models.Index(fields=['uid'], name='imaging_ins_uid_5b18c1_idx'),
        ),
    ]
