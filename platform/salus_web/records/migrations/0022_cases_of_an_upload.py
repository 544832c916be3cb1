"""A case names the upload whose table held it last: a training is on the cases of its own table."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('records', '0021_preliminary_values'),
    ]

    operations = [
        migrations.AddField(
            model_name='encounter',
            name='upload_id',
            field=models.UUIDField(null=True),
        ),
    ]
