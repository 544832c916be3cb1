from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ingest', '0004_plain_free_text_gone'),
    ]

    operations = [
        migrations.AlterField(
            model_name='upload',
            name='state',
            field=models.CharField(choices=[('received', 'Received'), ('parsing', 'Being read'), ('stored', 'Stored'), ('unchanged', 'Already here'), ('refused', 'Refused'), ('erased', 'Erased with a person')], default='received', max_length=12),
        ),
    ]
