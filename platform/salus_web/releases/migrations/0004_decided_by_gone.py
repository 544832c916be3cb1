"""Who decided stands in the rows of decisions alone."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("releases", "0003_decisions_moved")]
    operations = [
        migrations.RemoveField(model_name="release", name="decided_by"),
        migrations.RemoveField(model_name="release", name="decided_at"),
    ]
