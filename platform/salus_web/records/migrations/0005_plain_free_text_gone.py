from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('records', '0004_free_text_moved'),
    ]

    operations = [
        migrations.RemoveField(model_name='encounter', name='reason'),
    ]
