"""What columns are, how rows are divided, which models vote."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from doubleloop.trainers import algorithms, columns, ensembles, features, reports, splitting, tables, tabular
from doubleloop.trainers.orders import BadData, Orders


def asked(**fields: Any) -> Orders:
    return Orders({"task": "classification", "target": "y", "metric": "accuracy", "goal": "maximize", **fields})


def frame(rows: int = 200) -> pandas.DataFrame:
    chance = numpy.random.default_rng(0)
    return pandas.DataFrame(
        {
            "row": range(rows),
            "name": [f"n{number:05d}" for number in range(rows)],
            "same": "x",
            "amount": numpy.where(chance.random(rows) < 0.1, numpy.nan, chance.normal(size=rows)),
            "code": [str(number % 7) for number in range(rows)],
            "town": chance.choice(["Rome", "Oslo", "Bonn"], rows),
            "day": [f"2024-{1 + number % 12:02d}-{1 + number % 28:02d}" for number in range(rows)],
            "said": chance.choice(["very good and cheap indeed", "bad and late and rude again"], rows),
            "flag": chance.random(rows) < 0.5,
        }
    )


def test_what_columns_are_is_seen_from_their_values_unless_it_is_said() -> None:
    found = columns.kinds(frame(), {"row": "Numeric", "same": "Hashes"})
    assert found == {
        "row": "Numeric", "name": "Ignore", "same": "Ignore", "amount": "Numeric", "code": "Numeric",
        "town": "Categorical", "day": "DateTime", "said": "Text", "flag": "Categorical",
    }  # fmt: skip
    assert columns.kinds(frame(), {})["row"] == "Ignore"
    off = columns.kinds(frame(), {}, automatic=False)
    assert set(off.values()) == {"Numeric", "Categorical"}


def test_a_model_takes_raw_rows_with_gaps_unknown_names_and_columns_in_any_order() -> None:
    table = frame()
    target = (table["town"] == "Oslo").to_numpy()
    model = Pipeline(
        [*features.build(table, {}), ("scaler", StandardScaler(with_mean=False)), ("model", LogisticRegression())]
    ).fit(table, target)
    assert model.score(table, target) == 1.0
    row = table.iloc[[0]].assign(amount=None, town="Paris", day="not a day", said=None, more=1)
    assert model.predict(row[row.columns[::-1]]).shape == (1,)
    with pytest.raises(ValueError, match="no column town"):
        model.predict(table.drop(columns=["town"]))


def test_settings_of_transformers_are_obeyed_or_refused() -> None:
    table = frame()

    def width(settings: dict[str, Any]) -> int:
        return int(Pipeline(features.build(table, settings)).fit_transform(table).shape[1])

    plain = width({})
    assert width({"blocked_transformers": ["OneHotEncoder"]}) < plain
    assert width({"blocked_transformers": ["TfIdf", "CountVectorizer"]}) < plain
    assert width({"column_name_and_types": {"town": "Ignore"}}) == plain - 3
    imputed = {
        "transformer_params": {
            "Imputer": [{"fields": ["amount"], "parameters": {"strategy": "constant", "fill_value": 9}}]
        }
    }
    steps = Pipeline(features.build(table[["amount"]], imputed)).fit_transform(table[["amount"]])
    assert (steps[table["amount"].isna().to_numpy(), 0] == 9).all()
    with pytest.raises(BadData, match="'town' is a category and has no median"):
        features.build(
            table, {"transformer_params": {"Imputer": [{"fields": ["town"], "parameters": {"strategy": "median"}}]}}
        )
    with pytest.raises(BadData, match="no column of features"):
        features.build(table, {"column_name_and_types": {"nope": "Numeric"}})
    with pytest.raises(BadData, match="no column is left"):
        features.build(table[["same"]], {})


@pytest.mark.parametrize(
    ("rows", "folds", "is_cross"), [(999, 10, True), (1000, 3, True), (20_000, 3, True), (20_001, 1, False)]
)
def test_how_trials_are_judged_depends_on_the_number_of_rows(rows: int, folds: int, is_cross: bool) -> None:
    table = pandas.DataFrame({"y": numpy.arange(rows) % 2})
    found, cross = splitting.folds(asked(), table)
    assert (len(found), cross) == (folds, is_cross)
    if is_cross:
        assert sorted(numpy.concatenate([held for _, held in found])) == list(range(rows))
    else:
        assert len(found[0][1]) == pytest.approx(rows / 10, abs=1)
    assert all(not set(train) & set(held) for train, held in found)


def test_rows_are_divided_as_the_file_says_and_alike_each_time() -> None:
    table = pandas.DataFrame({"y": numpy.arange(100) % 4, "cv": [1] * 70 + [0] * 30, "w": 1.0})
    (train, held), *more = splitting.folds(asked(fold_columns=["cv"]), table)[0]
    assert (len(train), list(held), more) == (70, list(range(70, 100)), [])
    assert [len(held) for _, held in splitting.folds(asked(folds=5), table)[0]] == [20] * 5
    assert [len(held) for _, held in splitting.folds(asked(validation_size=0.2), table)[0]] == [20]
    assert [len(held) for _, held in splitting.folds(asked(validation_size=0.2, folds=3), table)[0]] == [20] * 3
    first, second = (splitting.without_test(asked(test_size=0.25, seed=4), table) for _ in range(2))
    assert len(first[0]) == 75 and first[1] is not None and first[1].index.equals(second[1].index)  # type: ignore[union-attr]
    with pytest.raises(BadData, match="rows with 1"):
        splitting.folds(asked(fold_columns=["y"]), table[table["y"] > 1])
    with pytest.raises(BadData, match="more than the 3 rows"):
        splitting.folds(asked(folds=9), table.iloc[:3])


def test_a_stack_learns_from_probabilities_and_answers_with_labels() -> None:
    table = pandas.DataFrame({"x": numpy.linspace(-3, 3, 60), "z": 0.0})
    labels = numpy.where(table["x"] > 0, "up", "down")
    members = [LogisticRegression().fit(table, labels), LogisticRegression(C=0.01).fit(table, labels)]
    classes = numpy.array(["down", "up"])
    each = numpy.stack([tabular.aligned(member, table, classes) for member in members])
    meta = ensembles._meta(asked()).fit(ensembles.stacked(each), (labels == "up").astype(int))
    together = ensembles.Together(members, classes, meta=meta)
    assert (together.predict(table) == labels).all() and together.predict_proba(table).shape == (60, 2)
    vote = ensembles.Together(members, classes, weights=[0.75, 0.25])
    assert vote.predict_proba(table) == pytest.approx(0.75 * each[0] + 0.25 * each[1])
    missing = tabular.aligned(members[0], table, numpy.array(["down", "other", "up"]))
    assert (missing[:, 1] == 0).all() and missing.sum(axis=1) == pytest.approx(1.0)
    with pytest.raises(BadData, match="none for classification"):
        ensembles._meta(asked(stack={"stack_meta_learner_type": "ElasticNet"}))


def test_the_vote_takes_what_helps_and_never_does_worse_than_the_best() -> None:
    truth = numpy.array([0.0, 1.0, 2.0, 3.0])
    found = numpy.stack(
        [truth + numpy.array([0.5, -0.5, 0.5, -0.5]), truth - numpy.array([0.5, -0.5, 0.5, -0.5]), truth + 3]
    )

    def score(chosen: list[int]) -> float:
        return -float(numpy.abs(found[chosen].mean(axis=0) - truth).mean())

    chosen = ensembles.selected(score, [score([number]) for number in range(3)])
    assert score(chosen) == 0 and 2 not in chosen  # errors that cancel each other out
    alone = ensembles.selected(lambda chosen: -1.0 if chosen == [1] else -2.0, [-3.0, -1.0, -9.0])
    assert alone == [1]


def test_a_report_measures_what_no_trial_has_seen_and_tells_which_columns_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seed in (("train", 1), ("test", 2)):
        chance = numpy.random.default_rng(seed)
        table = pandas.DataFrame({"a": chance.normal(size=80), "b": chance.normal(size=80), "w": 1.0})
        table.assign(y=numpy.where(table["a"] > 0, "up", "down")).to_csv(tmp_path / f"{name}.csv", index=False)
    (tmp_path / "outputs").mkdir()
    monkeypatch.chdir(tmp_path)
    # As a job's copy of the trainer has it.
    monkeypatch.setattr(tables, "_reader", lambda: importlib.import_module("doubleloop.runner.parallel_tables"))
    given = argparse.Namespace(training="train.csv", validation=None, test="test.csv")
    wanted = asked(weights="w", explain=True)
    rows = tabular.Rows(wanted, tables.load("train.csv"))
    told = reports._tabular(wanted, given, LogisticRegression().fit(rows.features, rows.target))
    assert told["accuracy"] > 0.9
    saved = json.loads((tmp_path / "outputs" / "feature_importance.json").read_text())
    assert list(saved["loss_without"]) == ["a", "b"] and saved["loss_without"]["a"] > 0.2
    assert list(pandas.read_csv("outputs/predictions.csv"))[-2:] == ["y", "predicted"]


def test_a_regression_is_judged_by_folds_and_then_fitted_to_all_rows() -> None:
    size = numpy.arange(30.0, 90.0)
    table = pandas.DataFrame({"size": size, "rooms": size % 5, "w": 1.0, "price": 3 * size + 10 * (size % 5)})
    wanted = asked(task="regression", target="price", metric="r2_score", folds=3, weights="w", algorithm="ElasticNet",
                   params={"alpha": 0.001})  # fmt: skip
    rows = tabular.Rows(wanted, table)
    assert list(rows.features) == ["size", "rooms"]
    pipeline = Pipeline([*features.build(rows.features, {"mode": "off"}), *algorithms.steps(wanted)])
    result, fitted = tabular._validated(wanted, pipeline, rows)
    told = [each["r2_score"] for each in result._metrics]
    assert len(told) == 3 and min(told) > 0.99
    assert fitted.predict(rows.features) == pytest.approx(rows.target, rel=0.02)
