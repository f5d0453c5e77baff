"""Forecasting components: numbers of the literature and of statsmodels, backtests, intervals that hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy
import pandas
import pytest
from airline import PASSENGERS, TABLE
from scipy import stats
from statsmodels.tsa.api import VAR
from statsmodels.tsa.ar_model import AutoReg
from statsmodels.tsa.arima.model import ARIMA
from statsmodels.tsa.statespace.exponential_smoothing import ExponentialSmoothing

from doubleloop.recipes.forecasting import backtests, methods, series
from doubleloop.recipes.shared import run
from doubleloop.recipes.shared.problems import BadData
from doubleloop.scorer import batch


def ran(folder: Path, table: pandas.DataFrame, method: str, **options: Any) -> int:
    table.to_csv(folder / "rows.csv", index=False)
    told = {
        "method": method, "training_data": folder / "rows.csv", "target": "passengers", "time": "month",
        "model": folder / "model", "evaluation": folder / "evaluation", **options,
    }  # fmt: skip
    words = [word for name, value in told.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return run.main(["forecasting.forecast", *words])


def measured(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "evaluation" / "metrics.json").read_text()))


def test_the_airline_model_is_that_of_the_literature(tmp_path: Path) -> None:
    """R's arima(log(AirPassengers), c(0,1,1), seasonal = c(0,1,1)): ma1 -0.4018, sma1 -0.5569, σ² 0.001348."""
    assert ran(tmp_path, TABLE, "sarima", order="0,1,1", seasonal_order="0,1,1", log="true", folds=2) == 0
    told = measured(tmp_path)
    fitted = {"ma.L1": -0.4018, "ma.S.L12": -0.5569}
    assert {name: told["parameters"][name] for name in fitted} == pytest.approx(fitted, abs=2e-3)
    assert told["parameters"]["sigma2"] == pytest.approx(0.001348, abs=2e-5)
    assert (told["season"], told["frequency"], told["baseline"]["name"]) == (12, "MS", "seasonal naive")
    assert told["metrics"]["mase"] < told["baseline"]["metrics"]["mase"] / 2
    # The backtest, by statsmodels alone: each origin knows what was before it.
    rows = pandas.read_csv(tmp_path / "evaluation" / "backtest.csv")
    for fold, cut in enumerate((120, 132)):
        model = ARIMA(numpy.log(PASSENGERS[:cut]), order=(0, 1, 1), seasonal_order=(0, 1, 1, 12)).fit()
        mean, between = model.forecast(12), model.get_forecast(12).conf_int(0.1)
        part = rows[rows["fold"] == fold]
        assert part["forecast"].to_numpy() == pytest.approx(numpy.exp(mean), rel=1e-4)
        assert part["upper"].to_numpy() == pytest.approx(numpy.exp(between[:, 1]), rel=1e-3)
        assert part["truth"].to_list() == list(PASSENGERS[cut : cut + 12])
        assert part["naive"].to_list() == list(PASSENGERS[cut - 12 : cut])
    wrong = numpy.abs(rows["truth"] - rows["forecast"])
    assert told["metrics"]["mape"] == pytest.approx(100 * (wrong / rows["truth"]).mean())
    inside = (rows["lower"] <= rows["truth"]) & (rows["truth"] <= rows["upper"])
    assert told["metrics"]["coverage"] == inside.mean()
    # The model: any later periods, in any order, each for itself.
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    asked = pandas.DataFrame({"month": ["1961-06-01", "1961-01-01"]})
    found = model.predict(asked)
    assert list(found) == ["forecast", "lower", "upper"] and model.metadata.signature.inputs.input_names() == ["month"]
    expected = numpy.exp(ARIMA(numpy.log(PASSENGERS), order=(0, 1, 1), seasonal_order=(0, 1, 1, 12)).fit().forecast(6))
    assert found["forecast"].to_list() == pytest.approx([expected[5], expected[0]], rel=1e-3)
    body = {"columns": ["month"], "dtypes": ["string"], "data": asked.to_numpy().tolist(), "signature": None}
    answered = batch.score(str(tmp_path / "model"), body)["predictions"]  # as an endpoint and a release ask it
    assert numpy.array(answered) == pytest.approx(found.to_numpy())
    assert (
        sum(file.stat().st_size for file in (tmp_path / "model").glob("*.pkl")) < 10_000
    )  # no results, no past filter
    assert (found["lower"] < found["forecast"]).all() and (found["forecast"] < found["upper"]).all()
    with pytest.raises(Exception, match="1961-01-15 00:00:00 is no period to forecast; they begin with 1961-01-01"):
        model.predict(pandas.DataFrame({"month": ["1961-01-15"]}))


def test_ar_arima_and_var_are_those_of_statsmodels() -> None:
    values = numpy.diff(numpy.log(PASSENGERS))[:, None]
    mean, lower, _ = methods.Autoregression(13, 24).fit(values).forecast(5, 0.8)
    by_hand = AutoReg(values[:, 0], 13, trend="c").fit().get_prediction(143, 147)
    assert mean[:, 0] == pytest.approx(by_hand.predicted_mean)
    assert lower[:, 0] == pytest.approx(numpy.asarray(by_hand.conf_int(0.2))[:, 0])
    chosen = methods.Autoregression(None, 24).fit(values)
    assert "lag_12" in chosen.told and len(chosen.told) > 10  # the season is found
    mean, _, upper = methods.Arima((2, 0, 1)).fit(values).forecast(4, 0.95)
    fitted = ARIMA(values[:, 0], order=(2, 0, 1)).fit().get_forecast(4)
    assert mean[:, 0] == pytest.approx(fitted.predicted_mean) and upper[:, 0] == pytest.approx(
        fitted.conf_int(0.05)[:, 1]
    )
    both = numpy.column_stack([values[1:], values[:-1] + values[1:] ** 2])
    mean, lower, upper = methods.Vector(2, 8).fit(both).forecast(3, 0.9)
    expected = VAR(both).fit(2).forecast_interval(both[-2:], 3, alpha=0.1)
    assert all(numpy.allclose(found, each) for found, each in zip((mean, lower, upper), expected, strict=True))


