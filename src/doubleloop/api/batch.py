"""Batch endpoints, their deployments and invocations.

``/jobs`` is the address that scripts post to: it takes Azure's bodies and answers in Azure's words; ``/invoke`` is the
same in this API's own.
"""

from __future__ import annotations

from typing import Any

from fastapi import Body, Request

from doubleloop.api import render, requests, routing
from doubleloop.api.routing import needs
from doubleloop.base import errors
from doubleloop.batch import commands, model, queries
from doubleloop.db.context import Ctx
from doubleloop.identity.actions import Action
from doubleloop.jobs.model import Job
from doubleloop.specs import documents

router = routing.router("/api/v1/workspaces/{ws}/batch-endpoints")


def _endpoint(ctx: Ctx, endpoint: model.Endpoint) -> dict[str, Any]:
    names = [each.name for each in queries.deployments(ctx, endpoint.name)]
    return render.batch_endpoint(endpoint, queries.scoring_uri(ctx, endpoint.name), names)


def _job(request: Request, job: Job) -> dict[str, Any]:
    settings = requests.settings(request)
    return render.job(job, f"http://{settings.host}:{settings.port}")


@router.post("", openapi_extra=needs(Action.ENDPOINT_WRITE))
def put(request: Request, ws: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document")
    document = requests.document(body, "batch_endpoint")
    with requests.writing(request, ws) as ctx:
        return _endpoint(ctx, commands.put_endpoint(ctx, document))


@router.get("", openapi_extra=needs(Action.ENDPOINT_READ))
def list_endpoints(request: Request, ws: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(queries.endpoints(ctx), lambda each: _endpoint(ctx, each))


@router.get("/{name}", openapi_extra=needs(Action.ENDPOINT_READ))
def show(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return _endpoint(ctx, queries.endpoint(ctx, name))


@router.delete("/{name}", openapi_extra=needs(Action.ENDPOINT_WRITE))
def delete(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        commands.delete_endpoint(ctx, name)
    return {}


@router.post("/{name}/deployments", openapi_extra=needs(Action.ENDPOINT_WRITE))
def put_deployment(request: Request, ws: str, name: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document", "set_default")
    document = requests.document(body, "batch_deployment")
    if document.model.endpoint_name != name:
        raise errors.InvalidInput(f"The deployment belongs to endpoint {document.model.endpoint_name}, not {name}")
    with requests.writing(request, ws) as ctx:
        default = bool(requests.value(body, "set_default", bool))
        return render.batch_deployment(commands.put_deployment(ctx, document, set_default=default))


@router.get("/{name}/deployments", openapi_extra=needs(Action.ENDPOINT_READ))
def deployments(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(queries.deployments(ctx, name), render.batch_deployment)


@router.get("/{name}/deployments/{deployment}", openapi_extra=needs(Action.ENDPOINT_READ))
def show_deployment(request: Request, ws: str, name: str, deployment: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return render.batch_deployment(queries.deployment(ctx, name, deployment))


@router.delete("/{name}/deployments/{deployment}", openapi_extra=needs(Action.ENDPOINT_WRITE))
def delete_deployment(request: Request, ws: str, name: str, deployment: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        commands.delete_deployment(ctx, name, deployment)
    return {}


@router.post("/{name}/invoke", openapi_extra=needs(Action.ENDPOINT_INVOKE))
def invoke(request: Request, ws: str, name: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document", "id")
    document = requests.document(body, "batch_invocation")
    with requests.writing(request, ws) as ctx:
        return _job(request, commands.invoke(ctx, name, document, id=requests.identifier(body)))


@router.get("/{name}/jobs", openapi_extra=needs(Action.ENDPOINT_READ))
def jobs(request: Request, ws: str, name: str, deployment: str | None = None) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(queries.jobs_of(ctx, name, deployment), lambda each: _job(request, each))


@router.post("/{name}/jobs", openapi_extra=needs(Action.ENDPOINT_INVOKE))
def post_job(request: Request, ws: str, name: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    document = documents.from_model("batch_invocation", invocation(body, request.headers))
    with requests.writing(request, ws) as ctx:
        return _azure_job(ws, name, commands.invoke(ctx, name, document))


@router.get("/{name}/jobs/{job}", openapi_extra=needs(Action.ENDPOINT_INVOKE))
def show_job(request: Request, ws: str, name: str, job: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return _azure_job(ws, name, queries.job_of(ctx, name, job))


_STATUSES = {
    "queued": "NotStarted", "preparing": "Preparing", "running": "Running", "completed": "Completed",
    "failed": "Failed", "cancelled": "Canceled",
}  # fmt: skip


def _azure_job(ws: str, name: str, job: Job) -> dict[str, Any]:
    status = _STATUSES[job.status.value]
    return {
        "id": f"/workspaces/{ws}/batch-endpoints/{name}/jobs/{job.id}", "name": job.id, "status": status,
        "error": job.error or None, "properties": {"status": status, "outputs": dict(job.outputs)},
    }  # fmt: skip


_TYPES = {
    "urifile": "uri_file", "urifolder": "uri_folder", "mltable": "mltable", "uri_file": "uri_file",
    "uri_folder": "uri_folder", "mlflow_model": "mlflow_model", "mlflowmodel": "mlflow_model",
    "custommodel": "custom_model", "custom_model": "custom_model",
}  # fmt: skip


def invocation(body: dict[str, Any], headers: Any) -> dict[str, Any]:
    """An invocation from the body that Azure's scoring address takes. Raises InvalidInput."""
    requests.refuse_unknown(body, "properties")
    properties = requests.value(body, "properties", dict)
    if properties is None:
        raise errors.InvalidInput(
            "The body has no 'properties'",
            cure='Send {"properties": {"InputData": {"data": {"JobInputType": "UriFolder", "Uri": "..."}}}}.',
        )
    inputs = {str(key): _input(str(key), each) for key, each in _map(properties, "InputData").items()}
    dataset = _map(properties, "dataset")
    if dataset:
        inputs["job_data_path"] = {
            "type": "uri_folder",
            "path": str(_of(dataset, "Path") or _of(dataset, "datasetName")),
        }
    found: dict[str, Any] = {"inputs": inputs}
    outputs = {
        str(key): {"type": "uri_folder", "path": str(_of(each, "Uri"))}
        for key, each in _map(properties, "OutputData").items()
    }
    if outputs:
        found["outputs"] = outputs
    for key, field in (
        ("miniBatchSize", "mini_batch_size"),
        ("errorThreshold", "error_threshold"),
        ("outputFileName", "output_file_name"),
    ):
        if _of(properties, key) is not None:
            found[field] = _of(properties, key)
    deployment = headers.get("azureml-model-deployment")
    return {**found, "deployment_name": deployment} if deployment else found


def _input(name: str, given: Any) -> Any:
    kind = str(_of(given, "JobInputType") or "").lower()
    if kind == "literal":
        return {"value": _of(given, "Value")}
    if kind not in _TYPES or not isinstance(_of(given, "Uri"), str):
        raise errors.InvalidInput(
            f"Input '{name}' is not understood",
            cure="Give JobInputType (UriFolder, UriFile, Literal) and Uri or Value.",
        )
    return {"type": _TYPES[kind], "path": _of(given, "Uri")}


def _map(body: dict[str, Any], name: str) -> dict[str, Any]:
    found = _of(body, name)
    if found is not None and not isinstance(found, dict):
        raise errors.InvalidInput(f"'{name}' must be a mapping")
    return found or {}


def _of(body: Any, name: str) -> Any:
    """A field whatever the case of its first letter: Azure's own examples have both."""
    if not isinstance(body, dict):
        raise errors.InvalidInput("The body has a value where a mapping is expected")
    return next((each for key, each in body.items() if str(key).lower() == name.lower()), None)
