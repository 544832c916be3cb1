"""Shows what is done to pictures while an encoder is tuned: a drawn picture, as it is and in seven variants, and the rules.

The picture is drawn, never a patient's: reports are downloaded and passed on.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from salus_learn.contracts import ImageSpec
from salus_learn.imaging.augment import Changes, changed, draw_changes, rules_of
from salus_learn.imaging.phantom import phantom_of

VARIANTS_SHOWN = 7
ACROSS = 4
TILE_PIXELS = 200
_CAPTION_PIXELS, _GAP_PIXELS, _LETTER_PIXELS, _SHADES = 52, 10, 12, 64
COLUMNS = ["what could be done to a picture", "how far", "why, or why not"]
NEVER = "never"


@dataclass(frozen=True, slots=True)
class ContactSheet:
    """`png` bytes; per tile its pixels (224, 224, 3) uint8 and what was done to it; `shows` names the drawn picture."""

    png: bytes
    tiles: tuple[np.ndarray, ...]
    captions: tuple[str, ...]
    shows: str

    @property
    def said(self) -> str:
        """The whole sheet in words, for who cannot see it."""
        return f"A drawn {self.shows}, eight times. " + " ".join(f"{caption}." for caption in self.captions)


def contact_sheet(spec: ImageSpec, *, seed: int = 0) -> ContactSheet:
    """One drawn picture as it is, then seven random variants by the slot's own policy. The same seed gives the same bytes."""
    drawn, shows = phantom_of(spec)
    pixels = torch.from_numpy((drawn.astype(np.float32) - 127.0) / 128.0).permute(2, 0, 1)[None]
    changes = draw_changes(spec, VARIANTS_SHOWN, torch.Generator().manual_seed(seed))
    shown = changed(pixels.expand(VARIANTS_SHOWN, -1, -1, -1), changes)
    tiles = [drawn, *(_eight_bit(one) for one in shown)]
    lines = [["as it is"], *(described(changes, at) for at in range(VARIANTS_SHOWN))]
    return ContactSheet(_sheet(tiles, lines), tuple(tiles), tuple(", ".join(one) for one in lines), shows)


def described(changes: Changes, at: int) -> list[str]:
    """What is done to one image, in words and in this order, two changes a line."""
    right, down = (
        -50 * float(part) for part in changes.move[at]
    )  # looked for on the left, it shows on the right
    turn_deg = math.degrees(float(changes.turn_rad[at]))
    words = [
        f"moved {abs(right):.0f} % {'right' if right > 0 else 'left'}, {abs(down):.0f} % {'down' if down > 0 else 'up'}",
        f"turned {abs(turn_deg):.0f}° {'anticlockwise' if turn_deg > 0 else 'clockwise'}, at {100 / float(changes.size[at]):.0f} %",
        f"contrast {_more(100 * float(changes.contrast[at]) - 100)}, light {_more(50 * float(changes.brightness[at]))}",
    ]
    swaps = (("sides swapped", changes.swapped), ("upside down", changes.upside_down))
    over = [word for word, done in swaps if float(done[at]) < 0]
    return [*words, " and ".join(over)] if over else words


def augmentation_part(
    specs: Sequence[ImageSpec], *, tuned: bool, measured: Sequence[list[Any]] = (), seed: int = 0
) -> dict[str, Any] | None:
    """The part `augmentation` of JudgedPeople.extra: a sheet and the rules per kind of slot, then rows of what was measured.

    tuned: whether an encoder was; measured: rows under COLUMNS. None without image slots.
    """
    if not specs:
        return None
    alike: dict[Any, list[ImageSpec]] = {}
    for spec in specs:
        alike.setdefault((spec.modality.upper(), rules_of(spec)), []).append(spec)
    rows: list[list[Any]] = []
    pictures = []
    for group in alike.values():
        name = ", ".join(spec.label for spec in group)
        sheet = contact_sheet(group[0], seed=seed)
        head = "" if len(alike) == 1 else f"{name}: "
        rows += [[head + rule.what, rule.how_far or NEVER, rule.why] for rule in rules_of(group[0])]
        caption = f"{name}: a drawn {sheet.shows}, not a patient's, as it is and in {VARIANTS_SHOWN} variants, changed in the order named"
        pictures.append({"caption": caption, "said": sheet.said, "png": base64.b64encode(sheet.png).decode()})
    body: dict[str, Any] = {
        "note": _note(tuned, bool(measured)),
        "columns": COLUMNS,
        "rows": [*rows, *measured],
    }
    return body | {"pictures": pictures} | ({} if measured else {"state": "described"})


def _note(tuned: bool, measured: bool) -> str:
    """What was really done in this training."""
    if not tuned:
        return "The encoder was not tuned, so no picture was varied here; this is what tuning would do."
    told = "While the encoder learned, each image was varied anew every time it was shown."
    return told if measured else f"{told} What that bought was not measured; train --ablation does."


def _more(percent: float) -> str:
    return f"{abs(percent):.0f} % {'more' if percent > 0 else 'less'}"


def _eight_bit(pixels: torch.Tensor) -> np.ndarray:
    """(3, H, W) in [-1, 1] as (H, W, 3) uint8."""
    return (pixels.permute(1, 2, 0) * 128.0 + 127.0).round().clamp(0, 255).to(torch.uint8).numpy()


def _sheet(tiles: Sequence[np.ndarray], lines: Sequence[Sequence[str]]) -> bytes:
    """Tiles in rows, each with its lines under it, as a PNG of few shades (a report carries it)."""
    step, high = TILE_PIXELS + _GAP_PIXELS, TILE_PIXELS + _CAPTION_PIXELS + _GAP_PIXELS
    down = -(-len(tiles) // ACROSS)
    sheet = Image.new("RGB", (ACROSS * step + _GAP_PIXELS, down * high + _GAP_PIXELS), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_LETTER_PIXELS)
    for at, (tile, words) in enumerate(zip(tiles, lines, strict=True)):
        left, top = _GAP_PIXELS + at % ACROSS * step, _GAP_PIXELS + at // ACROSS * high
        sheet.paste(Image.fromarray(tile).resize((TILE_PIXELS,) * 2, Image.Resampling.BILINEAR), (left, top))
        pen.multiline_text(
            (left, top + TILE_PIXELS + 2), "\n".join(words), fill="black", font=font, spacing=1
        )
    kept = io.BytesIO()
    sheet.quantize(_SHADES, dither=Image.Dither.NONE).save(kept, "PNG", optimize=True)
    return kept.getvalue()
