"""Forecasting models: rows with times in, forecasts out. They carry the end of each series' past with them.

The contract of ``predict``: one row for each period to forecast, with the time, the columns that tell the series apart,
and the other columns of the training data; forecasts come in the order of the rows. Rows lie after the end of the
training data. They may start later, and may have a column of the target: where it has a value, that is history from
then on (and is given back), where it has none a forecast is made. Periods in between that have no row are forecast too,
with unknown features, since later ones may build on them.
"""

from __future__ import annotations

from typing import Any

import numpy
import pandas
from sklearn.base import BaseEstimator, RegressorMixin

from . import calendars, classical, columns
from .calendars import KEY

_LAG, _ROLLED = "target.lag_%d", "target.last_%d_%s"
_PERIOD = "doubleloop.period"
_WINDOWS = (("mean", numpy.nanmean), ("min", numpy.nanmin), ("max", numpy.nanmax))


class Forecaster(RegressorMixin, BaseEstimator):
    """``settings``: see ``calendars.resolved``. ``model``: a pipeline for the rows of ``design``, or the name of a
    method of ``classical``."""

    # Who serves it must not score rows of different requests as one table.
    rows_stand_alone = False

    def __init__(self, settings: dict[str, Any], model: Any) -> None:
        self.settings = settings
        self.model = model

    # -- fitting ------------------------------------------------------------------------------------------------------

    def fit(self, X: pandas.DataFrame, y: Any) -> Forecaster:
        """``X``: (n, k) rows, in any order; ``y``: (n,) the target."""
        rows = calendars.keyed(X.assign(**{self.settings["target"]: numpy.asarray(y, dtype=float)}), self.settings)
        return self.fit_grid(calendars.regular(rows, self.settings))

    def fit_grid(self, grid: pandas.DataFrame) -> Forecaster:
        """As ``fit``, from what ``calendars.regular`` made. The model given is the one that is fitted."""
        target = self.settings["target"]
        if self._is_classical:
            self.numbers_ = _numbers(grid, self.settings) if self.model == "Arimax" else []
            self.filled_ = {name: float(grid[name].mean()) for name in self.numbers_}
            self.past_ = {}
            self.states_ = {}
            for key, part in grid.groupby(KEY, sort=True):
                known = self._known(part)
                self.past_[key] = (part[target].to_numpy(), known)
                self.states_[key] = classical.fit(self.model, part[target], self.settings["season"], known)
        else:
            table = self.design(grid)
            whole = table[[name for name in table if name.startswith("target.")]].notna().all(axis=1).to_numpy()
            chosen = whole if whole.sum() >= max(len(table) // 2, 1) else numpy.ones(len(table), dtype=bool)
            self.model.fit(table[chosen], grid[target][chosen])
        ends = grid.groupby(KEY, sort=True).tail(1).set_index(KEY)
        self.ends_ = ends[self.settings["time"]].to_dict()
        length = max([1, self.settings["window"], *self.settings["lags"]])
        self.tails_ = {
            key: part[target].to_numpy()[-length:] for key, part in grid.groupby(KEY, sort=True)
        }  # fmt: skip
        self.n_features_in_ = grid.shape[1] - 2
        return self

    @property
    def _is_classical(self) -> bool:
        return isinstance(self.model, str)

    def _known(self, part: pandas.DataFrame) -> Any | None:
        if not self.numbers_:
            return None
        table = part.reindex(columns=self.numbers_).apply(pandas.to_numeric, errors="coerce")
        return table.ffill().fillna(self.filled_).fillna(0.0).to_numpy(dtype=float)

    def design(self, grid: pandas.DataFrame) -> pandas.DataFrame:
        """What the regression sees of each row of a regular grid; lags and windows reach back, never forward."""
        table = self._outside(grid)
        past = grid.groupby(KEY, sort=False)[self.settings["target"]]
        for lag in self.settings["lags"]:
            table[_LAG % lag] = past.shift(lag).to_numpy()
        size = self.settings["window"]
        if size:
            before = past.shift(1).groupby(grid[KEY], sort=False).rolling(size, min_periods=1)
            for name, _ in _WINDOWS:
                table[_ROLLED % (size, name)] = (
                    getattr(before, name)().reset_index(level=0, drop=True).reindex(grid.index)
                )
        return table

    def _outside(self, rows: pandas.DataFrame) -> pandas.DataFrame:
        """Features that do not come from the target: of the time, of the series, and the table's own."""
        settings = self.settings
        apart = {KEY, _PERIOD, settings["time"], settings["target"], *settings["ids"], *settings["unknown"]}
        table = rows[[name for name in rows.columns if name not in apart]].copy()
        for name, values in calendars.told_by(
            rows[settings["time"]], settings["frequency"], settings["country"]
        ).items():
            table[name] = values
        for name in settings["ids"]:
            table["series.%s" % name] = [columns.word(value) for value in rows[name]]
        return table.reset_index(drop=True).set_index(rows.index)

    # -- forecasting --------------------------------------------------------------------------------------------------

    def predict(self, X: pandas.DataFrame) -> Any:
        """(n,) forecasts in the order of the rows. Raises ValueError for rows that cannot be forecast."""
        rows = calendars.keyed(X.reset_index(drop=True), self.settings)
        target = self.settings["target"]
        given = (
            pandas.to_numeric(rows[target], errors="coerce") if target in rows else pandas.Series(numpy.nan, rows.index)
        )
        rows = rows.assign(**{target: given.astype(float)})
        periods = self._periods(rows)
        if self._is_classical:
            return self._by_series(rows, periods)
        return self._step_by_step(rows, periods)

    def forecast(self, X: pandas.DataFrame, y: Any = None, **_ignored: Any) -> tuple[Any, pandas.DataFrame]:
        """Azure ML's way of asking: ``y`` has history where it is known; the forecasts, and the rows with them."""
        rows = X if y is None else X.assign(**{self.settings["target"]: numpy.asarray(y, dtype=float)})
        found = self.predict(rows)
        return found, X.assign(_automl_target_col=found)

    def _periods(self, rows: pandas.DataFrame) -> Any:
        """(n,) of each row, how many periods after the end of its series it lies, from 1. Raises ValueError."""
        each = calendars.offset(self.settings["frequency"])
        found = numpy.zeros(len(rows), dtype=int)
        for key, part in rows.groupby(KEY, sort=False):
            times = part[self.settings["time"]]
            end = self.ends_.get(key)
            if end is None and self._is_classical:
                raise ValueError("the series '%s' was not in the training data, and this model knows no other" % key)
            if part[self.settings["time"]].duplicated().any():
                raise ValueError("the series '%s' has several rows for one time" % key)
            if end is not None and (times <= end).any():
                raise ValueError(
                    "the model forecasts what comes after %s, the end of its training data%s, and a row asks for %s"
                    % (end, " of the series '%s'" % key if key else "", times.min())
                )
            grid = pandas.date_range(times.min() if end is None else end, times.max(), freq=each)
            places = grid.get_indexer(pandas.DatetimeIndex(times))
            if (places < 0).any():
                raise ValueError("%s is no period of frequency %s" % (times[places < 0].iloc[0], each.freqstr))
            found[part.index] = places + (1 if end is None else 0)
        return found

    def _by_series(self, rows: pandas.DataFrame, periods: Any) -> Any:
        found = rows[self.settings["target"]].to_numpy(copy=True)
        for key, part in rows.groupby(KEY, sort=False):
            at = periods[part.index]
            state, known_until = self.states_[key], 0
            features = self._laid(part, at)
            given = found[part.index]
            if numpy.isfinite(given).any():
                known_until = int(at[numpy.isfinite(given)].max())
                state = self._extended(key, state, at, given, features, known_until)
            ahead = classical.forecast(
                state, int(at.max()) - known_until or 1, None if features is None else features[known_until:]
            )
            asked = ~numpy.isfinite(given) & (at > known_until)
            inside = ~numpy.isfinite(given) & (at <= known_until)
            found[part.index[asked]] = ahead[at[asked] - known_until - 1]
            if inside.any():  # a gap in what is known: forecast from before it
                first = classical.forecast(self.states_[key], int(at[inside].max()), features)
                found[part.index[inside]] = first[at[inside] - 1]
        return found

    def _laid(self, part: pandas.DataFrame, at: Any) -> Any | None:
        """Known features of each period up to the last one that is asked for; the last ones stand for those missing."""
        if not self.numbers_:
            return None
        table = part.set_index(at).reindex(range(1, int(at.max()) + 1))
        return self._known(table)

    def _extended(self, key: Any, state: Any, at: Any, given: Any, features: Any, until: int) -> Any:
        """The method again, with what the rows tell of the time since."""
        values, known = self.past_[key]
        since = pandas.Series(numpy.nan, index=range(1, until + 1))
        told = numpy.isfinite(given)
        since.loc[at[told]] = given[told]
        gaps = classical.forecast(state, until, features)
        since = since.where(since.notna(), gaps[:until])
        features = None if known is None else numpy.vstack([known, features[:until]])
        return classical.fit(self.model, numpy.concatenate([values, since]), self.settings["season"], features)

    def _step_by_step(self, rows: pandas.DataFrame, periods: Any) -> Any:
        target, lags, window = self.settings["target"], self.settings["lags"], self.settings["window"]
        given = rows[target].to_numpy()
        if not lags and not window:
            found = self.model.predict(self._outside(rows))
            return numpy.where(numpy.isfinite(given), given, found)
        keys = list(dict.fromkeys(rows[KEY]))
        grid = self._future(rows, periods, keys)
        outside = self._outside(grid)
        length = max([1, window, *lags])
        last = int(periods.max())
        values = numpy.full((len(keys), length + last), numpy.nan)
        for number, key in enumerate(keys):
            tail = self.tails_.get(key, numpy.array([]))
            values[number, length - len(tail) : length] = tail
        place = {key: number for number, key in enumerate(keys)}
        series = grid[KEY].map(place).to_numpy()
        period = grid[_PERIOD].to_numpy()
        known = grid[target].to_numpy()
        order = numpy.argsort(period, kind="stable")
        starts = numpy.searchsorted(period[order], numpy.arange(1, last + 2))
        for step in range(1, last + 1):
            chosen = order[starts[step - 1] : starts[step]]
            if not len(chosen):
                continue
            now = length + step - 1
            values[series[chosen], now] = known[chosen]
            chosen = chosen[~numpy.isfinite(known[chosen])]
            if not len(chosen):
                continue
            past = values[series[chosen], :now]
            table = outside.iloc[chosen].copy()
            for lag in lags:
                table[_LAG % lag] = past[:, -lag]
            if window:
                _roll(table, past[:, -window:], window)
            values[series[chosen], now] = self.model.predict(table)
        return values[[place[key] for key in rows[KEY]], length + periods - 1]

    def _future(self, rows: pandas.DataFrame, periods: Any, keys: list[Any]) -> pandas.DataFrame:
        """A row for every period of each series up to its last one asked for."""
        each, time = calendars.offset(self.settings["frequency"]), self.settings["time"]
        rows = rows.assign(**{_PERIOD: periods})
        parts = []
        for key in keys:
            part = rows[rows[KEY] == key].set_index(_PERIOD)
            last = int(part.index.max())
            if key in self.ends_:
                times = pandas.date_range(self.ends_[key], periods=last + 1, freq=each)[1:]
            else:
                times = pandas.date_range(part[time].min(), periods=last, freq=each)
            full = part.reindex(range(1, last + 1))
            full[time], full[KEY] = times, key
            for name in self.settings["ids"]:
                full[name] = part[name].iloc[0]
            parts.append(full.rename_axis(_PERIOD).reset_index())
        return pandas.concat(parts, ignore_index=True)


def _roll(table: pandas.DataFrame, past: Any, size: int) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing is known yet of a new series
        for name, over in _WINDOWS:
            table[_ROLLED % (size, name)] = over(past, axis=1)


def _numbers(grid: pandas.DataFrame, settings: dict[str, Any]) -> list[str]:
    """Columns of numbers that are known for the future."""
    apart = {KEY, settings["time"], settings["target"], *settings["ids"], *settings["unknown"]}
    return [
        name
        for name in grid.columns
        if name not in apart and pandas.api.types.is_numeric_dtype(grid[name]) and grid[name].nunique() > 1
    ]
