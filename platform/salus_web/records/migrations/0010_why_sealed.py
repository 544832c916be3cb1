from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("records", "0009_consents_stand"),
    ]

    operations = [
        migrations.AddField(model_name="carerelation", name="reason_sealed", field=models.BinaryField(default=b"")),
    ]
