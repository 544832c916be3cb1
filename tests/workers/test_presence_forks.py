"""No pool child is forked while its parent is at the database: it would inherit the open connection."""

from __future__ import annotations

import os
import threading
import time

from salus_workers.runtime import presence
from salus_workers.runtime.forking import not_while_forking


def test_a_fork_waits_until_the_parent_has_left_the_database() -> None:
    entered, left = threading.Event(), threading.Event()

    def act() -> None:
        entered.set()
        time.sleep(0.5)
        left.set()

    saying = threading.Thread(target=presence._quietly, args=(act,))
    saying.start()
    assert entered.wait(5)
    child = os.fork()
    if child == 0:
        os._exit(0 if left.is_set() and not not_while_forking.locked() else 1)
    _, status = os.waitpid(child, 0)
    saying.join()
    assert os.waitstatus_to_exitcode(status) == 0
    assert not not_while_forking.locked()
