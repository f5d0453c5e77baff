"""Online endpoints and deployments."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Mapping
from typing import Any

import anyio.to_thread
import httpx
from fastapi import Body, Query, Request, Response

from doubleloop.api import invoking, readings, render, requests, routing
from doubleloop.api.routing import needs
from doubleloop.base import errors
from doubleloop.db.context import Ctx
from doubleloop.endpoints import commands, model, queries
from doubleloop.identity.actions import Action

router = routing.router("/api/v1/workspaces/{ws}/online-endpoints")

INVOKE_SECONDS = 120.0


def _endpoint(ctx: Ctx, endpoint: model.Endpoint) -> dict[str, Any]:
    names = [each.name for each in queries.deployments(ctx, endpoint.name)]
    return render.endpoint(endpoint, queries.score_url(ctx, endpoint.name), names)


def _deployment(
    ctx: Ctx, deployment: model.Deployment, running: Mapping[str, model.Instances] | None = None
) -> dict[str, Any]:
    endpoint = queries.get(ctx, deployment.endpoint)
    instances = (running or {}).get(deployment.id)
    return render.deployment(deployment, endpoint.traffic.get(deployment.name, 0), instances)


@router.post("", openapi_extra=needs(Action.ENDPOINT_WRITE))
def put(request: Request, ws: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document", "local")
    document = requests.document(body, "online_endpoint")
    local = bool(requests.value(body, "local", bool))
    with requests.writing(request, ws) as ctx:
        return _endpoint(ctx, commands.put_endpoint(ctx, document, local=local))


@router.get("", openapi_extra=needs(Action.ENDPOINT_READ))
def list_endpoints(request: Request, ws: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(queries.endpoints(ctx), lambda each: _endpoint(ctx, each))


@router.get("/{name}", openapi_extra=needs(Action.ENDPOINT_READ))
def show(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return _endpoint(ctx, queries.get(ctx, name))


@router.delete("/{name}", openapi_extra=needs(Action.ENDPOINT_WRITE))
def delete(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        commands.delete_endpoint(ctx, name)
    return {}


@router.put("/{name}/traffic", openapi_extra=needs(Action.ENDPOINT_WRITE))
def traffic(request: Request, ws: str, name: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "traffic", "mirror_traffic", "reason")
    with requests.writing(request, ws) as ctx:
        changed = commands.set_traffic(
            ctx, name, _shares(body.get("traffic")), reason=requests.text(body, "reason"),
            mirror=_shares(body["mirror_traffic"]) if "mirror_traffic" in body else None,
        )  # fmt: skip
        answer = _endpoint(ctx, changed)
    queries.await_traffic(requests.contexts(request), changed)
    return answer


def _shares(value: Any) -> dict[str, int]:
    if not isinstance(value, dict) or not all(
        isinstance(each, int) and not isinstance(each, bool) for each in value.values()
    ):
        raise errors.InvalidInput("Traffic is a map of deployment names to whole per cents")
    return value


@router.get("/{name}/keys", openapi_extra=needs(Action.ENDPOINT_KEYS))
def keys(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        return commands.reveal(ctx, name)


@router.post("/{name}/keys", openapi_extra=needs(Action.ENDPOINT_KEYS))
def regenerate(request: Request, ws: str, name: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "key_type")
    with requests.writing(request, ws) as ctx:
        primary, secondary = commands.regenerate_key(ctx, name, requests.text(body, "key_type", "primary").lower())
        wanted = commands.access(ctx, name)
    queries.await_access(requests.contexts(request), ws, name, wanted)
    return {"primaryKey": primary, "secondaryKey": secondary}


@router.get("/{name}/metrics", openapi_extra=needs(Action.ENDPOINT_READ))
def metrics(request: Request, ws: str, name: str, deployment: str | None = None) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        queries.get(ctx, name)
    found = queries.metrics(requests.contexts(request), ws, name)
    if deployment is not None:
        if deployment not in found:
            raise errors.NotFound(f"The gateway does not serve a deployment '{deployment}' of {name}")
        return render.metrics(found[deployment])
    return {"deployments": {each: render.metrics(value) for each, value in found.items()}}


@router.get("/{name}/slo", openapi_extra=needs(Action.ENDPOINT_READ))
def slo(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        endpoint = queries.get(ctx, name)
    found = queries.objectives(requests.contexts(request), ws, name) if endpoint.slo else []
    return render.slo(endpoint, found)


@functools.cache
def _authorities() -> ssl.SSLContext:
    """Whose certificates a client takes. Read once for all requests: it takes 30 ms."""
    return httpx.create_ssl_context()


@router.post("/{name}/invoke", openapi_extra=needs(Action.ENDPOINT_INVOKE))
async def invoke(request: Request, ws: str, name: str) -> Response:
    body = await request.body()
    return await _invoke(request, ws, name, body)


async def _invoke(request: Request, ws: str, name: str, body: bytes) -> Response:
    def prepare() -> tuple[str, str]:
        with requests.reading(request, ws) as ctx:
            return commands.permit_invoke(ctx, name), queries.score_url(ctx, name)

    key, url = await anyio.to_thread.run_sync(prepare)
    passed = ("accept", "content-type", "azureml-model-deployment", "x-ms-client-request-id", "x-request-id", "ce-time")
    headers = {each: request.headers[each] for each in passed if each in request.headers}
    client = httpx.AsyncClient(timeout=INVOKE_SECONDS, verify=_authorities())
    try:
        return await invoking.passed_on(client, url, body, {**headers, "authorization": f"Bearer {key}"})
    except httpx.HTTPError as error:
        raise errors.Unavailable(f"The gateway does not answer ({type(error).__name__})") from error


@router.post("/{name}/deployments", openapi_extra=needs(Action.ENDPOINT_WRITE))
def create_deployment(request: Request, ws: str, name: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document", "id", "all_traffic")
    document = requests.document(body, "online_deployment")
    if document.model.endpoint_name != name:
        raise errors.InvalidInput(f"The deployment belongs to endpoint {document.model.endpoint_name}, not {name}")
    with requests.writing(request, ws) as ctx:
        made = commands.create_deployment(
            ctx, document, id_=requests.identifier(body), all_traffic=bool(requests.value(body, "all_traffic", bool))
        )
        return _deployment(ctx, made)


@router.get("/{name}/mirror", openapi_extra=needs(Action.ENDPOINT_READ))
def mirror(request: Request, ws: str, name: str, deployment: str | None = None) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        queries.get(ctx, name)
    found = queries.mirrored(requests.contexts(request), ws, name, deployment)
    return {"deployments": {each: render.plain(value) for each, value in found.items()}}


@router.get("/{name}/deployments", openapi_extra=needs(Action.ENDPOINT_READ))
def deployments(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        queries.get(ctx, name)
    running = queries.instances(requests.contexts(request), ws, name)
    with requests.reading(request, ws) as ctx:
        return requests.listing(queries.deployments(ctx, name), lambda each: _deployment(ctx, each, running))


@router.get("/{name}/deployments/{deployment}", openapi_extra=needs(Action.ENDPOINT_READ))
def show_deployment(request: Request, ws: str, name: str, deployment: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        queries.deployment_named(ctx, name, deployment)
    running = queries.instances(requests.contexts(request), ws, name)
    with requests.reading(request, ws) as ctx:
        return _deployment(ctx, queries.deployment_named(ctx, name, deployment), running)


@router.delete("/{name}/deployments/{deployment}", openapi_extra=needs(Action.ENDPOINT_WRITE))
def delete_deployment(request: Request, ws: str, name: str, deployment: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        commands.delete_deployment(ctx, name, deployment)
    return {}


@router.get("/{name}/deployments/{deployment}/logs", openapi_extra=needs(Action.LOG_READ))
def logs(request: Request, ws: str, name: str, deployment: str, lines: int = Query(50, ge=1, le=10_000)) -> Response:
    text = queries.log(requests.contexts(request), requests.actor(request), ws, name, deployment, lines)
    readings.note(request, "log.read", f"endpoint:{ws}/{name}", ws, deployment=deployment)
    return Response(text, media_type="text/plain; charset=utf-8")
