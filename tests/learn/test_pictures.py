"""Picture files of a case table: what is read as it is meant, and what is refused because it would be read wrongly in silence."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from salus_learn.contracts import Region
from salus_learn.errors import CaseError
from salus_learn.tasks.pictures import mask_region, picture, text_region

GREY = np.random.default_rng(0).integers(0, 250, (40, 60)).astype(np.uint8)
WHERE = "cases.csv row 2"


def read(path: Path) -> np.ndarray:
    pixels, sha256 = picture(path, WHERE)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    return pixels


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("eight.png", GREY), ("eight.bmp", GREY), ("sixteen.png", GREY.astype(np.uint16) * 200), ("sixteen.tif", GREY.astype(np.uint16) * 200),
        ("wide.tif", GREY.astype(np.int32) * 200), ("colours.png", np.stack([GREY, GREY // 2, GREY // 3], 2)),
    ],
)  # fmt: skip
def test_a_picture_is_read_pixel_for_pixel(tmp_path: Path, name: str, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(tmp_path / name)
    found = read(tmp_path / name)
    assert found.dtype == (np.uint8 if pixels.max() < 256 else np.uint16) and np.array_equal(found, pixels)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_grey_that_is_stored_as_colour_is_grey(tmp_path: Path, mode: str) -> None:
    Image.fromarray(GREY).convert(mode).save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.png"), GREY)


@pytest.mark.parametrize(
    ("pixels", "says"),
    [
        (GREY.astype(np.float32) / 255, "has decimals, or grey values outside 0 to 65535"), (GREY.astype(np.int32) * 1000, "outside 0 to 65535"),
        (GREY.astype(np.int32) - 20, "outside 0 to 65535"),
    ],
)  # fmt: skip
def test_grey_that_would_be_cut_off_is_refused(tmp_path: Path, pixels: np.ndarray, says: str) -> None:
    """Such a file used to be read as black, or as white."""
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    with pytest.raises(CaseError, match=f"cases.csv row 2: a.tif .*{says}"):
        read(tmp_path / "a.tif")


def sixteen_bits(path: Path, kind: int, channels: int) -> None:
    """A PNG of 16 bits a channel (Pillow writes none), of which only the lower 8 are used."""
    deep = np.repeat(GREY[..., None], channels, axis=2).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in deep)

    def part(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", GREY.shape[1], GREY.shape[0], 16, kind, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b""))


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_colours_of_sixteen_bits_are_refused(tmp_path: Path, kind: int, channels: int) -> None:
    """The upper 8 bits alone were read, so that this picture was black."""
    sixteen_bits(tmp_path / "a.png", kind, channels)
    with pytest.raises(CaseError, match="cases.csv row 2: a.png has colours, or transparency, of 16 bits"):
        read(tmp_path / "a.png")
    sixteen_bits(tmp_path / "grey.png", 0, 1)
    assert np.array_equal(read(tmp_path / "grey.png"), GREY), "grey may have 16"


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_picture_that_lies_in_its_transparency_is_seen_as_on_a_white_page(tmp_path: Path, mode: str) -> None:
    """Black all over with a transparency that draws: it was read as black all over."""
    black = [np.zeros_like(GREY)] * (3 if mode == "RGBA" else 1)
    Image.fromarray(np.dstack([*black, GREY]), mode).save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.png"), 255 - GREY)
    Image.fromarray(np.dstack([*black, np.zeros_like(GREY)]), mode).save(tmp_path / "b.png")
    with pytest.raises(CaseError, match="b.png is transparent all over"):
        read(tmp_path / "b.png")


@pytest.mark.parametrize("name", ["stack.tif", "film.gif"])
def test_several_pictures_in_one_file_are_refused(tmp_path: Path, name: str) -> None:
    one, two = Image.fromarray(GREY), Image.fromarray(GREY[::-1])
    one.save(tmp_path / name, save_all=True, append_images=[two, one])
    with pytest.raises(CaseError, match=f"{name} holds 3 pictures, and a cell names one"):
        read(tmp_path / name)


def turned(path: Path) -> Path:
    """As a camera held upright writes it: lying, with a word which way is up."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(GREY).save(path, exif=exif)
    return path


def test_a_picture_of_a_turned_camera_stands_upright(tmp_path: Path) -> None:
    assert np.array_equal(read(turned(tmp_path / "a.png")), np.rot90(GREY, -1))


def test_a_mark_on_it_is_refused_as_either_way_up_may_be_meant(tmp_path: Path) -> None:
    Image.fromarray(GREY > 200).save(tmp_path / "mask.png")
    with pytest.raises(CaseError, match="a.png was taken with the camera turned"):
        mask_region(tmp_path / "mask.png", turned(tmp_path / "a.png"), WHERE)
    with pytest.raises(CaseError, match="a.png was taken with the camera turned"):
        text_region("3, 4, 10, 20", tmp_path / "a.png", WHERE)
    Image.fromarray(GREY).save(tmp_path / "b.png")
    assert text_region("3, 4, 10, 20", tmp_path / "b.png", WHERE) == Region(3, 4, 13, 24, "box")


def test_a_box_drawn_on_a_larger_copy_is_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    assert text_region("50, 4, 12, 20", tmp_path / "a.png", WHERE).right == 62, "a little over the edge"
    with pytest.raises(CaseError, match="reaches outside a.png, which has 60 × 40 pixels; was it drawn on a larger copy"):
        text_region("50, 30, 40, 20", tmp_path / "a.png", WHERE)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n\x00"])
def test_what_is_no_picture_is_refused_with_its_row(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(CaseError, match="cases.csv row 2: a.png cannot be read as an image"):
        read(tmp_path / "a.png")
