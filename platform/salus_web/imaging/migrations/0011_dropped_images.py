"""Of a picture is known whether its case table names it no more."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('imaging', '0010_wall_by_hospital'),
    ]

    operations = [
        migrations.AddField(
            model_name='instance',
            name='is_dropped',
            field=models.BooleanField(default=False),
        ),
    ]
