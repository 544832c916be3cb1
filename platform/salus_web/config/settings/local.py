"""One laptop: SQLite, embedded broker, keys made once and kept in the data folder with mode 600."""

from __future__ import annotations

from salus_web.config.keyfile import load_or_make_keys
from salus_web.config.settings.base import *  # noqa: F403
from salus_web.config.settings.base import SALUS_DATA_DIR

_keys = load_or_make_keys(SALUS_DATA_DIR)
SECRET_KEY = _keys["secret_key"]
SALUS_DATA_KEYS = _keys["data_keys"]
SALUS_CURRENT_DATA_KEY = _keys["current_data_key"]
SALUS_INDEX_KEY = _keys["index_key"]
SALUS_SIMULATED = (SALUS_DATA_DIR / "simulated").exists()
