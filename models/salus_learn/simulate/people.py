"""Gives each drawn person a name, a stay and times. Names are from lists; nobody real is meant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from salus_learn.simulate.causes import Values

SITES = ("st-anne", "harbour")
WARDS = (("Ward 3B", "Ward 2A"), ("Ward North", "Ward Quay"))
INDEX_HOURS = 24.0
HORIZON_HOURS = 48.0
_WOMEN = ("Ada", "Beatrix", "Clara", "Daria", "Edith", "Flora", "Greta", "Hanna", "Iris", "Judith", "Karin", "Leila",
          "Marta", "Nora", "Olga", "Petra", "Rosa", "Sofia", "Tilda", "Vera")  # fmt: skip
_MEN = ("Aaron", "Boris", "Cyril", "David", "Emil", "Felix", "Georg", "Hugo", "Ivan", "Jonas", "Karl", "Leon",
        "Marek", "Niels", "Oskar", "Pavel", "Ruben", "Stefan", "Tomas", "Viktor")  # fmt: skip
_FAMILIES = ("Aldous", "Brandt", "Castell", "Dorn", "Ekdahl", "Fenwick", "Garrow", "Holm", "Ingram", "Jessen", "Kessler",
             "Lindqvist", "Marlow", "Nowak", "Osei", "Pereira", "Quist", "Rahman", "Solberg", "Tanaka", "Ullman",
             "Varga", "Winther", "Yilmaz", "Zeller", "Okafor", "Mehta", "Duarte", "Iwu", "Haddad")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """One simulated patient: who, where, when. `ends_at` is None while the stay lasts."""

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
    index_at: datetime
    film_at: datetime
    worse_at: datetime | None


def make_people(values: Values, deteriorated: np.ndarray, *, at: datetime, present: int, rng: np.random.Generator) -> list[Person]:
    """People for every row of `values`; the last `present` are still in hospital and their outcome is not yet known."""
    total = len(values["site"])
    return [_person(n, values, bool(deteriorated[n]), n >= total - present, at, rng) for n in range(total)]


def _person(n: int, values: Values, worse: bool, is_present: bool, at: datetime, rng: np.random.Generator) -> Person:
    site, male = int(values["site"][n]), bool(values["male"][n])
    hours_ago = rng.uniform(25, 44) if is_present else 24 * rng.uniform(9, 240)
    starts_at = (at - timedelta(hours=float(hours_ago))).replace(second=0, microsecond=0)
    index_at = starts_at + timedelta(hours=INDEX_HOURS)
    length = timedelta(hours=float(rng.uniform(76, 200)))
    worse_at = index_at + timedelta(hours=float(rng.uniform(2, HORIZON_HOURS - 1))) if worse and not is_present else None
    born = (starts_at - timedelta(days=float(values["age_years"][n]) * 365.2425)).date()
    return Person(
        number=n, mrn=f"SIM{site + 1}{n:05d}", given=str(rng.choice(_MEN if male else _WOMEN)),
        family=str(rng.choice(_FAMILIES)), sex="male" if male else "female", born=born, site=site,
        ward=WARDS[site][int(rng.integers(2))], starts_at=starts_at, ends_at=None if is_present else starts_at + length,
        index_at=index_at, film_at=starts_at + timedelta(hours=float(rng.uniform(1, 20))), worse_at=worse_at,
    )  # fmt: skip
