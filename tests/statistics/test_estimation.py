"""Estimated performance: exact where scores are probabilities, near NannyML's estimates and the truth elsewhere."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn import isotonic, linear_model
from sklearn import metrics as referee
from sklearn.ensemble import HistGradientBoostingRegressor

from doubleloop.base import errors
from doubleloop.statistics import boosting, calibration, estimation


def binary(seed: int, rows: int, power: float, shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    scores = np.clip(generator.random(rows) * (1 - shift) + shift * generator.random(rows) ** 2, 0, 1)
    truth = (generator.random(rows) < scores**power).astype(int)
    return scores, (scores >= 0.5).astype(int), truth


# nannyml 0.13.1: CBPE(metrics=…, problem_type="classification_binary", chunk_number=1) fitted on
# binary(1, 5000, power, 0) and asked about binary(2, 4000, power, 0.7), written down once.
NANNYML = {
    1.0: {"accuracy": 0.72501, "precision": 0.69191, "recall": 0.53455, "f1": 0.60314, "roc_auc": 0.78190},
    2.0: {"accuracy": 0.79154, "precision": 0.50303, "recall": 0.72241, "f1": 0.59308, "roc_auc": 0.84464},
}


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_two_classes_are_estimated_as_nannyml_does_and_near_the_truth(power):
    scores, _, truth = binary(1, 5_000, power, 0.0)
    model = estimation.confidence(truth, scores)
    scores, predicted, truth = binary(2, 4_000, power, 0.7)
    found = model.estimate(predicted, scores)
    assert found == pytest.approx(NANNYML[power], abs=0.02)
    true = {
        "accuracy": referee.accuracy_score(truth, predicted), "precision": referee.precision_score(truth, predicted),
        "recall": referee.recall_score(truth, predicted), "f1": referee.f1_score(truth, predicted),
        "roc_auc": referee.roc_auc_score(truth, scores),
    }  # fmt: skip
    assert found == pytest.approx(true, abs=0.03)


def several(seed: int, rows: int, sharp: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    raised = np.exp(generator.normal(size=(rows, 3)) * sharp)
    shares = raised / raised.sum(axis=1, keepdims=True)
    which = (generator.random(rows)[:, None] > shares.cumsum(axis=1)).sum(axis=1)
    scores = shares**1.7 / (shares**1.7).sum(axis=1, keepdims=True)  # too sure of itself
    names = np.array(list("abc"))
    return scores, names[scores.argmax(axis=1)], names[which]


def test_three_classes_are_estimated_as_nannyml_does_and_near_the_truth():
    scores, _, truth = several(3, 6_000, 1.5)
    model = estimation.confidence(truth, scores)
    assert model.classes == ("a", "b", "c")
    scores, predicted, truth = several(4, 5_000, 0.8)
    found = model.estimate(predicted, scores)
    # nannyml 0.13.1, problem_type="classification_multiclass", on the same rows
    assert found == pytest.approx(
        {"accuracy": 0.56272, "precision": 0.56270, "recall": 0.56290, "f1": 0.56270, "roc_auc": 0.74531}, abs=0.01
    )
    assert found["accuracy"] == pytest.approx(referee.accuracy_score(truth, predicted), abs=0.02)
    assert found["f1"] == pytest.approx(referee.f1_score(truth, predicted, average="macro"), abs=0.02)


def test_metrics_of_certain_scores_are_the_metrics_themselves():
    model = estimation.Confidence(("0", "1"), (None, None))
    truth, predicted = np.array([0, 1, 1, 0, 1, 1]), np.array([0, 1, 0, 1, 1, 0])
    found = model.estimate(predicted, truth.astype(float))
    assert found["accuracy"] == referee.accuracy_score(truth, predicted)
    assert found["precision"] == referee.precision_score(truth, predicted)
    assert found["recall"] == referee.recall_score(truth, predicted)
    assert found["f1"] == referee.f1_score(truth, predicted)
    assert found["roc_auc"] == 1.0
    assert "precision" not in model.estimate([0, 0], [0.1, 0.2]), "nobody was predicted as the class"


def test_what_cannot_be_estimated_says_why():
    model = estimation.Confidence(("0", "1"), (None, None))
    for predicted, scores, words in (([2], [0.5], "not among"), ([1], [[0.1, 0.2, 0.7]], "scores for 3 classes"),
                                     ([None], [0.5], "no row"), ([1, 1], [0.5], "2 labels")):  # fmt: skip
        with pytest.raises(errors.InvalidInput, match=words):
            model.estimate(predicted, scores)
    with pytest.raises(errors.InvalidInput, match="two are needed"):
        estimation.confidence([1, 1], [0.5, 0.4])


def test_curves_are_scikit_learns():
    scores, _, truth = binary(8, 800, 2.0, 0.0)
    hits = truth == 1
    grid = np.linspace(0, 1, 57)
    stairs = isotonic.IsotonicRegression(out_of_bounds="clip").fit(scores, truth)
    assert calibration.Isotonic.fit(scores.round(2), hits)(grid) == pytest.approx(
        isotonic.IsotonicRegression(out_of_bounds="clip").fit(scores.round(2), truth).predict(grid), abs=1e-12
    )
    assert calibration.Isotonic.fit(scores, hits)(grid) == pytest.approx(stairs.predict(grid), abs=1e-12)
    # With thousands of rows Platt's smoothing of the targets is nothing, and the curve is plain logistic regression.
    scores, _, truth = binary(9, 20_000, 2.0, 0.0)
    plain = linear_model.LogisticRegression(C=1e12).fit(scores[:, None], truth)
    assert calibration.Platt.fit(scores, truth == 1)(grid) == pytest.approx(
        plain.predict_proba(grid[:, None])[:, 1], abs=1e-3
    )
    with pytest.raises(errors.InvalidInput, match="both sides"):
        calibration.Platt.fit(scores, np.ones(20_000, dtype=bool))


def prices(seed: int, rows: int, low: float, high: float) -> tuple[pl.DataFrame, np.ndarray]:
    generator = np.random.default_rng(seed)
    x, k = generator.uniform(low, high, rows), generator.integers(0, 3, rows)
    truth = 10 * x + generator.normal(size=rows) * (0.5 + x + k)
    return pl.DataFrame({"x": x, "k": k.astype(str), "prediction": 10 * x}), truth


def test_losses_are_estimated_as_nannyml_does_and_near_the_truth():
    frame, truth = prices(5, 8_000, 0, 4)
    model = estimation.losses(frame, truth, frame["prediction"])
    frame, truth = prices(6, 4_000, 2, 4)  # only where the model is bad
    found = model.estimate(frame)
    wrong = np.abs(truth - frame["prediction"].to_numpy())
    # nannyml 0.13.1: DLE(feature_column_names=["x", "k"], metrics=["mae", "mse", "rmse"], chunk_number=1)
    assert found == pytest.approx({"mae": 3.571, "mse": 21.397, "rmse": 4.626}, rel=0.03)
    assert found["mae"] == pytest.approx(wrong.mean(), rel=0.03)
    assert found["mse"] == pytest.approx((wrong**2).mean(), rel=0.05)


def test_the_small_model_is_about_as_good_as_scikit_learns():
    generator = np.random.default_rng(12)
    x = generator.normal(size=(6_000, 4))
    y = np.sin(2 * x[:, 0]) + x[:, 1] * (x[:, 2] > 0) + generator.normal(size=6_000) * 0.3
    names = list("abcd")
    learnt, kept = pl.DataFrame(x[:4_000], schema=names), pl.DataFrame(x[4_000:], schema=names)
    model = boosting.fit(learnt, y[:4_000])
    theirs = HistGradientBoostingRegressor(random_state=0).fit(x[:4_000], y[:4_000]).predict(x[4_000:])
    ours = referee.r2_score(y[4_000:], model.predict(kept))
    assert ours > referee.r2_score(y[4_000:], theirs) - 0.03
    assert min(model.gains[name] for name in "abc") > 20 * model.gains["d"], "what does not matter gains nothing"
    again = model.predict(kept.select("d", "c", "b", "a"))
    assert np.array_equal(again, model.predict(kept)), "columns are found by name"


def test_labels_and_holes_have_places_in_the_small_model():
    generator = np.random.default_rng(13)
    kind = generator.choice(["low", "high", None], 3_000)
    y = np.where(kind == "high", 5.0, np.where(kind == "low", 1.0, 3.0))
    model = boosting.fit({"kind": kind.tolist(), "x": generator.random(3_000)}, y)
    found = model.predict({"kind": ["low", "high", None, "never seen"], "x": [0.5, 0.5, None, 0.5]})
    assert found[:3] == pytest.approx([1, 5, 3], abs=0.05)
    assert found[3] == pytest.approx(3, abs=0.05), "a new label is like a missing one"
    with pytest.raises(errors.InvalidInput, match="no column 'x'"):
        model.predict({"kind": ["low"]})
    with pytest.raises(errors.InvalidInput, match="too few"):
        boosting.fit({"x": [1.0] * 30}, np.ones(30))
