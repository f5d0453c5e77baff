"""Jobs: a list for each workspace, and one job with its graph, steps and growing log."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from doubleloop.base import errors
from doubleloop.catalog import queries as catalog
from doubleloop.console import layout, rendering, requests, words
from doubleloop.console.requests import needs
from doubleloop.db.context import Ctx
from doubleloop.events.readings import Memory
from doubleloop.identity.actions import Action
from doubleloop.jobs import commands, model, queries
from doubleloop.models import queries as models

router = APIRouter()

PAGE = 50
# What a browser gets of a log at once.
PIECE = 256 * 1024


@router.get("/jobs", openapi_extra=needs(Action.JOB_READ))
def first(request: Request) -> Response:
    """The workspace with the newest job."""
    with requests.reading(request) as ctx:
        places = requests.places(ctx, Action.JOB_READ)
        newest = {}
        for place in places:
            page = queries.list(ctx.in_workspace(place), limit=1)
            if page.items:
                newest[place] = page.items[0].created_at
        if not places and requests.allowed(ctx, Action.JOB_READ):
            raise errors.NotFound("There is no workspace yet", cure="Make one with `doubleloop apply -f setup.yml`.")
        if not places:
            raise errors.NotPermitted(
                f"{ctx.actor.id} may not see the jobs of any workspace",
                cure="Ask for membership of a group whose persona allows job.read.",
            )
    return RedirectResponse(f"/jobs/{max(newest, key=lambda place: newest[place]) if newest else places[0]}", 303)


@router.get("/jobs/{ws}", openapi_extra=needs(Action.JOB_READ))
def index(request: Request, ws: str, status: str = "", after: str = "") -> Response:
    with requests.reading(request, ws) as ctx:
        found = queries.list(ctx, statuses=(status,) if status else (), cursor=after or None, limit=PAGE)
        values: dict[str, Any] = {
            "ws": ws, "places": requests.places(ctx, Action.JOB_READ), "jobs": found.items, "next": found.next,
            "counts": queries.counts(ctx), "status": status,
        }  # fmt: skip
        return rendering.page(request, "jobs.html", now=ctx.now, **values)


@router.get("/jobs/{ws}/{id}", openapi_extra=needs(Action.JOB_READ))
def show(request: Request, ws: str, id: str, step: str = "") -> Response:
    with requests.reading(request, ws) as ctx:
        values = _values(ctx, id)
        chosen = choose(values["graph"].steps, step)
        values |= {
            "ws": ws,
            "chosen": chosen,
            "attempts": queries.attempts(ctx, id, chosen.name) if chosen else (),
            "models": models.of_job(ctx, id) if requests.allowed(ctx, Action.MODEL_READ) else [],
            "lineage": lineage(ctx, id),
            "may_read_log": requests.allowed(ctx, Action.LOG_READ),
            "may_cancel": requests.allowed(ctx, Action.JOB_CANCEL),
            "may_retry": requests.allowed(ctx, Action.JOB_SUBMIT),
        }
        return rendering.page(request, "job.html", now=ctx.now, **values)


def _values(ctx: Ctx, id: str) -> dict[str, Any]:
    graph = queries.graph(ctx, id)
    drawing, inside = draw(graph)
    job = queries.show(ctx, id)
    return {
        "job": job, "graph": graph, "inside": inside, "drawing": drawing,
        "steps": {step.name: step for step in graph.steps}, "is_over": job.status in model.ENDED,
    }  # fmt: skip


def draw(graph: model.Graph) -> tuple[layout.Drawing, set[tuple[str, str]]]:
    """The steps as boxes, and which of the lines go from a group, a sweep or a loop to what is inside of it."""
    links = [(edge.source, edge.target, edge.output) for edge in graph.edges]
    inside = {(step.task.parent, step.name) for step in graph.steps if step.task.parent}
    return layout.draw([step.name for step in graph.steps], [*links, *((*pair, "") for pair in sorted(inside))]), inside


def choose(steps: tuple[model.Step, ...], name: str) -> model.Step | None:
    """The step that is looked at: the named one, else one that failed, else one that runs, else the last begun."""
    for each in steps:
        if each.name == name:
            return each
    for status in (model.Status.FAILED, model.Status.RUNNING, model.Status.PREPARING):
        for each in steps:
            if each.status is status:
                return each
    begun = [each for each in steps if each.started_at is not None]
    return begun[-1] if begun else (steps[0] if steps else None)


def lineage(ctx: Ctx, id: str) -> list[tuple[str, str, list[str]]]:
    """What led to the job's steps from outside it, and what came of them: (source, relation, targets)."""
    steps = [step.id for step in queries.steps(ctx, id)]
    own = {*steps, f"job:{id}"}
    edges = [edge for each in own for edge in (*catalog.upstream(ctx, each), *catalog.downstream(ctx, each))]
    outside = {(e.source, e.relation, e.target) for e in edges if not (e.source in own and e.target in own)}
    found: dict[tuple[str, str], list[str]] = {}
    for source, relation, target in sorted(outside):
        found.setdefault((source, relation), []).append(target)
    return [(*key, targets) for key, targets in found.items()]


@router.get("/jobs/{ws}/{id}/state", openapi_extra=needs(Action.JOB_READ))
def state(request: Request, ws: str, id: str, step: str = "") -> Response:
    """The part of the page that changes while the job runs; once it has ended the page is loaded whole."""
    with requests.reading(request, ws) as ctx:
        values = _values(ctx, id)
        if values["is_over"]:
            return Response(status_code=204, headers={"hx-refresh": "true"})
        chosen = choose(values["graph"].steps, step)
        return rendering.page(request, "job_state.html", now=ctx.now, ws=ws, chosen=chosen, **values)


@router.get("/jobs/{ws}/{id}/log", openapi_extra=needs(Action.LOG_READ))
def log(request: Request, ws: str, id: str, step: str, offset: int = 0, attempt: int = 0) -> Response:
    """The next piece of a step's log, and behind it the request for the one after."""
    with requests.reading(request, ws) as ctx:
        chunk, is_end = queries.log(ctx, id, step, max(offset, 0), attempt=attempt)
        noted = queries.is_log_noted(ctx)
    if noted:
        memory: Memory = request.app.state.readings
        memory.note(requests.contexts(request), requests.actor(request), "log.read", f"step:{id}/{step}", ws)
    piece = chunk[:PIECE]
    text, used = words.log_text(piece, is_end and len(piece) == len(chunk))
    more = len(chunk) > len(piece)
    return rendering.page(
        request, "log_piece.html", ws=ws, id=id, step=step, attempt=attempt, text=text, offset=max(offset, 0) + used,
        is_end=is_end and not more, at_once=more, is_empty=offset == 0 and not chunk,
    )  # fmt: skip


@router.post("/jobs/{ws}/{id}/cancel", openapi_extra=needs(Action.JOB_CANCEL))
def cancel(request: Request, ws: str, id: str, csrf: str = Form("")) -> Response:
    requests.actor(request)
    requests.check_form(request, csrf)
    with requests.writing(request, ws) as ctx:
        commands.cancel(ctx, id)
    return RedirectResponse(f"/jobs/{ws}/{id}", 303)


@router.post("/jobs/{ws}/{id}/retry", openapi_extra=needs(Action.JOB_SUBMIT))
def retry(request: Request, ws: str, id: str, csrf: str = Form("")) -> Response:
    requests.actor(request)
    requests.check_form(request, csrf)
    with requests.writing(request, ws) as ctx:
        commands.retry(ctx, id)
    return RedirectResponse(f"/jobs/{ws}/{id}", 303)
