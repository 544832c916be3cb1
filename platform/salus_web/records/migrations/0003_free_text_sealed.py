from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('records', '0002_worklist_by_index'),
    ]

    operations = [
        migrations.AddField(model_name='encounter', name='reason_sealed', field=models.BinaryField(default=b'')),
        migrations.AddField(model_name='observation', name='note_sealed', field=models.BinaryField(default=b'')),
        migrations.CreateModel(
            name='DestroyedKey',
            fields=[
                ('person_id', models.UUIDField(primary_key=True, serialize=False)),
                ('pseudonym', models.CharField(max_length=32)),
                ('reason', models.CharField(max_length=200)),
                ('decided_by', models.CharField(max_length=80)),
                ('decided_at', models.DateTimeField()),
                ('done_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='KeyRotation',
            fields=[
                ('place', models.CharField(max_length=120, primary_key=True, serialize=False)),
                ('key_name', models.CharField(max_length=32)),
                ('after', models.CharField(blank=True, max_length=64)),
                ('moved', models.PositiveBigIntegerField(default=0)),
                ('finished', models.BooleanField(default=False)),
            ],
        ),
    ]
