from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ("records", "0011_why_moved"),
    ]

    operations = [
        migrations.RemoveField(model_name="carerelation", name="reason"),
    ]
