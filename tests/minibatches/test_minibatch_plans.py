"""Whole files through a model's plan: the referee is the model itself, asked by pandas and scikit-learn alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import mlflow
import numpy
import pandas
import pyarrow
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minibatch_runs import Bench
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from doubleloop import scorer
from doubleloop.minibatches import arrow, tables
from doubleloop.scorer import bulk, frames
from doubleloop.scorer.plans import coded, guarded

SPECS: list[dict[str, Any]] = [
    {"name": "hour", "type": "long"},
    {"name": "warmth", "type": "double", "required": False},
    {"name": "workday", "type": "boolean"},
    {"name": "weather", "type": "string", "required": False},
    {"name": "grade", "type": "integer"},
]
NAMES = [spec["name"] for spec in SPECS]


def rides(rows: int, seed: int = 5) -> pandas.DataFrame:
    rng = numpy.random.default_rng(seed)
    frame = pandas.DataFrame(
        {
            "hour": rng.integers(0, 24, rows), "warmth": rng.normal(15, 8, rows),
            "workday": rng.integers(0, 2, rows).astype(bool), "weather": rng.choice(["clear", "rain", "snow"], rows),
            "grade": rng.integers(1, 4, rows).astype("int32"),
        }
    )  # fmt: skip
    frame.loc[rng.random(rows) < 0.1, "warmth"] = numpy.nan
    return frame


def _prepared(texts: Any) -> Any:
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    return make_column_transformer(
        (numbers, ["hour", "warmth", "workday"]), (texts, ["weather"]), (OneHotEncoder(drop="first"), ["grade"]),
        sparse_threshold=0,
    )  # fmt: skip


ONE_HOT = OneHotEncoder(handle_unknown="ignore")
ORDINAL = make_pipeline(
    SimpleImputer(strategy="most_frequent"), OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
)
MODELS = {
    "boosting": make_pipeline(_prepared(ONE_HOT), GradientBoostingRegressor(n_estimators=15, random_state=0)),
    "forest": make_pipeline(_prepared(ORDINAL), RandomForestClassifier(n_estimators=9, random_state=0)),
    "logistic": make_pipeline(_prepared(ORDINAL), LogisticRegression()),
    "line": make_pipeline(_prepared(ONE_HOT), LinearRegression()),
}


@pytest.fixture(scope="module")
def ways() -> dict[str, tuple[Any, bulk.Bulk]]:
    train = rides(400)
    target = train["hour"] + train["warmth"].fillna(0) * (train["weather"] == "rain")
    builder = frames.FrameBuilder(SPECS)
    found = {}
    for name, model in MODELS.items():
        model.fit(train, target > 15 if name in ("forest", "logistic") else target)
        planned = guarded.Guarded(
            model,
            SPECS,
            "predict",
            lambda columns, rows, model=model: model.predict(builder.build(columns, rows, True)),
        )
        assert planned.used, planned.why
        found[name] = (model, bulk.Bulk(planned, SPECS))
    return found


def batch(frame: pandas.DataFrame, dictionary: bool) -> pyarrow.RecordBatch:
    made = pyarrow.RecordBatch.from_pandas(frame[NAMES], preserve_index=False)
    if dictionary:
        place = NAMES.index("weather")
        made = made.set_column(place, "weather", made.column(place).cast(pyarrow.string()).dictionary_encode())
    return made


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("dictionary", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.3, 1.0])
def test_a_table_gets_the_answers_of_the_model(
    ways: dict[str, tuple[Any, bulk.Bulk]], name: str, dictionary: bool, missing: float
) -> None:
    model, way = ways[name]
    frame = rides(5000, seed=8)
    if name != "boosting" or missing < 1:
        frame["weather"] = frame["weather"].where(numpy.random.default_rng(1).random(5000) >= missing)
    frame.loc[7, "weather"] = "hail"  # no model has seen it
    columns = arrow.columns(batch(frame, dictionary), way.names, way.types, coded)
    assert columns is not None
    found = way.predict(columns, len(frame))
    expected = model.predict(frame)
    assert found.shape == expected.shape
    assert (found == expected).all() if name in ("forest", "logistic") else found == pytest.approx(expected, rel=1e-12)


def test_what_is_of_another_type_is_left_to_the_model(ways: dict[str, tuple[Any, bulk.Bulk]]) -> None:
    _, way = ways["line"]

    def found(frame: pandas.DataFrame, dictionary: bool = False) -> Any:
        return arrow.columns(batch(frame, dictionary), way.names, way.types, coded)

    good = rides(20)
    assert found(good) is not None
    for wrong in (
        good.assign(hour=good["hour"].astype(float)), good.assign(grade=good["grade"].astype("int64") + 2**40),
        good.assign(warmth=good["warmth"].astype(str)), good.assign(workday=1), good.assign(weather=3),
        good.assign(hour=pandas.array([None, *[1] * 19], dtype="Int64")),
    ):  # fmt: skip
        assert found(wrong) is None
    lacking = pyarrow.RecordBatch.from_pandas(good.drop(columns="hour"))
    assert arrow.columns(lacking, way.names, way.types, coded) is None


@given(st.lists(st.sampled_from(["a", "b", None, "ß"]), max_size=40), st.lists(st.text(max_size=2), max_size=5))
@settings(max_examples=60, deadline=None)
def test_codes_say_what_the_column_said(values: list[str | None], unused: list[str]) -> None:
    words = list(dict.fromkeys([*unused, *(each for each in values if each is not None)]))
    column = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([None if each is None else words.index(each) for each in values], pyarrow.int32()),
        pyarrow.array(words, pyarrow.string()),
    )
    found = arrow.texts(column, coded)
    assert found is not None
    assert [found.distinct[code] for code in found.codes] == values
    assert set(found.distinct) == set(values) and len(found.distinct) == len(set(values))
    half = found.part(0, len(values) // 2)
    assert [half.distinct[code] for code in half.codes] == values[: len(values) // 2]


def test_numbers_are_coded_with_their_missing_ones() -> None:
    found = coded.coded(numpy.array([3.0, float("nan"), 1.0, float("nan"), 3.0]))
    assert len(found.distinct) == 3
    numpy.testing.assert_array_equal([found.distinct[code] for code in found.codes], [3, numpy.nan, 1, numpy.nan, 3])


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frame = pandas.DataFrame({"hours": [1.0, 2.0, 3.5, 4.0], "ages": [1.0, 5.0, 2.0, 9.0]})
    fitted = LinearRegression().fit(frame, 2 * frame["hours"] + frame["ages"])
    folder = tmp_path_factory.mktemp("model") / "model"
    signature = mlflow.models.infer_signature(frame, pandas.DataFrame({"total": [1.0]}))
    mlflow.sklearn.save_model(fitted, folder, signature=signature, pip_requirements=["scikit-learn"])
    return folder


def scored(bench: Bench, model: Path, compiled: bool = True, **given: Any) -> tuple[int, str]:
    code = str(Path(scorer.__file__).parent)
    entry = {"kind": "mlflow", "model": str(model), "scorer": code, "compile": compiled}
    return bench.run(entry=entry, model_dir=str(model.parent), append_to=str(bench.root / "out" / "o.parquet"), **given)


@pytest.mark.slow
def test_a_plan_scores_files_of_all_kinds_and_the_summary_says_so(bench: Bench, line: Path) -> None:
    data = bench.root / "data"
    frame = pandas.DataFrame({"ages": [1.0, 2.0], "other": ["a", "b"], "hours": [1.5, numpy.nan]})
    frame = frame.fillna(2.0)
    frame.to_csv(data / "a.csv", index=False)
    frame.to_parquet(data / "b.parquet")
    (data / "c.csv").write_text("hours,ages\n1,old\n")
    code, said = scored(bench, line)
    assert code == 0, said
    assert bench.summary()["plan"]["used"] is True
    assert bench.summary()["failed"][0]["error"].startswith("column 'ages', row 0 takes double: 'old'")
    found = pandas.read_parquet(bench.root / "out" / "o.parquet")
    assert found["total"].to_numpy() == pytest.approx([4, 6] * 2)


@pytest.mark.slow
def test_after_a_disagreement_the_model_scores_everything_again(
    bench: Bench, line: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """scikit-learn itself, changed for this test, answers otherwise when a value is huge: no row of the probes is."""
    (bench.root / "code" / "sitecustomize.py").write_text(
        "from sklearn.linear_model import LinearRegression\n"
        "known = LinearRegression.predict\n"
        "def predict(self, X):\n"
        "    found = known(self, X)\n"
        "    return found * 2.0 if float(X.to_numpy().max()) > 1e12 else found\n"
        "LinearRegression.predict = predict\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.fspath(bench.root / "code"))
    for number, hours in enumerate([1.0, 2.0, 1e13, 4.0]):
        table = pyarrow.table({"hours": [hours] * 3, "ages": [0.0] * 3})
        parquet.write_table(table, bench.root / "data" / f"{number}.parquet")
    code, said = scored(bench, line, size=1)
    assert code == 0, said
    assert "the model itself scores, 2 mini-batches again" in said
    summary = bench.summary()
    assert summary["plan"]["used"] is False and "row 0" in summary["plan"]["why"]
    assert (summary["finished"], summary["results"], summary["failed_files"]) == (4, 4, 0)
    found = pandas.read_parquet(bench.root / "out" / "o.parquet")
    assert found["total"].to_numpy() == pytest.approx([2, 2, 2, 4, 4, 4, 4e13, 4e13, 4e13, 8, 8, 8])


@pytest.mark.slow
def test_compile_off_leaves_it_to_the_model(bench: Bench, line: Path) -> None:
    parquet.write_table(pyarrow.table({"hours": [1.0], "ages": [2.0]}), bench.root / "data" / "a.parquet")
    code, said = scored(bench, line, compiled=False)
    assert code == 0, said
    assert bench.summary()["plan"] == {"used": False, "why": "compile: off"}


def test_without_pyarrow_the_model_itself_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = rides(300)
    model = MODELS["line"].fit(frame, frame["hour"] * 2.0)
    signature = mlflow.models.infer_signature(frame, model.predict(frame))
    mlflow.sklearn.save_model(
        model, str(tmp_path / "model"), signature=signature, pip_requirements=[], serialization_format="cloudpickle"
    )  # fmt: skip
    frame.to_csv(tmp_path / "rides.csv", index=False)
    monkeypatch.setattr(tables, "_has_arrow", lambda: False)
    read = tables.Model(str(tmp_path / "model"), str(Path(scorer.__file__).parent))
    assert read.plan["used"] is False and read.plan["why"] == "pyarrow is not installed"
    read.begin()
    item = {"row": 0, "path": "", "groups": None}
    answers = pandas.concat(read.score(str(tmp_path / "rides.csv"), item, planned=True))
    numpy.testing.assert_allclose(answers["prediction"].to_numpy(), model.predict(frame))
