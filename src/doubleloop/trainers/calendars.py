"""Time series in a table: which there are, their grid of periods, what a time tells. Part of forecasting models."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy
import pandas
from pandas.tseries.frequencies import to_offset

from . import columns

KEY = "doubleloop.series"
# Names of periods that pandas has renamed: old → new.
_RENAMED = {
    "H": "h",
    "T": "min",
    "S": "s",
    "L": "ms",
    "M": "ME",
    "Q": "QE",
    "Y": "YE",
    "A": "YE",
    "BM": "BME",
    "BQ": "BQE",
}
# Periods of a season by the name of the period: hours of a day, days of a week, weeks, months and quarters of a year.
_SEASONS = {"min": 60, "h": 24, "D": 7, "B": 5, "W": 52, "ME": 12, "MS": 12, "QE": 4, "QS": 4}


class BadTimes(ValueError):
    """Times that make no regular series; the text says which, and how to mend them."""


def offset(name: str) -> Any:
    """A period by its name in pandas (D, W-THU, 2H). Raises BadTimes."""
    match = re.fullmatch(r"(-?\d*)([A-Za-z]+)((?:-\w+)?)", name.strip())
    if match:
        name = match[1] + _RENAMED.get(match[2], match[2]) + match[3]
    try:
        return to_offset(name)
    except ValueError:
        raise BadTimes("frequency '%s' is not the name of a period: write D, W-THU, H, M, Q ..." % name) from None


def season(frequency: str) -> int:
    """Periods of a season; 1 where there is none that is usual."""
    each = to_offset(frequency)
    base = each.rule_code.split("-")[0]
    return max(_SEASONS.get(base, 1) // each.n, 1)


def keyed(frame: pandas.DataFrame, settings: dict[str, Any]) -> pandas.DataFrame:
    """The frame with its times read, and a column KEY that names the series of each row. Raises BadTimes."""
    time, ids = settings["time"], settings["ids"]
    for name in (time, *ids):
        if name not in frame.columns:
            raise BadTimes(
                "the table has no column '%s'; its columns: %s" % (name, ", ".join(list(frame.columns)[:30]))
            )
    times = columns.dates(frame[time])
    if times.isna().any():
        odd = frame[time][times.isna()].iloc[0]
        raise BadTimes("the column '%s' holds %r, which is no time" % (time, odd))
    if ids:
        words = [frame[name].map(columns.word).astype(str) for name in ids]
        key = words[0].str.cat(words[1:], sep="|") if len(words) > 1 else words[0]
    else:
        key = pandas.Series("", index=frame.index)
    return frame.assign(**{time: times, KEY: key.astype(object)})


def inferred(frame: pandas.DataFrame, settings: dict[str, Any]) -> str:
    """The period of a keyed frame: what the longest series is made of. Raises BadTimes."""
    time = settings["time"]
    longest = frame[KEY].value_counts().index[0]
    times = pandas.DatetimeIndex(numpy.unique(frame.loc[frame[KEY] == longest, time]))
    if len(times) < 3:
        raise BadTimes(
            "the longest series has %d times, too few to see their frequency: write 'frequency'" % len(times)
        )
    found = _frequency(times)
    if found is None:  # there are gaps: what most of the stretches between them are made of
        stretches = (_frequency(times[start : start + 4]) for start in range(min(len(times) - 2, 200)))
        names = [each for each in stretches if each]
        found = max(set(names), key=names.count) if names else None
    if found is None:
        raise BadTimes("the times of '%s' follow no regular frequency: write 'frequency' under forecasting" % time)
    return found


def _frequency(times: pandas.DatetimeIndex) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it will be an offset one day
        found = pandas.infer_freq(times)
    return None if found is None else str(getattr(found, "freqstr", found))


def regular(frame: pandas.DataFrame, settings: dict[str, Any]) -> pandas.DataFrame:
    """A keyed frame with one row for every period of each series, sorted by series and time.

    Periods without a row have no features; a missing target is the last one before it, or what the imputer says.
    Raises BadTimes for rows of the same period (unless they are to be joined) and times that are none of its periods.
    """
    time, target = settings["time"], settings["target"]
    each = offset(settings["frequency"])
    if settings.get("aggregate", "none") != "none":
        frame = _joined(frame, settings, each)
    double = frame.duplicated([KEY, time])
    if double.any():
        row = frame[double].iloc[0]
        raise BadTimes(
            "the series '%s' has several rows for %s: name what tells the series apart in "
            "time_series_id_column_names, or join them with target_aggregate_function" % (row[KEY], row[time])
        )
    parts = []
    for key, part in frame.groupby(KEY, sort=True):
        part = part.sort_values(time)
        grid = pandas.date_range(part[time].iloc[0], part[time].iloc[-1], freq=each, name=time)
        if not part[time].isin(grid).all():
            odd = part[time][~part[time].isin(grid)].iloc[0]
            raise BadTimes(
                "the series '%s' has a row for %s, which is no period of frequency %s" % (key, odd, each.freqstr)
            )
        part = part.set_index(time).reindex(grid).reset_index()
        part[KEY] = key
        for name in settings["ids"]:
            part[name] = part[name].ffill()
        part[target] = _filled(part[target], settings)
        parts.append(part)
    return pandas.concat(parts, ignore_index=True)


def _filled(values: pandas.Series, settings: dict[str, Any]) -> pandas.Series:
    strategy, value = settings.get("fill_target") or ("ffill", None)
    numbers = pandas.to_numeric(values, errors="coerce").astype(float)
    if strategy == "constant":
        return numbers.fillna(float(value or 0))
    if strategy in ("mean", "median"):
        return numbers.fillna(getattr(numbers, strategy)())
    return numbers.ffill().bfill()


def _joined(frame: pandas.DataFrame, settings: dict[str, Any], each: Any) -> pandas.DataFrame:
    """Rows of one period as one: the target by the function asked for, numbers by their mean, the rest first."""
    time, target = settings["time"], settings["target"]
    how = {}
    for name in frame.columns:
        if name in (KEY, time):
            continue
        is_number = pandas.api.types.is_numeric_dtype(frame[name]) and name not in settings["ids"]
        how[name] = settings["aggregate"] if name == target else "mean" if is_number else "first"
    parts = []
    for key, part in frame.groupby(KEY, sort=True):
        found = part.drop(columns=[KEY]).set_index(time).sort_index().resample(each).agg(how)
        if settings["aggregate"] == "sum":  # a period without rows has no sum, rather than 0
            counts = part.set_index(time).sort_index()[target].resample(each).count()
            found.loc[counts == 0, target] = numpy.nan
        parts.append(found.reset_index().assign(**{KEY: key}))
    return pandas.concat(parts, ignore_index=True)


def told_by(times: pandas.Series, frequency: str, country: str | None) -> dict[str, Any]:
    """Features of times that are known for ever: parts of the date, of the clock when periods are shorter than a day,
    time since 2000 in days, and holidays. Raises BadTimes for a country that is not known."""
    found: dict[str, Any] = {
        "time.%s" % part: getattr(times.dt, part).to_numpy(dtype=float)
        for part in ("year", "quarter", "month", "day", "day_of_week", "day_of_year")
    }
    found["time.week"] = times.dt.isocalendar().week.to_numpy(dtype=float)
    found["time.days"] = (times - pandas.Timestamp("2000-01-01")).dt.total_seconds().to_numpy(dtype=float) / 86400
    if to_offset(frequency).rule_code.split("-")[0] in ("h", "min", "s", "ms", "us", "ns"):
        found["time.hour"] = times.dt.hour.to_numpy(dtype=float)
        found["time.minute"] = times.dt.minute.to_numpy(dtype=float)
    if country:
        names = _holidays(country, times)
        found["time.holiday"] = numpy.array([float(day.date() in names) for day in times])
    return found


def _holidays(country: str, times: pandas.Series) -> Any:
    import holidays

    years = range(int(times.dt.year.min()), int(times.dt.year.max()) + 1)
    try:
        return holidays.country_holidays(country.upper(), years=years)
    except NotImplementedError:
        raise BadTimes(
            "country_or_region_for_holidays: '%s' is not known; write a code such as US or DE" % country
        ) from None


def resolved(
    frame: pandas.DataFrame, written: dict[str, Any], target: str, featurization: dict[str, Any]
) -> dict[str, Any]:
    """The section ``forecasting`` with every auto decided by the training data. Raises BadTimes."""
    settings: dict[str, Any] = {
        "time": written["time_column_name"],
        "ids": list(written.get("time_series_id_column_names") or ()),
        "target": target,
        "country": written.get("country_or_region_for_holidays"),
        "aggregate": written.get("target_aggregate_function") or "none",
        "unknown": list(written.get("features_unknown_at_forecast_time") or ()),
        "short": written.get("short_series_handling_config") or "auto",
        "fill_target": _fill_of(featurization, target),
    }
    rows = keyed(frame, settings)
    settings["frequency"] = (
        offset(written["frequency"]).freqstr if written.get("frequency") else inferred(rows, settings)
    )
    asked_season = written.get("seasonality", "auto")
    settings["season"] = season(settings["frequency"]) if asked_season == "auto" else int(asked_season)
    horizon = written.get("forecast_horizon", 1)
    settings["horizon"] = settings["season"] if horizon == "auto" else int(horizon)
    step = written.get("cv_step_size", "auto")
    settings["step"] = settings["horizon"] if step == "auto" else int(step)
    window = written.get("target_rolling_window_size")
    settings["window"] = max(settings["season"], 2) if window == "auto" else int(window or 0)
    lags = written.get("target_lags")
    if lags == "auto":
        settings["lags"] = _telling_lags(regular(rows, settings), settings)
    else:
        settings["lags"] = sorted(set([lags] if isinstance(lags, int) else lags or []))
    return settings


def _fill_of(featurization: dict[str, Any], target: str) -> Any:
    for each in (featurization.get("transformer_params") or {}).get("Imputer") or ():
        if target in (each.get("fields") or ()):
            given = each.get("parameters") or {}
            return [str(given.get("strategy") or "ffill").lower(), given.get("fill_value")]
    return None


def _telling_lags(grid: pandas.DataFrame, settings: dict[str, Any]) -> list[int]:
    """Lags 1 and the season, those of them at which the series (their median) are correlated with themselves.

    A correlation tells something above 2 / sqrt(n), twice its standard error for independent values (Bartlett).
    """
    found = []
    series = [part.to_numpy() for _, part in grid.groupby(KEY)[settings["target"]]]
    for lag in sorted({1, settings["season"]}):
        long = [values for values in series if len(values) >= 2 * lag + 3 and numpy.ptp(values) > 0]
        told = [abs(numpy.corrcoef(values[lag:], values[:-lag])[0, 1]) * len(values) ** 0.5 / 2 for values in long]
        if told and numpy.nanmedian(told) > 1:
            found.append(lag)
    return found
