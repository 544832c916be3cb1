"""How far stays were looked through for those that have come to their index moment."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('predictions', '0004_wall_by_purpose'),
    ]

    operations = [
        migrations.CreateModel(
            name='DueLook',
            fields=[
                ('task_id', models.CharField(max_length=80, primary_key=True, serialize=False)),
                ('begun_to', models.DateTimeField()),
                ('after', models.UUIDField(null=True)),
                ('last_at', models.DateTimeField()),
                ('asked', models.PositiveBigIntegerField(default=0)),
                ('last_asked_at', models.DateTimeField(null=True)),
            ],
        ),
    ]
