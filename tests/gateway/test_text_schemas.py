"""An endpoint of a language component says what its task takes and answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from doubleloop.gateway import openapi

TEXT = [{"name": "text", "type": "string", "required": True}]


def described(metadata: dict[str, Any] | None, outputs: list[dict[str, Any]]) -> dict[str, Any]:
    signature = {"inputs": TEXT, "outputs": outputs}
    route: Any = SimpleNamespace(workspace="w", name="e", serving=["blue"], endpoint=SimpleNamespace(auth="none"))
    running: Any = SimpleNamespace(
        description={"metadata": metadata}, contract=SimpleNamespace(signature=signature, images=None),
        deployment=SimpleNamespace(model="m", model_version="1"),
    )  # fmt: skip
    found: dict[str, Any] = openapi.describe(route, running)["paths"]["/w/e/score"]["post"]
    return found


def answer(operation: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = operation["responses"]["200"]["content"]["application/json"]["schema"]["items"]
    return found


def test_classes_and_their_order_are_told() -> None:
    probabilities = {"name": "probabilities", "type": "array", "items": {"type": "double"}}
    outputs = [{"name": "prediction", "type": "string"}, probabilities]
    operation = described({"task": "sentiment", "classes": ["bad", "good"]}, outputs)
    properties = answer(operation)["properties"]
    assert properties["prediction"]["enum"] == ["bad", "good"]
    assert properties["probabilities"]["description"].endswith("bad, good")
    forms = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]["input_data"]["oneOf"]
    assert forms[0]["items"] == {"type": "string"} and len(forms) == 3
    assert operation["summary"] == "Sentiment: the likeliest mood"


def test_a_single_answer_is_a_record_of_its_name_for_a_task_and_may_be_a_value_otherwise() -> None:
    outputs = [{"name": "prediction", "type": "string"}]
    assert answer(described({"task": "translation"}, outputs))["properties"]["prediction"]["type"] == "string"
    for metadata in ({"task": "of one's own"}, None):
        value, record = answer(described(metadata, outputs))["anyOf"]
        assert value == {"type": "string"} and list(record["properties"]) == ["prediction"]
