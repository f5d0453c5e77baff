"""The log of facts, whether its chain is whole, and the explanation of anything that has an id."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from doubleloop.base import errors
from doubleloop.console import explaining, rendering, requests
from doubleloop.console.requests import needs
from doubleloop.events import queries as events
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.releases import trace
from doubleloop.workspaces import queries as workspaces

router = APIRouter()

PAGE = 60


@router.get("/audit", openapi_extra=needs(Action.AUDIT_READ))
def show(
    request: Request, type: str = "", actor: str = "", subject: str = "", workspace: str = "", before: int = 0
) -> Response:
    with requests.reading(request, workspace or None) as ctx:
        places = [workspace] if workspace else workspaces.permitted(ctx, Action.AUDIT_READ)
        identity.permit(ctx, Action.AUDIT_READ, workspace or (places[0] if places else None))
        found = events.audit(
            ctx, types=[type] if type else (), actor=actor or None, subject=subject or None,
            workspaces=places, cursor=before, limit=PAGE,
        )  # fmt: skip
        seq, digest = events.head(ctx)
        values: dict[str, Any] = {
            "facts": found, "head": seq, "digest": digest, "next": found[-1].seq if len(found) == PAGE else None,
            "chosen": {"type": type, "actor": actor, "subject": subject, "workspace": workspace},
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
