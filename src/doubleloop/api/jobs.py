"""Jobs."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import Body, Query, Request, Response

from doubleloop.api import readings, render, requests, routing
from doubleloop.api.routing import needs
from doubleloop.base import errors
from doubleloop.components import queries as components
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.jobs import commands, mapping, queries
from doubleloop.jobs.model import ENDED, Job
from doubleloop.specs import documents

router = routing.router("/api/v1/workspaces/{ws}/jobs")

KINDS = tuple(mapping.KINDS)


def _job(request: Request, job: Job) -> dict[str, Any]:
    settings = requests.settings(request)
    return render.job(job, f"http://{settings.host}:{settings.port}")


@router.post("", openapi_extra=needs(Action.JOB_SUBMIT))
def submit(request: Request, ws: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document", "id", "experiment", "force_rerun")
    document = requests.document(body, *KINDS)
    experiment = requests.text(body, "experiment")
    if experiment:
        document = documents.with_changes(document, {"experiment_name": experiment})
    with requests.writing(request, ws) as ctx:
        force = requests.value(body, "force_rerun", bool)
        return _job(request, commands.submit(ctx, document, id=requests.identifier(body), force_rerun=force))


@router.post("/validate", openapi_extra=needs(Action.JOB_SUBMIT))
def validate(request: Request, ws: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document")
    with requests.reading(request, ws) as ctx:
        identity.permit(ctx, Action.JOB_SUBMIT)
        try:
            document = components.inlined(ctx, requests.document(body, *KINDS))
        except (errors.InvalidInput, errors.NotSupported, errors.NotFound) as error:
            return {"ok": False, "steps": [], "problems": [error.to_dict()["error"]], "notes": []}
    try:
        tasks = mapping.tasks(document)
    except (errors.InvalidInput, errors.NotSupported) as error:
        return {"ok": False, "steps": [], "problems": [error.to_dict()["error"]], "notes": []}
    notes = [f"{notice.where}: {notice.field}: {notice.why}" for notice in document.notices]
    return {
        "ok": True,
        "steps": [{"name": t.name, "needs": list(t.needs)} for t in tasks],
        "problems": [],
        "notes": notes,
    }


@router.get("", openapi_extra=needs(Action.JOB_READ))
def list_jobs(
    request: Request,
    ws: str,
    status: str | None = None,
    created_by: str | None = None,
    experiment: str | None = None,
    archived: Literal["no", "yes", "only"] = "no",
    after: str | None = None,
    limit: int = Query(100, ge=1, le=1000),
) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        page = queries.list(
            ctx,
            statuses=[status] if status else (),
            created_by=created_by,
            experiment=experiment,
            archived={"no": False, "yes": None, "only": True}[archived],
            cursor=requests.cursor(after),
            limit=limit,
        )
        return requests.listing(page.items, lambda job: _job(request, job), page.next)


@router.get("/{id}", openapi_extra=needs(Action.JOB_READ))
def show(request: Request, ws: str, id: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return _job(request, queries.show(ctx, id))


@router.put("/{id}", openapi_extra=needs(Action.JOB_SUBMIT))
def update(request: Request, ws: str, id: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "display_name", "description", "experiment", "tags")
    changes: dict[str, Any] = {
        name: value
        for name in ("display_name", "description", "experiment")
        if (value := requests.value(body, name, str)) is not None
    }
    tags = requests.value(body, "tags", dict)
    if tags is not None:
        changes["tags"] = _tags(tags)
    with requests.writing(request, ws) as ctx:
        return _job(request, commands.update(ctx, id, **changes))


def _tags(written: dict[Any, Any]) -> dict[str, str]:
    for name, value in written.items():
        if not isinstance(value, str) or "\0" in value:
            raise errors.InvalidInput(f"The tag '{name}' must be a text")
    return written


@router.post("/{id}/archive", openapi_extra=needs(Action.JOB_SUBMIT))
def archive(request: Request, ws: str, id: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        return _job(request, commands.update(ctx, id, archived=True))


@router.post("/{id}/restore", openapi_extra=needs(Action.JOB_SUBMIT))
def restore(request: Request, ws: str, id: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        return _job(request, commands.update(ctx, id, archived=False))


@router.get("/{id}/steps", openapi_extra=needs(Action.JOB_READ))
def steps(request: Request, ws: str, id: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(list(queries.steps(ctx, id)), render.step)


@router.get("/{id}/steps/{step}/log", openapi_extra=needs(Action.LOG_READ))
def log(request: Request, ws: str, id: str, step: str, offset: int = Query(0, ge=0, le=2**63 - 1)) -> Response:
    with requests.reading(request, ws) as ctx:
        chunk, end = queries.log(ctx, id, step, offset)
        noted = queries.is_log_noted(ctx)
    if noted:
        readings.note(request, "log.read", f"step:{id}/{step}", ws)
    headers = {"x-next-offset": str(offset + len(chunk)), "x-end": "true" if end else "false"}
    return Response(chunk, media_type="application/octet-stream", headers=headers)


@router.post("/{id}/cancel", openapi_extra=needs(Action.JOB_CANCEL))
def cancel(request: Request, ws: str, id: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        job = queries.show(ctx, id)
        identity.permit(ctx, Action.JOB_CANCEL)
        return _job(request, job if job.status in ENDED else commands.cancel(ctx, id))


@router.post("/{id}/retry", openapi_extra=needs(Action.JOB_SUBMIT))
def retry(request: Request, ws: str, id: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        return _job(request, commands.retry(ctx, id))
