"""Reading uploads: what came in at the viewer's hospitals and what became of it."""

from __future__ import annotations

from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet

from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.places import where_allowed
from salus_web.ingest.models import Upload


def uploads(*, viewer: Any) -> QuerySet[Upload]:
    """Uploads at the viewer's hospitals, newest first. A file's name and why it was refused may name a patient: they are shown
    to who sent it (`is_own`) and to nobody else."""
    authorize(viewer, "upload.read", Resource("upload"))
    own = ExpressionWrapper(Q(received_by=viewer.id), output_field=BooleanField())
    rows = Upload.objects.select_related("site", "job").annotate(is_own=own)
    return rows.filter(where_allowed(viewer, "upload.read")).order_by("-received_at")


def open_uploads(*, viewer: Any) -> bool:
    """Whether some are still to be read (1 query)."""
    return uploads(viewer=viewer).filter(state__in=["received", "parsing"]).exists()
