"""From a table with times to values at regular periods."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy
import pandas

from ..shared import tables
from ..shared.problems import BadData

# Periods after which a series is likely to repeat itself, by what a period is.
_SEASONS = {"h": 24, "D": 7, "B": 5, "W": 52, "MS": 12, "ME": 12, "QS": 4, "QE": 4, "YS": 1, "YE": 1, "min": 60}
_WHERE = "the training data"


@dataclass(frozen=True)
class Series:
    """``values``: (n, k) at the n ``times`` (regular, ascending) of the k ``names``; ``frequency``: pandas' word."""

    times: pandas.DatetimeIndex
    values: numpy.ndarray
    names: list[str]
    frequency: str

    @property
    def season(self) -> int:
        """Periods of a season, as the frequency suggests; 1 where it suggests none."""
        return _SEASONS.get(self.frequency.split("-")[0], 1)


def read(frame: pandas.DataFrame, time: str, names: list[str], frequency: str = "") -> Series:
    """Raises BadData for times that cannot be read, come twice, or leave gaps, and for values that are no numbers."""
    times = _times(tables.column(frame, time, _WHERE))
    twice = times.duplicated().to_numpy()
    if twice.any():
        raise BadData(
            f"{_WHERE} has several rows for the time {times[twice].iloc[0]} (row {tables.row(times, twice)}); add them "
            "up, or keep the rows of one series"
        )
    values = numpy.column_stack([tables.numbers(tables.column(frame, name, _WHERE), _WHERE) for name in names])
    order = numpy.argsort(times.to_numpy(), kind="stable")
    index = pandas.DatetimeIndex(times.to_numpy()[order])
    each = _frequency(index, frequency)
    whole = pandas.date_range(index[0], index[-1], freq=each)
    odd, gaps = index.difference(whole), whole.difference(index)
    if len(odd):
        raise BadData(f"{_WHERE} has the time {odd[0]}, which is none of the periods ({each}) from {index[0]} on")
    if len(gaps):
        raise BadData(
            f"{_WHERE} has no row for {gaps[0]} (and {len(gaps) - 1} more periods of {each}); fill the gaps, or name "
            "another frequency"
        )
    return Series(whole, values[order], names, each)


def steps(times: pandas.Series, end: pandas.Timestamp, frequency: str) -> numpy.ndarray:
    """How many periods after ``end`` each time is: (n,), from 1. Raises ValueError for one that is none."""
    asked = pandas.DatetimeIndex(_moments(times, "raise"))
    if asked.isna().any():
        raise ValueError("a time is missing; give one for each row")
    periods = pandas.date_range(end, asked.max(), freq=frequency)[1:]
    found = periods.get_indexer(asked)
    if (found < 0).any():
        wrong = asked[found < 0][0]
        first = pandas.date_range(end, periods=2, freq=frequency)[1]
        raise ValueError(f"{wrong} is no period to forecast; they begin with {first} and come every {frequency}")
    return found + 1


def _times(values: pandas.Series) -> pandas.Series:
    tables.complete(values, _WHERE)
    found = _moments(values, "coerce")
    bad = found.isna().to_numpy()
    if bad.any():
        raise BadData(
            f"{_WHERE}, row {tables.row(values, bad)}: '{values.iloc[int(bad.argmax())]}' in column '{values.name}' "
            "is not a time; write it as 2024-05-03 or 2024-05-03T14:00"
        )
    return found


def _moments(values: pandas.Series, errors: Literal["raise", "coerce"]) -> pandas.Series:
    """Times and texts of ISO 8601 as times of UTC without a zone; a text without a zone is UTC."""
    is_text = not pandas.api.types.is_datetime64_any_dtype(values)
    found = pandas.to_datetime(values, errors=errors, utc=True, format="ISO8601" if is_text else None)
    return found.dt.tz_localize(None)


def _frequency(index: pandas.DatetimeIndex, given: str) -> str:
    """As given, or what most stretches of ten periods have. Raises BadData when none has."""
    if given:
        try:
            return str(pandas.tseries.frequencies.to_offset(given).freqstr)
        except ValueError as error:
            raise BadData(f"'{given}' is not a frequency; write D, h, W-MON, MS or QS, as pandas does") from error
    if len(index) < 10:
        raise BadData(f"{_WHERE} has {len(index)} rows and at least 10 are needed; give more periods")
    with pandas.option_context("future.infer_freq_returns_offset", True):
        stretches = range(0, len(index) - 9, max(1, (len(index) - 9) // 50))
        offsets = [pandas.infer_freq(index[start : start + 10]) for start in stretches]
    found = Counter(each.freqstr for each in offsets if each is not None)
    if not found:
        raise BadData(f"{_WHERE} has times at no regular distance; name the frequency (D, h, MS), or fill the gaps")
    return str(found.most_common(1)[0][0])
