import django.db.models.deletion
import salus_web.common.ids
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('records', '0006_wall'),
    ]

    operations = [
        migrations.CreateModel(
            name='LegalHold',
            fields=[
                ('id', models.UUIDField(default=salus_web.common.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('reason_sealed', models.BinaryField(default=b'')),
                ('set_by', models.CharField(max_length=80)),
                ('set_by_name', models.CharField(max_length=200)),
                ('set_at', models.DateTimeField()),
                ('until', models.DateTimeField(null=True)),
                ('lifted_at', models.DateTimeField(null=True)),
                ('lifted_by_name', models.CharField(blank=True, max_length=200)),
                ('lifted_why', models.CharField(blank=True, max_length=200)),
                ('patient', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='records.patient')),
            ],
            options={'indexes': [models.Index(fields=['patient', 'lifted_at'], name='records_leg_patient_b053c8_idx')]},
        ),
        migrations.AddField(model_name='consent', name='form', field=models.CharField(blank=True, max_length=120)),
        migrations.AddField(model_name='consent', name='recorded_by_name', field=models.CharField(blank=True, max_length=200)),
        migrations.AddField(model_name='consent', name='said_on', field=models.DateField(null=True)),
        migrations.AddField(model_name='consent', name='superseded_at', field=models.DateTimeField(null=True)),
        migrations.AddField(model_name='patient', name='erased_at', field=models.DateTimeField(null=True)),
    ]
