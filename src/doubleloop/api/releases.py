"""Release definitions, releases, approvals, and the explanation of anything that has an id."""

from __future__ import annotations

from typing import Any

from fastapi import Body, Query, Request

from doubleloop.api import render, requests, routing
from doubleloop.api.routing import needs
from doubleloop.base import errors
from doubleloop.db.context import Ctx
from doubleloop.events import queries as events
from doubleloop.gates import model as gate_model
from doubleloop.gates import queries as gates
from doubleloop.gates import rules as gate_rules
from doubleloop.identity.actions import Action
from doubleloop.releases import commands, model, queries, trace
from doubleloop.specs import documents
from doubleloop.specs import model as specs

router = routing.router("/api/v1")


def _definition(value: model.Definition) -> dict[str, Any]:
    spec = specs.plain(documents.from_wire(value.document).model)
    return {
        "name": value.name, "version": value.version, "model": value.model, "scenario": value.scenario,
        "trigger": value.trigger, "stages": spec["stages"], "digest": value.hash, "created_by": value.created_by,
        "created_at": render.plain(value.created_at),
    }  # fmt: skip


def _approval(value: gate_model.Approval) -> dict[str, Any]:
    given = [
        {"user": each.actor, "decision": each.decision, "comment": each.comment, "at": render.plain(each.at)}
        for each in value.decisions
    ]
    return {
        "id": value.id, "release": value.subject.removeprefix("release:"), "workspace": value.workspace,
        "personas": list(value.personas), "count": value.count, "given": given, "authors": value.authors,
        "evidence_digest": value.evidence_digest, "opened_at": render.plain(value.opened_at),
        "expires_at": render.plain(value.expires_at), "status": value.status.value, "reason": value.reason,
    }  # fmt: skip


def _evidence(value: gate_model.Evidence) -> dict[str, Any]:
    return {
        "id": value.id, "check": value.check, "type": value.type, "outcome": value.outcome.value,
        "reasons": list(value.reasons), "body": value.body, "attachments": value.attachments, "hash": value.hash,
        "created_by": value.created_by, "created_at": render.plain(value.created_at),
    }  # fmt: skip


def _release(ctx: Ctx, value: model.Release) -> dict[str, Any]:
    held = queries.evidence(ctx, value.id)
    asked = {each.id: each for each in queries.approvals(ctx, value.id)}
    stages = []
    for stage in value.stages:
        checks = [
            {"check": each.check, "type": each.type, "outcome": each.outcome.value, "reasons": list(each.reasons)}
            for each in held
            if each.check.startswith(f"{stage.position}.")
        ]
        approval = asked.get(stage.approval)
        stages.append(
            {
                "workspace": stage.workspace, "status": stage.phase, "step": stage.phase, "job": stage.job or None,
                "deployment": stage.deployment_name or None, "endpoint": stage.endpoint or None,
                "candidate": stage.candidate or None, "checks": checks, "rolled_out": stage.rolled_out,
                "approval": _approval(approval) if approval else None,
                "entered_at": render.plain(stage.entered_at), "passed_at": render.plain(stage.passed_at),
            }
        )  # fmt: skip
    return {
        "id": value.id, "number": value.number, "definition": value.definition,
        "definition_version": value.definition_version, "model_name": value.model, "model_version": value.candidate,
        "status": value.status.value, "stage": value.workspace, "phase": value.phase, "trigger": value.trigger,
        "started_by": value.created_by, "started_at": render.plain(value.created_at),
        "ended_at": render.plain(value.ended_at), "reasons": list(value.reasons), "stages": stages,
    }  # fmt: skip


