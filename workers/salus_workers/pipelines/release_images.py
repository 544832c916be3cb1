"""The images of those in a release's table, de-identified, in zips beside it. What may leave of one is decided by releases.deidentify."""

from __future__ import annotations

import io
import secrets
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from salus_web.accounts.actors import system
from salus_web.cohorts.disclosure import SMALLEST, safe_count
from salus_web.common import vault
from salus_web.common.errors import Refused
from salus_web.imaging.models import Instance
from salus_web.imaging.selectors import NEWEST_FIRST
from salus_web.releases.deidentify.alias import Alias
from salus_web.releases.deidentify.image import StaysIn, deidentified
from salus_web.releases.services import PreparedFile

ACTOR = system("prepare_release")
EACH_AT_MOST, LOOKED_AT = 4, 8  # of one person and modality: what leaves, and how many are looked at for it
PEOPLE_AT_ONCE = 5_000
ZIP_BYTES, ALL_BYTES = 96 << 20, 384 << 20
TOO_MUCH = f"The images are more than {ALL_BYTES >> 20} megabytes together. Ask for fewer people, or without images."
METHOD = (
    "DICOM PS3.15 Basic Application Level Confidentiality Profile with the Retain Longitudinal Temporal Information with Modified "
    "Dates Option, by a list of what is kept: pixels are decoded and written anew, UIDs replaced, dates shifted per person, the rest is gone"
)


@dataclass(slots=True)
class Found:
    """Packed images by modality and person, newest first, and how many images stay for which reason."""

    images: dict[str, dict[str, list[bytes]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    stays: Counter[str] = field(default_factory=Counter)
    bytes_held: int = 0


def image_files(names: Mapping[str, str]) -> tuple[list[PreparedFile], list[str], dict[str, int | None]]:
    """Zips of the newest images of these people (pseudonym to name in the release), sentences on what stays, and about how many
    images of each modality leave. Raises Refused when they are too many."""
    found = _found(names)
    lost: list[str] = []
    counts: dict[str, int | None] = {}
    chosen: list[tuple[str, str, list[bytes]]] = []
    for modality, people in sorted(found.images.items()):
        if not any(people.values()):
            continue  # the reasons say why
        slots = _slots([len(images) for images in people.values()], len(names))
        if not slots:
            lost.append(f"no image of modality {modality} leaves: it would set fewer than {SMALLEST} people apart")
            continue
        chosen += [(modality, name, images[:slots]) for name, images in sorted(people.items())]
        counts[modality] = safe_count(sum(min(slots, len(images)) for images in people.values()))
    lost += [f"an image stays where it {why}" for why in sorted(found.stays)]
    return list(_zips(chosen)), lost, counts


def _found(names: Mapping[str, str]) -> Found:
    """Every image that may leave, one person's and modality's newest."""
    found, secret, looked = Found(), secrets.token_bytes(32), Counter[tuple[str, str]]()
    for pseudonym, modality, key, sha256 in _rows(sorted(names)):
        images = found.images[modality][names[pseudonym]]
        if len(images) == EACH_AT_MOST or looked[pseudonym, modality] == LOOKED_AT:
            continue
        looked[pseudonym, modality] += 1
        try:
            left = deidentified(vault.get(key, sha256=sha256), alias=Alias(names[pseudonym], secret), number=len(images) + 1)
        except StaysIn as why:
            found.stays[str(why)] += 1
            continue
        packed = zlib.compress(left, 1)
        found.bytes_held += len(packed)
        if found.bytes_held > ALL_BYTES:
            raise Refused(TOO_MUCH)
        images.append(packed)
    return found


def _rows(pseudonyms: list[str]) -> Iterator[tuple[str, str, str, str]]:
    """Person, modality and place of each readable image, a person's newest first; so many people per question as a database takes."""
    for start in range(0, len(pseudonyms), PEOPLE_AT_ONCE):
        whose = pseudonyms[start : start + PEOPLE_AT_ONCE]
        rows = Instance.objects.for_actor(ACTOR).filter(patient__pseudonym__in=whose, pixel_state="readable", is_dropped=False)
        rows = rows.order_by("patient_id", NEWEST_FIRST, "pk")
        yield from rows.values_list("patient__pseudonym", "series__modality", "blob_key", "blob_sha256").iterator(chunk_size=500)


def _slots(held: list[int], people: int) -> int:
    """How many images each may have: the n-th leaves where at least eleven have it, and where none or at least eleven lack it."""
    slots = 0
    for place in range(1, EACH_AT_MOST + 1):
        have = sum(count >= place for count in held)
        if have < SMALLEST or 0 < people - have < SMALLEST:
            break
        slots = place
    return slots


def _zips(chosen: list[tuple[str, str, list[bytes]]]) -> Iterator[PreparedFile]:
    """Zips of at most some hundred megabytes, a folder per person."""
    waiting: list[tuple[str, bytes]] = []
    size, number = 0, 0
    for modality, name, images in chosen:
        for place, packed in enumerate(images, 1):
            waiting.append((f"{name}/{modality}-{place}.dcm", packed))
            size += len(packed)
            if size >= ZIP_BYTES:
                number, size = number + 1, 0
                yield _zip(number, waiting)
                waiting = []
    if waiting:
        yield _zip(number + 1, waiting)


def _zip(number: int, entries: list[tuple[str, bytes]]) -> PreparedFile:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, packed in entries:
            archive.writestr(zipfile.ZipInfo(name), zlib.decompress(packed), zipfile.ZIP_DEFLATED)  # ZipInfo: no clock of ours in it
    return PreparedFile(f"images-{number}.zip", "application/zip", stream.getvalue())


def told(counts: Mapping[str, int | None]) -> dict[str, Any]:
    """What the receipt says of the images."""
    return {"method": METHOD, "each_at_most": EACH_AT_MOST, "images": dict(counts)}
