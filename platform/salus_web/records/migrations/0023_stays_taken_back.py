"""A stay that a later file takes back stays, and is marked: no model speaks of it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('records', '0022_cases_of_an_upload'),
    ]

    operations = [
        migrations.AddField(
            model_name='encounter',
            name='is_taken_back',
            field=models.BooleanField(default=False),
        ),
    ]
