"""How a risk, its interval, points of risk and measured values are said on the screen. No risk is said to be 0 % or 100 %: no
model is that sure."""

from __future__ import annotations

from decimal import Decimal


def percent(value: float | None) -> str:
    """A probability as whole percent, never 0 % or 100 %: no model is that sure."""
    return "" if value is None else f"{_whole(value)} %"


def _whole(value: float, below: str = "<1", above: str = ">99") -> str:
    """Whole percent by itself; words of one's own for what lies below 1 and above 99."""
    whole = round(100 * value)
    return below if whole < 1 else above if whole > 99 else str(whole)


def of_hundred(value: float) -> str:
    """So many of 100 patients; never none or all of them, for the same reason."""
    return _whole(value, "fewer than 1", "more than 99")


def interval(low: float | None, high: float | None) -> str:
    """22–41, in percent; <1–4 and 97 – >99 at the ends, where both ends read alike only one of them."""
    if low is None or high is None:
        return ""
    first, last = _whole(low), _whole(high)
    if first == last and not first.isdigit():
        return first
    # without room before it, > after a dash reads as an arrow
    return f"{first}–{last}" if last.isdigit() else f"{first}\N{NO-BREAK SPACE}–\N{NO-BREAK SPACE}{last}"


def points(value: float) -> str:
    """+6 or −3, whole points; a tenth below one. What rounds to nothing has no sign."""
    said = f"{abs(value):.{1 if abs(value) < 0.95 else 0}f}"
    return said if said == "0.0" else f"{'+' if value > 0 else '−'}{said}"


def measured(value: float) -> str:
    """A measured value in plain decimals, as it was recorded: 0.00004, 5.25, 1 250 000. Nobody reads 4e-05 at a bedside."""
    text = format(Decimal(f"{value:.15g}"), "f")
    whole, dot, decimals = text.partition(".")
    return (f"{int(whole):,}".replace(",", "\N{NARROW NO-BREAK SPACE}") if len(whole) > 5 else whole) + dot + decimals
