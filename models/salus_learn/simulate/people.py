"""Gives each drawn person a name, a stay and times. Names are from lists; nobody real is meant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from salus_learn.simulate.causes import Values
from salus_learn.simulate.course import HORIZON_HOURS, MOMENT_HOURS

SITES = ("st-anne", "harbour")
WARDS = (("Ward 3B", "Ward 2A"), ("Ward North", "Ward Quay"))
_WOMEN = ("Ada", "Beatrix", "Clara", "Daria", "Edith", "Flora", "Greta", "Hanna", "Iris", "Judith", "Karin", "Leila",
          "Marta", "Nora", "Olga", "Petra", "Rosa", "Sofia", "Tilda", "Vera")  # fmt: skip
_MEN = ("Aaron", "Boris", "Cyril", "David", "Emil", "Felix", "Georg", "Hugo", "Ivan", "Jonas", "Karl", "Leon",
        "Marek", "Niels", "Oskar", "Pavel", "Ruben", "Stefan", "Tomas", "Viktor")  # fmt: skip
_FAMILIES = ("Aldous", "Brandt", "Castell", "Dorn", "Ekdahl", "Fenwick", "Garrow", "Holm", "Ingram", "Jessen", "Kessler",
             "Lindqvist", "Marlow", "Nowak", "Osei", "Pereira", "Quist", "Rahman", "Solberg", "Tanaka", "Ullman",
             "Varga", "Winther", "Yilmaz", "Zeller", "Okafor", "Mehta", "Duarte", "Iwu", "Haddad")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """One simulated patient: who, where, when. `ends_at` is None while the stay lasts; nothing is known after `seen_to`."""

    number: int
    mrn: str
    given: str
    family: str
    sex: str
    born: date
    site: int
    ward: str
    starts_at: datetime
    ends_at: datetime | None
    seen_to: datetime
    film_at: datetime
    worse_at: datetime | None


def make_people(values: Values, worse_hours: np.ndarray, *, at: datetime, present: int, rng: np.random.Generator) -> list[Person]:
    """People for every row of `values`; the last `present` are on a ward at the moment `at`, and the outcome has not come to them
    yet. `worse_hours` (n,) is when it comes, infinite where it does not; what comes after `at` nobody knows."""
    total = len(values["site"])
    return [_person(n, values, float(worse_hours[n]), n >= total - present, at, rng) for n in range(total)]


def _hours_so_far(worse_hours: float, rng: np.random.Generator) -> float:
    """How long somebody on a ward has been there: the outcome has not come to them yet, and may come in the next two days."""
    least, most = MOMENT_HOURS[0] + 1, MOMENT_HOURS[-1] + 20
    if worse_hours < most:
        least, most = max(least, worse_hours - HORIZON_HOURS + 2), worse_hours
    return float(rng.uniform(least, most))


def _person(n: int, values: Values, worse_hours: float, is_present: bool, at: datetime, rng: np.random.Generator) -> Person:
    site, male = int(values["site"][n]), bool(values["male"][n])
    hours_ago = _hours_so_far(worse_hours, rng) if is_present else 24 * rng.uniform(14, 240)
    starts_at = (at - timedelta(hours=float(hours_ago))).replace(second=0, microsecond=0)
    worse_at = starts_at + timedelta(hours=worse_hours) if np.isfinite(worse_hours) else None
    length = float(rng.uniform(76, 200))
    if worse_at is not None:  # nobody goes home just before
        length = max(length, worse_hours + 12)
    ends_at = None if is_present else starts_at + timedelta(hours=length)
    born = (starts_at - timedelta(days=float(values["age_years"][n]) * 365.2425)).date()
    return Person(
        number=n, mrn=f"SIM{site + 1}{n:05d}", given=str(rng.choice(_MEN if male else _WOMEN)),
        family=str(rng.choice(_FAMILIES)), sex="male" if male else "female", born=born, site=site,
        ward=WARDS[site][int(rng.integers(2))], starts_at=starts_at, ends_at=ends_at, seen_to=ends_at or at,
        film_at=starts_at + timedelta(hours=float(rng.uniform(1, 20))),
        worse_at=worse_at if worse_at is not None and worse_at <= at else None,
    )  # fmt: skip
