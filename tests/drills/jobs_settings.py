"""One laptop's settings with short leases, so that a drill need not wait a minute for each killed worker."""

from __future__ import annotations

from salus_web.config.settings.local import *  # noqa: F403

SALUS_LEASE_SECONDS = 4
