from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('imaging', '0001_initial'),
    ]

    operations = [
        migrations.AddField(model_name='study', name='description_sealed', field=models.BinaryField(default=b'')),
        migrations.AddField(model_name='series', name='description_sealed', field=models.BinaryField(default=b'')),
        migrations.AddField(model_name='instance', name='pixel_problem_sealed', field=models.BinaryField(default=b'')),
        migrations.AddField(model_name='instance', name='source_sealed', field=models.BinaryField(default=b'')),
        # so that the way back finds a value for the rows that are there
        migrations.AlterField(model_name='instance', name='source', field=models.CharField(max_length=200, blank=True)),
    ]
