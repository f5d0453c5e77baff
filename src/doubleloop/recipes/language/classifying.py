"""Classes of texts: TF-IDF and a linear model. Topics, sentiment and language detection are one trainer with defaults
of their own: which characters and words count, and which metrics are asked for.

The model takes a column ``text`` and answers ``prediction`` and ``probabilities`` (one a class, in the order of
``classes`` in MLmodel's metadata).
"""

from __future__ import annotations

import argparse
import os
import pickle
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import pandas
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import FeatureUnion, Pipeline

from ..shared.problems import BadData
from . import checkpoints, metrics, reading, saving, splitting, tuning
from . import options as choices

TEXT = "text"
PACKAGES = ("scikit-learn", "scipy")


@dataclass(frozen=True)
class Task:
    """``words`` and ``characters``: shortest and longest n-gram, None for none. ``fits``: logistic or sgd."""

    name: str
    words: tuple[int, int] | None
    characters: tuple[int, int] | None
    fits: str


TASKS = {
    each.name: each
    for each in (
        Task("text-classification", (1, 2), None, "logistic"),
        # Negations and emphasis ("not good", "soooo") lie in pairs of words and in characters.
        Task("sentiment", (1, 2), (2, 4), "logistic"),
        # Within words: languages differ in their letters and endings (Cavnar and Trenkle 1994).
        Task("language-detection", None, (1, 3), "sgd"),
    )
}


class Classifier:
    """``fitted``: a pipeline from texts to ``predict_proba``."""

    def __init__(self, fitted: Any) -> None:
        self.fitted = fitted
        self.classes = [str(each) for each in fitted.classes_]

    def shares(self, texts: Sequence[str]) -> Any:
        return self.fitted.predict_proba(list(texts)).astype(float)

    def predict(self, frame: pandas.DataFrame, params: dict[str, Any] | None = None) -> pandas.DataFrame:
        shares = self.shares(frame[TEXT].fillna("").astype(str).tolist())
        said = [self.classes[place] for place in shares.argmax(axis=1)]
        return pandas.DataFrame({"prediction": said, "probabilities": list(shares)})


def load(folder: str) -> Classifier:
    with open(os.path.join(folder, "pipeline.pkl"), "rb") as file:
        return Classifier(pickle.load(file))


