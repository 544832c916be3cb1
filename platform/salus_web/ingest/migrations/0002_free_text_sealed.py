from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ingest', '0001_initial'),
    ]

    operations = [
        migrations.AddField(model_name='upload', name='problems_sealed', field=models.BinaryField(default=b'')),
    ]
