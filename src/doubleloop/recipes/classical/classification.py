"""Classification of rows: two classes, several, or any number of labels at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy
import pandas
from sklearn import metrics
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from ..shared import evaluations, saving, tables
from ..shared.problems import BadData, missing
from . import features, inputs

METHODS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "logistic_regression": lambda given: LogisticRegression(
        C=given.inverse_regularization, max_iter=2000, class_weight="balanced" if given.balanced else None
    ),
    "random_forest": lambda given: RandomForestClassifier(
        given.trees, min_samples_leaf=2, class_weight="balanced" if given.balanced else None, random_state=given.seed
    ),
    "gradient_boosting": lambda given: HistGradientBoostingClassifier(
        max_iter=given.trees, learning_rate=given.learning_rate, max_leaf_nodes=given.leaves,
        class_weight="balanced" if given.balanced else None, early_stopping=False, random_state=given.seed,
    ),
}  # fmt: skip


def options(parser: argparse.ArgumentParser) -> None:
    inputs.options(parser)
    parser.add_argument("--task", choices=["binary", "multiclass", "multilabel"], required=True)
    parser.add_argument("--method", choices=sorted(METHODS), default="logistic_regression")
    parser.add_argument("--positive-label", default="")
    parser.add_argument("--inverse-regularization", type=inputs.positive, default=1.0)
    parser.add_argument("--trees", type=inputs.count, default=200)
    parser.add_argument("--learning-rate", type=inputs.positive, default=0.1)
    parser.add_argument("--leaves", type=inputs.count, default=31)
    parser.add_argument("--balanced", type=inputs.flag, default=False)


def run(given: argparse.Namespace) -> None:
    data = inputs.read(given, _labels, stratified=True)
    classes = sorted(set(data.train_target.tolist()))
    _check_classes(given, data, classes)
    columns = features.choose(data.train, data.apart, "the training data")
    train, test = features.rows(data.train, columns), features.rows(data.test, columns)
    model = features.prepared(columns, METHODS[given.method](given), scaled=given.method == "logistic_regression")
    model.fit(train, data.train_target)
    baseline = DummyClassifier(strategy="prior").fit(train, data.train_target)
    positive = _positive(given.positive_label, classes) if given.task == "binary" else None
    found, chances = model.predict(test), model.predict_proba(test)
    truth = data.test_target
    evaluations.write(
        given.evaluation, task=f"{given.task} classification", primary="auc" if given.task == "binary" else "macro_f1",
        metrics=scores(truth, found, chances, classes, positive), baseline="majority class",
        baseline_metrics=scores(truth, baseline.predict(test), baseline.predict_proba(test), classes, positive),
        rows={"train": len(train), "test": len(test)},
        slices=evaluations.sliced(
            data.test, data.slices,
            lambda mask: scores(truth[mask], found[mask], chances[mask], classes, positive),
        ),
        more={"classes": classes, **({"positive_label": positive} if positive is not None else {})},
    )  # fmt: skip
    save(given, model, train, f"{given.task} classification")


def save(given: argparse.Namespace, model: Pipeline, train: pandas.DataFrame, task: str) -> None:
    import mlflow.sklearn

    example = train.iloc[:3]
    saving.write(
        given.model,
        lambda path, **told: mlflow.sklearn.save_model(model, path, serialization_format="cloudpickle", **told),
        example=example, answer=model.predict(example), packages=("scikit-learn", "pandas", "numpy", "scipy"),
        metadata={"task": task, "method": given.method, "target": given.target},
    )  # fmt: skip


def scores(truth: Any, found: Any, chances: Any, classes: list[Any], positive: Any) -> dict[str, float]:
    """``truth``, ``found``: (n,) labels; ``chances``: (n, classes). A metric that is not defined is not a number: AUC
    where only one class is there."""
    answer = {
        "accuracy": metrics.accuracy_score(truth, found),
        "balanced_accuracy": float(
            numpy.mean([numpy.mean(found[truth == each] == each) for each in set(truth.tolist())])
        ),
        "macro_f1": metrics.f1_score(truth, found, average="macro", zero_division=0.0),
        "log_loss": metrics.log_loss(truth, chances, labels=classes),
    }
    whole = set(truth.tolist()) == set(classes)
    if positive is not None:
        told = {"pos_label": positive, "zero_division": 0.0}
        chance = chances[:, classes.index(positive)]
        answer["precision"] = metrics.precision_score(truth, found, **told)
        answer["recall"] = metrics.recall_score(truth, found, **told)
        answer["f1"] = metrics.f1_score(truth, found, **told)
        answer["auc"] = metrics.roc_auc_score(truth == positive, chance) if whole else float("nan")
        answer["average_precision"] = metrics.average_precision_score(truth == positive, chance)
    else:
        answer["auc"] = (
            metrics.roc_auc_score(truth, chances, multi_class="ovr", labels=classes) if whole else float("nan")
        )
    return {name: float(value) for name, value in answer.items()}


def _labels(values: pandas.Series, where: str) -> numpy.ndarray:
    """Labels as they are written: whole numbers, true and false, or texts."""
    known = tables.complete(values, where)
    if pandas.api.types.is_float_dtype(known) and (known == known.round()).all():
        known = known.astype("int64")
    if not (pandas.api.types.is_integer_dtype(known) or pandas.api.types.is_bool_dtype(known)):
        known = known.astype(str)
    return numpy.asarray(known.tolist(), dtype=None if known.dtype.kind in "iub" else object)


def _check_classes(given: argparse.Namespace, data: inputs.Data, classes: list[Any]) -> None:
    if given.task == "binary" and len(classes) != 2:
        shown = ", ".join(map(str, classes[:10])) + (" ..." if len(classes) > 10 else "")
        cure = "use multiclass_classification" if len(classes) > 2 else "give rows of both classes"
        raise BadData(f"column '{given.target}' has {len(classes)} classes ({shown}), not two; {cure}")
    if len(classes) < 2:
        raise BadData(f"column '{given.target}' has the one class {classes[0]}; give rows of at least two")
    unknown = [each for each in data.test_target.tolist() if each not in classes]
    if unknown:
        row = data.test_target.tolist().index(unknown[0]) + 1
        raise missing("class", str(unknown[0]), classes, f"the training data (it is in row {row} of the test data)")


def _positive(wanted: str, classes: list[Any]) -> Any:
    """The class that is looked for: as said, else the one that sorts last (1 of 0 and 1, yes of no and yes)."""
    named = {str(each).lower() if isinstance(each, bool) else str(each): each for each in classes}
    if wanted and wanted not in named:
        raise missing("class", wanted, named, "the target")
    return named[wanted] if wanted else classes[-1]
