"""Whether an allergy is over, and how bad it could be."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('records', '0014_encounters_by_start'),
    ]

    operations = [
        migrations.AddField(
            model_name='allergy',
            name='criticality',
            field=models.CharField(blank=True, max_length=20),
        ),
        migrations.AddField(
            model_name='allergy',
            name='status',
            field=models.CharField(blank=True, max_length=20),
        ),
    ]
