"""The people of case tables get the numbers of their table, apart from the hospital's. Where a case came under a patient of the
hospital before, the two cannot be told apart here: the case stays there, and is made anew when its table is read again."""

import tomllib

from django.db import migrations

from salus_web.common.fields import SealedText
from salus_web.common.keyring import KeyGone
from salus_web.records.identity import CASE_SYSTEM
from salus_web.records.persons import case_token, number_index

_number = SealedText("mrn_sealed", "person:id")


def spaces(apps):
    """Of each task over a table: the system its people have had, the one they get, and the space of their numbers."""
    for file in apps.get_model("registry", "TaskFile").objects.order_by("-loaded_at"):
        said = tomllib.loads(file.text)
        if table := said.get("cases", {}).get("table"):
            data = said["task"].get("data") or file.task_id
            yield f"{CASE_SYSTEM}{file.task_id}", f"{CASE_SYSTEM}{data}", f"{data}/{table}"


def people(apps, systems):
    """Who has a number of these systems, with the number."""
    rows = apps.get_model("records", "Patient").objects.filter(mrn_system__in=systems, erased_at__isnull=True)
    for row in list(rows.only("id", "site_id", "mrn_system", "mrn_sealed", "mrn_index")):
        try:
            yield row, _number.__get__(row)
        except KeyGone:
            continue


def apart(apps, editor):
    given = {before: (after, space) for before, after, space in reversed(list(spaces(apps)))}
    for row, number in people(apps, list(given)):
        row.mrn_system, space = given[row.mrn_system]
        row.mrn_index = number_index(number, space)
        row.save(update_fields=["mrn_system", "mrn_index"])
        apps.get_model("records", "PatientNameToken").objects.get_or_create(patient_id=row.pk, token=case_token(number))


def together(apps, editor):
    """The way back, but for those whose number a patient of the hospital has by now."""
    given = list(spaces(apps))
    patients = apps.get_model("records", "Patient").objects
    for row, number in people(apps, [after for _, after, _ in given]):
        held = {number_index(number, space): before for before, after, space in given if after == row.mrn_system}
        if row.mrn_index in held and not patients.filter(site_id=row.site_id, mrn_index=number_index(number)).exists():
            row.mrn_system, row.mrn_index = held[row.mrn_index], number_index(number)
            row.save(update_fields=["mrn_system", "mrn_index"])
            apps.get_model("records", "PatientNameToken").objects.filter(patient_id=row.pk, token=case_token(number)).delete()


class Migration(migrations.Migration):
    # apart from the change of the tables: PostgreSQL alters no table that has rows changed in the same transaction

    dependencies = [
        ("records", "0015_allergy_status"),
        ("registry", "0003_who_trained_a_model"),
    ]

    operations = [
        migrations.RunPython(apart, together),
    ]
