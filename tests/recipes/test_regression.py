"""Regression components: the same numbers as scikit-learn by hand, for each method of the catalog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy
import pandas
import pytest
from scipy import stats
from sklearn import linear_model
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from doubleloop.recipes.classical import regression
from doubleloop.recipes.shared import run

TABLE: pandas.DataFrame = load_diabetes(as_frame=True, scaled=False).frame


def trained(folder: Path, table: pandas.DataFrame, method: str, **options: Any) -> dict[str, Any]:
    table.to_csv(folder / "rows.csv", index=False)
    told = {
        "method": method, "training_data": folder / "rows.csv", "target": "target", "model": folder / "model",
        "evaluation": folder / "evaluation", **options,
    }  # fmt: skip
    words = [word for name, value in told.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    assert run.main(["classical.regression", *words]) == 0
    return dict(json.loads((folder / "evaluation" / "metrics.json").read_text()))


BY_HAND = {
    "linear": linear_model.LinearRegression(),
    "polynomial": make_pipeline(PolynomialFeatures(2, include_bias=False), StandardScaler(), linear_model.Ridge(10.0)),
    "ridge": linear_model.Ridge(10.0),
    "lasso": linear_model.Lasso(1.0, max_iter=20_000),
    "quantile": linear_model.QuantileRegressor(quantile=0.9, alpha=0.0),
    "bayesian": linear_model.BayesianRidge(),
    "gradient_boosting": HistGradientBoostingRegressor(max_iter=20, early_stopping=False, random_state=0),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "polynomial": {"alpha": 10.0}, "ridge": {"alpha": 10.0}, "lasso": {"alpha": 1.0}, "quantile": {"quantile": 0.9},
    "gradient_boosting": {"trees": 20},
}  # fmt: skip


@pytest.mark.parametrize("method", sorted(regression.METHODS))
def test_the_metrics_are_those_of_scikit_learn_on_the_same_rows(tmp_path: Path, method: str) -> None:
    told = trained(tmp_path, TABLE, method, **OPTIONS.get(method, {}))
    x, y = TABLE.drop(columns="target"), TABLE["target"]
    train, test, seen, truth = train_test_split(x, y, test_size=0.2, random_state=0)
    scaler = "passthrough" if method == "gradient_boosting" else StandardScaler()  # trees need none
    found = make_pipeline(scaler, BY_HAND[method]).fit(train, seen).predict(test)
    expected = {
        "rmse": root_mean_squared_error(truth, found), "mae": mean_absolute_error(truth, found),
        "r2": r2_score(truth, found),
    }  # fmt: skip
    if method == "quantile":
        expected["pinball_loss"] = mean_pinball_loss(truth, found, alpha=0.9)
        assert 0.8 < told["metrics"]["share_below"] <= 1.0
    assert {name: told["metrics"][name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert told["metrics"][told["primary"]] < told["baseline"]["metrics"][told["primary"]]
    answer = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(test.iloc[:5])
    assert numpy.asarray(answer) == pytest.approx(found[:5], rel=1e-5)


def test_without_alpha_it_is_chosen_among_those_of_the_grid(tmp_path: Path) -> None:
    trained(tmp_path, TABLE, "ridge")
    model = mlflow.sklearn.load_model(str(tmp_path / "model"))
    assert model[-1].alpha_ in regression.ALPHAS


def test_intervals_of_the_bayesian_regression_hold_what_they_say(tmp_path: Path) -> None:
    chance = numpy.random.default_rng(3)
    x = chance.normal(size=(2000, 2))
    table = pandas.DataFrame({"a": x[:, 0], "b": x[:, 1], "target": x @ [2.0, -1.0] + chance.normal(size=2000)})
    told = trained(tmp_path, table, "bayesian", test_size=0.5)
    # Within what a binomial of 1,000 rows at 95 % gives in all but one of a million cases.
    low, high = stats.binom(1000, 0.95).interval(1 - 1e-6)
    assert low <= told["metrics"]["interval_95_coverage"] * 1000 <= high


def test_a_target_that_is_no_number_is_refused_with_its_row(tmp_path: Path, capsys: Any) -> None:
    table = TABLE.head(30).astype({"target": object})
    table.loc[4, "target"] = "many"
    with pytest.raises(AssertionError):
        trained(tmp_path, table, "linear")
    assert "row 5: 'many' in column 'target' is not a finite number" in capsys.readouterr().err
