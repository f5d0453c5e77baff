"""Every column type of MLflow arrives in the model as MLflow's own schema enforcement would hand it over."""

from __future__ import annotations

import base64
import copy
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy
import pandas
import pytest
from gateway_harness import KEY, Client, Gateway, deployment, endpoint
from mlflow.types.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    Map,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    TensorSpec,
)

from doubleloop.gateway import log, openapi

pytestmark = pytest.mark.slow

ECHO = """
import mlflow

class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        if isinstance(model_input, dict):
            seen = {name: [str(a.dtype), list(a.shape), a.tolist()] for name, a in model_input.items()}
            if params["beta"] != 0.5:
                seen["beta"] = params["beta"]
            return [repr(seen)] * len(next(iter(model_input.values())))
        kinds = {str(name): str(kind) for name, kind in model_input.dtypes.items()}
        return [repr((kinds, row, params)) for row in model_input.itertuples(index=False, name=None)]

mlflow.models.set_model(Echo())
"""
COLUMNS: dict[str, tuple[Any, bool]] = {
    "boolean": (DataType.boolean, True), "integer": (DataType.integer, True), "long": (DataType.long, True),
    "float": (DataType.float, True), "double": (DataType.double, True), "string": (DataType.string, True),
    "binary": (DataType.binary, True), "datetime": (DataType.datetime, True),
    "optional_double": (DataType.double, False), "optional_string": (DataType.string, False),
    "optional_boolean": (DataType.boolean, False), "optional_datetime": (DataType.datetime, False),
    "array": (Array(DataType.long), True), "map": (Map(DataType.double), True), "any": (AnyType(), False),
    "object": (Object([Property("x", DataType.long), Property("y", DataType.string, required=False)]), True),
}  # fmt: skip
ROW: dict[str, Any] = {
    "boolean": True, "integer": 7, "long": 2**53 + 1, "float": 0.1, "double": 0.1, "string": "é\n",
    "binary": base64.b64encode(b"\x00\xff").decode(), "datetime": "2020-02-29T12:34:56.789+01:00",
    "optional_double": 1.5, "optional_string": "s", "optional_boolean": False,
    "optional_datetime": "2020-01-01", "array": [1, 2], "map": {"k": 1.5}, "any": {"free": [1, "a"]},
    "object": {"x": 1, "y": "b"},
}  # fmt: skip
NULLS = {name: None for name in ROW if name.startswith("optional")} | {"any": None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("types")
    (folder / "echo.py").write_text(ECHO)

    def save(name: str, inputs: Schema, params: ParamSchema | None = None) -> None:
        signature = mlflow.models.ModelSignature(inputs, Schema([ColSpec("string")]), params)
        mlflow.pyfunc.save_model(
            str(folder / name), python_model=str(folder / "echo.py"), signature=signature, pip_requirements=["mlflow"]
        )

    specs = [ColSpec(kind, name, required=required) for name, (kind, required) in COLUMNS.items()]
    save("columns", Schema(specs), ParamSchema([ParamSpec("beta", DataType.double, 0.5)]))
    save(
        "tensors",
        Schema([
            TensorSpec(numpy.dtype("float32"), (-1, 2), "a"), TensorSpec(numpy.dtype("int64"), (-1,), "b"),
            TensorSpec(numpy.dtype("uint8"), (-1, 2, 2), "image"),
        ]),
        ParamSchema([ParamSpec("beta", DataType.double, 0.5)]),
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def served(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("types-home") / "home").start()
    try:
        gateway.want(
            {f"shop/{name}": endpoint({"blue": deployment(f"dep-{name}", folder / name)})
             for name in ("columns", "tensors")}
        )  # fmt: skip
        yield gateway
    finally:
        gateway.kill()


@pytest.fixture
def client(served: Gateway) -> Iterator[Client]:
    client = served.client()
    yield client
    client.close()


def as_python(row: dict[str, Any]) -> dict[str, Any]:
    """What a Python caller would put into a DataFrame for the same row."""
    result = copy.deepcopy(row)  # MLflow changes nested values in place
    result["binary"] = base64.b64decode(row["binary"])
    for name in ("datetime", "optional_datetime"):
        moment = pandas.Timestamp(row[name]) if row.get(name) else pandas.NaT
        result[name] = moment.tz_convert(None) if moment is not pandas.NaT and moment.tzinfo else moment
    return result


def reference(folder: Path, rows: list[dict[str, Any]]) -> list[str]:
    frame = pandas.DataFrame([as_python(row) for row in rows])
    frame["integer"] = frame["integer"].astype("int32")
    frame["float"] = frame["float"].astype("float32")
    answer: list[str] = mlflow.pyfunc.load_model(str(folder / "columns")).predict(frame)
    return answer


@pytest.mark.parametrize("nulls", [False, True])
def test_all_types_arrive_as_mlflow_hands_them_over(nulls: bool, client: Client, folder: Path) -> None:
    rows = [ROW, {**ROW, **NULLS}] if nulls else [ROW, ROW]
    answer = client.score("shop/columns", {"input_data": rows})
    assert answer.status == 200, answer.body
    assert answer.json == reference(folder, rows)


def test_params_are_handed_over_and_checked(client: Client) -> None:
    answer = client.score("shop/columns", {"input_data": [ROW], "params": {"beta": 0.75}})
    assert "{'beta': 0.75}" in answer.json[0]
    for params, words in (({"beta": "x"}, "expected double"), ({"gamma": 1}, "has: beta"), ([], "not an object")):
        wrong = client.score("shop/columns", {"input_data": [ROW], "params": params})
        assert wrong.status == 400
        assert words in wrong.error["message"]


def test_whole_numbers_may_have_a_point(client: Client, folder: Path) -> None:
    time = "2020-02-29T12:34:56.123456789Z"  # and times, nanoseconds
    answer = client.score("shop/columns", {"input_data": [{**ROW, "integer": 7.0, "long": -8e3, "datetime": time}]})
    assert answer.json == reference(folder, [{**ROW, "long": -8000, "datetime": time}])
    assert "56.123456789" in answer.json[0]


WRONG = [
    ("long", 2.0**53 + 2, "long"),
    ("integer", 2**31, "integer (32 bits)"), ("integer", 1.5, "integer"), ("float", 1e39, "float (32 bits)"),
    ("binary", "not base64!", "base64"), ("binary", 5, "base64"), ("datetime", "soon", "ISO 8601"),
    ("datetime", 1577836800, "ISO 8601"), ("datetime", "9999-01-01", "ISO 8601"), ("datetime", None, "ISO 8601"),
    ("optional_double", "x", "double"), ("optional_boolean", 0, "boolean"), ("boolean", None, "boolean"),
    ("array", [1, 2.0], "long"),
    ("array", [1, "a"], "long"), ("array", 1, "array"), ("array", None, "array"), ("map", {"k": "v"}, "double"),
    ("map", [1], "object"), ("object", {"x": 1, "z": 2}, "no such property"), ("object", {"y": "b"}, "long"),
    ("object", {"x": "1"}, "long"), ("object", None, "object"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "expected"), WRONG)
def test_wrong_values_are_named(name: str, value: Any, expected: str, client: Client) -> None:
    answer = client.score("shop/columns", {"input_data": [ROW, {**ROW, name: value}]})
    assert answer.status == 400, answer.body
    details = answer.error["details"]
    assert details["row"] == 1
    assert details["column"].split("[")[0].split(".")[0] == name
    assert expected in details["expected"]


def test_its_openapi_says_what_is_taken(client: Client) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    for name in ("columns", "tensors"):
        document = client.send("GET", f"/shop/{name}/swagger.json", headers=headers).json
        post = document["paths"][f"/shop/{name}/score"]["post"]
        body = post["requestBody"]["content"]["application/json"]["schema"]["properties"]
        assert body["params"]["properties"] == {"beta": {"type": "number", "format": "double", "default": 0.5}}


def test_answers_and_nulls_are_described_as_they_are() -> None:
    def signature(**parts: Any) -> dict[str, Any]:
        return {"inputs": [{"name": "x", "type": "long", "required": False}], "outputs": [], "params": [], **parts}

    records = openapi._body(signature())["properties"]["input_data"]["oneOf"][1]["items"]
    assert records["properties"]["x"] == {"type": "integer", "format": "int64"} and records["required"] == []
    text, tensor = {"type": "string"}, {"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}
    wholes = {"type": "array", "items": {"type": "integer"}}
    (plain, record) = openapi._outputs(signature(outputs=[{**text, "name": "a"}]))["items"]["anyOf"]
    assert plain == text and record["properties"] == {"a": text}
    assert openapi._outputs(signature(outputs=[text])) == {"type": "array", "items": text}
    both = openapi._outputs(signature(outputs=[{**tensor, "name": "a"}, {**tensor, "name": "b"}]))
    assert both["properties"] == {"a": wholes, "b": wholes}
    assert openapi._outputs(signature(outputs=[tensor])) == wholes


def test_named_tensors(client: Client) -> None:
    tensors = {"a": [[0.1, 1], [2, 3]], "b": [4, 5], "image": [[[0, 255], [1, 2]]] * 2}
    answer = client.score("shop/tensors", {"inputs": tensors})
    assert answer.status == 200, answer.body
    seen = eval(answer.json["predictions"][0])  # noqa: S307 - the repr that our own echo model made
    assert seen["a"] == ["float32", [2, 2], numpy.array(tensors["a"], dtype="float32").tolist()]
    assert seen["b"] == ["int64", [2], [4, 5]]
    assert seen["image"] == ["uint8", [2, 2, 2], tensors["image"]]
    inputs = [{"name": name, "shape": list(numpy.array(each).shape), "datatype": kind, "data": each}
              for (name, each), kind in zip(tensors.items(), ("FP32", "INT64", "UINT8"), strict=True)]  # fmt: skip
    # Parameters of the protocol are those of the model's signature that have their names; others are not the model's.
    body = json.dumps({"inputs": inputs, "parameters": {"beta": 0.25, "priority": 1}}).encode()
    headers = {"Authorization": f"Bearer {KEY}"}
    told = client.send("POST", "/shop/tensors/v2/models/tensors/infer", body, headers)
    assert eval(told.json["outputs"][0]["data"][0]) == {**seen, "beta": 0.25}  # noqa: S307 - as above
    compressed = {**headers, "content-encoding": "gzip", "inference-header-content-length": str(len(body))}
    refused = client.send("POST", "/shop/tensors/v2/models/tensors/infer", gzip.compress(body), compressed)
    assert (refused.status, "compressed bodies are not read" in refused.json["error"]) == (415, True)
    for change, words in (
        ({"b": [4]}, "tensor 'b' has 1 rows, the first has 2"),
        ({"b": [4, 5.5]}, "expected int64, got number 5.5"),
        ({"image": [[[0, 256], [1, 2]]] * 2}, "expected uint8, got number 256"),
        ({"image": [[[0, 1], [1]]] * 2}, "row 0[1] has 1 values, expected 2"),
        ({"a": [[1, 2], 3]}, "a list, got number 3"),
        ({"c": [1, 2]}, "unknown tensor 'c'"),
    ):
        wrong = client.score("shop/tensors", {"inputs": {**tensors, **change}})
        assert wrong.status == 400, wrong.body
        assert words in wrong.error["message"]


def test_the_log_keeps_all_types(served: Gateway, client: Client) -> None:
    sent = client.score("shop/columns", {"input_data": [ROW, {**ROW, **NULLS}]})
    served.admin().flush()
    rows = log.read(served.home, "shop", "columns")
    first, second = (row for row in rows.iter_rows(named=True) if row["request_id"] == sent.request_id)
    assert first["in.long"] == 2**53 + 1
    assert first["in.binary"] == b"\x00\xff"
    assert str(first["in.datetime"]) == "2020-02-29 11:34:56.789000"
    assert json.loads(first["in.object"]) == ROW["object"]
    assert json.loads(first["in.array"]) == [1, 2]
    assert [second[f"in.{name}"] for name in NULLS] == [None] * len(NULLS)
    assert first["out.prediction"] == sent.json[0]
    assert {name: str(kind) for name, kind in rows.schema.items() if name in ("in.float", "in.integer")} == {
        "in.float": "Float32", "in.integer": "Int32"
    }  # fmt: skip
