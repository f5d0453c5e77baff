"""Endpoints: traffic, deployments, what they answer and how fast, and how to call them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Form, Request, Response

from doubleloop.base import errors
from doubleloop.console import charts, rendering, requests, words
from doubleloop.console.requests import needs
from doubleloop.endpoints import commands, model, queries
from doubleloop.gateway import histogram, protocol
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.monitoring import queries as monitoring

router = APIRouter()

# Stands for a key that is not shown.
HIDDEN = "•" * 16


@dataclass(frozen=True)
class Row:
    """A deployment, its share of the traffic, and what it has answered (None when no gateway says)."""

    deployment: model.Deployment
    percent: int
    mirror: int
    metrics: model.Metrics | None
    bars: list[charts.Bar]
    instances: model.Instances | None


@router.get("/endpoints", openapi_extra=needs(Action.ENDPOINT_READ))
def index(request: Request) -> Response:
    with requests.reading(request) as ctx:
        places = requests.places(ctx, Action.ENDPOINT_READ)
        found = [
            (endpoint, queries.deployments(ctx.in_workspace(place), endpoint.name))
            for place in places
            for endpoint in queries.endpoints(ctx.in_workspace(place))
        ]
        return rendering.page(
            request, "endpoints.html", now=ctx.now, endpoints=found, places=places, shares=charts.shares
        )


@router.get("/endpoints/{ws}/{name}", openapi_extra=needs(Action.ENDPOINT_READ))
def show(request: Request, ws: str, name: str) -> Response:
    values = _values(request, ws, name)
    with requests.reading(request, ws) as ctx:
        keys = identity.decide(ctx, Action.ENDPOINT_KEYS)
        watched = monitoring.monitors(ctx) if requests.allowed(ctx, Action.MONITOR_READ) else []
        values |= {
            "command": _command(values, queries.score_url(ctx, name), HIDDEN),
            "may_keys": keys.allowed, "why_no_keys": keys.why,
            "monitors": [each for each in watched if each.endpoint == name],
        }  # fmt: skip
    return rendering.page(request, "endpoint.html", **values)


def _values(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        endpoint = queries.get(ctx, name)
        found = queries.deployments(ctx, name)
    answers, silent = _metrics(request, ws, name)
    running, objectives = queries.instances(requests.contexts(request), ws, name), _objectives(request, ws, endpoint)
    rows = [_row(endpoint, each, answers.get(each.name), running.get(each.id)) for each in found]
    rows.sort(key=lambda row: (-row.percent, row.deployment.name))
    return {
        "ws": ws, "endpoint": endpoint, "rows": rows, "silent": silent, "shares": charts.shares(endpoint.traffic),
        "objectives": objectives,
    }  # fmt: skip


def _metrics(request: Request, ws: str, name: str) -> tuple[dict[str, model.Metrics], str]:
    """What the gateway says, outside of any transaction; else why it says nothing."""
    try:
        return queries.metrics(requests.contexts(request), ws, name), ""
    except errors.Unavailable as error:
        return {}, error.what


def _objectives(request: Request, ws: str, endpoint: model.Endpoint) -> list[protocol.Objective]:
    """Those that the endpoint has, as far as the gateway says."""
    try:
        return queries.objectives(requests.contexts(request), ws, endpoint.name) if endpoint.slo else []
    except errors.Unavailable:
        return []


def _row(
    endpoint: model.Endpoint, deployment: model.Deployment, metrics: model.Metrics | None,
    instances: model.Instances | None,
) -> Row:  # fmt: skip
    return Row(
        deployment, endpoint.traffic.get(deployment.name, 0), endpoint.mirror_traffic.get(deployment.name, 0), metrics,
        charts.histogram(metrics.latency, histogram.BOUNDS_MS) if metrics else [], instances,
    )  # fmt: skip


@router.get("/endpoints/{ws}/{name}/state", openapi_extra=needs(Action.ENDPOINT_READ))
def state(request: Request, ws: str, name: str) -> Response:
    """The part of the page that changes: traffic and what was answered."""
    return rendering.page(request, "endpoint_state.html", **_values(request, ws, name))


@router.post("/endpoints/{ws}/{name}/key", openapi_extra=needs(Action.ENDPOINT_KEYS))
def reveal(request: Request, ws: str, name: str, csrf: str = Form("")) -> Response:
    """The line that calls the endpoint, with its key in it."""
    requests.actor(request)
    requests.check_form(request, csrf)
    values = _values(request, ws, name)
    with requests.reading(request, ws) as ctx:
        primary, _ = commands.keys(ctx, name)
        url = queries.score_url(ctx, name)
    return rendering.page(request, "curl.html", command=_command(values, url, primary))


def _command(values: dict[str, Any], url: str, key: str) -> str:
    """How to call the endpoint, with a body that fits the deployment that takes most traffic."""
    bodies = (words.example_body(row.deployment.signature) for row in values["rows"])
    return words.curl(url, key if values["endpoint"].auth_mode == "key" else None, next(bodies, ""))
