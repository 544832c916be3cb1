"""No migration of ours is a way without return, and each that moves rows is tried with rows in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import RunPython, RunSQL
from django.db.migrations.operations.base import Operation

# moves rows → the test that has rows in it, both ways
MOVERS = {
    "audit.0003_stripes_and_checkpoints": "test_audit_migration.py",
    "jobs.0004_titles_without_counts": "test_job_words.py",
    "records.0004_free_text_moved": "test_encryption_migration.py",
    "records.0008_older_words_are_replaced": "test_consent_migration.py",
    "records.0011_why_moved": "test_encryption_migration.py",
    "records.0016_case_numbers_apart": "test_case_numbers_migration.py",
    "records.0019_hospital_of_a_relation": "test_relation_migration.py",
    "imaging.0003_free_text_moved": "test_encryption_migration.py",
    "imaging.0009_moment_not_invented": "test_imaging_migration.py",
    "ingest.0003_free_text_moved": "test_encryption_migration.py",
    "releases.0003_decisions_moved": "test_releases_migration.py",
}
# work on the shape only: triggers and policies, which no model describes
SHAPES = {
    "audit.0002_refuse_changes", "audit.0005_refuse_replacing", "records.0006_wall", "imaging.0005_wall", "predictions.0003_wall", "records.0009_consents_stand",
    "imaging.0006_wall_by_purpose", "predictions.0004_wall_by_purpose", "registry.0003_who_trained_a_model", "stewardship.0001_keeping", "access.0002_wall",
    "access.0004_wall_by_purpose", "records.0020_wall_by_hospital", "access.0005_wall_by_hospital", "imaging.0010_wall_by_hospital",
    "predictions.0008_wall_by_hospital", "registry.0004_wall_by_hospital", "stewardship.0002_wall_by_hospital",
}  # fmt: skip


def written_by_hand() -> Iterator[tuple[str, Operation]]:
    """Operations of ours that are code or SQL, with the name of their migration."""
    loader = MigrationLoader(connection)
    for (app, name), found in loader.disk_migrations.items():
        if found.__module__.startswith("salus_web."):
            for operation in found.operations:
                if isinstance(operation, RunPython | RunSQL):
                    yield f"{app}.{name}", operation


@pytest.mark.django_db
def test_no_migration_is_a_way_without_return() -> None:
    loader = MigrationLoader(connection)
    ours = [found for found in loader.disk_migrations.values() if found.__module__.startswith("salus_web.")]
    assert len(ours) >= 30
    assert [f"{found.app_label}.{found.name}" for found in ours if not all(one.reversible for one in found.operations)] == []


@pytest.mark.django_db
def test_every_migration_written_by_hand_moves_rows_and_is_tried_with_them_or_works_on_the_shape(repository_root: Path) -> None:
    assert {name for name, _ in written_by_hand()} == set(MOVERS) | SHAPES
    for test in set(MOVERS.values()):
        assert (repository_root / "tests" / "web" / test).is_file()