def pipeline(task: Task, *, strength: float, min_texts: int, most_features: int, balanced: bool, seed: int) -> Pipeline:
    """``strength``: inverse of regularisation. ``min_texts``: n-grams of fewer texts are left out."""
    shared = {"sublinear_tf": True, "min_df": min_texts, "max_features": most_features, "dtype": numpy.float32}
    parts: list[tuple[str, Any]] = []
    if task.words:
        parts.append(("words", TfidfVectorizer(ngram_range=task.words, strip_accents=None, **shared)))
    if task.characters:
        parts.append(("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=task.characters, **shared)))
    weights = "balanced" if balanced else None
    linear: Any
    if task.fits == "sgd":
        linear = SGDClassifier(loss="log_loss", alpha=1e-5 / strength, class_weight=weights, random_state=seed)
    else:
        linear = LogisticRegression(C=10 * strength, max_iter=300, class_weight=weights)
    return Pipeline([("features", parts[0][1] if len(parts) == 1 else FeatureUnion(parts)), ("linear", linear)])


def options(parser: argparse.ArgumentParser) -> None:
    choices.common(parser)
    parser.add_argument("--label", default="label")
    parser.add_argument("--labels", default="")
    parser.add_argument("--conflicts", choices=["error", "drop"], default="error")
    parser.add_argument("--further-data", default="")
    parser.add_argument("--further-weight", type=float, default=1.0)
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--min-texts", type=choices.positive, default=1)
    parser.add_argument("--most-features", type=choices.positive, default=300_000)
    parser.add_argument("--balanced", type=choices.flag, default=False)
    tuning.options(parser)


def run(given: argparse.Namespace) -> None:
    """Raises BadData."""
    allowed = choices.words(given.labels)
    pairs = _pairs(given.training_data, given, allowed)
    if given.test_data:
        train, test = pairs, _pairs(given.test_data, given, allowed)
    else:
        train, test = _divided(pairs, given)
    weights = [1.0] * len(train)
    if given.further_data:
        if given.further_weight <= 0:
            raise BadData(f"further_weight is {given.further_weight:g}; give a number above 0, such as 1")
        judged = {reading.normalised(text) for text, _ in test}
        train += [
            pair for pair in _pairs(given.further_data, given, allowed) if reading.normalised(pair[0]) not in judged
        ]
        weights += [given.further_weight] * (len(train) - len(weights))
    counts = Counter(label for _, label in train)
    if len(counts) < 2:
        raise BadData(f"all texts to train on have the label '{next(iter(counts))}'; give texts of at least two labels")
    if given.checkpoint:
        with tuning.tuned(given, lambda place, to: tuning.classifier(place, to, train, given)) as place:
            return _checkpoint(given, place, test, counts)
    fitted = pipeline(
        TASKS[given.task], strength=given.strength, min_texts=given.min_texts, most_features=given.most_features,
        balanced=given.balanced, seed=given.seed,
    )  # fmt: skip
    try:
        fitted.fit([text for text, _ in train], [label for _, label in train], linear__sample_weight=weights)
    except ValueError as error:
        raise BadData(f"the texts hold no words to learn from ({error}); give more, or set min_texts: 1") from error
    answers = Classifier(fitted)
    evaluate(answers, test, counts, given)
    return saving.model(
        given.model, "classifier", lambda folder: _write(fitted, folder), _example(test), task=given.task,
        packages=PACKAGES, metadata={"classes": answers.classes},
    )  # fmt: skip


def _checkpoint(given: argparse.Namespace, place: str, test: list[tuple[str, str]], counts: Counter[str]) -> None:
    """The checkpoint in the folder ``place`` answers, and is judged as what is trained from nothing."""
    answers = checkpoints.Classifier(place)
    if unknown := sorted({label for _, label in test} - set(answers.classes)):
        raise BadData(
            f"the checkpoint knows the labels {', '.join(answers.classes)}, not '{unknown[0]}'; give texts with its "
            "labels" + ("" if given.epochs else ", or fine-tune it to yours: epochs: 3")
        )
    evaluate(answers, test, counts, given)
    saving.model(
        given.model, "checkpoint", lambda folder: checkpoints.write(folder, place, given.task),
        _example(test), task=given.task, packages=("torch", "transformers"), metadata={"classes": answers.classes},
    )  # fmt: skip


def _example(test: list[tuple[str, str]]) -> pandas.DataFrame:
    return pandas.DataFrame({TEXT: [text[:200] for text, _ in test[:3]]})


def _write(fitted: Any, folder: str) -> None:
    with open(os.path.join(folder, "pipeline.pkl"), "wb") as file:
        pickle.dump(fitted, file)


def _pairs(path: str, given: argparse.Namespace, allowed: list[str]) -> list[tuple[str, str]]:
    pairs = reading.labelled(
        choices.texts(path, given), given.text, given.label, allowed=allowed, conflicts=given.conflicts,
    )  # fmt: skip
    return [(str(row.values[given.text]), label) for row, label in pairs]


def _divided(
    pairs: list[tuple[str, str]], given: argparse.Namespace
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The same text stays on one side, whatever its case and white space."""
    out = splitting.held_out([reading.normalised(text) for text, _ in pairs], given.test_size, given.seed)
    sides: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
    for pair, side in zip(pairs, out, strict=True):
        sides[int(side)].append(pair)
    return sides


def evaluate(answers: Any, test: list[tuple[str, str]], counts: Mapping[str, int], given: argparse.Namespace) -> None:
    """Metrics beside those of always answering with the most frequent label; slices, and the labels one by one."""
    texts, truth = [text for text, _ in test], [label for _, label in test]
    shares = answers.shares(texts)
    said = [answers.classes[place] for place in shares.argmax(axis=1)]
    told = {**metrics.classes(truth, said), "log_loss": metrics.log_loss(truth, shares, answers.classes)}
    most = max(counts, key=lambda label: counts[label])
    whole = sum(counts.values())
    naive = numpy.tile([counts[name] / whole for name in answers.classes], (len(test), 1))
    base = {**metrics.classes(truth, [most] * len(truth)), "log_loss": metrics.log_loss(truth, naive, answers.classes)}

    def measure(rows: list[int]) -> dict[str, float]:
        return metrics.classes([truth[row] for row in rows], [said[row] for row in rows])

    predictions = {"text": texts, "label": truth, "prediction": said, "confidence": shares.max(axis=1)}
    saving.evaluation(
        given.evaluation, task=given.task, primary="macro_f1", metrics=told, baseline="most frequent label",
        baseline_metrics=base, rows={"train": whole, "test": len(test)},
        slices=choices.slices(given, texts, measure, {"label": truth}),
        tables={"predictions": pandas.DataFrame(predictions)},
    )  # fmt: skip
