"""A stay may have several index moments: a job may give it several risks, and each moment has its own look through the stays.
How far the one look of before came is not carried over: the new ones begin with the last seven days of a live model, and
whoever has a risk of a moment is not asked again."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0003_workers_and_measures'),
        ('predictions', '0005_duelook'),
        ('records', '0014_encounters_by_start'),
        ('registry', '0003_who_trained_a_model'),
    ]

    operations = [
        migrations.CreateModel(
            name='DueMoment',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('task_id', models.CharField(max_length=80)),
                ('hours', models.FloatField()),
                ('begun_to', models.DateTimeField()),
                ('after', models.UUIDField(null=True)),
                ('last_at', models.DateTimeField()),
                ('asked', models.PositiveBigIntegerField(default=0)),
                ('last_asked_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.DeleteModel(
            name='DueLook',
        ),
        migrations.RemoveConstraint(
            model_name='prediction',
            name='one_result_per_job',
        ),
        migrations.AddConstraint(
            model_name='prediction',
            constraint=models.UniqueConstraint(condition=models.Q(('job__isnull', False)), fields=('job', 'patient', 'encounter', 'index_at'), name='one_result_per_job'),
        ),
        migrations.AddConstraint(
            model_name='duemoment',
            constraint=models.UniqueConstraint(fields=('task_id', 'hours'), name='one_look_per_moment'),
        ),
    ]
