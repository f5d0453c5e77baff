"""Models that people really save pass: scikit-learn, joblib, cloudpickle, mlflow, skops, numpy, pandas, torch's zip."""

from __future__ import annotations

import collections
import datetime as dt
import io
import json
import pickle
import warnings
import zipfile

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn import compose, decomposition, ensemble, linear_model, neighbors, pipeline, preprocessing, svm, tree
from sklearn.feature_extraction import text
from sklearn.model_selection import GridSearchCV

from doubleloop.base import verdicts
from doubleloop.quarantine import model, pickles

GENERATOR = np.random.default_rng(0)
X = np.abs(GENERATOR.normal(size=(60, 4)))
Y = (X[:, 0] > X[:, 1]).astype(int)
FRAME = pd.DataFrame({"amount": X[:, 0], "vendor": GENERATOR.choice(["a", "b"], 60), "hours": range(60)})


def mixed_pipeline() -> pipeline.Pipeline:
    columns = compose.ColumnTransformer(
        [
            ("numbers", preprocessing.StandardScaler(), ["amount", "hours"]),
            ("vendor", preprocessing.OneHotEncoder(handle_unknown="ignore"), ["vendor"]),
            ("log", preprocessing.FunctionTransformer(np.log1p), ["amount"]),
        ]
    )
    return pipeline.Pipeline([("columns", columns), ("trees", ensemble.GradientBoostingRegressor(n_estimators=5))])


