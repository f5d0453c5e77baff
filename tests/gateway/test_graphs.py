"""Models of ONNX without MLflow's wrapper: the referee is the wrapper itself, and numpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import graph_models as models
import numpy
import pytest
from gateway_harness import Gateway, deployment, endpoint

from doubleloop.scorer import answers, joining, mlflow_model
from doubleloop.scorer.plans import comparing, graphs

IMAGES = numpy.random.default_rng(5).normal(size=(3, 1, 3, 4)).astype(numpy.float32)
# How it is saved, what it is asked, and whether its rows stand alone.
CASES = {
    "images": (models.images, models.TENSOR, IMAGES.tolist(), True),
    "rows beside others": (models.centred, models.PAIRS, [[1, 2], [5, 8]], False),
    "columns of a matrix": (models.matrix, models.columns(a="double", b="long"), [[1.5, -2.0], [3, 4]], True),
    "columns by name": (models.two, models.columns(b="double", a="float"), [[1.0, 2.0], [0.25, 4.0]], True),
    "texts": (models.texts, models.columns(text="string"), [["spam", "ham", "ß"]], True),
}  # fmt: skip


def loaded(folder: Path, name: str, **spec: Any) -> tuple[mlflow_model.MlflowModel, Any]:
    make, inputs, body, _ = CASES[name]
    saved = models.save(make(), folder / "model", inputs)
    return mlflow_model.MlflowModel({"model_dir": str(saved), **spec}), body


def rows(name: str, body: Any) -> int:
    return len(body) if isinstance(CASES[name][1][0], models.TensorSpec) else len(body[0])


def said(model: mlflow_model.MlflowModel, name: str, body: Any, native: bool = False) -> Any:
    found = model.predict({"rows": rows(name, body), "input": body}, b"", native=native)
    return json.loads(answers.encode(found))


@pytest.mark.parametrize("name", CASES)
def test_a_graph_says_what_mlflows_wrapper_says(name: str, tmp_path: Path) -> None:
    model, body = loaded(tmp_path, name)
    assert model.plan["used"], model.plan
    assert (model.plan["graph"], model.together) == ("onnx", CASES[name][3])
    assert said(model, name, body) == said(model, name, body, native=True)
    assert model.review() is None and model.plan["largest_difference"] == 0.0


def test_an_image_gets_what_numpy_reckons(tmp_path: Path) -> None:
    model, body = loaded(tmp_path, "images")
    found = said(model, "images", body)
    z = IMAGES.reshape(3, 12) @ models.WEIGHTS
    assert found["label"] == z.argmax(axis=1).tolist()
    shares = numpy.exp(z) / numpy.exp(z).sum(axis=1, keepdims=True)
    numpy.testing.assert_allclose(found["shares"], shares, rtol=1e-5)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[3]])
def test_requests_together_get_what_they_get_alone(name: str, tmp_path: Path) -> None:
    model, body = loaded(tmp_path, name)
    first = body[:1] if name == "images" else [column[:1] for column in body]
    requests = [({"rows": rows(name, each), "input": each}, b"") for each in (body, first)]
    found = model.predict_together(requests)
    assert found is not None
    for part, each in zip(found, (body, first), strict=True):
        got, expected = (
            comparing.arrays(part),
            comparing.arrays(model.predict({"rows": rows(name, each), "input": each}, b"")),
        )
        assert got.keys() == expected.keys()
        for output, values in expected.items():
            numpy.testing.assert_allclose(got[output], values, rtol=1e-6)


def test_an_answer_without_an_entry_for_each_row_is_not_cut_up() -> None:
    assert joining.parted([numpy.zeros(2), numpy.zeros(2)], [1, 1]) is None
    assert joining.parted({"a": numpy.zeros(3), "b": numpy.zeros(2)}, [1, 1]) is None
    assert joining.parted(numpy.array(1.0), [1]) is None


def test_what_the_graph_does_not_cover_goes_to_the_wrapper(tmp_path: Path) -> None:
    model, _ = loaded(tmp_path, "columns of a matrix")
    with pytest.raises(ValueError, match="could not convert string"):  # the frame says so
        model.predict({"rows": 2, "input": [[1.0, "x"], [3, 4]]}, b"")
    assert model.plan["used"]


def test_a_graph_that_would_answer_otherwise_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        graphs, "by_name", lambda names, outputs: {n: o + 1 for n, o in zip(names, outputs, strict=True)}
    )
    model, body = loaded(tmp_path, "images")
    assert not model.plan["used"] and "does not agree" in model.plan["why"] and not model.together
    assert said(model, "images", body) == said(model, "images", body, native=True)


def test_compile_off_leaves_it_to_the_wrapper(tmp_path: Path) -> None:
    model, body = loaded(tmp_path, "images", compile=False)
    assert model.plan == {"used": False, "why": "compile: off"}
    assert said(model, "images", body)["label"] == said(model, "images", body, native=True)["label"]


@pytest.mark.slow
def test_an_image_model_answers_every_kind_of_body(gateway: Gateway, tmp_path: Path) -> None:
    saved = models.save(models.images(), tmp_path / "images", models.TENSOR)
    gateway.start().want({"shop/images": endpoint({"blue": deployment("dep-1", saved)})})
    described = gateway.status().endpoints["shop/images"].deployments["blue"].description
    assert described is not None and described["plan"]["graph"] == "onnx" and described["together"]
    client, body = gateway.client(), IMAGES.tolist()
    labels = (IMAGES.reshape(3, 12) @ models.WEIGHTS).argmax(axis=1).tolist()
    assert client.score("shop/images", {"inputs": body}).json["predictions"]["label"] == labels
    assert client.score("shop/images", {"instances": body}).json["predictions"]["label"] == labels
    tensor = {"name": "x", "shape": [3, 1, 3, 4], "datatype": "FP32", "data": IMAGES.ravel().tolist()}
    answer = client.send(
        "POST", "/shop/images/v2/models/images/infer", json.dumps({"inputs": [tensor]}).encode(),
        {"Authorization": "Bearer a-key-of-this-endpoint", "content-type": "application/json"},
    )  # fmt: skip
    outputs = {each["name"]: each for each in answer.json["outputs"]}
    assert outputs["label"]["data"] == labels
    wrong = client.score("shop/images", {"inputs": [[[1.0]]]})
    assert (wrong.status, wrong.error["details"]["expected"]) == (400, 3)
