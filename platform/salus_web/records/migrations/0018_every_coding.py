"""A thing that is coded in several vocabularies has a row for each."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('records', '0017_death_without_a_date'),
    ]

    operations = [
        migrations.AddField(
            model_name='condition',
            name='is_other_coding',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='medication',
            name='is_other_coding',
            field=models.BooleanField(default=False),
        ),
    ]