MODELS = {
    "linear": lambda: linear_model.LinearRegression().fit(X, Y),
    "logistic": lambda: linear_model.LogisticRegression().fit(X, Y),
    "tree": lambda: tree.DecisionTreeClassifier().fit(X, Y),
    "forest": lambda: ensemble.RandomForestClassifier(n_estimators=4).fit(X, Y),
    "boosting": lambda: ensemble.HistGradientBoostingClassifier(max_iter=4).fit(X, Y),
    "neighbours": lambda: neighbors.KNeighborsClassifier(algorithm="kd_tree").fit(X, Y),
    "vectors": lambda: svm.SVC().fit(X, Y),
    "components": lambda: decomposition.PCA(2).fit(X),
    "search": lambda: GridSearchCV(linear_model.Ridge(), {"alpha": [0.1, 1.0]}, cv=2).fit(X, Y),
    "words": lambda: text.TfidfVectorizer().fit(["a long text", "another text"]),
    "pipeline": lambda: mixed_pipeline().fit(FRAME, X[:, 1]),
}
DATA = {
    "frame": FRAME,
    "times": pd.DataFrame(
        {
            "at": pd.date_range("2026-01-01", periods=3, tz="Europe/Berlin"),
            "kind": pd.Categorical(["a", "b", "a"]),
            "count": pd.array([1, None, 3], dtype="Int64"),
        }
    ),
    "objects": np.array([None, "text", {1: 2}, [3]], dtype=object),
    "records": np.zeros(3, dtype=[("a", "f8"), ("b", "U3"), ("c", "O"), ("d", "i4", (2, 3))]),
    "days": np.array(["2026-01-01"], dtype="M8[D]"),
    "swapped": np.arange(5.0).astype(">f8"),
    "nothing": np.zeros((0, 3)),
    "masked": np.ma.array([1.0, 2.0], mask=[0, 1]),
    "sparse": scipy.sparse.csr_matrix(np.eye(3)),
    "random": [np.random.default_rng(0), np.random.RandomState(0)],
    "plain": [dt.datetime(2026, 1, 1, tzinfo=dt.UTC), {1, 2}, collections.OrderedDict(a=b"x"), 1 + 2j, type(None)],
}
COMPRESSIONS = [("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)]


def written(value: object) -> list[tuple[str, bytes]]:
    found = []
    for protocol in range(6):
        try:
            found.append((f"pickle {protocol}", pickle.dumps(value, protocol)))
        except (TypeError, ValueError, pickle.PicklingError):
            assert protocol < 2  # some classes cannot be written in the oldest protocols
    for compression in [0, *COMPRESSIONS]:
        stream = io.BytesIO()
        joblib.dump(value, stream, compress=compression)
        found.append((f"joblib {compression}", stream.getvalue()))
    found.append(("cloudpickle", cloudpickle.dumps(value)))
    return found


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_scikit_learn_model_has_no_findings(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = MODELS[name]()
    for form, content in written(fitted):
        assert pickles.scan(content) == [], form


@pytest.mark.parametrize("name", DATA)
def test_saved_arrays_and_frames_have_no_findings(name):
    for form, content in written(DATA[name]):
        assert pickles.scan(content) == [], form


def test_an_array_of_objects_in_npy_is_looked_into_and_passes(tmp_path):
    np.save(tmp_path / "objects.npy", DATA["objects"], allow_pickle=True)
    np.save(tmp_path / "numbers.npy", X)
    np.savez(tmp_path / "both.npz", numbers=X, objects=DATA["objects"])
    assert pickles.scan(tmp_path) == []


def test_several_arrays_in_one_joblib_file_keep_in_step(tmp_path):
    value = {"a": np.arange(1000.0), "b": np.array(["x", None], dtype=object), "c": np.arange(7, dtype="i2"), "d": X.T}
    joblib.dump(value, tmp_path / "many.joblib")
    assert pickles.scan(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pickle", "cloudpickle", "skops"])
def test_a_model_saved_by_mlflow_has_no_findings(tmp_path, form):
    import mlflow.sklearn

    fitted = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()).fit(X, Y)
    mlflow.sklearn.save_model(
        fitted, tmp_path / "model", serialization_format=form, input_example=X[:2], pip_requirements=["scikit-learn"]
    )
    assert (tmp_path / "model" / "MLmodel").exists()
    assert pickles.scan(tmp_path) == []


def test_a_skops_file_has_no_findings_for_known_types_and_names_unknown_ones(tmp_path):
    import skops.io

    skops.io.dump(MODELS["pipeline"](), tmp_path / "model.skops")
    assert pickles.scan(tmp_path) == []
    skops.io.dump({"own": model.Policy()}, tmp_path / "own.skops")
    found = pickles.scan(tmp_path)
    assert [(one.file, one.global_name) for one in found] == [
        ("own.skops!schema.json", "doubleloop.quarantine.model.Policy")
    ]
    assert "skops type" in found[0].why


def test_the_files_around_a_model_are_no_pickles(tmp_path):
    (tmp_path / "MLmodel").write_text("artifact_path: model\nflavors:\n  python_function:\n    env: conda.yaml\n")
    (tmp_path / "requirements.txt").write_text("catboost\nnumpy\ncloudpickle==3.1.2\n")
    (tmp_path / "conda.yaml").write_text("channels:\n- conda-forge\ndependencies:\n- python=3.11\n")
    (tmp_path / "input_example.json").write_text('{"columns": ["a"], "data": [[1]]}')
    (tmp_path / "score.py").write_text("import os\n\ndef init():\n    pass\n")
    (tmp_path / "notes.md").write_text("(see the README)\nIs it a pickle? No.\n")
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07\x12\x07skl2onnx" + bytes(100))
    (tmp_path / "x.bin").write_bytes(b"x\x9cnot really zlib" * 20)
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    (tmp_path / "empty").write_bytes(b"")
    assert pickles.scan(tmp_path) == []


def torch_state() -> bytes:
    """``torch.save`` of a state dict as torch writes it: names from torch, storages by persistent id."""

    out = [b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(X\x06\x00\x00\x00weightq\x02"]
    out.append(b"ctorch._utils\n_rebuild_tensor_v2\nq\x03((X\x07\x00\x00\x00storageq\x04ctorch\nFloatStorage\nq\x05")
    out.append(b"X\x01\x00\x00\x000q\x06X\x03\x00\x00\x00cpuq\x07K\x02tq\x08QK\x00K\x02\x85q\x09K\x01\x85q\x0a\x89")
    out.append(b"ccollections\nOrderedDict\nq\x0b)Rq\x0ctq\x0dRq\x0eu.")
    return b"".join(out)


def torch_zip(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/data/0", b"\x80\x02" + bytes(6))  # a raw tensor may begin like a pickle
        archive.writestr("archive/version", "3\n")
    return stream.getvalue()


def test_a_torch_state_dict_has_no_findings(tmp_path):
    (tmp_path / "model.pt").write_bytes(torch_zip(torch_state()))
    assert pickles.scan(tmp_path) == []


def test_torchs_old_format_of_several_pickles_and_raw_tensors_has_no_findings(tmp_path):
    parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    content = b"".join([*parts, torch_state(), pickle.dumps(["0"], 2), b"\x02" + bytes(15)])
    (tmp_path / "old.pt").write_bytes(content)
    assert pickles.scan(tmp_path) == []


def test_no_finding_is_a_passed_verdict():
    assert model.judge([]).outcome is verdicts.Outcome.PASSED


class Colour(__import__("enum").Enum):
    RED = 1


def test_enumerations_and_own_classes_are_only_unknown_not_dangerous():
    found = pickles.scan(pickle.dumps(Colour.RED))
    assert {one.severity for one in found} == {model.Severity.MEDIUM}
    assert pickles.scan(pickle.dumps(Colour.RED), model.Policy(allow=(f"{__name__}.*",))) == []
