import django.db.models.deletion
import salus_web.common.ids
from django.db import migrations, models

from salus_web.common.wall import policy_on


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('accounts', '0002_signing_in'),
        ('jobs', '0002_reconciler'),
        ('records', '0009_consents_stand'),
    ]

    operations = [
        migrations.CreateModel(
            name='RetentionRule',
            fields=[
                ('id', models.UUIDField(default=salus_web.common.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=10)),
                ('years', models.PositiveSmallIntegerField(null=True)),
                ('changed_by_name', models.CharField(max_length=200)),
                ('changed_at', models.DateTimeField()),
            ],
            options={
                'indexes': [models.Index(fields=['kind', '-changed_at'], name='stewardship_kind_de7232_idx')],
            },
        ),
        migrations.CreateModel(
            name='RetentionRun',
            fields=[
                ('id', models.UUIDField(default=salus_web.common.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('state', models.CharField(choices=[('waiting', 'Waiting for a second person'), ('agreed', 'Agreed, being carried out'), ('done', 'Done'), ('refused', 'Refused')], default='waiting', max_length=10)),
                ('rules', models.JSONField(default=dict)),
                ('counts', models.JSONField(default=dict)),
                ('asked_by', models.CharField(max_length=80)),
                ('asked_by_name', models.CharField(max_length=200)),
                ('asked_at', models.DateTimeField()),
                ('decided_by_name', models.CharField(blank=True, max_length=200)),
                ('decided_at', models.DateTimeField(null=True)),
                ('why', models.CharField(blank=True, max_length=200)),
                ('job', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, to='jobs.job')),
                ('site', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='accounts.site')),
            ],
        ),
        migrations.CreateModel(
            name='RetentionItem',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=10)),
                ('last_at', models.DateTimeField(null=True)),
                ('rows', models.PositiveIntegerField(default=0)),
                ('files', models.PositiveIntegerField(default=0)),
                ('held', models.BooleanField(default=False)),
                ('outcome', models.CharField(blank=True, max_length=200)),
                ('patient', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='records.patient')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='items', to='stewardship.retentionrun')),
            ],
        ),
        migrations.CreateModel(
            name='Erasure',
            fields=[
                ('id', models.UUIDField(default=salus_web.common.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('state', models.CharField(choices=[('waiting', 'Waiting for a second person'), ('agreed', 'Agreed, being carried out'), ('done', 'Done'), ('refused', 'Refused')], default='waiting', max_length=10)),
                ('reason', models.CharField(max_length=200)),
                ('asked_by', models.CharField(max_length=80)),
                ('asked_by_name', models.CharField(max_length=200)),
                ('asked_at', models.DateTimeField()),
                ('decided_by_name', models.CharField(blank=True, max_length=200)),
                ('decided_at', models.DateTimeField(null=True)),
                ('why', models.CharField(blank=True, max_length=200)),
                ('counts', models.JSONField(default=dict)),
                ('patient', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='records.patient')),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'waiting')), fields=('patient',), name='one_erasure_waits')],
            },
        ),
        migrations.CreateModel(
            name='FollowUp',
            fields=[
                ('id', models.UUIDField(default=salus_web.common.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('why', models.CharField(max_length=20)),
                ('kind', models.CharField(max_length=10)),
                ('object_id', models.UUIDField()),
                ('title', models.CharField(max_length=200)),
                ('found_at', models.DateTimeField()),
                ('done_at', models.DateTimeField(null=True)),
                ('done_by_name', models.CharField(blank=True, max_length=200)),
                ('done_words', models.CharField(blank=True, max_length=400)),
                ('patient', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='records.patient')),
            ],
            options={
                'indexes': [models.Index(fields=['done_at', '-found_at'], name='stewardship_done_at_b8fad6_idx')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('done_at__isnull', True)), fields=('patient', 'kind', 'object_id', 'why'), name='follow_up_once_open')],
            },
        ),
        migrations.AddIndex(
            model_name='retentionrun',
            index=models.Index(fields=['site', '-asked_at'], name='stewardship_site_id_0a0b41_idx'),
        ),
        migrations.AddConstraint(
            model_name='retentionitem',
            constraint=models.UniqueConstraint(fields=('run', 'patient', 'kind'), name='retention_item_once'),
        ),
        policy_on(
            ("stewardship_followup", "patient_id"),
            ("stewardship_erasure", "patient_id"),
            ("stewardship_retentionitem", "patient_id"),
        ),
    ]
