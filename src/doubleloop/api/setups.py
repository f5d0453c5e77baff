"""Set-up as code: plan, apply, destroy, drift."""

from __future__ import annotations

from typing import Any

from fastapi import Body, Request

from doubleloop.api import render, requests, routing
from doubleloop.api.routing import needs
from doubleloop.base import errors
from doubleloop.identity.actions import Action
from doubleloop.setups import commands, planning, queries

router = routing.router("/api/v1")


def _plan(value: commands.Plan) -> dict[str, Any]:
    return {
        "digest": value.digest,
        "setup": value.setup,
        "changes": [
            {"action": each.action, "kind": each.kind, "name": each.name, "fields": _fields(each.fields),
             **({"refused": each.refused} if each.refused else {}), **({"note": each.note} if each.note else {})}
            for each in value.changes
        ],
    }  # fmt: skip


def _fields(fields: dict[str, tuple[Any, Any]]) -> dict[str, list[Any]]:
    return {name: list(pair) for name, pair in fields.items()}


def _drift(value: planning.Drift) -> dict[str, Any]:
    return {
        "setup": value.setup, "change": value.change, "kind": value.kind, "name": value.name,
        "fields": _fields(value.fields), "by": value.by, "at": render.plain(value.at),
    }  # fmt: skip


def _names(body: dict[str, Any]) -> list[str]:
    found: list[Any] = requests.value(body, "delete_data", list, []) or []
    if not all(isinstance(each, str) for each in found):
        raise errors.InvalidInput("'delete_data' must be a list of names")
    return found


@router.post("/setup/plan", openapi_extra=needs(Action.WORKSPACE_WRITE))
def plan(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document", "delete_data")
    document, delete_data = requests.document(body, "setup"), _names(body)
    with requests.reading(request) as ctx:
        return _plan(commands.plan(ctx, document, delete_data))


@router.post("/setup/apply", openapi_extra=needs(Action.WORKSPACE_WRITE))
def apply(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document", "digest", "delete_data")
    document, delete_data = requests.document(body, "setup"), _names(body)
    with requests.writing(request) as ctx:
        return _plan(commands.apply(ctx, document, requests.value(body, "digest", str), delete_data))


@router.post("/setup/destroy", openapi_extra=needs(Action.WORKSPACE_WRITE))
def destroy(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    """Without ``confirm`` only the plan."""
    requests.refuse_unknown(body, "name", "confirm", "digest", "delete_data")
    name, delete_data = requests.text(body, "name"), _names(body)
    confirm = requests.value(body, "confirm", str)
    if confirm is None:
        with requests.reading(request) as ctx:
            return _plan(commands.plan_destroy(ctx, name, delete_data))
    with requests.writing(request) as ctx:
        return _plan(commands.destroy(ctx, name, confirm, requests.value(body, "digest", str), delete_data))


@router.get("/setup/drift", openapi_extra=needs(Action.WORKSPACE_WRITE))
def drift(request: Request, name: str | None = None) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        found = queries.drift(ctx, name)
    return {
        "items": [_drift(each) for each in found.drifts],
        "next": None,
        "unmanaged": [{"kind": kind, "name": name} for kind, name in found.unmanaged],
    }
