"""Forecasting models: what they know, what they may not know, what they answer."""

from __future__ import annotations

from typing import Any

import numpy
import pandas
import pytest
from sklearn.linear_model import LinearRegression

from doubleloop.scorer.mlflow_model import MlflowModel
from doubleloop.trainers import calendars, classical, forecasts, tabular
from doubleloop.trainers.calendars import KEY, BadTimes
from doubleloop.trainers.ensembles import Together
from doubleloop.trainers.forecaster import Forecaster
from doubleloop.trainers.orders import BadData, Orders

SECTION = {"time_column_name": "day", "forecast_horizon": 3, "time_series_id_column_names": ["shop"]}


class Seeing:
    """A regression that says what a lag or a column holds, and remembers every row that it was asked for."""

    def __init__(self, name: str) -> None:
        self.name, self.asked = name, []  # type: str, list[pandas.DataFrame]

    def fit(self, table: pandas.DataFrame, target: Any) -> Seeing:
        self.seen = table.assign(target=target)
        return self

    def predict(self, table: pandas.DataFrame) -> Any:
        self.asked.append(table)
        return table[self.name].to_numpy(dtype=float) + 1


def sales(days: int = 30, shops: tuple[str, ...] = ("a", "b")) -> pandas.DataFrame:
    parts = [
        pandas.DataFrame({
            "day": pandas.date_range("2024-01-01", periods=days).strftime("%Y-%m-%d"), "shop": shop,
            "price": numpy.arange(days) % 5 + 1.0, "sold": 100.0 * place + numpy.arange(days),
        })
        for place, shop in enumerate(shops)
    ]  # fmt: skip
    return pandas.concat(parts, ignore_index=True)


def settings(frame: pandas.DataFrame | None = None, **more: Any) -> dict[str, Any]:
    return calendars.resolved(sales() if frame is None else frame, {**SECTION, **more}, "sold", {})


def asked(**more: Any) -> Orders:
    return Orders({"task": "forecasting", "target": "sold", "metric": "r2_score", "goal": "maximize",
                   "forecasting": SECTION, **more})  # fmt: skip


def test_autos_are_decided_by_the_data() -> None:
    found = settings(forecast_horizon="auto", target_lags="auto", target_rolling_window_size="auto")
    assert (found["frequency"], found["season"], found["horizon"], found["window"]) == ("D", 7, 7, 7)
    assert found["lags"] == [1, 7] and found["step"] == 7
    weekly = sales().assign(day=lambda t: pandas.to_datetime(t["day"]))
    weekly["day"] = pandas.Timestamp("2024-01-04") + (weekly["day"] - pandas.Timestamp("2024-01-01")) * 7
    assert settings(weekly)["frequency"] == "W-THU" and settings(weekly)["season"] == 52
    assert calendars.season(calendars.offset("H").freqstr) == 24 and calendars.season("2h") == 12


def test_forecasts_go_on_from_their_own_values_series_by_series_and_in_the_order_of_the_rows() -> None:
    model = Seeing("target.lag_1")
    fitted = Forecaster(settings(target_lags=[1, 2], target_rolling_window_size=2), model).fit(
        sales().drop(columns=["sold"]), sales()["sold"]
    )
    rows = pandas.DataFrame({
        "day": ["2024-02-01", "2024-01-31", "2024-02-02", "2024-01-31"], "shop": ["b", "a", "b", "b"], "price": 1.0,
    })  # fmt: skip
    assert list(fitted.predict(rows)) == [131.0, 30.0, 132.0, 130.0]
    last = model.asked[-1].iloc[0]
    assert (last["target.lag_2"], last["target.last_2_mean"], last["target.last_2_max"]) == (130.0, 130.5, 131.0)
    # A gap in the rows is bridged; what is known since is history.
    far = pandas.DataFrame({"day": ["2024-02-03"], "shop": ["a"], "price": 1.0})
    assert list(fitted.predict(far)) == [33.0]
    known = pandas.DataFrame({"day": ["2024-01-31", "2024-02-01"], "shop": "a", "price": 1.0, "sold": [500.0, None]})
    assert list(fitted.predict(known)) == [500.0, 501.0]


def test_nothing_of_the_future_reaches_a_models_features_or_its_folds() -> None:
    frame = sales()
    found = settings(target_lags=[1, 3], target_rolling_window_size=4)
    grid = calendars.regular(calendars.keyed(frame, found), found)
    table = Forecaster(found, None).design(grid)
    changed = grid.copy()
    late = changed["day"] >= pandas.Timestamp("2024-01-20")
    changed.loc[late, "sold"] = -999.0
    again = Forecaster(found, None).design(changed)
    before = (grid["day"] <= pandas.Timestamp("2024-01-20")).to_numpy()
    pandas.testing.assert_frame_equal(table[before], again[before])  # the row of a day knows nothing of that day
    result, fits = forecasts.Judged(asked(), grid, found), []
    for fold, cut in enumerate(forecasts.origins(asked(folds=3), grid, found)):
        model = Seeing("target.lag_1")
        forecasts._judge_from(cut, fold, model, grid, found, result)
        fits.append(model.seen["target"].max())
        assert len(model.asked) == found["horizon"]  # a step at a time, never all with true lags
    assert fits == [126.0, 123.0, 120.0]
    assert result.metrics()["mean_absolute_error"] == pytest.approx(0.0)


