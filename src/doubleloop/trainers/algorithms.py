"""Azure ML's names of algorithms as estimators of scikit-learn, LightGBM and XGBoost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
from sklearn import ensemble, linear_model, naive_bayes, neighbors, svm, tree
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler

from . import features
from .orders import BadData, Orders

Steps = list[tuple[str, Any]]


class Labelled(ClassifierMixin, BaseEstimator):
    """A classifier that takes no labels but 0, 1, 2 …, given any."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Labelled:
        self.classes_, codes = numpy.unique(y, return_inverse=True)
        self.inner_ = clone(self.inner).fit(X, codes, sample_weight=sample_weight)
        return self

    def predict_proba(self, X: Any) -> Any:
        found = numpy.asarray(self.inner_.predict_proba(X))
        return found if found.shape[1] == len(self.classes_) else found[:, : len(self.classes_)]

    def predict(self, X: Any) -> Any:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def steps(asked: Orders) -> Steps:
    """The last steps of a model's pipeline: scaling, where the algorithm needs it, and the estimator ``model``."""
    given = dict(asked.params)
    scaler = _SCALERS[given.pop("scaler", _DEFAULT_SCALERS.get(asked.algorithm, "none"))]
    makers = _CLASSIFIERS if asked.task == "classification" else _REGRESSORS
    maker = makers.get(asked.algorithm)
    if maker is None:
        raise BadData("the algorithm '%s' is not one of %s" % (asked.algorithm, ", ".join(makers)))
    found: Steps = [] if scaler is None else [("scaler", scaler())]
    if asked.algorithm in _NEEDS_DENSE:
        found = [("dense", features.Dense()), *found]
    return [*found, ("model", maker(asked, given))]


# Scalers that leave zeros alone, so that a sparse matrix stays one.
_SCALERS: dict[str, Any] = {
    "none": None,
    "standard": lambda: StandardScaler(with_mean=False),
    "max_abs": MaxAbsScaler,
    "min_max": lambda: MinMaxScaler(clip=True),
}
_DEFAULT_SCALERS = {
    **dict.fromkeys(["LogisticRegression", "SGD", "SVM", "LinearSVM", "KNN", "ElasticNet", "LassoLars"], "standard"),
    "MultinomialNaiveBayes": "min_max",
}
_NEEDS_DENSE = ("LassoLars", "MultinomialNaiveBayes")


def _seeded(kind: Any, **fixed: Any) -> Callable[[Orders, dict[str, Any]], Any]:
    return lambda asked, given: kind(**fixed, **given, random_state=asked.seed)


def _forest(kind: Any) -> Callable[[Orders, dict[str, Any]], Any]:
    return lambda asked, given: kind(**given, random_state=asked.seed, n_jobs=asked.threads)


def _plain(kind: Any) -> Callable[[Orders, dict[str, Any]], Any]:
    return lambda asked, given: kind(**given)


def _light(name: str) -> Callable[[Orders, dict[str, Any]], Any]:
    def make(asked: Orders, given: dict[str, Any]) -> Any:
        import lightgbm

        fixed = {"random_state": asked.seed, "n_jobs": asked.threads, "verbosity": -1, "deterministic": True}
        return getattr(lightgbm, name)(**{"subsample_freq": 1, **given}, force_row_wise=True, **fixed)

    return make


def _xgb_classifier(asked: Orders, given: dict[str, Any]) -> Any:
    import xgboost

    return Labelled(xgboost.XGBClassifier(**given, random_state=asked.seed, n_jobs=asked.threads, tree_method="hist"))


def _xgb_regressor(asked: Orders, given: dict[str, Any]) -> Any:
    import xgboost

    return xgboost.XGBRegressor(**given, random_state=asked.seed, n_jobs=asked.threads, tree_method="hist")


def _scaled_target(kind: Any, **fixed: Any) -> Callable[[Orders, dict[str, Any]], Any]:
    """Penalties and step sizes mean the same whatever the unit of the target."""
    return lambda asked, given: TransformedTargetRegressor(
        kind(**{**fixed, **given, "random_state": asked.seed}), transformer=StandardScaler()
    )


def _svm(asked: Orders, given: dict[str, Any]) -> Any:
    return CalibratedClassifierCV(svm.SVC(**given, random_state=asked.seed), cv=3, ensemble=False)


def _linear_svm(asked: Orders, given: dict[str, Any]) -> Any:
    inner = svm.LinearSVC(**given, random_state=asked.seed, max_iter=3000)
    return CalibratedClassifierCV(inner, cv=3, ensemble=False)


_CLASSIFIERS: dict[str, Callable[[Orders, dict[str, Any]], Any]] = {
    "LogisticRegression": _seeded(linear_model.LogisticRegression, max_iter=1000),
    "SGD": _seeded(linear_model.SGDClassifier, loss="log_loss"),
    "MultinomialNaiveBayes": _plain(naive_bayes.MultinomialNB),
    "BernoulliNaiveBayes": _plain(naive_bayes.BernoulliNB),
    "SVM": _svm,
    "LinearSVM": _linear_svm,
    "KNN": _plain(neighbors.KNeighborsClassifier),
    "DecisionTree": _seeded(tree.DecisionTreeClassifier),
    "RandomForest": _forest(ensemble.RandomForestClassifier),
    "ExtremeRandomTrees": _forest(ensemble.ExtraTreesClassifier),
    "GradientBoosting": _seeded(ensemble.GradientBoostingClassifier),
    "LightGBM": _light("LGBMClassifier"),
    "XGBoostClassifier": _xgb_classifier,
}
_REGRESSORS: dict[str, Callable[[Orders, dict[str, Any]], Any]] = {
    "ElasticNet": _scaled_target(linear_model.ElasticNet, max_iter=5000),
    "LassoLars": _plain(linear_model.LassoLars),
    "SGD": _scaled_target(linear_model.SGDRegressor),
    "KNN": _plain(neighbors.KNeighborsRegressor),
    "DecisionTree": _seeded(tree.DecisionTreeRegressor),
    "RandomForest": _forest(ensemble.RandomForestRegressor),
    "ExtremeRandomTrees": _forest(ensemble.ExtraTreesRegressor),
    "GradientBoosting": _seeded(ensemble.GradientBoostingRegressor),
    "LightGBM": _light("LGBMRegressor"),
    "XGBoostRegressor": _xgb_regressor,
}
