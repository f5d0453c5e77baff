"""The last step: an estimator's ``predict`` or ``predict_proba`` on a matrix.

Trees are asked through scikit-learn's own compiled code on the 32 bits that it takes itself, so what comes out is the
same to the last bit. Whatever is not known here is called as it is.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

import numpy

from .numbers import nameless
from .steps import NotPlanned, Step

Raw = Callable[[Any], Any]


class Estimator(Step):
    """``native``: nothing of it is known better than the estimator itself does. ``narrow``: it takes 32 bits."""

    def __init__(self, function: Raw, native: bool = False, narrow: bool = False) -> None:
        self.run = function  # type: ignore[assignment]
        self.native, self.narrow = native, narrow


def plan(estimator: Any, method: str) -> Estimator:
    """``method``: predict or predict_proba. Raises NotPlanned for estimators that are not a library's own."""
    root, name = type(estimator).__module__.split(".")[0], type(estimator).__name__
    if root == "lightgbm":
        return Estimator(_lightgbm(estimator, method))
    if root == "xgboost":
        return Estimator(_xgboost(estimator, method))
    if root == "catboost":
        return Estimator(_catboost(estimator, method))
    if root != "sklearn":
        raise NotPlanned("%s.%s is not an estimator of a known library" % (root, name))
    if method == "predict_proba" and not hasattr(estimator, "predict_proba"):
        raise NotPlanned("%s has no predict_proba" % name)
    build = KNOWN.get(name)
    made = None if build is None else build(estimator, method)
    if made is None:
        return Estimator(getattr(nameless(estimator), method), native=True)
    return Estimator(made, narrow=build in (_tree, _forest, _boosting))


def _linear(estimator: Any, method: str) -> Optional[Raw]:
    coefficients, intercept = estimator.coef_, estimator.intercept_
    if getattr(coefficients, "ndim", 0) not in (1, 2) or hasattr(coefficients, "toarray"):
        return None
    transposed = coefficients.T if coefficients.ndim == 2 else coefficients
    return lambda matrix: matrix @ transposed + intercept


def _logistic(estimator: Any, method: str) -> Optional[Raw]:
    coefficients, intercept, classes = estimator.coef_, estimator.intercept_, estimator.classes_
    if method != "predict" or hasattr(coefficients, "toarray"):
        return None
    if coefficients.shape[0] == 1:
        weights = coefficients[0]
        return lambda matrix: classes[(matrix @ weights + intercept[0] > 0).astype(numpy.intp)]
    return lambda matrix: classes[(matrix @ coefficients.T + intercept).argmax(axis=1)]


def _narrow(matrix: Any) -> Any:
    """As scikit-learn's trees take it: 32 bits, row by row."""
    return numpy.ascontiguousarray(matrix, dtype=numpy.float32)


def _tree(estimator: Any, method: str) -> Optional[Raw]:
    if estimator.n_outputs_ != 1:
        return None
    leaves = estimator.tree_.predict
    if not hasattr(estimator, "classes_"):
        return lambda matrix: leaves(_narrow(matrix))[:, 0]
    classes = estimator.classes_
    if method == "predict":
        return lambda matrix: classes[_leaf(leaves(_narrow(matrix))).argmax(axis=1)]
    return lambda matrix: _leaf(leaves(_narrow(matrix)))[:, : len(classes)]


def _leaf(values: Any) -> Any:
    return values[:, 0] if values.ndim == 3 else values


def _forest(estimator: Any, method: str) -> Optional[Raw]:
    """The mean over the trees, added up in their order."""
    if estimator.n_outputs_ != 1:
        return None
    classes = getattr(estimator, "classes_", None)
    if classes is not None and _counts_samples(estimator.estimators_[0]):
        return None
    trees = [each.tree_.predict for each in estimator.estimators_]
    width = 1 if classes is None else len(classes)

    def mean(matrix: Any) -> Any:
        narrow = _narrow(matrix)
        total = numpy.zeros((len(narrow), width))
        for leaves in trees:
            total += _leaf(leaves(narrow))[:, :width]
        total /= len(trees)
        return total

    if classes is None:
        return lambda matrix: mean(matrix)[:, 0]
    if method == "predict_proba":
        return mean
    return lambda matrix: classes.take(mean(matrix).argmax(axis=1), axis=0)


def _counts_samples(tree: Any) -> bool:
    """Before scikit-learn 1.3 the leaves of a classifier hold counts, which must become shares first."""
    values = tree.tree_.value[0].ravel()
    return bool(abs(values.sum() - 1.0) > 1e-9)


def _boosting(estimator: Any, method: str) -> Optional[Raw]:
    """``GradientBoosting*``: the first guess, and the trees' leaves on top of it, times the learning rate."""
    raw = getattr(estimator, "_raw_predict_init", None)
    try:
        from sklearn.ensemble._gradient_boosting import predict_stages
    except ImportError:
        return None
    if raw is None:
        return None
    trees, rate = estimator.estimators_, float(estimator.learning_rate)
    first = _first_guess(estimator)
    if first is None:
        return None

    def stages(matrix: Any) -> Any:
        narrow = _narrow(matrix)
        scores = numpy.repeat(first, len(narrow), axis=0)
        predict_stages(trees, narrow, rate, scores)
        return scores

    if not hasattr(estimator, "classes_"):
        return lambda matrix: stages(matrix).ravel()
    classes = estimator.classes_
    if method != "predict":
        return None
    if len(classes) == 2:
        return lambda matrix: classes.take((stages(matrix).ravel() >= 0).astype(numpy.intp))
    return lambda matrix: classes.take(stages(matrix).argmax(axis=1))