def test_origins_roll_back_from_the_end_and_too_little_history_is_told() -> None:
    grid = calendars.regular(calendars.keyed(sales(), settings()), settings())
    cuts = forecasts.origins(asked(folds=2), grid, {**settings(), "step": 5})
    assert [str(cut)[:10] for cut in cuts] == ["2024-01-27", "2024-01-22"]
    with pytest.raises(BadData, match="need 33 periods of history, and the data has 30"):
        forecasts.origins(asked(folds=10), grid, {**settings(), "horizon": 3, "step": 3, "lags": [1]})


def test_later_rows_are_judged_a_horizon_at_a_time_with_what_is_known_before() -> None:
    frame, found = sales(20), settings(sales(20))
    grid = calendars.regular(calendars.keyed(frame, found), found)
    fitted = Forecaster(found, "Naive").fit_grid(grid)
    result, kept = forecasts.Judged(asked(), grid, found), []  # type: Any, list[Any]
    forecasts.judge(fitted, sales(27), result, kept)
    table = pandas.concat(kept)
    assert list(table["predicted"][table["shop"] == "a"]) == [19.0] * 3 + [22.0] * 3 + [25.0]


def test_methods_of_one_series() -> None:
    values = numpy.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])

    def after(name: str) -> list[float]:
        return list(classical.forecast(classical.fit(name, values, 3), 4))

    assert after("Naive") == [7.0] * 4
    assert after("SeasonalNaive") == [5.0, 6.0, 7.0, 5.0]
    assert after("Average") == [4.0] * 4
    assert after("SeasonalAverage") == [3.5, 4.5, 4.0, 3.5]


def test_gaps_are_filled_and_rows_of_one_period_joined_when_that_is_asked_for() -> None:
    frame = sales(10, ("a",)).drop(index=[4])
    grid = calendars.regular(calendars.keyed(frame, settings(frame)), settings(frame))
    assert len(grid) == 10 and grid["sold"][4] == 3.0 and grid["shop"][4] == "a" and numpy.isnan(grid["price"][4])
    double = pandas.concat([sales(10, ("a",)), sales(10, ("a",))])
    with pytest.raises(BadTimes, match="several rows for 2024-01-01"):
        calendars.regular(calendars.keyed(double, settings(double)), settings(double))
    joined = {**settings(double), "aggregate": "sum"}
    assert list(calendars.regular(calendars.keyed(double, joined), joined)["sold"][:3]) == [0.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({"day": ["2024-01-30"], "shop": ["a"]}, "what comes after 2024-01-30 00:00:00"),
        ({"day": ["2024-02-01 05:00"], "shop": ["a"]}, "is no period of frequency D"),
        ({"day": ["soon"], "shop": ["a"]}, "holds 'soon', which is no time"),
        ({"day": ["2024-02-01"] * 2, "shop": ["a"] * 2}, "several rows for one time"),
        ({"day": ["2024-02-01"]}, "no column 'shop'"),
        ({"day": ["2024-02-01"], "shop": ["new"]}, "was not in the training data"),
    ],
)
def test_rows_that_cannot_be_forecast_are_told(rows: dict[str, Any], says: str) -> None:
    fitted = Forecaster(settings(), "Naive").fit(sales().drop(columns=["sold"]), sales()["sold"])
    with pytest.raises(ValueError, match=says):
        fitted.predict(pandas.DataFrame(rows))


def test_requests_for_forecasts_are_never_scored_as_one_table() -> None:
    def scored_together(model: Any) -> bool:
        served = MlflowModel.__new__(MlflowModel)
        served.flavor, served._direct = "sklearn", model.predict
        served._raw = model
        return served.together

    forecaster = Forecaster(settings(), "Naive")
    assert not scored_together(forecaster) and not scored_together(Together([forecaster], weights=[1.0]))
    assert scored_together(LinearRegression()) and scored_together(Together([LinearRegression()], weights=[1.0]))


def test_short_series_are_kept_left_out_or_refused() -> None:
    frame = pandas.concat([sales(30), sales(2, ("tiny",))])
    grid = calendars.regular(calendars.keyed(frame, settings(frame)), settings(frame))
    for handling, keys in (("auto", {"a", "b", "tiny"}), ("drop", {"a", "b"})):
        assert set(forecasts._long_enough(grid, {**settings(frame), "short": handling})[KEY]) == keys
    with pytest.raises(BadData, match="'tiny' among them"):
        forecasts._long_enough(grid, {**settings(frame), "short": "none"})


def test_a_target_that_is_no_number_is_told() -> None:
    with pytest.raises(BadData, match="is to be a number, and one is 'x'"):
        tabular.Rows(Orders({"task": "regression", "target": "y", "metric": "r2_score", "goal": "maximize"}),
                     pandas.DataFrame({"y": ["1", "x"], "z": [1, 2]}))  # fmt: skip


def test_known_columns_carry_into_the_future() -> None:
    frame = sales().assign(sold=lambda t: 3 * t["price"] + (t["shop"] == "b"))
    found = settings(frame)

    class OfPrice(LinearRegression):
        def fit(self, table: Any, target: Any) -> Any:
            return super().fit(table[["price"]], target)

        def predict(self, table: Any) -> Any:
            return super().predict(table[["price"]])

    fitted = Forecaster(found, OfPrice()).fit(frame.drop(columns=["sold"]), frame["sold"])
    rows = pandas.DataFrame({"day": ["2024-01-31", "2024-02-01"], "shop": "a", "price": [10.0, 20.0]})
    assert numpy.diff(fitted.predict(rows)) == pytest.approx([30.0])
