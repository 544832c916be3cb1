"""A value that the sender has not verified yet says so, until the final one replaces it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('records', '0020_wall_by_hospital'),
    ]

    operations = [
        migrations.AddField(
            model_name='observation',
            name='is_preliminary',
            field=models.BooleanField(default=False),
        ),
    ]
