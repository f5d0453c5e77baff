"""Models of scikit-learn's are loaded without MLflow where that is what MLflow would do, and by MLflow elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy
import pandas
import pytest
import yaml
from mlflow.models.signature import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array
from sklearn.linear_model import LogisticRegression

from doubleloop.scorer import mlflow_model, pickled

FRAME = pandas.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "n": [1, 0, 1, 0]})
MODEL = LogisticRegression().fit(FRAME, [0, 0, 1, 1])
SIGNATURE = mlflow.models.infer_signature(FRAME, MODEL.predict(FRAME))


def saved(folder: Path, **more: Any) -> str:
    told = {"signature": SIGNATURE, "serialization_format": "cloudpickle", "pip_requirements": ["scikit-learn"], **more}
    mlflow.sklearn.save_model(MODEL, str(folder / "model"), **told)
    return str(folder / "model")


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_it_answers_as_mlflow_does_and_does_not_import_it(method: str, tmp_path: Path) -> None:
    folder = saved(tmp_path, pyfunc_predict_fn=method)
    loaded = mlflow_model.MlflowModel({"model_dir": folder, "compile": False})
    expected = mlflow.pyfunc.load_model(folder).predict(FRAME)
    header = {"rows": 4, "input": [FRAME["x"].tolist(), FRAME["n"].tolist()]}
    numpy.testing.assert_array_equal(loaded.predict(header), expected)
    assert loaded.describe()["flavor"] == "sklearn" and loaded.describe()["n_features"] == 2
    mlflows = mlflow.models.Model.load(folder).signature
    for part in ("inputs", "outputs"):
        assert loaded.signature is not None and loaded.signature[part] == json.loads(getattr(mlflows, part).to_json())
    script = (
        "import sys; from doubleloop.scorer import mlflow_model\n"
        f"mlflow_model.MlflowModel({{'model_dir': {folder!r}}})\n"
        "sys.exit('mlflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def _change(folder: str, change: Any) -> None:
    path = Path(folder) / "MLmodel"
    told = yaml.safe_load(path.read_text())
    change(told)
    path.write_text(yaml.safe_dump(told))


PARAMS = ModelSignature(
    SIGNATURE.inputs, SIGNATURE.outputs, ParamSchema([ParamSpec("times", "long", default=1)])
)  # fmt: skip
OTHERS: dict[str, dict[str, Any]] = {
    "no signature": {"signature": None},
    "params": {"signature": PARAMS},
    "a tensor": {"signature": mlflow.models.infer_signature(FRAME.to_numpy(), MODEL.predict(FRAME))},
    "a column that is no value": {
        "signature": ModelSignature(Schema([ColSpec("double", "x"), ColSpec(Array("double"), "n")]), SIGNATURE.outputs)
    },
    "code beside it": {"code_paths": [__file__]},
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_asks_for_more_is_mlflows(name: str, tmp_path: Path) -> None:
    assert pickled.load(saved(tmp_path, **OTHERS[name]), None) is None


def test_what_is_not_understood_is_mlflows_to_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved(tmp_path)
    assert pickled.load(folder, None) is not None
    other = {"inputs": [{"name": "y", "type": "double"}]}
    assert pickled.load(folder, other) is None, "requests are checked against something else"
    monkeypatch.setenv(pickled.SWITCH, "false")
    assert pickled.load(folder, None) is None
    with pytest.raises(mlflow.MlflowException, match="disallowed"):
        mlflow_model.MlflowModel({"model_dir": folder})
    monkeypatch.delenv(pickled.SWITCH)
    for change in (
        lambda told: told["flavors"]["sklearn"].update(serialization_format="skops"),
        lambda told: told["flavors"]["python_function"].update(loader_module="mine"),
        lambda told: told["signature"].update(inputs="not JSON"),
        lambda told: told.update(flavors=None),
    ):
        _change(folder, change)
        assert pickled.load(folder, None) is None
