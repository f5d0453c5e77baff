"""The log of facts, whether its chain is whole, and the explanation of anything that has an id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from doubleloop.base import clock, errors
from doubleloop.console import explaining, rendering, requests
from doubleloop.console.requests import needs
from doubleloop.events import model
from doubleloop.events import queries as events
from doubleloop.identity.actions import Action
from doubleloop.releases import trace
from doubleloop.workspaces import queries as workspaces

router = APIRouter()

PAGE = 60


FILTERS = ("type", "actor", "subject", "workspace", "action", "outcome", "since", "until")


def _asked(chosen: Mapping[str, str]) -> model.Query:
    """Raises InvalidInput for a time or an outcome that is none."""
    moments = {}
    for name in ("since", "until"):
        try:
            moments[name] = clock.parse(chosen[name]) if chosen[name] else None
        except (ValueError, OverflowError):
            raise errors.InvalidInput(f"'{chosen[name][:40]}' is not a time", cure="Write 2026-11-22T08:00Z.") from None
    if chosen["outcome"] not in ("", "done", "refused"):
        raise errors.InvalidInput(f"'{chosen['outcome'][:40]}' is not an outcome", cure="Choose done or refused.")
    return model.Query(
        (chosen["type"],) if chosen["type"] else (), chosen["subject"] or None, chosen["actor"] or None,
        chosen["action"] or None, chosen["outcome"] or None, (chosen["workspace"],) if chosen["workspace"] else None,
        moments["since"], moments["until"],
    )  # fmt: skip


@router.get("/audit", openapi_extra=needs(Action.AUDIT_READ))
def show(request: Request, before: int = 0) -> Response:
    chosen = {name: request.query_params.get(name, "").strip() for name in FILTERS}
    with requests.reading(request) as ctx:
        found = events.audit(ctx, workspaces.audited(ctx, _asked(chosen)), cursor=before, limit=PAGE)
        seq, digest = events.head(ctx)
        signed = events.last_checkpoint(ctx)
        kept = {name: value for name, value in chosen.items() if value}
        values: dict[str, Any] = {
            "facts": found, "head": seq, "digest": digest, "signed": signed, "chosen": chosen, "asked": urlencode(kept),
            "older": urlencode({**kept, "before": found[-1].seq}) if len(found) == PAGE else None,
        }  # fmt: skip
        return rendering.page(request, "audit.html", now=ctx.now, **values)


@router.get("/audit/chain", openapi_extra=needs(Action.AUDIT_READ))
def chain(request: Request) -> Response:
    """Every seal recomputed from the first fact on."""
    with requests.reading(request) as ctx:
        workspaces.permitted(ctx, Action.AUDIT_READ)
        return rendering.page(request, "chain.html", report=events.verify(ctx), now=ctx.now)


@router.get("/trace", openapi_extra=needs(Action.RELEASE_READ))
def explain(request: Request, id: str = "") -> Response:
    """What a prediction, deployment, model version or release came from, as a tree; without an id, the question."""
    actor = requests.actor(request)
    found, problem = None, None
    if id.strip():
        try:
            found = trace.explain(requests.contexts(request), actor, id)
        except errors.NotFound as error:
            problem = error
    tree = explaining.tree(found) if found else []
    return rendering.page(request, "trace.html", problem.status if problem else 200, id=id, tree=tree, problem=problem)
