from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('imaging', '0003_free_text_moved'),
    ]

    operations = [
        migrations.RemoveField(model_name='study', name='description'),
        migrations.RemoveField(model_name='series', name='description'),
        migrations.RemoveField(model_name='instance', name='pixel_problem'),
        migrations.RemoveField(model_name='instance', name='source'),
    ]
