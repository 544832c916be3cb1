"""Films kept before: the moment that was made up goes, and with it the copies for models of what no model may look at."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydicom.uid import RTDoseStorage
from salus_web.common.clock import now
from salus_web.common.ids import new_id

from tests.web.test_encryption_migration import migrate, restored  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db(transaction=True)
RECORDS = ("records", "0016_case_numbers_apart")
BEFORE, AFTER = [RECORDS, ("imaging", "0007_outline")], [RECORDS, ("imaging", "0009_moment_not_invented")]
INVENTED, KNOWN = datetime(1993, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def planted(apps: Any) -> None:
    """A film of a known moment, one without, one of several frames, one of doses; each with its copies."""
    site = apps.get_model("accounts", "Site").objects.create(code="m", name="Hospital")
    patient = apps.get_model("records", "Patient").objects.create(id=new_id(), site=site, mrn_index="i", created_at=now())
    for uid, moment, frames, sop in (("known", KNOWN, 1, "x"), ("undated", INVENTED, 1, "x"), ("several", KNOWN, 3, "x"), ("doses", KNOWN, 1, RTDoseStorage)):
        study = apps.get_model("imaging", "Study").objects.create(id=new_id(), patient=patient, uid=uid, started_at=moment)
        series = apps.get_model("imaging", "Series").objects.create(id=new_id(), patient=patient, study=study, uid=uid, modality="DX")
        film = apps.get_model("imaging", "Instance").objects.create(
            id=new_id(), patient=patient, series=series, uid=uid, sop_class=sop, transfer_syntax="y", acquired_at=moment, frames=frames,
            blob_key="b", blob_sha256="s", blob_bytes=1,
        )  # fmt: skip
        for kind in ("model", "display"):
            apps.get_model("imaging", "Rendition").objects.create(
                id=new_id(), patient=patient, instance=film, kind=kind, width=1, height=1, blob_key="b", blob_sha256="s", original_sha256="s"
            )


def moments(apps: Any) -> dict[str, tuple[Any, Any]]:
    return {film.uid: (film.acquired_at, film.series.study.started_at) for film in apps.get_model("imaging", "Instance").objects.all()}


def test_no_film_keeps_a_moment_that_was_made_up(restored: None) -> None:  # noqa: F811
    planted(migrate(BEFORE))
    apps = migrate(AFTER)
    assert moments(apps) == dict.fromkeys(("known", "several", "doses"), (KNOWN, KNOWN)) | {"undated": (None, None)}
    copies = apps.get_model("imaging", "Rendition").objects.values_list("instance__uid", "kind")
    assert sorted(copies) == sorted([(uid, "display") for uid in ("known", "undated", "several", "doses")] + [("known", "model")])
    assert moments(migrate(BEFORE))["undated"] == (INVENTED, INVENTED)