def _first_guess(estimator: Any) -> Any:
    """The same for every row unless it is a model of its own: then None."""
    init = estimator.init_
    if init != "zero" and type(init).__name__ not in ("DummyRegressor", "DummyClassifier"):
        return None
    return numpy.array(estimator._raw_predict_init(numpy.zeros((1, estimator.n_features_in_), dtype=numpy.float32)))


def _histograms(estimator: Any, method: str) -> Optional[Raw]:
    """``HistGradientBoosting*``: its own trees, one after the other, in one thread."""
    predictors = getattr(estimator, "_predictors", None)
    if not predictors or getattr(estimator, "is_categorical_", None) is not None:
        return None
    if getattr(estimator, "_preprocessor", None) is not None or not hasattr(estimator, "_bin_mapper"):
        return None
    bits, positions = estimator._bin_mapper.make_known_categories_bitsets()
    baseline = numpy.asarray(estimator._baseline_prediction)
    loss = getattr(estimator, "_loss", None)
    trees = [[each.predict for each in stage] for stage in predictors]

    def raw(matrix: Any) -> Any:
        wide = numpy.ascontiguousarray(matrix, dtype=numpy.float64)
        scores = numpy.zeros((len(wide), len(trees[0])), order="F")
        scores += baseline
        for stage in trees:
            for column, leaves in enumerate(stage):
                scores[:, column] += leaves(wide, bits, positions, 1)
        return scores

    if not hasattr(estimator, "classes_"):
        if loss is None or not hasattr(loss, "link"):
            return None
        return lambda matrix: loss.link.inverse(raw(matrix).ravel())
    classes = estimator.classes_
    if method != "predict":
        return None
    if len(classes) == 2:
        return lambda matrix: classes[(raw(matrix).ravel() > 0).astype(numpy.intp)]
    return lambda matrix: classes[raw(matrix).argmax(axis=1)]


def _lightgbm(model: Any, method: str) -> Raw:
    booster = getattr(model, "booster_", model)
    if getattr(booster, "pandas_categorical", None):
        raise NotPlanned("LightGBM with categories of a frame")
    classes = getattr(model, "classes_", None)

    def raw(matrix: Any) -> Any:
        return booster.predict(matrix, num_threads=1)

    if classes is None:
        return raw
    if method == "predict" and getattr(model, "_le", None) is None:
        raise NotPlanned("this version of LightGBM's classifier")
    if len(classes) == 2:
        if method == "predict":
            return lambda matrix: classes[(raw(matrix) > 0.5).astype(numpy.intp)]
        return lambda matrix: _two(raw(matrix))
    return raw if method != "predict" else lambda matrix: classes[raw(matrix).argmax(axis=1)]


def _two(positive: Any) -> Any:
    return numpy.vstack((1.0 - positive, positive)).transpose()


def _xgboost(model: Any, method: str) -> Raw:
    if not hasattr(model, "get_booster"):
        raise NotPlanned("a bare XGBoost Booster")
    bound = getattr(model, method)
    if getattr(model, "feature_types", None) and "c" in model.feature_types:
        raise NotPlanned("XGBoost with categories of a frame")
    return lambda matrix: bound(matrix, validate_features=False)


def _catboost(model: Any, method: str) -> Raw:
    """Asked with a matrix, it is spared the names and types of a frame's columns."""
    if model.get_cat_feature_indices() or model.get_text_feature_indices():
        raise NotPlanned("CatBoost with categories or texts of a frame")
    bound: Any = getattr(model, method)
    return lambda matrix: bound(matrix, thread_count=1)


KNOWN: Dict[str, Callable[[Any, str], Optional[Raw]]] = {
    **dict.fromkeys(
        ("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "Lars", "LassoLars",
         "BayesianRidge", "ARDRegression", "HuberRegressor", "SGDRegressor", "LinearSVR", "QuantileRegressor",
         "TheilSenRegressor"), _linear,
    ),
    **dict.fromkeys(("LogisticRegression", "LogisticRegressionCV", "SGDClassifier", "LinearSVC", "RidgeClassifier",
                     "RidgeClassifierCV", "Perceptron"), _logistic),
    **dict.fromkeys(
        ("DecisionTreeRegressor", "DecisionTreeClassifier", "ExtraTreeRegressor", "ExtraTreeClassifier"), _tree
    ),
    **dict.fromkeys(
        ("RandomForestRegressor", "RandomForestClassifier", "ExtraTreesRegressor", "ExtraTreesClassifier"), _forest
    ),
    **dict.fromkeys(("GradientBoostingRegressor", "GradientBoostingClassifier"), _boosting),
    **dict.fromkeys(("HistGradientBoostingRegressor", "HistGradientBoostingClassifier"), _histograms),
}  # fmt: skip
