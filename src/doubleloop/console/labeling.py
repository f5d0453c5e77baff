"""Labelling projects: how far they are, and the page on which a person labels or reviews with the keyboard."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from doubleloop.base import errors
from doubleloop.console import rendering, requests
from doubleloop.console.requests import needs
from doubleloop.db.context import Ctx
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.labeling import commands, model, queries, rules, syncing, training
from doubleloop.specs.kinds import labeling as specs

router = APIRouter()

# Hues of labels that name none, as of d3's category10.
HUES = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf")


@router.get("/labeling", openapi_extra=needs(Action.LABELING_READ))
def index(request: Request) -> Response:
    with requests.reading(request) as ctx:
        places = requests.places(ctx, Action.LABELING_READ)
        found = []
        for place in places:
            here = ctx.in_workspace(place)
            found += [(each, queries.states(here, each)) for each in queries.projects(here)]
        return rendering.page(request, "labelings.html", now=ctx.now, projects=found, places=places, done=_done)


def _done(project: model.Project, states: dict[str, int]) -> int:
    return project.items - states.get(model.State.QUEUED, 0) - states.get(model.State.ASSIGNED, 0)


def _may(ctx: Ctx, action: Action, name: str) -> bool:
    return identity.decide(ctx, action, ctx.workspace, f"labeling/{name}").allowed


@router.get("/labeling/{ws}/{name}", openapi_extra=needs(Action.LABELING_READ))
def show(request: Request, ws: str, name: str) -> Response:
    with requests.reading(request, ws) as ctx:
        project = queries.get(ctx, name)
        found = queries.progress(ctx, name)
        values: dict[str, Any] = {
            "ws": ws, "project": project, "spec": commands.spec_of(project), "progress": found,
            "done": _done(project, found.states), "to_review": len(queries.reviewable(ctx, name)),
            "may_label": _may(ctx, Action.LABELING_LABEL, name), "may_review": _may(ctx, Action.LABELING_REVIEW, name),
            "may_write": _may(ctx, Action.LABELING_WRITE, name), "is_closed": project.status is model.Status.CLOSED,
            "link": syncing.find(ctx, project),
            "proposal": training.find(ctx, project), "may_train": identity.decide(ctx, Action.JOB_SUBMIT, ws).allowed,
        }  # fmt: skip
        return rendering.page(request, "labeling.html", now=ctx.now, **values)


@router.get("/labeling/{ws}/{name}/work", openapi_extra=needs(Action.LABELING_LABEL))
def work(request: Request, ws: str, name: str) -> Response:
    """What the person holds now."""
    with requests.reading(request, ws) as ctx:
        item = queries.held(ctx, name)
        said = {} if item is None else {"value": item.prelabel, "by": "proposed by the model" if item.prelabel else ""}
        return _desk(request, ctx, name, item, "say", [said] if said.get("by") else [])


@router.get("/labeling/{ws}/{name}/review", openapi_extra=needs(Action.LABELING_REVIEW))
def review(request: Request, ws: str, name: str) -> Response:
    """The first item that waits for a review by the person."""
    with requests.reading(request, ws) as ctx:
        waiting = queries.reviewable(ctx, name)
        item = waiting[0] if waiting else None
        found = rules.standing(queries.said(ctx, name, item.number)) if item is not None else {}
        said = [{"value": each.value, "by": f"{each.said} by {user}"} for user, each in found.items()]
        return _desk(request, ctx, name, item, "review", said)


def _desk(
    request: Request, ctx: Ctx, name: str, item: model.Item | None, verb: str, said: list[dict[str, Any]]
) -> Response:  # fmt: skip
    project = queries.get(ctx, name)
    spec = commands.spec_of(project)
    keys = {label: key for key, label in specs.keys(spec).items()}
    labels = [
        {"name": each.name, "key": keys.get(each.name, ""), "color": each.color or HUES[number % len(HUES)]}
        for number, each in enumerate(spec.labels)
    ]
    states = queries.states(ctx, project)
    values: dict[str, Any] = {
        "ws": ctx.workspace, "project": project, "spec": spec, "item": item, "verb": verb, "labels": labels,
        "said": said, "chosen": said[0]["value"] if said else None, "done": _done(project, states),
    }  # fmt: skip
    return rendering.page(request, "labeling_desk.html", now=ctx.now, **values)


@router.get("/labeling/{ws}/{name}/items/{number}/content", openapi_extra=needs(Action.LABELING_READ))
def content(request: Request, ws: str, name: str, number: int) -> Response:
    with requests.reading(request, ws) as ctx:
        found, media_type = queries.content(ctx, name, number)
    return Response(found, media_type=media_type, headers={"cache-control": "private, max-age=3600"})


@router.post("/labeling/{ws}/{name}/take", openapi_extra=needs(Action.LABELING_LABEL))
def take(request: Request, ws: str, name: str, csrf: str = Form("")) -> Response:
    requests.actor(request)
    requests.check_form(request, csrf)
    with requests.writing(request, ws) as ctx:
        commands.next_item(ctx, name)
    return RedirectResponse(f"/labeling/{ws}/{name}/work", 303)


@router.post("/labeling/{ws}/{name}/say", openapi_extra=needs(Action.LABELING_LABEL))
def say(
    request: Request, ws: str, name: str, do: str = Form("label"), item: str = Form(""), value: str = Form(""),
    csrf: str = Form(""),
) -> Response:  # fmt: skip
    """Keep what the person says, and hand them the next item."""
    requests.actor(request)
    requests.check_form(request, csrf)
    with requests.writing(request, ws) as ctx:
        identity.permit(ctx, Action.LABELING_LABEL, resource=f"labeling/{name}")
        if do == "undo":
            commands.undo(ctx, name)
        elif do == "skip":
            commands.skip(ctx, name, _number(item))
        else:
            commands.label(ctx, name, _number(item), _value(ctx, name, value))
        if do != "undo":
            commands.next_item(ctx, name)
    return RedirectResponse(f"/labeling/{ws}/{name}/work", 303)


@router.post("/labeling/{ws}/{name}/review", openapi_extra=needs(Action.LABELING_REVIEW))
def decide(
    request: Request, ws: str, name: str, do: str = Form("label"), item: str = Form(""), value: str = Form(""),
    csrf: str = Form(""),
) -> Response:  # fmt: skip
    requests.actor(request)
    requests.check_form(request, csrf)
    with requests.writing(request, ws) as ctx:
        identity.permit(ctx, Action.LABELING_REVIEW, resource=f"labeling/{name}")
        if do == "skip":
            commands.review(ctx, name, _number(item), leave_out=True)
        else:
            commands.review(ctx, name, _number(item), _value(ctx, name, value))
    return RedirectResponse(f"/labeling/{ws}/{name}/review", 303)


@router.post("/labeling/{ws}/{name}/export", openapi_extra=needs(Action.LABELING_WRITE))
def export(
    request: Request, ws: str, name: str, form: str = Form("csv"), partial: str = Form(""), csrf: str = Form("")
) -> Response:
    requests.actor(request)
    requests.check_form(request, csrf)
    commands.export(requests.contexts(request), requests.actor(request), ws, name, form, partial=bool(partial))
    return RedirectResponse(f"/labeling/{ws}/{name}", 303)


@router.post("/labeling/{ws}/{name}/train", openapi_extra=needs(Action.JOB_SUBMIT))
def train(request: Request, ws: str, name: str, csrf: str = Form("")) -> Response:
    requests.actor(request)
    requests.check_form(request, csrf)
    with requests.writing(request, ws) as ctx:
        job = training.start(ctx, name)
    return RedirectResponse(f"/jobs/{job.workspace}/{job.id}", 303)


@router.post("/labeling/{ws}/{name}/close", openapi_extra=needs(Action.LABELING_WRITE))
def close(request: Request, ws: str, name: str, csrf: str = Form("")) -> Response:
    requests.actor(request)
    requests.check_form(request, csrf)
    with requests.writing(request, ws) as ctx:
        commands.close(ctx, name)
    return RedirectResponse(f"/labeling/{ws}/{name}", 303)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise errors.InvalidInput(f"'{text[:80]}' is no item", cure="Use the buttons of the page.")
    return int(text)


def _value(ctx: Ctx, name: str, text: str) -> Any:
    """A class is a word; spans, shapes and rankings are JSON."""
    if commands.spec_of(queries.get(ctx, name)).task.endswith("classification"):
        if not text:
            raise errors.InvalidInput("No label was chosen", cure="Choose one, or skip the item.")
        return text
    try:
        return json.loads(text or "[]")
    except ValueError as error:
        raise errors.InvalidInput(f"The label is not JSON: {error}", cure="Go back and mend it.") from None
