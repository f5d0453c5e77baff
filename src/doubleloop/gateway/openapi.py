"""The OpenAPI description of one endpoint, from the signature of the deployment that would answer."""

from __future__ import annotations

from typing import Any

from doubleloop.gateway import image_schemas, stream_schemas, text_schemas, values
from doubleloop.gateway.answering import Answering
from doubleloop.gateway.routing import Route

SCALARS: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "format": "int32"},
    "long": {"type": "integer", "format": "int64"},
    "float": {"type": "number", "format": "float"},
    "double": {"type": "number", "format": "double"},
    "string": {"type": "string"},
    "binary": {"type": "string", "format": "byte"},
    "datetime": {"type": "string", "format": "date-time"},
}


def describe(route: Route, running: Answering) -> dict[str, Any]:
    told = (running.description or {}).get("openapi") or {}
    if "document" in told:  # the script brings its own
        return dict(told["document"])
    document = _describe(route, running)
    if told:
        operation = document["paths"][f"/{route.workspace}/{route.name}/score"]["post"]
        operation["requestBody"]["content"]["application/json"]["schema"] = told["input"]
        operation["responses"]["200"]["content"]["application/json"]["schema"] = told["output"]
    return document


def _describe(route: Route, running: Answering) -> dict[str, Any]:
    signature = running.contract.signature if running.contract is not None else None
    path = f"/{route.workspace}/{route.name}/score"
    operation: dict[str, Any] = {
        "operationId": "score",
        "summary": f"Score rows with {running.deployment.model or 'the model'}",
        "parameters": [
            {"name": "azureml-model-deployment", "in": "header", "required": False,
             "schema": {"type": "string", "enum": sorted(route.serving)}},
            {"name": "x-ms-client-request-id", "in": "header", "required": False, "schema": {"type": "string"}},
            {"name": "ce-time", "in": "header", "required": False,
             "schema": {"type": "string", "format": "date-time"}},
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _body(signature)}}},
        "responses": {
            "200": {"description": "The predictions, one per row",
                    "content": {"application/json": {"schema": _outputs(signature)}}},
            **{code: {"description": text} for code, text in ERRORS.items()},
        },
    }  # fmt: skip
    if running.contract is not None and running.contract.images is not None:
        image_schemas.describe(operation, running.contract.images)
    elif signature is not None and _is_record(signature.get("outputs")):
        answer = _object(signature["outputs"], _column)
        text_schemas.describe(operation, (running.description or {}).get("metadata") or {}, answer)
    if (running.description or {}).get("streams"):
        stream_schemas.describe(operation)
    document: dict[str, Any] = {
        "openapi": "3.0.3",
        "info": {"title": f"{route.workspace}/{route.name}", "version": running.deployment.model_version or "1"},
        "paths": {path: {"post": operation}},
    }
    if route.endpoint.auth == "key":
        document["components"] = {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}
        document["security"] = [{"key": []}]
    return document


ERRORS = {
    "400": "The request does not fit the model's signature; the error names row and column",
    "401": "No key, or a wrong one",
    "413": "Too many bytes or rows",
    "415": "Not application/json, nor another content type that is listed",
    "429": "Too many requests; see Retry-After",
    "500": "The model raised an error",
    "503": "No deployment is ready",
    "504": "No answer in time",
}


def _body(signature: dict[str, Any] | None) -> dict[str, Any]:
    if signature is None:
        return {"type": "object"}
    inputs = signature["inputs"]
    if inputs[0].get("type") == "tensor":
        data = _tensor(inputs[0]) if len(inputs) == 1 else _object(inputs, _tensor)
        return _with_params(data, signature)
    split: dict[str, Any] = {
        "type": "object",
        "required": ["data"],
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"},
                        "example": [str(spec.get("name", n)) for n, spec in enumerate(inputs)]},
            "index": {"type": "array", "items": {}},
            "data": {"type": "array", "items": {"type": "array", "items": {}, "minItems": len(inputs),
                                                "maxItems": len(inputs)}},
        },
    }  # fmt: skip
    forms = [split]
    if all(spec.get("name") is not None for spec in inputs):
        forms.append({"type": "array", "items": _object(inputs, _column)})
    return _with_params({"oneOf": forms}, signature)


def _with_params(data: dict[str, Any], signature: dict[str, Any]) -> dict[str, Any]:
    properties = {"input_data": data}
    params = signature.get("params") or []
    if params:
        known = {each["name"]: _param(each) for each in params}
        properties["params"] = {"type": "object", "additionalProperties": False, "properties": known}
    return {"type": "object", "required": ["input_data"], "properties": properties}


def _param(spec: dict[str, Any]) -> dict[str, Any]:
    schema = dict(SCALARS.get(str(spec.get("type")), {}))
    if spec.get("shape") is not None:
        schema = {"type": "array", "items": schema}
    return schema if spec.get("default") is None else {**schema, "default": spec["default"]}


def _object(specs: list[dict[str, Any]], render: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [spec["name"] for spec in specs if spec.get("required", True)],
        "additionalProperties": False,
        "properties": {spec["name"]: render(spec) for spec in specs},
    }


def _column(spec: dict[str, Any]) -> dict[str, Any]:
    kind = spec.get("type")
    if kind == "array":
        return {"type": "array", "items": _column(spec["items"])}
    if kind == "map":
        return {"type": "object", "additionalProperties": _column(spec["values"])}
    if kind == "object":
        return {"type": "object", "properties": {k: _column(v) for k, v in spec["properties"].items()}}
    schema = dict(SCALARS.get(str(kind), {}))
    if not spec.get("required", True) and kind not in values.RANGES:  # whole numbers may be left out, not null
        schema["nullable"] = True
    return schema


def _tensor(spec: dict[str, Any]) -> dict[str, Any]:
    inner = spec["tensor-spec"]
    dtype = str(inner["dtype"])
    leaf: dict[str, Any] = {"type": "number"}
    if "int" in dtype:
        leaf = {"type": "integer"}
    elif dtype == "bool":
        leaf = {"type": "boolean"}
    elif dtype in ("str", "object") or dtype.startswith("<U"):
        leaf = {"type": "string"}
    for length in reversed(inner["shape"]):
        leaf = {"type": "array", "items": leaf}
        if length > 0:
            leaf |= {"minItems": length, "maxItems": length}
    return leaf


def _is_record(outputs: list[dict[str, Any]] | None) -> bool:
    return any(spec.get("name") == "prediction" for spec in outputs or ())


def _outputs(signature: dict[str, Any] | None) -> dict[str, Any]:
    outputs = (signature or {}).get("outputs") or []
    if not outputs:
        return {}
    if outputs[0].get("type") == "tensor":
        if len(outputs) > 1:
            return _object(outputs, _tensor)
        named = outputs[0].get("name") is not None  # a name says that there is one, not that the answer shows it
        return {"anyOf": [_tensor(outputs[0]), _object(outputs, _tensor)]} if named else _tensor(outputs[0])
    if len(outputs) == 1:
        items = [_column(outputs[0])]
        if outputs[0].get("name") is not None:
            items.append(_object(outputs, _column))
        return {"type": "array", "items": items[0] if len(items) == 1 else {"anyOf": items}}
    named = all(spec.get("name") is not None for spec in outputs)
    return {"type": "array", "items": _object(outputs, _column) if named else {"type": "array", "items": {}}}
