"""Labelling projects: items one by one, what people say of them, and the data version that comes of it."""

from __future__ import annotations

from typing import Any

from fastapi import Body, Request, Response

from doubleloop.api import render, requests, routing
from doubleloop.api.routing import needs
from doubleloop.base import errors
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.labeling import commands, importing, queries, syncing, training

router = routing.router("/api/v1/workspaces/{ws}/labeling-projects")
# The largest number of a row that every database holds.
MOST = 2**31 - 1


def _given(body: dict[str, Any]) -> int | None:
    found = requests.value(body, "item", int)
    return None if found is None else _number(str(found))


def _number(given: str) -> int:
    if not (given.isascii() and given.isdigit() and int(given[:20]) <= MOST):
        raise errors.NotFound(f"'{given[:80]}' is no item", cure="Items are numbered from 1.")
    return int(given)


@router.post("", openapi_extra=needs(Action.LABELING_WRITE))
def create(request: Request, ws: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document")
    document = requests.document(body, "labeling")
    made = commands.create(requests.contexts(request), requests.actor(request), ws, document)
    with requests.reading(request, ws) as ctx:
        return render.labeling_project(made, queries.states(ctx, made))


@router.get("", openapi_extra=needs(Action.LABELING_READ))
def list_projects(request: Request, ws: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(
            queries.projects(ctx), lambda each: render.labeling_project(each, queries.states(ctx, each))
        )


@router.get("/{name}", openapi_extra=needs(Action.LABELING_READ))
def show(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        found = queries.progress(ctx, name)
        project = queries.get(ctx, name)
        body = render.labeling_project(project, found.states)
        body["tool"] = render.labeling_link(syncing.find(ctx, project))
        body["proposed"] = render.labeling_proposal(training.find(ctx, project))
        return {**body, "people": found.people, "labels": found.labels, "agreement": render.plain(found.agreement)}


@router.delete("/{name}", openapi_extra=needs(Action.LABELING_WRITE))
def delete(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        commands.delete(ctx, name)
    return {}


@router.post("/{name}/close", openapi_extra=needs(Action.LABELING_WRITE))
def close(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        closed = commands.close(ctx, name)
        return render.labeling_project(closed, queries.states(ctx, closed))


@router.post("/{name}/export", openapi_extra=needs(Action.LABELING_WRITE))
def export(request: Request, ws: str, name: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "format", "partial")
    format_, partial = requests.text(body, "format", "csv"), bool(requests.value(body, "partial", bool))
    asset = commands.export(requests.contexts(request), requests.actor(request), ws, name, format_, partial=partial)
    return render.asset(asset)


@router.post("/{name}/import", openapi_extra=needs(Action.LABELING_WRITE))
def import_(request: Request, ws: str, name: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    """``data``: an uploaded file or folder, or a data asset."""
    requests.refuse_unknown(body, "data", "format", "annotator", "proposals")
    contexts, actor = requests.contexts(request), requests.actor(request)
    with requests.reading(request, ws) as ctx:
        identity.permit(ctx, Action.LABELING_WRITE, resource=f"labeling/{name}")
    found = importing.import_(
        contexts, actor, ws, name, importing.files(contexts, actor, ws, requests.text(body, "data")),
        requests.value(body, "format", str), requests.value(body, "annotator", str),
        proposals=bool(requests.value(body, "proposals", bool)),
    )  # fmt: skip
    return dict(render.plain(found))


@router.post("/{name}/sync", openapi_extra=needs(Action.LABELING_LABEL))
def sync(request: Request, ws: str, name: str) -> dict[str, Any]:
    """Called by the tool's webhook as well: what it sends along is not read, the tool is asked."""
    with requests.writing(request, ws) as ctx:
        syncing.ask(ctx, name)
    return {}


@router.post("/{name}/train", openapi_extra=needs(Action.JOB_SUBMIT))
def train(request: Request, ws: str, name: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "input")
    with requests.writing(request, ws) as ctx:
        job = training.start(ctx, name, requests.value(body, "input", str))
    settings = requests.settings(request)
    return render.job(job, f"http://{settings.host}:{settings.port}")


@router.post("/{name}/next", openapi_extra=needs(Action.LABELING_LABEL))
def next_item(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        found = commands.next_item(ctx, name)
    return {"item": render.labeling_item(found) if found is not None else None}


@router.post("/{name}/undo", openapi_extra=needs(Action.LABELING_LABEL))
def undo(request: Request, ws: str, name: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "item")
    with requests.writing(request, ws) as ctx:
        return render.labeling_item(commands.undo(ctx, name, _given(body)))


@router.get("/{name}/items", openapi_extra=needs(Action.LABELING_READ))
def items(
    request: Request, ws: str, name: str, state: str | None = None, after: str | None = None, limit: int = 100
) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        page = queries.items(ctx, name, state, requests.cursor(after), limit)
        return requests.listing(page.items, render.labeling_item, page.next)


@router.get("/{name}/items/{number}", openapi_extra=needs(Action.LABELING_READ))
def item(request: Request, ws: str, name: str, number: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        found = queries.item(ctx, name, _number(number))
        said = queries.said(ctx, name, found.number)
        return {**render.labeling_item(found), "said": [render.labeling_answer(each) for each in said]}


@router.get("/{name}/items/{number}/content", openapi_extra=needs(Action.LABELING_READ))
def content(request: Request, ws: str, name: str, number: str) -> Response:
    with requests.reading(request, ws) as ctx:
        found, media_type = queries.content(ctx, name, _number(number))
    return Response(found, media_type=media_type, headers={"x-content-type-options": "nosniff"})


@router.post("/{name}/items/{number}/label", openapi_extra=needs(Action.LABELING_LABEL))
def label(request: Request, ws: str, name: str, number: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "value")
    with requests.writing(request, ws) as ctx:
        return render.labeling_item(commands.label(ctx, name, _number(number), body.get("value")))


@router.post("/{name}/items/{number}/skip", openapi_extra=needs(Action.LABELING_LABEL))
def skip(request: Request, ws: str, name: str, number: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        return render.labeling_item(commands.skip(ctx, name, _number(number)))


@router.post("/{name}/items/{number}/review", openapi_extra=needs(Action.LABELING_REVIEW))
def review(request: Request, ws: str, name: str, number: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "value", "leave_out")
    leave_out = bool(requests.value(body, "leave_out", bool))
    with requests.writing(request, ws) as ctx:
        return render.labeling_item(commands.review(ctx, name, _number(number), body.get("value"), leave_out=leave_out))