def test_smoothing_and_its_intervals_are_those_of_the_state_space_form() -> None:
    chance = numpy.random.default_rng(1)
    values = 50 + numpy.cumsum(chance.normal(size=200)) + chance.normal(size=200) * 2
    mean, lower, upper = methods.Smoothing().fit(values[:, None]).forecast(10, 0.9)
    other = ExponentialSmoothing(values, initialization_method="estimated").fit(disp=False).get_forecast(10)
    assert mean[:, 0] == pytest.approx(other.predicted_mean, rel=1e-3)
    between = other.conf_int(alpha=0.1)
    assert (upper - lower)[:, 0] == pytest.approx(between[:, 1] - between[:, 0], rel=0.02)


def test_intervals_hold_as_much_of_the_future_as_they_say() -> None:
    chance = numpy.random.default_rng(0)
    noise = chance.normal(size=1400)
    values = numpy.zeros(1400)
    for now in range(1, 1400):
        values[now] = 0.6 * values[now - 1] + noise[now]
    days = pandas.date_range("2020-01-01", periods=1400, freq="D")
    data = series.Series(days, values[:, None], ["x"], "D")
    rows = backtests.rolling(
        data, lambda: methods.Autoregression(1, 1), horizon=1, folds=300, season=1, level=0.8, log=False
    )  # fmt: skip
    low, high = stats.binom(300, 0.8).interval(1 - 1e-6)
    assert low <= backtests.scores(rows)["coverage"] * 300 <= high


def test_several_series_are_forecast_together(tmp_path: Path) -> None:
    chance = numpy.random.default_rng(2)
    lead = chance.normal(size=145)
    table = TABLE.assign(lead=lead[1:], follows=lead[:-1] + 0.1 * chance.normal(size=144))
    assert ran(tmp_path, table, "var", target="lead, follows", horizon=1, folds=6, lags=1) == 0
    told = measured(tmp_path)
    slices = pandas.read_csv(tmp_path / "evaluation" / "slices.csv").set_index("value")
    assert slices.loc["follows", "mase"] < 0.3 < slices.loc["lead", "mase"]  # one says what the other will be
    assert told["metrics"]["mase"] < told["baseline"]["metrics"]["mase"]
    found = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(pandas.DataFrame({"month": ["1961-01-01"]}))
    assert found["forecast_follows"][0] == pytest.approx(lead[-1], abs=0.5) and "upper_lead" in found


@pytest.mark.parametrize(
    ("table", "options", "said"),
    [
        (TABLE.drop(index=30), {}, "no row for 1951-07-01 00:00:00 (and 0 more periods of MS)"),
        (pandas.concat([TABLE, TABLE.iloc[[3]]]), {}, "several rows for the time 1949-04-01 00:00:00 (row 145)"),
        (TABLE.replace("1949-03-01", "March"), {}, "row 3: 'March' in column 'month' is not a time"),
        (TABLE.assign(passengers=[*PASSENGERS[:-1], None]), {}, "no value of 'passengers' in row 144"),
        (TABLE.assign(passengers=1), {}, "has one value all the time"),
        (TABLE.assign(passengers=PASSENGERS - 112), {"log": "true"}, "1949-01-01 00:00:00 is not above 0"),
        (TABLE, {"horizon": 60}, "a backtest of 3 times 60 leaves 0 to learn from, and 24 are needed"),
        (TABLE, {"target": "passengers, month"}, "is not a finite number"),
        (TABLE.assign(b=1.0), {"target": "passengers, b"}, "arima forecasts one series, and target names 2"),
        (TABLE, {"frequency": "fortnight"}, "'fortnight' is not a frequency"),
        (TABLE, {"frequency": "QS"}, "has the time 1949-02-01 00:00:00, which is none of the periods (QS"),
    ],
)
def test_bad_series_are_refused_with_a_sentence(
    tmp_path: Path, capsys: Any, table: pandas.DataFrame, options: dict[str, Any], said: str
) -> None:
    assert ran(tmp_path, table.reset_index(drop=True), "arima", **options) == 65
    assert said in capsys.readouterr().err and not (tmp_path / "model").exists()


def test_times_are_steps_after_the_end_whatever_their_zone() -> None:
    end = pandas.Timestamp("2024-01-31")
    asked = pandas.Series(["2024-02-02T00:00:00Z", "2024-02-01", "2024-02-03T02:00:00+02:00"])
    assert list(series.steps(asked, end, "D")) == [2, 1, 3]
    for wrong in ("2024-01-31", "2024-02-01T12:00"):
        with pytest.raises(ValueError, match="they begin with 2024-02-01"):
            series.steps(pandas.Series([wrong]), end, "D")
    with pytest.raises(BadData, match="no regular distance"):
        series.read(pandas.DataFrame({"t": ["2024-01-01", "2024-01-02", "2024-01-05", "2024-02-01"] * 3}).assign(
            t=lambda frame: pandas.to_datetime("2024-01-01") + pandas.to_timedelta(numpy.arange(12) ** 2, "D"), y=1.0
        ), "t", ["y"])  # fmt: skip
