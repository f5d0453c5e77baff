"""Registered components."""

from __future__ import annotations

from typing import Any

from fastapi import Body, Request

from doubleloop.api import render, requests, routing
from doubleloop.api.routing import needs
from doubleloop.catalog import model as assets
from doubleloop.components import commands, queries
from doubleloop.identity.actions import Action
from doubleloop.specs import detection

router = routing.router("/api/v1/workspaces/{ws}/components")

KINDS = tuple(kind for kind in detection.MODELS if kind.endswith("_component"))
# What of the component's file is shown beside what every asset has.
_SHOWN = ("display_name", "inputs", "outputs", "command", "environment", "code", "jobs", "is_deterministic")


def _component(asset: assets.Asset) -> dict[str, Any]:
    spec = asset.spec["document"]["spec"]
    shown = {key: spec[key] for key in _SHOWN if spec.get(key) is not None}
    return {**render.asset(asset), "path": spec.get("code"), "spec": spec, **shown}


def _reference(name: str, version: str) -> str:
    return f"{name}{version}" if version.startswith("@") else f"{name}:{version}"


@router.post("", openapi_extra=needs(Action.ENVIRONMENT_WRITE))
def create(request: Request, ws: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document", "label")
    document = requests.document(body, *KINDS)
    with requests.writing(request, ws) as ctx:
        return _component(commands.create(ctx, document, requests.value(body, "label", str)))


@router.get("", openapi_extra=needs(Action.ENVIRONMENT_READ))
def list_components(request: Request, ws: str, archived: bool = False, catalog: bool = False) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        found = queries.shipped_ones(ctx) if catalog else queries.names(ctx, archived)
        return requests.listing(found, _component)


@router.get("/{name}/versions", openapi_extra=needs(Action.ENVIRONMENT_READ))
def versions(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(queries.versions(ctx, name), _component)


@router.get("/{name}/versions/{version}", openapi_extra=needs(Action.ENVIRONMENT_READ))
def show(request: Request, ws: str, name: str, version: str, catalog: bool = False) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        find = queries.shipped_one if catalog else queries.resolve
        return _component(find(ctx, _reference(name, version)))


@router.put("/{name}/labels/{label}", openapi_extra=needs(Action.ENVIRONMENT_WRITE))
def set_label(request: Request, ws: str, name: str, label: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "version")
    with requests.writing(request, ws) as ctx:
        return _component(commands.set_label(ctx, _reference(name, requests.text(body, "version")), label))


@router.post("/{name}/versions/{version}/archive", openapi_extra=needs(Action.ENVIRONMENT_WRITE))
def archive(request: Request, ws: str, name: str, version: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        return _component(commands.archive(ctx, _reference(name, version)))


@router.post("/{name}/versions/{version}/restore", openapi_extra=needs(Action.ENVIRONMENT_WRITE))
def restore(request: Request, ws: str, name: str, version: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        return _component(commands.archive(ctx, _reference(name, version), False))
