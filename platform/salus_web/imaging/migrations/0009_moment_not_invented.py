"""A film without a date was kept under DICOM's own year, and of several frames the first was given to models. Neither is so any more."""

from datetime import UTC, datetime

from django.db import migrations
from django.db.models import Q

INVENTED = datetime(1993, 1, 1, tzinfo=UTC)
NO_PICTURE = ["1.2.840.10008.5.1.4.1.1.481.2", "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.30"]  # doses, regions, computed values


def say_so(apps, editor):
    """The small copies for models go first: whoever looks for a model's input never meets a film of no moment."""
    unfit = Q(instance__acquired_at=INVENTED) | Q(instance__frames__gt=1) | Q(instance__sop_class__in=NO_PICTURE)
    apps.get_model("imaging", "Rendition").objects.filter(unfit, kind="model").delete()
    apps.get_model("imaging", "Instance").objects.filter(acquired_at=INVENTED).update(acquired_at=None)
    apps.get_model("imaging", "Study").objects.filter(started_at=INVENTED).update(started_at=None)


def invent(apps, editor):
    """As it was, but for the copies: they are made at the door only."""
    apps.get_model("imaging", "Instance").objects.filter(acquired_at=None).update(acquired_at=INVENTED)
    apps.get_model("imaging", "Study").objects.filter(started_at=None).update(started_at=INVENTED)


class Migration(migrations.Migration):
    # apart from the change of the tables: PostgreSQL alters no table that has rows changed in the same transaction

    dependencies = [
        ('imaging', '0008_moment_may_be_unknown'),
    ]

    operations = [
        migrations.RunPython(say_so, invent),
    ]
