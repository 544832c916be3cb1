"""One laptop: SQLite, embedded broker, keys made once and kept in the data folder with mode 600."""

from __future__ import annotations

import os

from salus_web.audit.notes import load_or_make_key
from salus_web.common.key_sources import FileKeys
from salus_web.config.keyfile import load_or_make_keys
from salus_web.config.settings.base import *  # noqa: F403
from salus_web.config.settings.base import (
    CELERY_BROKER_URL,
    SALUS_AUDIT_DIR,
    SALUS_AUDIT_SIGNER_KEY_FILE,
    SALUS_AUDIT_WITNESS,
    SALUS_DATA_DIR,
)

os.umask(0o077)  # what any command, worker or web process of a laptop writes is its owner's alone
# the embedded queue says where it listens, so that commands in another terminal reach it too
_queue_address = SALUS_DATA_DIR / "queue" / "address"
if not CELERY_BROKER_URL and _queue_address.exists():
    CELERY_BROKER_URL = _queue_address.read_text().strip()
_keys = load_or_make_keys(SALUS_DATA_DIR)
SECRET_KEY = _keys["secret_key"]
SALUS_DATA_KEYS = _keys["data_keys"]
SALUS_CURRENT_DATA_KEY = _keys["current_data_key"]
SALUS_INDEX_KEY = _keys["index_key"]
SALUS_KEY_SOURCE = FileKeys(SALUS_DATA_DIR / "keys.json")
SALUS_SIMULATED = (SALUS_DATA_DIR / "simulated").exists()
(SALUS_DATA_DIR / "static").mkdir(exist_ok=True)  # where collected files would lie; the finders serve them here
if not SALUS_AUDIT_SIGNER_KEY_FILE:  # a key of its own, apart from those in keys.json
    SALUS_AUDIT_SIGNER_KEY_FILE = str(SALUS_AUDIT_DIR / "signer.key")
    load_or_make_key(SALUS_AUDIT_DIR / "signer.key")
SALUS_AUDIT_WITNESS = SALUS_AUDIT_WITNESS or f"folder:{SALUS_AUDIT_DIR / 'witness'}"

# The demonstration lets its people in by password alone; a real installation on one machine asks for a second factor.
SALUS_MFA = os.environ.get("SALUS_MFA") or ("demo" if SALUS_SIMULATED else "required")
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True  # a laptop answers at http://
