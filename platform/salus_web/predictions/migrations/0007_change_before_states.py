"""In a list by change, risks whose change is not known come before what is no risk. A column that the database works out is
not changed but made anew; no row loses anything."""

from django.db import migrations, models
from django.db.models.functions import Coalesce


class Migration(migrations.Migration):

    dependencies = [
        ('predictions', '0006_moments_of_a_stay'),
    ]

    operations = [
        migrations.RemoveIndex(model_name='currentrisk', name='predictions_task_id_a6b577_idx'),
        migrations.RemoveField(model_name='currentrisk', name='change_key'),
        migrations.AddField(
            model_name='currentrisk',
            name='change_key',
            field=models.GeneratedField(
                db_persist=True,
                expression=Coalesce('change', models.Case(models.When(sort_probability__isnull=False, then=models.Value(-2.0)), default=models.Value(-3.0))),
                output_field=models.FloatField(),
            ),
        ),
        migrations.AddIndex(model_name='currentrisk', index=models.Index(fields=['task_id', '-change_key', 'id'], name='predictions_task_id_a6b577_idx')),
    ]
