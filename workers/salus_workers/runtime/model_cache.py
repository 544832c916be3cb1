"""The models this process holds. A bundle is unpacked and checked once per process, then kept by its digest."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections import OrderedDict
from pathlib import Path

from salus_learn.store.bundle import Bundle, load_bundle
from salus_web.common import vault
from salus_web.common.errors import IntegrityBroken
from salus_web.registry.models import ModelBundle

from salus_workers.runtime.device import encoder_device

KEPT = 4
_loaded: OrderedDict[str, Bundle] = OrderedDict()


def loaded(row: ModelBundle) -> Bundle:
    """The bundle of this row, loaded once. Raises IntegrityBroken when the stored files are not those named."""
    if row.digest in _loaded:
        _loaded.move_to_end(row.digest)
        return _loaded[row.digest]
    with tempfile.TemporaryDirectory(prefix="salus-bundle-") as place:
        folder = Path(place)
        with tarfile.open(fileobj=io.BytesIO(vault.get(row.blob_key, sha256=row.blob_sha256))) as archive:
            archive.extractall(folder, filter="data")
        bundle = load_bundle(folder, device=encoder_device())
    if bundle.digest != row.digest:
        raise IntegrityBroken("The stored model is not the one its row names.")
    _loaded[row.digest] = bundle
    while len(_loaded) > KEPT:
        _loaded.popitem(last=False)
    return bundle
