"""Each person's word on a release is a row; two have to say yes."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import salus_web.common.ids

STATES = [
    ("preparing", "Being prepared"), ("requested", "Waiting for two people"), ("released", "Released"), ("refused", "Refused"),
    ("failed", "Could not be prepared"),
]  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL), ("releases", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="ReleaseDecision",
            fields=[
                ("id", models.UUIDField(default=salus_web.common.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ("accepts", models.BooleanField()),
                ("why", models.CharField(blank=True, max_length=400)),
                ("at", models.DateTimeField()),
                ("for_sites", models.JSONField(default=list)),
                ("person", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="release_decisions", to=settings.AUTH_USER_MODEL)),
                ("release", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="decisions", to="releases.release")),
            ],
        ),
        migrations.AddConstraint(
            model_name="releasedecision",
            constraint=models.UniqueConstraint(fields=("release", "person"), name="one_word_each_on_a_release"),
        ),
        migrations.AlterField(model_name="release", name="state", field=models.CharField(choices=STATES, max_length=12)),
    ]
