"""What the table looks like, and the two rules that every step keeps: which columns go in, which days stay out."""

from __future__ import annotations

from datetime import date

# Name -> type in the model's signature. No year and no month: the model knows the season by its temperatures, and a
# month of the calendar would tie it to last year's level of that month (README.md has the numbers).
FEATURES = {
    "hour": "long",
    "weekday": "long",
    "workingday": "long",
    "tmin": "double",
    "tmax": "double",
    "pn": "double",
}
DTYPES = {name: {"long": "int64", "double": "float64"}[kind] for name, kind in FEATURES.items()}
TARGET = "count"
SEGMENT = "day_type"
COLUMNS = ["ts", *FEATURES, SEGMENT, TARGET]

HOLD_OUT_EVERY = 10


def held_out(day: date) -> bool:
    """Every tenth day, counted from 1 January of year 1, is for judging models and never for training one."""
    return day.toordinal() % HOLD_OUT_EVERY == 0


def missing(found: list[str]) -> list[str]:
    """The columns that the steps need and the table lacks."""
    return [name for name in COLUMNS if name not in found]
