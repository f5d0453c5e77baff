"""Right and wrong requests: each wrong one is refused with the row and column, never answered with a number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import mlflow
import numpy
import pandas
import pytest
from gateway_harness import KEY, Client, Gateway, Models, deployment, endpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NAMES = ["hour", "temperature", "workday", "weather"]
ROW = [8, 12.5, True, "rain"]
RECORD = dict(zip(NAMES, ROW, strict=True))


@pytest.fixture(scope="module")
def served(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("payloads") / "home", {"max_rows": 500, "max_body_bytes": 100_000})
    gateway.start()
    try:
        gateway.want(
            {
                f"shop/{name}": endpoint({"blue": deployment(f"dep-{name}", models.path(name), **more)})
                for name, more in (
                    ("bikes", {}), ("optional", {}), ("tensor", {}), ("proba", {}),
                    ("unsigned", {"unsigned_reason": "an old model"}),
                )
            }
        )  # fmt: skip
        yield gateway
        assert gateway.stop() == 0
    finally:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.kill()


@pytest.fixture
def client(served: Gateway) -> Iterator[Client]:
    client = served.client()
    yield client
    client.close()


def reference(models: Models, name: str, frame: pandas.DataFrame) -> Any:
    return mlflow.pyfunc.load_model(str(models.path(name))).predict(frame)


def split(data: list[list[Any]], columns: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"input_data": {"columns": columns or NAMES, "data": data, **more}}


RIGHT = {
    "azure split": split([ROW], index=[0]),
    "azure split without names": {"input_data": {"data": [ROW]}},
    "azure rows": {"input_data": [ROW]},
    "azure records": {"input_data": [RECORD]},
    "azure columns": {"input_data": {name: [value] for name, value in RECORD.items()}},
    "azure names that only count": split([ROW], [0, 1, 2, 3]),
    "other order, named": split([ROW[::-1]], NAMES[::-1]),
    "other order, records": {"input_data": [dict(reversed(RECORD.items()))]},
    "mlflow split": {"dataframe_split": {"columns": NAMES, "index": [7], "data": [ROW]}},
    "mlflow records": {"dataframe_records": [RECORD]},
    "mlflow instances": {"instances": [RECORD]},
    "mlflow instances as rows": {"instances": [ROW]},
    "mlflow inputs": {"inputs": {name: [value] for name, value in RECORD.items()}},
    "mlflow inputs of one row": {"inputs": RECORD},
    "whole number in a double column": split([[8, 12, True, "rain"]]),
    "whole number with a point in a long column": split([[8.0, 12.5, True, "rain"]]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_every_known_form_gives_pyfuncs_own_number(name: str, client: Client, models: Models) -> None:
    body = RIGHT[name]
    answer = client.score("shop/bikes", body)
    assert answer.status == 200, answer.body
    frame = pandas.DataFrame([ROW if "whole" not in name else [8, 12.0, True, "rain"]], columns=NAMES)
    expected = reference(models, "bikes", frame).tolist()
    assert answer.json == (expected if "input_data" in body else {"predictions": expected})


def test_many_rows_give_pyfuncs_numbers_exactly(client: Client, models: Models) -> None:
    answer = client.score("shop/bikes", {"input_data": models.frame.to_dict("records")})
    assert answer.status == 200
    assert answer.json == reference(models, "bikes", models.frame).tolist()


def test_the_models_own_predict_function_is_used(client: Client, models: Models) -> None:
    frame = models.frame[["hour", "temperature"]].astype(float).head(20)
    answer = client.score("shop/proba", {"input_data": frame.to_numpy().tolist()})
    assert answer.json == reference(models, "proba", frame).tolist()
    assert len(answer.json[0]) == 2


def test_a_tensor_model_gives_pyfuncs_numbers(client: Client, models: Models) -> None:
    array = numpy.ascontiguousarray(models.frame[["hour", "temperature"]].astype(float).to_numpy()[:5])
    expected = reference(models, "tensor", array).tolist()
    for body in (
        {"input_data": array.tolist()},
        {"input_data": {"columns": [0, 1], "index": list(range(5)), "data": array.tolist()}},
    ):
        assert client.score("shop/tensor", body).json == expected
    assert client.score("shop/tensor", {"instances": array.tolist()}).json == {"predictions": expected}


def test_an_optional_column_may_be_null_or_left_out(client: Client, models: Models) -> None:
    null = client.score("shop/optional", {"input_data": [{"hour": None, "temperature": 3.5}]})
    out = client.score("shop/optional", {"input_data": [{"temperature": 3.5}]})
    frame = pandas.DataFrame({"hour": [numpy.nan], "temperature": [3.5]})
    assert null.json == out.json == reference(models, "optional", frame).tolist()


def test_a_model_without_signature_is_checked_as_far_as_it_remembers_its_columns(
    client: Client, models: Models
) -> None:
    expected = reference(models, "unsigned", pandas.DataFrame([ROW], columns=NAMES)).tolist()
    assert client.score("shop/unsigned", split([ROW[::-1]], NAMES[::-1])).json == expected
    assert client.score("shop/unsigned", {"input_data": [ROW]}).json == expected
    for body, words in (
        (split([[*ROW, 1]], [*NAMES, "extra"]), "unknown column 'extra'"),
        (split([ROW[:3]], NAMES[:3]), "missing column 'weather'"),
        ({"input_data": [ROW[:3]]}, "row 0 has 3 values, the model was trained on 4"),
    ):
        answer = client.score("shop/unsigned", body)
        assert answer.status == 400
        assert words in answer.error["message"]


def row(**changes: Any) -> dict[str, Any]:
    return {"input_data": [RECORD, {**RECORD, **changes}]}


def without(name: str) -> dict[str, Any]:
    return {"input_data": [RECORD, {key: value for key, value in RECORD.items() if key != name}]}


# name: (body, words of the message, details of the error that must be there)
WRONG: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "text in a double column": (row(temperature="warm"), 'expected double, got string "warm"',
                                {"row": 1, "column": "temperature"}),
    "number as text": (row(temperature="12.5"), "expected double", {"row": 1, "column": "temperature"}),
    "float in a long column": (row(hour=8.5), "expected long, got number 8.5", {"row": 1, "column": "hour"}),
    "boolean in a long column": (row(hour=True), "expected long, got boolean true", {"row": 1, "column": "hour"}),
    "too large for a long": (row(hour=2**63), "expected long", {"row": 1, "column": "hour"}),
    "number in a boolean column": (row(workday=1), "expected boolean, got number 1", {"row": 1, "column": "workday"}),
    "number in a text column": (row(weather=3), "expected string, got number 3", {"row": 1, "column": "weather"}),
    "list in a column": (row(temperature=[1]), "expected double, got list of 1", {"row": 1, "column": "temperature"}),
    "null in a required column": (row(temperature=None), "got null", {"row": 1, "column": "temperature"}),
    "missing column": (without("hour"), "row 1: missing column 'hour'", {"row": 1, "column": "hour"}),
    "unknown column": (row(wind=1), "row 1: unknown column 'wind'", {"row": 1, "column": "wind"}),
    "missing column, named": (split([ROW[:3]], NAMES[:3]), "missing column 'weather'", {"column": "weather"}),
    "unknown column, named": (split([[*ROW, 1]], [*NAMES, "wind"]), "unknown column 'wind'", {"column": "wind"}),
    "a name twice": (split([[*ROW, 1]], [*NAMES, "hour"]), "the column 'hour' twice", {"column": "hour"}),
    "too few values": ({"input_data": [ROW, ROW[:3]]}, "row 1 has 3 values, expected 4", {"row": 1, "got": 3}),
    "too many values": ({"input_data": [ROW, [*ROW, 1]]}, "row 1 has 5 values, expected 4", {"row": 1, "got": 5}),
    "rows in another order": ({"input_data": [ROW[::-1]]}, "expected long", {"row": 0, "column": "hour"}),
    "fewer values than names": (split([ROW[:3]]), "row 0 has 3 values, expected 4", {"row": 0}),
    "index of another length": (split([ROW], index=[0, 1]), "2 entries for 1 rows", {}),
    "columns of other lengths": ({"inputs": {**{n: [v] for n, v in RECORD.items()}, "hour": [1, 2]}}, "values", {}),
    "lists and objects mixed": ({"input_data": [ROW, RECORD]}, "row 1", {"row": 1}),
    "bare values": ({"input_data": [1, 2]}, "expected a list of 4 values", {}),
    "no rows": ({"input_data": []}, "no rows", {}),
    "no rows, split": (split([]), "no rows", {}),
    "no input": ({"data": [ROW]}, "no input data", {}),
    "two inputs": ({"input_data": [ROW], "instances": [ROW]}, "both", {}),
    "unknown field": ({"input_data": [ROW], "extra": 1}, "unknown field 'extra'", {}),
    "unknown parameter": ({"input_data": [ROW], "params": {"a": 1}}, "unknown parameter 'a'", {}),
    "a number": (b"12", "not an object", {}),
    "a list": ([[1]], "not an object", {}),
    "empty": (b"", "empty", {}),
    "blank": (b"  \n", "empty", {}),
    "not JSON": (b"{'input_data': []}", "not JSON", {}),
    "cut off": (b'{"input_data": [[1, 2', "not JSON", {}),
    "NaN": (b'{"input_data": [[8, NaN, true, "rain"]]}', "not JSON", {}),
    "infinity": (b'{"input_data": [[8, 1e999, true, "rain"]]}', "not JSON", {}),
    "not UTF-8": (b'{"input_data": [[8, 1.0, true, "\xff"]]}', "not JSON", {}),
    "nested too deep": (b'{"input_data":' + b"[" * 40 + b"]" * 40 + b"}", "nested deeper", {}),
    "nested far too deep": (b'{"input_data":' + b"[" * 5000 + b"]" * 5000 + b"}", "nested deeper", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_payload_is_refused_with_its_place(name: str, client: Client) -> None:
    body, words, details = WRONG[name]
    answer = client.score("shop/bikes", body)
    assert answer.status == 400, answer.body
    assert words in answer.error["message"]
    assert {key: answer.error["details"][key] for key in details} == details
    assert answer.error["request_id"] == answer.request_id


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"input_data": [[1.0, 2.0], [1.0]]}, "row 1 has 1 values, expected 2"),
        ({"input_data": [[1.0, "a"]]}, "row 0, column '1': expected float64"),
        ({"input_data": [[1.0, None]]}, "row 0, column '1': expected float64, got null"),
        ({"input_data": [[1.0, True]]}, "expected float64, got boolean true"),
        ({"input_data": [1.0, 2.0]}, "row 0"),
        ({"input_data": [{"a": 1.0, "b": 2.0}]}, "not named columns"),
        ({"input_data": {"columns": ["a", "b"], "data": [[1.0, 2.0]]}}, "order cannot be checked"),
        ({"input_data": [[[1.0], [2.0]]]}, "expected float64, got list of 1"),
    ],
)
def test_a_wrong_tensor_is_refused(body: Any, words: str, client: Client) -> None:
    answer = client.score("shop/tensor", body)
    assert answer.status == 400, answer.body
    assert words in answer.error["message"]


def test_other_content_types_are_refused(client: Client) -> None:
    body = json.dumps({"input_data": [ROW]}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=utf-16"):
        answer = client.send(
            "POST", "/shop/bikes/score", body, {"Content-Type": kind, "Authorization": f"Bearer {KEY}"}
        )
        assert answer.status == 415, kind
    assert client.score("shop/bikes", body, content_type="application/json; charset=UTF-8").status == 200


def test_too_many_rows_or_bytes_are_413(client: Client) -> None:
    assert client.score("shop/bikes", {"input_data": [ROW] * 500}).status == 200
    rows = client.score("shop/bikes", {"input_data": [ROW] * 501})
    assert (rows.status, "limit is 500" in rows.error["message"]) == (413, True)
    large = client.score("shop/bikes", b'{"input_data": "' + b"x" * 200_000 + b'"}')
    assert (large.status, "limit is 100000" in large.error["message"]) == (413, True)
    assert client.score("shop/bikes", {"input_data": [ROW]}).status == 200


def test_unknown_paths_and_methods_are_refused(client: Client) -> None:
    key = {"Authorization": f"Bearer {KEY}"}
    assert client.score("shop/nothing", {}).status == 404
    assert client.send("GET", "/nothing").status == 404
    assert client.send("GET", "/shop/bikes/other").status == 404
    assert client.send("GET", "/shop/bikes/score", headers=key).status == 405
    assert client.send("POST", "/metrics").status == 405


def test_the_long_path_works_too(client: Client) -> None:
    answer = client.send(
        "POST", "/endpoints/shop/bikes/score", json.dumps({"input_data": [ROW]}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"},
    )  # fmt: skip
    assert answer.status == 200
    assert answer.headers["azureml-model-deployment"] == "blue"
    assert answer.headers["x-model-version"] == "3"


def test_swagger_describes_the_signature(client: Client) -> None:
    answer = client.send("GET", "/shop/bikes/swagger.json", headers={"Authorization": f"Bearer {KEY}"})
    document = answer.json
    body = document["paths"]["/shop/bikes/score"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    records = body["properties"]["input_data"]["oneOf"][1]["items"]
    assert records["required"] == NAMES
    assert records["properties"]["hour"] == {"type": "integer", "format": "int64"}
    assert client.send("GET", "/shop/bikes/swagger.json").status == 401
    tensor = client.send("GET", "/shop/tensor/swagger.json", headers={"Authorization": f"Bearer {KEY}"}).json
    assert "/shop/tensor/score" in tensor["paths"]


def test_the_status_describes_the_model(served: Gateway) -> None:
    status = served.status().endpoints["shop/bikes"].deployments["blue"]
    assert status.state == "ready"
    assert status.description is not None
    assert status.description["flavor"] == "sklearn"
    assert status.description["feature_names"] == NAMES
    assert status.description["signature"]["inputs"][0] == {"type": "long", "name": "hour", "required": True}
    assert status.description["direct"] is True


def test_metrics_are_prometheus_text(client: Client) -> None:
    client.score("shop/bikes", {"input_data": [ROW]})
    client.score("shop/bikes", b"")
    text = client.send("GET", "/metrics").body.decode()
    labels = 'endpoint="shop/bikes",deployment="blue",deployment_id="dep-bikes"'
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values[f'doubleloop_requests_total{{{labels},code="200"}}']) >= 1
    assert float(values[f'doubleloop_requests_total{{{labels},code="400"}}']) >= 1
    count = float(values[f"doubleloop_request_seconds_count{{{labels}}}"])
    assert float(values[f'doubleloop_request_seconds_bucket{{{labels},le="+Inf"}}']) == count >= 2
    assert client.send("GET", "/health").json == {"status": "ok"}
