"""Picture files of a case table: what is read as it is meant, and what is refused because it would be read wrongly in silence."""

from __future__ import annotations

import hashlib
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
