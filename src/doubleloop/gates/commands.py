"""Depositing evidence, asking for approval, deciding. The engine deposits; people decide."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from doubleloop.base import actors, canonical, errors, ids, verdicts
from doubleloop.db.context import Ctx
from doubleloop.durable import commands as durable
from doubleloop.gates import model, rules, store
from doubleloop.identity import commands as identity
from doubleloop.identity import standins
from doubleloop.identity.actions import Action

MAX_BODY = 1 << 20
DEPOSITORS = frozenset({actors.service("releases")})


def deposit(
    ctx: Ctx,
    subject: str,
    check: str,
    verdict: verdicts.Verdict,
    body: Mapping[str, Any],
    attachments: Mapping[str, str] | None = None,
) -> model.Evidence:
    """Put evidence before the gate, once: the first deposit of a check stays, later ones return it unchanged.

    Only the process that measures deposits: what a user or a user's job reports is never evidence. ``check`` is
    ``<place>:<type>`` (``0.2:model_quality``). ``body`` is JSON without NaN, at most 1 MiB; long things are blobs
    named in ``attachments``. Raises NotPermitted, InvalidInput.
    """
    identity.permit(ctx, Action.RELEASE_WRITE)
    if ctx.actor not in DEPOSITORS:
        raise errors.NotPermitted(
            f"{ctx.actor.id} cannot deposit evidence: checks are measured by the system itself",
            cure="Add the check to the release definition.",
        )
    existing = store.evidence_of(ctx, subject, check)
    if existing:
        return existing
    evidence = model.Evidence(
        ids.new_id("evidence"), subject, check, check.rpartition(":")[2], verdict.outcome, verdict.reasons,
        _plain(check, body), dict(attachments or {}), ctx.actor.id, ctx.now, "",
    )  # fmt: skip
    evidence = replace(evidence, hash=rules.seal(evidence))
    store.insert_evidence(ctx, evidence)
    return evidence


def _plain(check: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """What will be read back: hashing that, not what came in, lets the hash be recomputed from the record."""
    try:
        text = canonical.dumps(dict(body))
    except (TypeError, ValueError) as error:
        raise errors.InvalidInput(f"The body of {check} is not plain JSON: {error}") from error
    if len(text) > MAX_BODY:
        raise errors.InvalidInput(
            f"The body of {check} has {len(text)} characters, over {MAX_BODY}", cure="Attach long things as blobs."
        )
    plain: dict[str, Any] = json.loads(text)
    return plain


def open_approval(
    ctx: Ctx,
    subject: str,
    *,
    personas: Sequence[str],
    count: int,
    not_author: Mapping[str, str],
    expires_at: datetime | None,
    evidence_digest: str,
    notify: str,
    gate: str = "",
) -> model.Approval:
    """Ask for ``count`` approvals in the context's workspace; asking twice for one gate is asking once.

    ``not_author`` maps who may not answer to why. ``notify`` is the workflow that is signalled with topic
    ``approval:<id>`` when it is decided. Raises InvalidInput.
    """
    identity.permit(ctx, Action.RELEASE_START)
    assert ctx.workspace is not None
    existing = store.approvals(ctx, subject=subject, gate=gate)
    if existing:
        return existing[0]
    if count < 1:
        raise errors.InvalidInput(f"An approval needs at least one person, not {count}")
    approval = model.Approval(
        ids.new_id("approval"), subject, gate, ctx.workspace, tuple(personas), count, dict(not_author),
        evidence_digest, notify, model.ApprovalStatus.OPEN, ctx.now, expires_at,
    )  # fmt: skip
    store.insert_approval(ctx, approval)
    return approval


def decide(ctx: Ctx, approval_id: str, decision: str, comment: str, evidence_digest: str) -> model.Approval:
    """Approve, reject or break the glass, as the context's actor, on what was seen under ``evidence_digest``.

    Breaking the glass approves without the personas that were asked for, once two people who are no authors and may say
    who may do what (``identity.write``) gave a reason each; the record says so loudly (``approval.glass_broken``).

    Raises NotFound; NotPermitted (no persona for it, or an author); Conflict (decided already, by this person or
    altogether; expired; other evidence); InvalidInput (no digest, a rejection without a comment).
    """
    approval = store.approval(ctx, approval_id, lock=True)
    if approval is None:
        raise errors.NotFound(f"There is no approval {approval_id}")
    ctx = ctx.in_workspace(approval.workspace)
    refused = rules.refusal(
        approval, ctx.actor.id, identity.personas(ctx, ctx.actor.id, approval.workspace), decision, comment,
        evidence_digest, ctx.now,
    )  # fmt: skip
    if ctx.actor.via.startswith("job:"):
        raise errors.NotPermitted(
            f"A decision is made by a person; this is the code of {ctx.actor.via} acting for {ctx.actor.id}",
            cure="Decide in the console or with `doubleloop release approve`.",
        )
    if ctx.actor.kind is not actors.ActorKind.PERSON:
        raise errors.NotPermitted(f"{ctx.actor.id} is a process, and only a person approves")
    # An author is told so before anything else: it is the reason that no group membership would mend.
    if isinstance(refused, errors.NotPermitted) and ctx.actor.id in approval.authors:
        raise refused
    # Who may say who may do what answers for the house when those who should decide cannot be reached.
    identity.permit(ctx, Action.IDENTITY_WRITE if decision == rules.BREAK_GLASS else Action.RELEASE_APPROVE)
    refused = refused or rules.stand_in(
        approval, ctx.actor.id, standins.behind(ctx), lambda name: standins.is_administrator(ctx, name)
    )
    if refused:
        raise refused
    altered = [each.check for each in store.evidence(ctx, approval.subject) if rules.altered(each)]
    if altered:
        raise errors.Conflict(
            f"The evidence of {', '.join(altered)} was changed after it was deposited, so nothing can be decided on it",
            cure="Start the release again, and ask who can write to the database.",
        )
    if decision == rules.BREAK_GLASS and not identity.is_self(ctx, ctx.actor.id):
        raise errors.NotPermitted("The glass is broken in person, not with a token that is limited", cure="Log in.")
    said = model.Decision(approval.id, ctx.actor.id, decision, comment, evidence_digest, ctx.now)
    store.insert_decision(ctx, approval, said)
    approval = replace(approval, decisions=(*approval.decisions, said))
    status = rules.status_after(approval, _standing(ctx, approval))
    if status is not model.ApprovalStatus.OPEN:
        _close(ctx, approval, status, comment)
    return _existing(ctx, approval.id)


def _standing(ctx: Ctx, approval: model.Approval) -> list[model.Decision]:
    """Decisions that still count: an approval of somebody who is disabled, or no longer holds a persona that was asked
    for, does not help to make up the number."""
    return [each for each in approval.decisions if each.decision != "approve" or _still_may(ctx, approval, each.actor)]


def _still_may(ctx: Ctx, approval: model.Approval, who: str) -> bool:
    decided = identity.decide(ctx.acting_as(actors.named(who)), Action.RELEASE_APPROVE, approval.workspace)
    return decided.allowed and rules.entitled(approval, identity.personas(ctx, who, approval.workspace))


def expire(ctx: Ctx, approval_id: str) -> model.Approval:
    """End an open approval whose time has run out; any other stays as it is."""
    identity.permit(ctx, Action.RELEASE_START)
    approval = _existing(ctx, approval_id)
    if rules.expired(approval, ctx.now):
        _close(ctx, approval, model.ApprovalStatus.EXPIRED, "nobody decided in time")
    return _existing(ctx, approval_id)


def withdraw(ctx: Ctx, subject: str, reason: str) -> None:
    """The question has become pointless (cancelled, superseded): open approvals of ``subject`` take no answers."""
    identity.permit(ctx, Action.RELEASE_START)
    for approval in store.approvals(ctx, subject=subject, status=model.ApprovalStatus.OPEN):
        _close(ctx, approval, model.ApprovalStatus.WITHDRAWN, reason)


def _close(ctx: Ctx, approval: model.Approval, status: model.ApprovalStatus, reason: str) -> None:
    store.close(ctx.in_workspace(approval.workspace), approval, status, reason)
    if approval.notify:
        durable.signal(ctx, approval.notify, f"approval:{approval.id}", {"status": status.value}, approval.id)


def _existing(ctx: Ctx, approval_id: str) -> model.Approval:
    approval = store.approval(ctx, approval_id)
    if approval is None:
        raise errors.NotFound(f"There is no approval {approval_id}")
    return approval
