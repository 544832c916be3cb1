"""How a command line speaks: results on standard output, progress and refusals on standard error. Nothing else writes there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

PROGRESS_WIDTH = 64
LARGEST_SEED = 2**31 - 1  # folds and repeats count on from it, and must stay within 32 bits


def say(text: str) -> None:
    """A line of the result."""
    sys.stdout.write(f"{text}\n")


def tell(text: str) -> None:
    """A line that is not the result, over what progress left on the line where a person is watching."""
    sys.stderr.write(f"\r{text:<{PROGRESS_WIDTH + 8}}\n" if sys.stderr.isatty() else f"{text}\n")
    sys.stderr.flush()


def progress(fraction: float, message: str) -> None:
    """How far it is: in place where a person is watching, else nothing."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{fraction:4.0%} {message:<{PROGRESS_WIDTH}}")
        sys.stderr.flush()


def progress_or_lines(fraction: float, message: str) -> None:
    """How far it is: in place where a person is watching, else a line for each step, not for each image."""
    if sys.stderr.isatty():
        progress(fraction, message)
    elif "reading images" not in message:
        tell(f"{fraction:4.0%} {message}")


def end_progress() -> None:
    """Leave the line that progress was written on."""
    if sys.stderr.isatty():
        sys.stderr.write("\n")


def whole_number(lowest: int, highest: int = LARGEST_SEED) -> Callable[[str], int]:
    """What argparse reads an option with that is a whole number within these bounds."""

    def read(word: str) -> int:
        try:
            number = int(word)
        except ValueError:
            number = lowest - 1
        if not lowest <= number <= highest:
            raise argparse.ArgumentTypeError(f"{word} is not a whole number from {lowest} to {highest}")
        return number

    return read
