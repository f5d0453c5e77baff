"""Trees of scikit-learn's: their sums by the quickest of ``ways``, and the answer that the estimator makes of them.

The library's own compiled code is asked on the 32 bits that it takes itself; the other ways are taken only when their
sums are the same to the last bit.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

import numpy

from . import finishes, numbers, trees, ways
from .steps import Chain, Step

Raw = Callable[[Any], Any]


class Answers:
    """``step``: from a matrix to an estimator's answers. ``narrow``: it takes 32 bits. ``columnwise``: with many rows
    it is quickest when each column of the matrix lies in one piece. ``told``: as of ``ways.Ways``."""

    def __init__(self, step: Step, told: Dict[str, Any], narrow: bool) -> None:
        self.step, self.told, self.narrow = step, told, narrow
        self.columnwise = ways.BITS in told["by_rows"].values()


def summed(library: Raw, known: trees.Trees, *finish: Step) -> Answers:
    """``library`` gives the sums of ``known``; ``finish`` makes answers of sums."""
    chosen = ways.Ways(library, known)
    return Answers(Chain([chosen, *finish]), chosen.told, known.dtype == numpy.float32)


def _narrow(matrix: Any) -> Any:
    """As scikit-learn's trees take it: 32 bits, row by row."""
    return numpy.ascontiguousarray(matrix, dtype=numpy.float32)


def tree(estimator: Any, method: str) -> Optional[Answers]:
    if estimator.n_outputs_ != 1 or (hasattr(estimator, "classes_") and _counts_samples(estimator)):
        return None
    return _mean([estimator.tree_], getattr(estimator, "classes_", None), method)


def _leaf(values: Any) -> Any:
    return values[:, 0] if values.ndim == 3 else values


def forest(estimator: Any, method: str) -> Optional[Answers]:
    """The mean over the trees, added up in their order."""
    if estimator.n_outputs_ != 1:
        return None
    classes = getattr(estimator, "classes_", None)
    if classes is not None and _counts_samples(estimator.estimators_[0]):
        return None
    return _mean([each.tree_ for each in estimator.estimators_], classes, method)


def _mean(grown: List[Any], classes: Any, method: str) -> Answers:
    width = 1 if classes is None else len(classes)

    def total(matrix: Any) -> Any:
        narrow = _narrow(matrix)
        found = numpy.zeros((len(narrow), width))
        for each in grown:
            found += _leaf(each.predict(narrow))[:, :width]
        return found

    known = [trees.of_sklearn(each, width=width) for each in grown]
    finish: List[Step] = [finishes.Mean(len(grown))]
    if classes is None:
        finish.append(finishes.Flat())
    elif method != "predict_proba":
        finish.append(finishes.Largest(classes))
    return summed(total, trees.Trees(known, [0] * len(known), numpy.zeros(width), numpy.float32, missing=True), *finish)


def _counts_samples(estimator: Any) -> bool:
    """Before scikit-learn 1.3 the leaves of a classifier hold counts, which must become shares first."""
    values = estimator.tree_.value[0].ravel()
    return bool(abs(values.sum() - 1.0) > 1e-9)


def boosting(estimator: Any, method: str) -> Optional[Answers]:
    """``GradientBoosting*``: the first guess, and the trees' leaves on top of it, times the learning rate."""
    raw = getattr(estimator, "_raw_predict_init", None)
    try:
        from sklearn.ensemble._gradient_boosting import predict_stages
    except ImportError:
        return None
    first = None if raw is None else _first_guess(estimator)
    classes = getattr(estimator, "classes_", None)
    if first is None or (classes is not None and method != "predict"):
        return None
    stages, rate = estimator.estimators_, float(estimator.learning_rate)

    def staged(matrix: Any) -> Any:
        narrow = _narrow(matrix)
        found = numpy.repeat(first, len(narrow), axis=0)
        predict_stages(stages, narrow, rate, found)
        return found

    known = [trees.of_sklearn(each.tree_, rate) for each in stages.ravel()]
    columns = list(range(stages.shape[1])) * len(stages)
    return summed(staged, trees.Trees(known, columns, first, numpy.float32), finishes.decided(classes, 0.0, True))


def _first_guess(estimator: Any) -> Any:
    """The same for every row unless it is a model of its own: then None."""
    init = estimator.init_
    if init != "zero" and type(init).__name__ not in ("DummyRegressor", "DummyClassifier"):
        return None
    return numpy.array(estimator._raw_predict_init(numpy.zeros((1, estimator.n_features_in_), dtype=numpy.float32)))


def histograms(estimator: Any, method: str) -> Optional[Answers]:
    """``HistGradientBoosting*``: its own trees, one after the other, in one thread."""
    predictors = getattr(estimator, "_predictors", None)
    if not predictors or getattr(estimator, "is_categorical_", None) is not None:
        return None
    if getattr(estimator, "_preprocessor", None) is not None or not hasattr(estimator, "_bin_mapper"):
        return None
    classes = getattr(estimator, "classes_", None)
    loss: Any = getattr(estimator, "_loss", None)
    if method != "predict" if classes is not None else not hasattr(loss, "link"):
        return None
    bits, positions = estimator._bin_mapper.make_known_categories_bitsets()
    baseline = numpy.asarray(estimator._baseline_prediction)

    def staged(matrix: Any) -> Any:
        wide = numpy.ascontiguousarray(matrix, dtype=numpy.float64)
        scores = numpy.zeros((len(wide), len(predictors[0])), order="F")
        scores += baseline
        for stage in predictors:
            for column, each in enumerate(stage):
                scores[:, column] += each.predict(wide, bits, positions, 1)
        return scores

    known = [trees.of_histograms(each) for stage in predictors for each in stage]
    columns = list(range(len(predictors[0]))) * len(predictors)
    finish = [finishes.decided(classes, 0.0, False)] if classes is not None else [finishes.Flat(), _link(loss.link)]
    return summed(staged, trees.Trees(known, columns, baseline, numpy.float64, missing=True), *finish)


def _link(link: Any) -> Step:
    """From the scale of the trees to that of the answers."""
    known: Dict[str, Step] = {"IdentityLink": numbers.Same(), "LogLink": finishes.Named("exp")}
    return known.get(type(link).__name__) or numbers.Function(link.inverse)
