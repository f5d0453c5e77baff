"""Plans against the models they stand for: the referee is scikit-learn itself, asked through the frame as before."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from pathlib import Path
from typing import Any

import lightgbm
import mlflow
import numpy
import pandas
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor
from gateway_harness import Gateway, deployment, endpoint, wait_for
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier, XGBRegressor

from doubleloop.gateway import near
from doubleloop.gateway import wire as gateway_wire
from doubleloop.scorer import frames, mlflow_model, wire, work
from doubleloop.scorer.plans import coded, comparing, guarded, portable, rows

NUMBERS = ["hour", "temperature", "humidity"]
TEXTS = ["weather", "season"]


def _rides() -> tuple[pandas.DataFrame, dict[str, Any]]:
    rng = numpy.random.default_rng(3)
    rows = 240
    frame = pandas.DataFrame(
        {
            "hour": rng.integers(0, 24, rows), "temperature": rng.normal(15, 8, rows),
            "humidity": rng.uniform(0, 1, rows) * 1e4, "workday": rng.integers(0, 2, rows).astype(bool),
            "weather": rng.choice(["clear", "rain", "snow", "ß"], rows), "season": rng.choice(["s", "w"], rows),
        }
    )  # fmt: skip
    count = frame["hour"] * 3.0 + frame["temperature"] + 10.0 * frame["workday"] - 9.0 * (frame["weather"] == "rain")
    return frame, {
        "count": count, "many": (count > count.median()).astype(int),
        "level": pandas.cut(count, 3, labels=["low", "mid", "high"]).astype(str),
    }  # fmt: skip


RIDES, TARGETS = _rides()
# Numbers may be missing, but for the whole ones; so may texts.
SPECS = [
    {"name": "hour", "type": "long", "required": True}, {"name": "temperature", "type": "double", "required": False},
    {"name": "humidity", "type": "double", "required": True}, {"name": "workday", "type": "boolean", "required": True},
    {"name": "weather", "type": "string", "required": False}, {"name": "season", "type": "string", "required": True},
]  # fmt: skip


def _prepared(sparse: bool = False) -> Any:
    texts = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore", sparse_output=sparse)
    )
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    return ColumnTransformer([("n", numbers, NUMBERS), ("t", texts, TEXTS)], remainder="passthrough")


def _own(matrix: Any) -> Any:
    return matrix * 2


CAT = {"verbose": False, "allow_writing_files": False, "thread_count": 1}
_CURVED = make_pipeline(MinMaxScaler(clip=True), PolynomialFeatures(2), PCA(3))
PLANNED = {
    "gradient boosting": (make_pipeline(_prepared(), GradientBoostingRegressor(n_estimators=15)), "count", "predict"),
    "boosted classes": (make_pipeline(_prepared(), GradientBoostingClassifier(n_estimators=5)), "level", "predict"),
    "histograms": (make_pipeline(_prepared(), HistGradientBoostingRegressor(max_iter=10)), "count", "predict"),
    "histogram classes": (make_pipeline(_prepared(), HistGradientBoostingClassifier(max_iter=5)), "many", "predict"),
    "forest": (make_pipeline(_prepared(True), RandomForestRegressor(8)), "count", "predict"),
    "forest shares": (make_pipeline(_prepared(), RandomForestClassifier(8)), "level", "predict_proba"),
    "line": (make_pipeline(_prepared(), Ridge()), "count", "predict"),
    "classes": (make_pipeline(_prepared(), LogisticRegression(max_iter=500)), "level", "predict"),
    "shares": (make_pipeline(_prepared(), LogisticRegression(max_iter=500)), "many", "predict_proba"),
    "shares of three": (make_pipeline(_prepared(), LogisticRegression(max_iter=500)), "level", "predict_proba"),
    "tree": (make_pipeline(_prepared(), DecisionTreeClassifier(max_depth=4)), "level", "predict"),
    "not known better": (make_pipeline(_prepared(), SVC()), "many", "predict"),
    "codes and leftovers": (
        make_pipeline(
            make_column_transformer(
                (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), TEXTS),
                (RobustScaler(), ["humidity"]), ("drop", ["workday"]), remainder="passthrough",
            ),
            HistGradientBoostingRegressor(max_iter=5),
        ), "count", "predict",
    ),
    "lightgbm": (make_pipeline(_prepared(), LGBMRegressor(n_estimators=9, verbose=-1)), "count", "predict"),
    "lightgbm classes": (make_pipeline(_prepared(), LGBMClassifier(n_estimators=5, verbose=-1)), "level", "predict"),
    "lightgbm two": (make_pipeline(_prepared(), LGBMClassifier(n_estimators=5, verbose=-1)), "many", "predict"),
    "lightgbm shares": (
        make_pipeline(_prepared(), LGBMClassifier(n_estimators=5, verbose=-1)), "many", "predict_proba"
    ),
    "xgboost": (make_pipeline(_prepared(), XGBRegressor(n_estimators=9)), "count", "predict"),
    "xgboost two": (make_pipeline(_prepared(), XGBClassifier(n_estimators=5)), "many", "predict"),
    "xgboost shares": (make_pipeline(_prepared(), XGBClassifier(n_estimators=5)), "many", "predict_proba"),
    "catboost": (make_pipeline(_prepared(), CatBoostRegressor(iterations=9, **CAT)), "count", "predict"),
    "catboost classes": (make_pipeline(_prepared(), CatBoostClassifier(iterations=5, **CAT)), "level", "predict"),
    "catboost shares": (make_pipeline(_prepared(), CatBoostClassifier(iterations=5, **CAT)), "many", "predict_proba"),
    "a search about a target in logarithms": (
        GridSearchCV(
            TransformedTargetRegressor(
                make_pipeline(
                    make_column_transformer((_CURVED, ["hour", "humidity"])),
                    LinearRegression(),
                ), func=numpy.arcsinh, inverse_func=numpy.sinh,
            ), {"regressor__linearregression__fit_intercept": [True]}, cv=2,
        ), "count", "predict",
    ),
}  # fmt: skip


def proved(model: Any, specs: list[dict[str, Any]], method: str = "predict") -> tuple[guarded.Guarded, Any]:
    builder = frames.FrameBuilder(specs)

    def native(columns: list[Any], rows: int) -> Any:
        return getattr(model, method)(builder.build(columns, rows, True))

    return guarded.Guarded(model, specs, method, native), native


# Whose plans ask their library for something.
NOT_PORTABLE = {
    "not known better": "predict", "xgboost shares": "library's", "catboost": "library's",
    "catboost classes": "library's", "catboost shares": "library's",
    "a search about a target in logarithms": "PolynomialFeatures",
}  # fmt: skip


@pytest.mark.parametrize("name", PLANNED)
def test_a_plan_says_what_its_model_says(name: str, tmp_path: Path) -> None:
    model, target, method = PLANNED[name]
    model.fit(RIDES, TARGETS[target])
    made, native = proved(model, SPECS, method)
    assert made.used, made.why
    columns = [RIDES[each["name"]].tolist() for each in SPECS]
    columns[4][3] = columns[1][4] = None
    columns[4][7] = "never seen"
    expected = native(columns, len(RIDES))
    found = made._plan.run(columns)  # type: ignore[union-attr]
    assert numpy.asarray(found).dtype.kind == numpy.asarray(expected).dtype.kind
    if expected.dtype.kind == "f":
        numpy.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    else:
        assert found.tolist() == expected.tolist()
    for few_rows in ([0], [3], [4], [7], [8, 9, 10], [2, 3, 4]):  # a few at a time are read otherwise
        few = [[column[row] for row in few_rows] for column in columns]
        comparing.difference(made._plan.run(few), native(few, len(few_rows)), 1e-12)  # type: ignore[union-attr]
    _is_portable(name, made, tmp_path, columns, expected)


def _is_portable(name: str, made: guarded.Guarded, folder: Path, columns: list[Any], expected: Any) -> None:
    """Written, read where there is no model, it says the same, whether rows come alone or many at once."""
    why = made.write(str(folder / "plan.npz"))
    assert NOT_PORTABLE.get(name, "") in why and bool(why) == (name in NOT_PORTABLE), why
    if why:
        return
    near.load(folder, str(folder / "plan.npz"))
    read = portable.read(str(folder / "plan.npz"))
    comparing.difference(read.chain.run(columns), expected)
    quick = rows.Rows(read.chain)._filler
    assert quick is not None and all(quick.fill([[column[row]] for column in columns]) is not None for row in (0, 4))
    for row in range(8):
        comparing.difference(
            rows.Rows(read.chain).run([[column[row]] for column in columns]),
            made._plan.run([[column[row]] for column in columns]),  # type: ignore[union-attr]
            0.0,
        )


def _booster() -> Any:
    return lightgbm.train(
        {"objective": "regression", "verbose": -1}, lightgbm.Dataset(RIDES[NUMBERS], TARGETS["count"]), 9
    )


BARE = {
    "lightgbm": LGBMRegressor(n_estimators=9, verbose=-1), "xgboost": XGBRegressor(n_estimators=9),
    "catboost": CatBoostRegressor(iterations=9, **CAT),
}  # fmt: skip


@pytest.mark.parametrize("name", [*BARE, "booster"])
def test_a_model_without_a_pipeline_is_asked_without_a_frame(name: str) -> None:
    model = _booster() if name == "booster" else BARE[name].fit(RIDES[NUMBERS], TARGETS["count"])
    made, native = proved(model, SPECS[:3])
    assert made.used, made.why
    columns = [RIDES[each].tolist() for each in NUMBERS]
    columns[1][4] = None
    numpy.testing.assert_allclose(made._plan.run(columns), native(columns, len(RIDES)), rtol=1e-12)  # type: ignore[union-attr]


def test_categories_of_a_frame_are_left_to_the_model() -> None:
    texts = RIDES[TEXTS].astype("category")
    for model in (
        LGBMRegressor(n_estimators=3, verbose=-1).fit(texts, TARGETS["count"]),
        XGBRegressor(n_estimators=3, enable_categorical=True).fit(texts, TARGETS["count"]),
        CatBoostRegressor(iterations=3, cat_features=TEXTS, **CAT).fit(RIDES[TEXTS], TARGETS["count"]),
    ):
        made, _ = proved(model, SPECS[4:])
        assert not made.used and made.why, made.why


MAILS = pandas.DataFrame({"text": ["win money now", "cheap money", "meeting at noon", "lunch at noon today"] * 20})
SPAM = [1, 1, 0, 0] * 20
MAILED = {
    "texts alone": make_pipeline(TfidfVectorizer(), LogisticRegression()),
    "texts of a column": make_pipeline(
        make_column_transformer((make_pipeline(CountVectorizer(), TfidfTransformer()), "text")), LinearSVC()
    ),
    "texts in few dimensions": make_pipeline(TfidfVectorizer(), TruncatedSVD(2, random_state=0), Ridge()),
}  # fmt: skip


@pytest.mark.parametrize("name", MAILED)
def test_texts_are_given_to_their_vectorizer(name: str, tmp_path: Path) -> None:
    """Saved and loaded as MLflow models: MLflow itself would hand a frame to the vectorizer, which takes its one column
    for one text."""
    given = MAILS if name == "texts of a column" else MAILS["text"]
    model = MAILED[name].fit(given, SPAM)
    signature = mlflow.models.infer_signature(MAILS, model.predict(given))
    folder = str(tmp_path / "model")
    mlflow.sklearn.save_model(
        model, folder, signature=signature, serialization_format="cloudpickle", pip_requirements=["scikit-learn"]
    )  # fmt: skip
    loaded = mlflow_model.MlflowModel({"model_dir": folder})
    assert loaded.plan["used"], loaded.plan
    asked = pandas.DataFrame({"text": ["cheap lunch today", "never seen", ""]})
    expected = model.predict(asked if name == "texts of a column" else asked["text"])
    header = {"rows": 3, "input": [asked["text"].tolist()]}
    for found in (loaded.predict(header, b""), loaded.predict(header, b"", native=True), loaded.of_frame(asked)):
        numpy.testing.assert_allclose(found, expected, rtol=1e-12)
    bulk = loaded.bulk()
    coded_texts = coded.Coded(["never seen", "cheap lunch today", ""], numpy.array([1, 0, 2]))
    numpy.testing.assert_allclose(bulk.predict([coded_texts], 3), expected, rtol=1e-12)


UNPLANNED = {
    "code of one's own": (make_pipeline(FunctionTransformer(_own), Ridge()), "a transformer of a known library"),
    "rare categories": (
        make_pipeline(make_column_transformer((OneHotEncoder(min_frequency=70), TEXTS)), Ridge()), "infrequent",
    ),
    "texts as numbers": (make_pipeline(make_column_transformer(("passthrough", TEXTS)), Ridge()), "type string"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNPLANNED)
def test_without_a_plan_the_model_answers_and_the_reason_is_told(name: str) -> None:
    model, why = UNPLANNED[name]
    frame = RIDES[NUMBERS] if name == "code of one's own" else RIDES
    specs = SPECS[:3] if name == "code of one's own" else SPECS
    if name != "texts as numbers":
        model.fit(frame, TARGETS["count"])
    else:
        model.fit(frame.assign(weather="1", season="2"), TARGETS["count"])
    made, _ = proved(model, specs)
    assert not made.used and why in made.why, made.why


def test_what_is_not_in_the_plan_is_asked_of_the_model() -> None:
    """An encoder that refuses what it does not know says so in its own words."""
    model = make_pipeline(make_column_transformer((OneHotEncoder(), TEXTS), remainder="passthrough"), Ridge())
    model.fit(RIDES, TARGETS["count"])
    specs = [{**each, "required": True} for each in SPECS]
    made, _ = proved(model, specs)
    assert made.used, made.why
    row = [[RIDES[each["name"]].tolist()[0]] for each in specs]
    row[4] = ["never seen"]
    with pytest.raises(ValueError, match="unknown categories"):
        made.predict(row, 1)


def test_a_plan_that_would_answer_otherwise_is_not_used() -> None:
    model = make_pipeline(_prepared(), Ridge()).fit(RIDES, TARGETS["count"])
    builder = frames.FrameBuilder(SPECS)

    def shifted(columns: list[Any], rows: int) -> Any:
        return model.predict(builder.build(columns, rows, True)) + 1e-6

    made = guarded.Guarded(model, SPECS, "predict", shifted)
    assert not made.used and "does not agree" in made.why and 1e-9 < made.largest < 1e-5


def test_a_live_answer_that_differs_ends_the_plan() -> None:
    model = make_pipeline(_prepared(), Ridge()).fit(RIDES, TARGETS["count"])
    made, native = proved(model, SPECS)
    columns = [RIDES[each["name"]].tolist()[:2] for each in SPECS]
    assert made.review(columns, 2, made.predict(columns, 2)) is None
    made._next_review = 0.0
    wrong = made.review(columns, 2, numpy.add(made.predict(columns, 2), [0.0, 1.0]))
    assert wrong and wrong["difference"] > 1e-9 and "row 1" in wrong["why"]
    assert not made.used and "on a request" in made.why
    assert made.predict(columns, 2).tolist() == native(columns, 2).tolist()


class _Together:
    """Counts how it is asked; a value below zero makes it raise."""

    together = True

    def __init__(self) -> None:
        self.asked: list[int] = []

    def predict(self, header: dict[str, Any], body: bytes) -> Any:
        self.asked.append(header["rows"])
        return self._double(header["input"][0])

    def predict_together(self, requests: list[wire.Frame]) -> Any:
        self.asked.append(sum(header["rows"] for header, _ in requests))
        return [self._double(header["input"][0]) for header, _ in requests]

    def _double(self, values: list[float]) -> Any:
        known = [value for value in values if value is not None]
        if min(known) < 0:
            raise ValueError("below zero")
        return numpy.array(known) * 2


def test_requests_that_wait_are_scored_together_and_answered_each_for_itself() -> None:
    ours, theirs = socket.socketpair()
    scorer, model, decoder = wire.Connection(theirs), _Together(), gateway_wire.Decoder()
    bodies = [[[1.0]], [[2.0, 3.0]], [[None, 4.0]], [[5.0]], [[-1.0]], [[6.0]]]
    for number, columns in enumerate(bodies):
        header = {"op": "score", "id": number, "rows": len(columns[0]), "params": None, "alone": number == 3}
        header |= {"input": columns, "missing": None in columns[0]}
        ours.sendall(gateway_wire.to_scorer(header))
    worker = threading.Thread(target=_until_closed, args=(scorer, model))
    worker.start()
    found, batches = {}, []
    while len(found) < len(bodies):
        for header, body in decoder.feed(ours.recv(1 << 16)):
            batches += [header["batch"]] if "batch" in header else []
            found[header["id"]] = json.loads(body) if header["ok"] else header["error"]["message"]
    ours.close()
    worker.join(30)
    assert found == {0: [2.0], 1: [4.0, 6.0], 2: [8.0], 3: [10.0], 4: "below zero", 5: [12.0]}
    # The first two together; one with a missing value and one that must be alone by themselves; two that failed
    # together once more, each for itself.
    assert model.asked == [3, 2, 1, 2, 1, 1]
    assert batches == [2, 1, 1, 1, 1], "how many were answered together is said once for all of them"


def _until_closed(connection: wire.Connection, model: Any) -> None:
    with contextlib.suppress(wire.Closed):
        work.Work(connection, model).run()


@pytest.mark.slow
def test_a_plan_serves_until_it_disagrees_and_then_the_model_does(gateway: Gateway, tmp_path: Path) -> None:
    """The model is one that scikit-learn itself, changed for this test, answers otherwise for when a value is huge: no
    row of the probes reaches that far."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "from sklearn.linear_model import LinearRegression\n"
        "known = LinearRegression.predict\n"
        "def predict(self, X):\n"
        "    found = known(self, X)\n"
        "    return found * 2.0 if float(X.to_numpy().max()) > 1e12 else found\n"
        "LinearRegression.predict = predict\n"
    )
    numbers = RIDES[["temperature"]]
    line = LinearRegression().fit(numbers, TARGETS["count"])
    signature = mlflow.models.infer_signature(numbers, line.predict(numbers))
    mlflow.sklearn.save_model(
        line, str(tmp_path / "line"), signature=signature, serialization_format="cloudpickle",
        pip_requirements=["scikit-learn"],
    )  # fmt: skip
    blue = deployment("dep-1", tmp_path / "line", environment_variables={"PYTHONPATH": str(tmp_path)}, instances=2)
    gateway.start().want({"shop/bikes": endpoint({"blue": blue})})
    assert _plan(gateway)["used"] and _plan(gateway)["largest_difference"] < 1e-9
    client = gateway.client()
    planned = float(line.predict(pandas.DataFrame({"temperature": [1e13]}))[0])
    assert client.score("shop/bikes", {"input_data": [[1e13]]}).json == [pytest.approx(planned, rel=1e-12)]
    wait_for(lambda: not _plan(gateway)["used"], "the plan to be given up")
    assert "row 0" in _plan(gateway)["why"]
    assert json.loads((gateway.home / "serving/scorers/dep-1/disagreement.json").read_text())["difference"] > 0.4
    doubled = [client.score("shop/bikes", {"input_data": [[1e13]]}).json[0] for _ in range(4)]
    assert doubled == [pytest.approx(2 * planned, rel=1e-12)] * 4, "also from the other scorer"
    # A scorer that starts later does not begin with it again.
    gateway.stop()
    gateway.start().converged()
    assert not _plan(gateway)["used"]


def _plan(gateway: Gateway) -> dict[str, Any]:
    description = gateway.status().endpoints["shop/bikes"].deployments["blue"].description
    assert description is not None
    found: dict[str, Any] = description["plan"]
    return found
