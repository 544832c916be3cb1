"""The lock that keeps a worker's parent from forking while one of its threads is at the database.

A pool child that is forked then inherits the open connection, and a SQLite database breaks by that. So who works at the
database in a parent holds this lock until the connection is closed, and a fork waits for it.
"""

from __future__ import annotations

import os
import threading

not_while_forking = threading.Lock()
os.register_at_fork(
    before=not_while_forking.acquire, after_in_parent=not_while_forking.release, after_in_child=not_while_forking.release
)
