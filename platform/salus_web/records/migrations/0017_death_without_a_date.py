"""That somebody died may be known, and when not."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('records', '0016_case_numbers_apart'),
    ]

    operations = [
        migrations.AddField(
            model_name='patient',
            name='death_is_dated',
            field=models.BooleanField(default=True),
        ),
    ]
