"""One file on its way through the door: sealed into the vault as it comes, with the little that must be known of it meanwhile."""

from __future__ import annotations

from django.conf import settings

from salus_web.common.arrivals import Arrival
from salus_web.common.errors import BadInput
from salus_web.common.ids import new_id
from salus_web.common.vault import BlobRef
from salus_web.ingest.parsers.archive import LONGEST_INDEX

BEGINNING_BYTES = 256


class TooLarge(BadInput):
    """More bytes than one file may have."""


class Incoming:
    """Written to by whoever reads the request or the disk; handed to `receive`, which keeps it. `close` leaves nothing of a
    file that was not kept."""

    def __init__(self, filename: str) -> None:
        self.filename, self.upload_id, self.is_kept = filename, new_id(), False
        self._arrival = Arrival(owner=f"upload:{self.upload_id}")
        self.beginning, self._end = b"", bytearray()

    def write(self, piece: bytes) -> None:
        """The next bytes. Raises TooLarge past the limit."""
        if self._arrival.size_bytes + len(piece) > settings.SALUS_UPLOAD_LIMIT_BYTES:
            raise TooLarge(f"A file was larger than {settings.SALUS_UPLOAD_LIMIT_BYTES >> 20} MB.")
        if len(self.beginning) < BEGINNING_BYTES:
            self.beginning += piece[: BEGINNING_BYTES - len(self.beginning)]
        self._end += piece
        if len(self._end) > 2 * LONGEST_INDEX:
            del self._end[:-LONGEST_INDEX]
        self._arrival.write(piece)

    @property
    def end(self) -> bytes:
        """The last bytes, where a zip has its index."""
        return bytes(self._end[-LONGEST_INDEX:])

    def finish(self) -> BlobRef:
        """All bytes are here: where they lie now."""
        return self._arrival.finish()

    def close(self) -> None:
        """The request is over."""
        if not self.is_kept:
            self._arrival.discard()
