"""The last step: an estimator's ``predict`` or ``predict_proba`` on a matrix.

Trees of scikit-learn's are in ``ensembles``. Whatever is not known here is called as it is.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

import numpy

from . import boosters, ensembles, finishes, numbers
from .steps import Chain, NotPlanned, Step

Raw = Callable[[Any], Any]


class Estimator:
    """``step``: from a matrix to answers; ``native``: nothing of it is known better than the estimator itself does. The
    others as of ``ensembles.Answers``, and ``told`` is None where the library has the only way."""

    def __init__(self, step: Step, native: bool = False, narrow: bool = False) -> None:
        self.step, self.native, self.narrow, self.columnwise = step, native, narrow, False
        self.told: Optional[Dict[str, Any]] = None


def plan(estimator: Any, method: str) -> Estimator:
    """``method``: predict or predict_proba. Raises NotPlanned for estimators that are not a library's own."""
    root, name = type(estimator).__module__.split(".")[0], type(estimator).__name__
    if root == "lightgbm":
        return _lightgbm(estimator, method)
    if root == "xgboost":
        return _xgboost(estimator, method)
    if root == "catboost":
        return Estimator(numbers.Function(_catboost(estimator, method)))
    if root != "sklearn":
        raise NotPlanned("%s.%s is not an estimator of a known library" % (root, name))
    if method == "predict_proba" and not hasattr(estimator, "predict_proba"):
        raise NotPlanned("%s has no predict_proba" % name)
    if name in TREES:
        answers = TREES[name](estimator, method)
        if answers is not None:
            return _of_trees(answers)
    build = KNOWN.get(name)
    made = None if build is None else build(estimator, method)
    if made is None:
        return Estimator(numbers.Function(getattr(numbers.nameless(estimator), method)), native=True)
    return Estimator(made)


def _of_trees(answers: ensembles.Answers, *then: Step) -> Estimator:
    made = Estimator(Chain([answers.step, *then]) if then else answers.step, narrow=answers.narrow)
    made.columnwise, made.told = answers.columnwise, answers.told
    return made


def _linear(estimator: Any, method: str) -> Optional[Step]:
    coefficients = estimator.coef_
    if getattr(coefficients, "ndim", 0) not in (1, 2) or hasattr(coefficients, "toarray"):
        return None
    return finishes.Linear(coefficients.T if coefficients.ndim == 2 else coefficients, estimator.intercept_)


def _logistic(estimator: Any, method: str) -> Optional[Step]:
    coefficients, intercept, classes = estimator.coef_, estimator.intercept_, estimator.classes_
    if hasattr(coefficients, "toarray"):
        return None
    if method == "predict_proba":
        return _logistic_shares(estimator)
    if method != "predict":
        return None
    if coefficients.shape[0] == 1:
        return Chain([finishes.Linear(coefficients[0], intercept[0]), finishes.Above(classes, 0.0)])
    return Chain([finishes.Linear(coefficients.T, intercept), finishes.Largest(classes)])


def _logistic_shares(estimator: Any) -> Optional[Step]:
    """Which of the two forms it is depends on solver, classes and version: the one that says the same."""
    rows = numpy.random.default_rng(13).normal(size=(16, estimator.coef_.shape[1]))
    expected = numbers.nameless(estimator).predict_proba(rows)
    sums = finishes.Linear(estimator.coef_.T, estimator.intercept_)
    for form in ([finishes.Sigmoid(1.0), finishes.Both()], [finishes.Softmax()]):
        made = Chain([sums, *form])
        found = made.run(rows)
        if found.shape == expected.shape and numpy.allclose(found, expected, rtol=1e-12, atol=1e-14):
            return made
    return None


def _lightgbm(model: Any, method: str) -> Estimator:
    booster = getattr(model, "booster_", model)
    if getattr(booster, "pandas_categorical", None):
        raise NotPlanned("LightGBM with categories of a frame")
    found = _found(boosters.lightgbm, booster)
    then = _lightgbm_answer(model, method)
    if found is not None:
        return _of_trees(found, *then)
    asked = numbers.Function(lambda matrix: booster.predict(matrix, num_threads=1))
    return Estimator(Chain([asked, *then]))


def _lightgbm_answer(model: Any, method: str) -> List[Step]:
    """What its classifier makes of the booster's answer."""
    classes = getattr(model, "classes_", None)
    if classes is None:
        return []
    if method == "predict" and getattr(model, "_le", None) is None:
        raise NotPlanned("this version of LightGBM's classifier")
    if method == "predict":
        return [finishes.Above(classes, 0.5) if len(classes) == 2 else finishes.Largest(classes)]
    return [finishes.Both()] if len(classes) == 2 else []


def _found(read: Callable[[Any], Any], model: Any) -> Any:
    """None as well where another version of the library writes its trees otherwise."""
    try:
        return read(model)
    except Exception:
        return None


def _xgboost(model: Any, method: str) -> Estimator:
    if not hasattr(model, "get_booster"):
        raise NotPlanned("a bare XGBoost Booster")
    bound = getattr(model, method)
    if getattr(model, "feature_types", None) and "c" in model.feature_types:
        raise NotPlanned("XGBoost with categories of a frame")
    classes = getattr(model, "classes_", None)
    plain = method == "predict" and (classes is None or len(classes) == 2)
    found = _found(boosters.xgboost, model) if plain else None
    if found is None:
        return Estimator(numbers.Function(lambda matrix: bound(matrix, validate_features=False)))
    return _of_trees(found, *([] if classes is None else [finishes.Above(classes, 0.0)]))


def _catboost(model: Any, method: str) -> Raw:
    """Asked with a matrix, it is spared the names and types of a frame's columns."""
    if model.get_cat_feature_indices() or model.get_text_feature_indices():
        raise NotPlanned("CatBoost with categories or texts of a frame")
    bound: Any = getattr(model, method)
    return lambda matrix: bound(matrix, thread_count=1)


KNOWN: Dict[str, Callable[[Any, str], Optional[Step]]] = {
    **dict.fromkeys(
        ("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "Lars", "LassoLars",
         "BayesianRidge", "ARDRegression", "HuberRegressor", "SGDRegressor", "LinearSVR", "QuantileRegressor",
         "TheilSenRegressor"), _linear,
    ),
    **dict.fromkeys(("LogisticRegression", "LogisticRegressionCV", "SGDClassifier", "LinearSVC", "RidgeClassifier",
                     "RidgeClassifierCV", "Perceptron"), _logistic),
}  # fmt: skip
TREES: Dict[str, Callable[[Any, str], Optional[ensembles.Answers]]] = {
    **dict.fromkeys(
        ("DecisionTreeRegressor", "DecisionTreeClassifier", "ExtraTreeRegressor", "ExtraTreeClassifier"), ensembles.tree
    ),
    **dict.fromkeys(
        ("RandomForestRegressor", "RandomForestClassifier", "ExtraTreesRegressor", "ExtraTreesClassifier"),
        ensembles.forest,
    ),
    **dict.fromkeys(("GradientBoostingRegressor", "GradientBoostingClassifier"), ensembles.boosting),
    **dict.fromkeys(("HistGradientBoostingRegressor", "HistGradientBoostingClassifier"), ensembles.histograms),
}  # fmt: skip
