"""What the beat does for the log every ten seconds: a checkpoint when one is due, then the file and the witness."""

from __future__ import annotations

import logging

from salus_web.audit.checkpoints import is_due, make_checkpoint, signer_path
from salus_web.audit.telling import show_witness, write_file

logger = logging.getLogger(__name__)


def checkpoint_when_due() -> None:
    """One round. A process without the signer's key does nothing; a full disk or a silent witness waits for the next round."""
    if signer_path() is None:
        return
    if is_due():
        make_checkpoint()
    try:
        write_file()
    except OSError as reason:
        logger.error("the file of checkpoints cannot be written: %s", reason.strerror)
    show_witness()
