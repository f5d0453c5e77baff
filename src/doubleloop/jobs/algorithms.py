"""Which algorithm an AutoML job tries next, and with which parameters: pure.

Each algorithm is tried once as it is, the one that most often does best on tables first; then Optuna's tree-structured
Parzen estimator chooses algorithm and parameters together by what the trials so far came to.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna

Trials = Sequence[tuple[Mapping[str, Any], float | None]]
# (least, greatest, on a logarithmic scale) of a number, or choices.
Space = Mapping[str, tuple[Any, ...] | list[Any]]

NAME = "algorithm"

_SCALER = ["standard", "max_abs"]
_FOREST: Space = {
    "n_estimators": (50, 400, True), "max_features": [None, "sqrt", "log2", 0.5], "min_samples_leaf": (1, 20, True),
    "max_depth": [None, 6, 12, 24],
}  # fmt: skip
_BOOSTED: Space = {
    "n_estimators": (50, 600, True), "learning_rate": (0.01, 0.3, True), "max_depth": (2, 8, False),
    "subsample": (0.5, 1.0, False), "min_samples_leaf": (1, 50, True),
}  # fmt: skip
_LIGHT: Space = {
    "n_estimators": (50, 800, True), "learning_rate": (0.01, 0.3, True), "num_leaves": (4, 128, True),
    "min_child_samples": (3, 60, True), "subsample": (0.5, 1.0, False), "colsample_bytree": (0.4, 1.0, False),
    "reg_lambda": (1e-3, 10.0, True),
}  # fmt: skip
_XGB: Space = {
    "n_estimators": (50, 800, True), "learning_rate": (0.01, 0.3, True), "max_depth": (2, 10, False),
    "min_child_weight": (0.5, 20.0, True), "subsample": (0.5, 1.0, False), "colsample_bytree": (0.4, 1.0, False),
    "reg_lambda": (1e-3, 10.0, True),
}  # fmt: skip
_TREE: Space = {"max_depth": [None, 4, 8, 16], "min_samples_leaf": (1, 50, True), "max_features": [None, "sqrt"]}

SPACES: Mapping[str, Space] = {
    "LightGBM": _LIGHT,
    "XGBoostClassifier": _XGB,
    "XGBoostRegressor": _XGB,
    "RandomForest": _FOREST,
    "LogisticRegression": {"C": (1e-3, 100.0, True), "scaler": _SCALER},
    "ElasticNet": {"alpha": (1e-4, 1.0, True), "l1_ratio": (0.0, 1.0, False), "scaler": _SCALER},
    "GradientBoosting": _BOOSTED,
    "ExtremeRandomTrees": _FOREST,
    "SVM": {"C": (1e-2, 100.0, True), "kernel": ["rbf", "poly"], "scaler": _SCALER},
    "LinearSVM": {"C": (1e-3, 100.0, True), "scaler": _SCALER},
    "KNN": {"n_neighbors": (2, 50, True), "weights": ["uniform", "distance"], "scaler": _SCALER},
    "SGD": {"alpha": (1e-6, 1e-1, True), "penalty": ["l2", "l1", "elasticnet"], "scaler": _SCALER},
    "LassoLars": {"alpha": (1e-4, 1.0, True), "scaler": _SCALER},
    "DecisionTree": _TREE,
    "BernoulliNaiveBayes": {"alpha": (1e-2, 10.0, True)},
    "MultinomialNaiveBayes": {"alpha": (1e-2, 10.0, True)},
}
# Where the estimator's own default is not where to begin.
_FIRST: Mapping[str, Mapping[str, Any]] = {
    "LightGBM": {"min_child_samples": 10},
    "XGBoostClassifier": {"learning_rate": 0.1},
    "XGBoostRegressor": {"learning_rate": 0.1},
    "RandomForest": {"min_samples_leaf": 2},
    "ExtremeRandomTrees": {"min_samples_leaf": 2},
    "ElasticNet": {"alpha": 0.01},
    "LassoLars": {"alpha": 0.01},
}
# Forecasts from a series' own past take no time and are what others must be better than.
_MERIT = (
    "SeasonalNaive", "LightGBM", "ExponentialSmoothing", "LogisticRegression", "ElasticNet", "RandomForest",
    "XGBoostClassifier", "XGBoostRegressor", "GradientBoosting", "ExtremeRandomTrees", "Naive", "SeasonalAverage",
    "Average", "SVM", "KNN", "SGD", "LassoLars", "LinearSVM", "DecisionTree", "BernoulliNaiveBayes",
    "MultinomialNaiveBayes", "AutoArima", "Arimax",
)  # fmt: skip


def suggest(names: Sequence[str], index: int, trials: Trials, goal: str, seed: int) -> dict[str, Any] | None:
    """What trial ``index`` (from 0) tries: ``algorithm`` and its parameters; None when there is nothing left to try.

    ``trials``: what was tried before, and what it came to (None while that is not known, or when it failed).
    """
    order = sorted(names, key=_MERIT.index)
    if index < len(order):
        return {NAME: order[index], **_FIRST.get(order[index], {})}
    tunable = [name for name in order if name in SPACES]
    return _tuned(tunable, index, trials, goal, seed) if tunable else None


def _tuned(names: Sequence[str], index: int, trials: Trials, goal: str, seed: int) -> dict[str, Any]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # group: the parameters of each algorithm are learned from that algorithm's trials.
        sampler = optuna.samplers.TPESampler(
            seed=(seed + index) % 2**32, n_startup_trials=5, multivariate=True, group=True, constant_liar=True,
        )  # fmt: skip
    study = optuna.create_study(sampler=sampler, direction="maximize" if goal == "maximize" else "minimize")
    choice = optuna.distributions.CategoricalDistribution(list(names))
    for tried, result in trials:
        name = str(tried[NAME])
        if name not in names:
            continue
        given = {key: value for key, value in tried.items() if key in SPACES[name]}
        state = optuna.trial.TrialState.RUNNING if result is None else optuna.trial.TrialState.COMPLETE
        study.add_trial(
            optuna.trial.create_trial(
                state=state, value=result,
                params={NAME: name, **{f"{name}.{key}": value for key, value in given.items()}},
                distributions={
                    NAME: choice, **{f"{name}.{key}": _distribution(SPACES[name][key]) for key in given}
                },
            )
        )  # fmt: skip
    asked = study.ask()
    name = asked.suggest_categorical(NAME, list(names))
    found = {key: _suggested(asked, f"{name}.{key}", each) for key, each in SPACES[name].items()}
    return {NAME: name, **{key: _rounded(value) for key, value in found.items()}}


def _suggested(asked: optuna.trial.Trial, name: str, each: tuple[Any, ...] | list[Any]) -> Any:
    if isinstance(each, list):
        return asked.suggest_categorical(name, each)
    low, high, log = each
    return asked.suggest_int(name, low, high, log=log) if isinstance(low, int) else asked.suggest_float(
        name, low, high, log=log
    )  # fmt: skip


def _distribution(each: tuple[Any, ...] | list[Any]) -> optuna.distributions.BaseDistribution:
    if isinstance(each, list):
        return optuna.distributions.CategoricalDistribution(each)
    low, high, log = each
    if isinstance(low, int):
        return optuna.distributions.IntDistribution(low, high, log=log)
    return optuna.distributions.FloatDistribution(low, high, log=log)


def _rounded(value: Any) -> Any:
    """Digits that a person can read; more of them make no other model."""
    return float(f"{value:.4g}") if isinstance(value, float) else value
