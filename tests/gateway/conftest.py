"""A real gateway process, real scorers, and a few tiny models trained here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
from gateway_harness import SCRIPT, Gateway, Models, deployment

from doubleloop.gateway import protocol


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    mlflow = pytest.importorskip("mlflow")
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    folder = tmp_path_factory.mktemp("models")
    rng = numpy.random.default_rng(7)
    rows = 300
    frame = pandas.DataFrame(
        {
            "hour": rng.integers(0, 24, rows),
            "temperature": rng.normal(15, 8, rows),
            "workday": rng.integers(0, 2, rows).astype(bool),
            "weather": rng.choice(["clear", "rain", "snow"], rows),
        }
    )
    target = frame["hour"] * 3.0 + frame["temperature"] + 10.0 * frame["workday"] - 5.0 * (frame["weather"] == "rain")
    encode = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["weather"]), remainder="passthrough")
    bikes = make_pipeline(encode, HistGradientBoostingRegressor(max_iter=20, random_state=0)).fit(frame, target)

    def save(name: str, model: Any, signature: Any = None, **more: Any) -> None:
        mlflow.sklearn.save_model(
            model,
            str(folder / name),
            serialization_format="cloudpickle",
            signature=signature,
            pip_requirements=["scikit-learn"],
            **more,
        )

    infer = mlflow.models.infer_signature
    save("bikes", bikes, infer(frame, bikes.predict(frame)))
    save("unsigned", bikes)
    numbers = frame[["hour", "temperature"]].astype(float)
    save("optional", HistGradientBoostingRegressor(max_iter=5).fit(numbers, target), infer(
        pandas.DataFrame({"hour": [1.0, None], "temperature": [1.0, 2.0]}), numpy.array([1.0])))  # fmt: skip
    array = numbers.to_numpy()
    save("tensor", LinearRegression().fit(array, target), infer(array, target.to_numpy()))
    risky = (target > target.median()).astype(int)
    proba = LogisticRegression(max_iter=1000).fit(numbers, risky)
    save("proba", proba, infer(numbers, proba.predict_proba(numbers)), pyfunc_predict_fn="predict_proba")
    return Models(folder, frame, target.to_numpy())


@pytest.fixture(scope="session")
def script_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``code/score.py`` and two model files of it, ``one/offset.json`` (0) and ``two/offset.json`` (1000)."""
    folder = tmp_path_factory.mktemp("script")
    for name, text in (("code/score.py", SCRIPT), ("one/offset.json", "0"), ("two/offset.json", "1000")):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="session")
def script(script_folder: Path) -> Callable[..., protocol.Deployment]:
    """A deployment of the script: ``script(id, "one", instances=2)``. Starts in a tenth of a second."""

    def make(identity: str, model: str = "one", **more: Any) -> protocol.Deployment:
        base: dict[str, Any] = {
            "kind": "script", "code_dir": str(script_folder / "code"), "scoring_script": "score.py"
        }  # fmt: skip
        return deployment(identity, script_folder / model / "offset.json", **(base | more))

    return make


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    instance = Gateway(tmp_path / "home")
    try:
        yield instance
    finally:
        if instance.process is not None and instance.process.poll() is None:
            instance.kill()