@router.post("/release-definitions", openapi_extra=needs(Action.RELEASE_WRITE))
def put_definition(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document")
    document = requests.document(body, "release")
    with requests.writing(request) as ctx:
        return _definition(commands.put_definition(ctx, document))


@router.get("/release-definitions", openapi_extra=needs(Action.RELEASE_READ))
def list_definitions(request: Request) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        return requests.listing(queries.definitions(ctx), _definition)


@router.get("/release-definitions/{name}", openapi_extra=needs(Action.RELEASE_READ))
def show_definition(request: Request, name: str) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        return _definition(queries.definition(ctx, name))


@router.post("/releases", openapi_extra=needs(Action.RELEASE_START))
def start(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "definition", "model_version", "id", "trigger")
    definition = requests.text(body, "definition")
    if not definition:
        raise errors.InvalidInput("The body names no 'definition'")
    version = requests.text(body, "model_version") or None
    why = requests.value(body, "trigger", dict) or {}
    with requests.writing(request) as ctx:
        # Why a person started it is for the record; what a rule may say (inputs, author) is not theirs to say.
        trigger = {"type": "manual", "note": requests.text(why, "note")}
        release = commands.start(ctx, definition, model_version=version, trigger=trigger, id=requests.identifier(body))
        return _release(ctx, release)


@router.get("/releases", openapi_extra=needs(Action.RELEASE_READ))
def list_releases(
    request: Request,
    definition: str | None = None,
    model: str | None = None,
    status: str | None = None,
    after: str | None = None,
    limit: int = Query(100, ge=1, le=1000),
) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        page = queries.list(
            ctx,
            definition=definition,
            model_name=model,
            statuses=(status,) if status else (),
            cursor=requests.cursor(after),
            limit=limit,
        )
        return requests.listing(page.items, lambda each: _release(ctx, each), page.next)


@router.get("/releases/{id}", openapi_extra=needs(Action.RELEASE_READ))
def show(request: Request, id: str) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        return _release(ctx, queries.get(ctx, id))


@router.get("/releases/{id}/evidence", openapi_extra=needs(Action.RELEASE_READ))
def evidence(request: Request, id: str) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        release = queries.get(ctx, id)
        held = queries.evidence(ctx, release.id, release.position)
        return {"digest": gate_rules.digest(held), "items": [_evidence(each) for each in held], "next": None}


@router.get("/releases/{id}/facts", openapi_extra=needs(Action.RELEASE_READ))
def facts(
    request: Request, id: str, after: int = Query(0, ge=0, le=2**63 - 1), limit: int = Query(500, ge=1, le=1000)
) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        release = queries.get(ctx, id)
        return requests.listing(events.facts(ctx, subject=release.subject, after=after, limit=limit), render.told)


@router.post("/releases/{id}/approve", openapi_extra=needs(Action.RELEASE_APPROVE))
def approve(request: Request, id: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "comment", "evidence_digest", "break_glass")
    with requests.writing(request) as ctx:
        queries.get(ctx, id)  # who may not see it is not told how it stands
        done = commands.approve(
            ctx, id, requests.text(body, "comment"), requests.text(body, "evidence_digest"),
            break_glass=bool(requests.value(body, "break_glass", bool)),
        )  # fmt: skip
        return _decided(request, done)


@router.post("/releases/{id}/reject", openapi_extra=needs(Action.RELEASE_APPROVE))
def reject(request: Request, id: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "comment", "evidence_digest")
    with requests.writing(request) as ctx:
        queries.get(ctx, id)  # who may not see it is not told how it stands
        done = commands.reject(ctx, id, requests.text(body, "comment"), requests.text(body, "evidence_digest"))
        return _decided(request, done)


def _decided(_request: Request, value: model.Release) -> dict[str, Any]:
    return {"id": value.id, "number": value.number, "status": value.status.value, "stage": value.workspace}


@router.post("/releases/{id}/cancel", openapi_extra=needs(Action.RELEASE_START))
def cancel(request: Request, id: str, body: dict[str, Any] = Body(default={})) -> dict[str, Any]:
    requests.refuse_unknown(body, "comment")
    with requests.writing(request) as ctx:
        queries.get(ctx, id)
        return _decided(request, commands.cancel(ctx, id, requests.text(body, "comment")))


@router.get("/approvals", openapi_extra=needs(Action.RELEASE_READ))
def approvals(request: Request) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        items = []
        for each in queries.waiting(ctx):
            may, why = gates.may_decide(ctx, each.approval)
            items.append({**_approval(each.approval), "may_decide": may, "why": why, "model_name": each.release.model,
                          "model_version": each.release.candidate, "number": each.release.number})  # fmt: skip
    return {"items": items, "next": None}


@router.get("/trace/{id:path}", openapi_extra=needs(Action.RELEASE_READ))
def explain(request: Request, id: str) -> dict[str, Any]:
    return dict(render.plain(trace.explain(requests.contexts(request), requests.actor(request), id)))
