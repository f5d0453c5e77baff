"""Looking at evidence and at the approvals that wait."""

from __future__ import annotations

from doubleloop.base import errors
from doubleloop.db.context import Ctx
from doubleloop.gates import model, rules, store
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action


def evidence(ctx: Ctx, subject: str) -> list[model.Evidence]:
    """In the order of depositing."""
    identity.permit(ctx, Action.RELEASE_READ)
    return store.evidence(ctx, subject)


def find_evidence(ctx: Ctx, subject: str, check: str) -> model.Evidence | None:
    identity.permit(ctx, Action.RELEASE_READ)
    return store.evidence_of(ctx, subject, check)


def evidence_by_id(ctx: Ctx, id_: str) -> model.Evidence:
    """Raises NotFound."""
    identity.permit(ctx, Action.RELEASE_READ)
    found = store.evidence_by_id(ctx, id_)
    if found is None:
        raise errors.NotFound(f"There is no evidence {id_}")
    return found


def altered(ctx: Ctx, subject: str) -> list[str]:
    """The checks of ``subject`` whose evidence was changed after it was deposited; empty is good."""
    identity.permit(ctx, Action.RELEASE_READ)
    return [each.check for each in store.evidence(ctx, subject) if rules.altered(each)]


def approval(ctx: Ctx, id_: str) -> model.Approval:
    """Raises NotFound."""
    found = store.approval(ctx, id_)
    if found is None:
        raise errors.NotFound(f"There is no approval {id_}")
    identity.permit(ctx, Action.RELEASE_READ, found.workspace)
    return found


def approvals(ctx: Ctx, subject: str) -> list[model.Approval]:
    """Every approval asked for about ``subject``, oldest first."""
    identity.permit(ctx, Action.RELEASE_READ)
    return store.approvals(ctx, subject=subject)


def waiting(ctx: Ctx) -> list[model.Approval]:
    """Open approvals in workspaces that the actor may read, oldest first."""
    return [
        each
        for each in store.approvals(ctx, status=model.ApprovalStatus.OPEN)
        if identity.decide(ctx, Action.RELEASE_READ, each.workspace).allowed
    ]


def may_decide(ctx: Ctx, approval: model.Approval) -> tuple[bool, str]:
    """Whether the actor's approval would be taken as things stand, and what allows or forbids it."""
    place = ctx.in_workspace(approval.workspace)
    decision = identity.decide(place, Action.RELEASE_APPROVE)
    if not decision.allowed:
        return False, decision.why
    held = identity.personas(place, ctx.actor.id, approval.workspace)
    refused = rules.refusal(approval, ctx.actor.id, held, "approve", "", approval.evidence_digest, ctx.now)
    return (False, refused.what) if refused else (True, decision.why)
