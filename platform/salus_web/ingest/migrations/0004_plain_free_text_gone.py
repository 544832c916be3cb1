from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('ingest', '0003_free_text_moved'),
    ]

    operations = [
        migrations.RemoveField(model_name='upload', name='problems'),
    ]
