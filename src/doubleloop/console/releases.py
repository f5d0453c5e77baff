"""Releases: what was found out about them, what people say, and the form to say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from doubleloop.base import errors
from doubleloop.console import rendering, requests
from doubleloop.console.requests import needs
from doubleloop.db.context import Ctx
from doubleloop.events import queries as events
from doubleloop.gates import model as gate_model
from doubleloop.gates import queries as gates
from doubleloop.gates import rules as gate_rules
from doubleloop.identity.actions import Action
from doubleloop.releases import commands, model, queries

router = APIRouter()

PAGE = 50


@dataclass(frozen=True)
class Question:
    """What the form asks: about which evidence (``digest`` is of what the page shows), and whether the reader may."""

    approval: gate_model.Approval
    digest: str
    may: bool
    why: str


@router.get("/releases", openapi_extra=needs(Action.RELEASE_READ))
def index(request: Request, status: str = "", after: str = "") -> Response:
    with requests.reading(request) as ctx:
        found = queries.list(ctx, statuses=(status,) if status else (), cursor=after or None, limit=PAGE)
        values: dict[str, Any] = {
            "releases": found.items,
            "next": found.next,
            "status": status,
            "statuses": list(model.Status),
        }
        return rendering.page(request, "releases.html", now=ctx.now, **values)


@router.get("/releases/{id}", openapi_extra=needs(Action.RELEASE_READ))
def show(request: Request, id: str) -> Response:
    return _page(request, id)


def _page(request: Request, id: str, error: errors.DoubleloopError | None = None, comment: str = "") -> Response:
    with requests.reading(request) as ctx:
        release = queries.get(ctx, id)
        held = queries.evidence(ctx, release.id)
        facts = events.facts(ctx, subject=release.subject, limit=1000)
        values: dict[str, Any] = {
            "release": release,
            "definition": queries.find_definition(ctx, release.definition, release.definition_version),
            "evidence": _by_stage(held),
            "altered": gates.altered(ctx.in_workspace(queries.seen_from(ctx, release)), release.subject),
            "approvals": {each.id: each for each in queries.approvals(ctx, release.id)},
            "question": question(ctx, release),
            "facts": [(fact, 1) for fact in facts],
            "seen": facts[-1].seq if facts else 0,
            "is_over": release.status in model.ENDED,
            "may_cancel": requests.allowed(ctx, Action.RELEASE_START, release.stages[0].workspace),
            "job_places": {stage.job: stage.workspace for stage in release.stages if stage.job},
            "problem": error,
            "comment": comment,
        }
        return rendering.page(request, "release.html", error.status if error else 200, now=ctx.now, **values)


def _by_stage(held: tuple[gate_model.Evidence, ...]) -> dict[int, list[gate_model.Evidence]]:
    found: dict[int, list[gate_model.Evidence]] = {}
    for each in sorted(held, key=lambda each: each.check):
        position = each.check.partition(".")[0]
        found.setdefault(int(position) if position.isdigit() else 0, []).append(each)
    return found


def question(ctx: Ctx, release: model.Release) -> Question | None:
    """What is asked now. The digest is computed from the evidence that is shown, not taken from the question: what was
    deposited after the question was asked makes the answer a conflict."""
    approval = next((each for each in queries.approvals(ctx, release.id) if each.status == "open"), None)
    if approval is None or release.status is not model.Status.WAITING:
        return None
    shown = queries.evidence(ctx, release.id, release.position)
    return Question(approval, gate_rules.digest(shown), *gates.may_decide(ctx, approval))


@router.get("/releases/{id}/pulse", openapi_extra=needs(Action.RELEASE_READ))
def pulse(request: Request, id: str, seen: int = 0) -> Response:
    """Has the page loaded again once there is a fact that it does not show."""
    with requests.reading(request) as ctx:
        release = queries.get(ctx, id)
        newer = events.facts(ctx, subject=release.subject, after=seen, limit=1)
    return Response(status_code=204, headers={"hx-refresh": "true"} if newer else {})


@router.post("/releases/{id}/decision", openapi_extra=needs(Action.RELEASE_APPROVE))
def decide(
    request: Request,
    id: str,
    decision: str = Form(""),
    comment: str = Form(""),
    evidence_digest: str = Form(""),
    csrf: str = Form(""),
) -> Response:
    requests.actor(request)
    requests.check_form(request, csrf)
    verbs = {"approve": commands.approve, "reject": commands.reject}
    if decision not in verbs:
        raise errors.InvalidInput(f"'{decision}' is not a decision", cure="Use the buttons of the page.")
    try:
        with requests.writing(request) as ctx:
            release = verbs[decision](ctx, id, comment, evidence_digest)
    except (errors.InvalidInput, errors.Conflict) as error:
        return _page(request, id, error, comment)
    return RedirectResponse(f"/releases/{release.id}", 303)


@router.post("/releases/{id}/cancel", openapi_extra=needs(Action.RELEASE_START))
def cancel(request: Request, id: str, comment: str = Form(""), csrf: str = Form("")) -> Response:
    requests.actor(request)
    requests.check_form(request, csrf)
    with requests.writing(request) as ctx:
        release = commands.cancel(ctx, id, comment)
    return RedirectResponse(f"/releases/{release.id}", 303)
