"""The record: looking, proving, signing, exporting, archiving."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Body, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse

from doubleloop.api import render, requests, routing
from doubleloop.api.routing import needs
from doubleloop.base import clock, errors, record, signing
from doubleloop.events import archives, checkpoints, exporting, model, queries
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.workspaces import queries as workspaces

router = routing.router("/api/v1/audit")

# The largest number that every database keeps.
LAST = 2**63 - 1
MOST_CHECKPOINTS = 10_000
MOST_SECONDS = 100 * 366 * 86400


def _query(
    type: Annotated[list[str] | None, Query()] = None,
    subject: str | None = None,
    workspace: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    outcome: Literal["done", "refused"] | None = None,
    since: str | None = None,
    until: str | None = None,
) -> model.Query:
    if action is not None and action not in list(Action):
        raise errors.InvalidInput(f"'{action[:80]}' is not an action", cure=f"One of {', '.join(Action)}.")
    places = (workspace,) if workspace else None
    return model.Query(
        tuple(type or ()), subject, actor, action, outcome, places, _moment("since", since), _moment("until", until)
    )


def _moment(name: str, text: str | None) -> datetime | None:
    try:
        return None if text is None else clock.parse(text)
    except (ValueError, OverflowError):
        raise errors.InvalidInput(
            f"'{name}' is not a time: {text!r:.80}", cure="Write 2026-11-22T21:56:00Z or 2026-11-22."
        ) from None


Asked = Annotated[model.Query, Depends(_query)]


@router.get("", openapi_extra=needs(Action.AUDIT_READ))
def list_facts(
    request: Request,
    query: Asked,
    after: int = Query(0, ge=0, le=LAST),
    order: Literal["newest", "oldest"] = "newest",
    limit: int = Query(100, ge=1, le=1000),
) -> dict[str, Any]:
    """Without a workspace: the whole record, or that of the workspaces whose record the caller may read."""
    with requests.reading(request) as ctx:
        found = queries.audit(
            ctx, workspaces.audited(ctx, query), cursor=after, newest_first=order != "oldest", limit=limit
        )  # fmt: skip
    following = str(found[-1].seq) if len(found) == limit else None
    return requests.listing(found, render.fact, following)


@router.get("/head", openapi_extra=needs(Action.AUDIT_READ))
def head(request: Request) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        workspaces.permitted(ctx, Action.AUDIT_READ)
        seq, digest = queries.head(ctx)
    return {"seq": seq, "hash": digest}


@router.get("/key", openapi_extra=needs(Action.AUDIT_READ))
def key(request: Request) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        workspaces.permitted(ctx, Action.AUDIT_READ)
        public = queries.public_key(ctx)
    return {"id": signing.key_id(public), "public": public}


@router.get("/verify", openapi_extra=needs(Action.AUDIT_READ))
def verify(request: Request) -> dict[str, Any]:
    """Whoever may read a part of the record may have the whole of it proved; it tells how many facts there are."""
    return _verified(request, [])


@router.post("/verify", openapi_extra=needs(Action.AUDIT_READ))
def verify_with(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    """The same, with checkpoints that were kept elsewhere."""
    with requests.reading(request) as ctx:
        workspaces.permitted(ctx, Action.AUDIT_READ)
    requests.refuse_unknown(body, "checkpoints")
    given = requests.value(body, "checkpoints", list) or []
    if len(given) > MOST_CHECKPOINTS:
        raise errors.TooLarge(f"At most {MOST_CHECKPOINTS} checkpoints at once")
    return _verified(request, [record.checkpoint(each) for each in given])


def _verified(request: Request, given: list[record.Checkpoint]) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        workspaces.permitted(ctx, Action.AUDIT_READ)
        report = queries.verify(ctx, given)
    return {**render.plain(report), "whole": report.whole}


@router.get("/checkpoints", openapi_extra=needs(Action.AUDIT_READ))
def list_checkpoints(
    request: Request, after: int = Query(0, ge=0, le=LAST), limit: int = Query(100, ge=1, le=1000)
) -> dict[str, Any]:
    """Oldest first."""
    with requests.reading(request) as ctx:
        workspaces.permitted(ctx, Action.AUDIT_READ)
        found = queries.checkpoints(ctx, after=after, limit=limit)
    return requests.listing(found, record.Checkpoint.to_dict, str(found[-1].seq) if len(found) == limit else None)


@router.post("/checkpoints", openapi_extra=needs(Action.AUDIT_READ))
def make_checkpoint(request: Request) -> dict[str, Any]:
    """Signs the head as it is now; the same one again when nothing happened since."""
    with requests.reading(request) as ctx:
        workspaces.permitted(ctx, Action.AUDIT_READ)
    made = checkpoints.keep(requests.contexts(request), requests.actor(request), always=True)
    assert made is not None
    return made.to_dict()


@router.get("/export", openapi_extra=needs(Action.AUDIT_READ))
def export(request: Request, query: Asked, format: Literal["jsonl", "csv"] = "jsonl") -> Response:
    """Oldest first, as a stream. That it was taken is on record, and not in it."""
    with requests.writing(request) as ctx:
        query = workspaces.audited(ctx, query)
        upto, _ = queries.head(ctx)
        events.record(ctx, "audit.exported", "audit:record", format=format, upto=upto, asked=exporting.asked(query))
    contexts, actor = requests.contexts(request), requests.actor(request)
    content = {"jsonl": exporting.json_lines, "csv": exporting.as_csv}[format](contexts, actor, query, upto)
    kind = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8"}[format]
    headers = {"content-disposition": f'attachment; filename="audit.{format}"', "cache-control": "no-store"}
    return StreamingResponse(content, media_type=kind, headers=headers)


@router.get("/archives", openapi_extra=needs(Action.AUDIT_READ))
def list_archives(request: Request) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        workspaces.permitted(ctx, Action.AUDIT_READ)
        return requests.listing(queries.cuts(ctx), render.plain)


@router.post("/archives", openapi_extra=needs(Action.AUDIT_WRITE))
def archive(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    """``archived`` is null when nothing is that old."""
    with requests.reading(request) as ctx:
        identity.permit(ctx, Action.AUDIT_WRITE)
    requests.refuse_unknown(body, "older_than")
    seconds = body.get("older_than")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MOST_SECONDS:
        raise errors.InvalidInput("'older_than' must be seconds, 0 or more")
    before = requests.contexts(request).now() - timedelta(seconds=seconds)
    made = archives.archive(requests.contexts(request), requests.actor(request), before)
    return {"archived": render.plain(made) if made else None}
