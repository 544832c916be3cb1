"""Which stays have come to their index moment is asked along this index, whatever else is stored."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('records', '0013_data_version'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='encounter',
            index=models.Index(fields=['starts_at', 'id'], name='encounters_by_start'),
        ),
    ]
