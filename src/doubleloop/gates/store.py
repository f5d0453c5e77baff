"""Tables of evidence, approvals and decisions. Evidence and decisions are only ever added."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from doubleloop.base import canonical, verdicts
from doubleloop.db import tables
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.gates import model

EVIDENCE = sa.Table(
    "gate_evidence",
    tables.METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(40), nullable=False, unique=True),
    sa.Column("subject", sa.String(512), nullable=False),
    sa.Column("check", sa.String(255), nullable=False),
    sa.Column("type", sa.String(80), nullable=False),
    sa.Column("outcome", sa.String(20), nullable=False),
    sa.Column("reasons", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("attachments", sa.Text, nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.UniqueConstraint("subject", "check"),
)
APPROVALS = sa.Table(
    "gate_approvals",
    tables.METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(40), nullable=False, unique=True),
    sa.Column("subject", sa.String(512), nullable=False),
    sa.Column("gate", sa.String(80), nullable=False),
    sa.Column("workspace", sa.String(255), nullable=False),
    sa.Column("personas", sa.Text, nullable=False),
    sa.Column("quorum", sa.Integer, nullable=False),
    sa.Column("authors", sa.Text, nullable=False),
    sa.Column("evidence_digest", sa.String(64), nullable=False),
    sa.Column("notify", sa.String(200), nullable=False),
    sa.Column("status", sa.String(20), nullable=False, index=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("opened_at", tables.Moment, nullable=False),
    sa.Column("expires_at", tables.Moment),
    sa.Column("closed_at", tables.Moment),
    sa.UniqueConstraint("subject", "gate"),
)
DECISIONS = sa.Table(
    "gate_decisions",
    tables.METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("approval", sa.String(40), sa.ForeignKey("gate_approvals.id"), nullable=False),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("decision", sa.String(10), nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("evidence_digest", sa.String(64), nullable=False),
    sa.Column("at", tables.Moment, nullable=False),
    sa.UniqueConstraint("approval", "actor"),
)


def _evidence(row: sa.Row[tuple[object, ...]]) -> model.Evidence:
    return model.Evidence(
        row.id, row.subject, row.check, row.type, verdicts.Outcome(row.outcome), tuple(json.loads(row.reasons)),
        json.loads(row.body), json.loads(row.attachments), row.created_by, row.created_at, row.hash,
    )  # fmt: skip


def insert_evidence(ctx: Ctx, evidence: model.Evidence) -> None:
    """Also records ``<kind>.evidence`` (``release.evidence``), so that the hash stands in the sealed log."""
    ctx.tx.execute(
        EVIDENCE.insert().values(
            id=evidence.id, subject=evidence.subject, check=evidence.check, type=evidence.type,
            outcome=evidence.outcome.value, reasons=canonical.dumps(list(evidence.reasons)),
            body=canonical.dumps(evidence.body), attachments=canonical.dumps(evidence.attachments),
            created_by=evidence.created_by, created_at=evidence.created_at, hash=evidence.hash,
        )
    )  # fmt: skip
    kind = evidence.subject.partition(":")[0]
    events.record(
        ctx, f"{kind}.evidence", evidence.subject, check=evidence.check, type=evidence.type,
        outcome=evidence.outcome.value, reasons=list(evidence.reasons), hash=evidence.hash, evidence=evidence.id,
    )  # fmt: skip


def evidence_of(ctx: Ctx, subject: str, check: str) -> model.Evidence | None:
    query = sa.select(EVIDENCE).where(EVIDENCE.c.subject == subject, EVIDENCE.c.check == check)
    row = ctx.tx.execute(query).one_or_none()
    return _evidence(row) if row else None


def evidence(ctx: Ctx, subject: str) -> list[model.Evidence]:
    """In the order of depositing."""
    query = sa.select(EVIDENCE).where(EVIDENCE.c.subject == subject).order_by(EVIDENCE.c.seq)
    return [_evidence(row) for row in ctx.tx.execute(query)]


def evidence_by_id(ctx: Ctx, id_: str) -> model.Evidence | None:
    row = ctx.tx.execute(sa.select(EVIDENCE).where(EVIDENCE.c.id == id_)).one_or_none()
    return _evidence(row) if row else None


def _decisions(ctx: Ctx, approvals: Sequence[str]) -> dict[str, list[model.Decision]]:
    query = sa.select(DECISIONS).where(DECISIONS.c.approval.in_(approvals)).order_by(DECISIONS.c.seq)
    found: dict[str, list[model.Decision]] = defaultdict(list)
    for row in ctx.tx.execute(query):
        found[row.approval].append(
            model.Decision(row.approval, row.actor, row.decision, row.comment, row.evidence_digest, row.at)
        )
    return found


def _select(ctx: Ctx, query: sa.Select[tuple[object, ...]]) -> list[model.Approval]:
    rows = list(ctx.tx.execute(query))
    decisions = _decisions(ctx, [row.id for row in rows])
    return [
        model.Approval(
            row.id, row.subject, row.gate, row.workspace, tuple(json.loads(row.personas)), row.quorum,
            json.loads(row.authors), row.evidence_digest, row.notify, model.ApprovalStatus(row.status), row.opened_at,
            row.expires_at, row.closed_at, row.reason, tuple(decisions[row.id]),
        )
        for row in rows
    ]  # fmt: skip


def approval(ctx: Ctx, id_: str, *, lock: bool = False) -> model.Approval | None:
    query = sa.select(APPROVALS).where(APPROVALS.c.id == id_)
    return next(iter(_select(ctx, query.with_for_update() if lock else query)), None)


def approvals(
    ctx: Ctx, *, subject: str | None = None, gate: str | None = None, status: model.ApprovalStatus | None = None
) -> list[model.Approval]:
    """Oldest first."""
    query = sa.select(APPROVALS).order_by(APPROVALS.c.seq)
    if subject is not None:
        query = query.where(APPROVALS.c.subject == subject)
    if gate is not None:
        query = query.where(APPROVALS.c.gate == gate)
    if status is not None:
        query = query.where(APPROVALS.c.status == status.value)
    return _select(ctx, query)


def insert_approval(ctx: Ctx, approval: model.Approval) -> None:
    ctx.tx.execute(
        APPROVALS.insert().values(
            id=approval.id, subject=approval.subject, gate=approval.gate, workspace=approval.workspace,
            personas=canonical.dumps(list(approval.personas)), quorum=approval.count,
            authors=canonical.dumps(approval.authors), evidence_digest=approval.evidence_digest,
            notify=approval.notify, status=approval.status.value, reason=approval.reason,
            opened_at=approval.opened_at, expires_at=approval.expires_at,
        )
    )  # fmt: skip
    events.record(
        ctx, "approval.opened", approval.subject, approval=approval.id, gate=approval.gate,
        personas=list(approval.personas), count=approval.count, not_author=sorted(approval.authors),
        evidence_digest=approval.evidence_digest,
    )  # fmt: skip


_FACTS = {"approve": "approval.given", "reject": "approval.refused", "break_glass": "approval.glass_broken"}


def insert_decision(ctx: Ctx, approval: model.Approval, decision: model.Decision) -> None:
    ctx.tx.execute(
        DECISIONS.insert().values(
            approval=decision.approval, actor=decision.actor, decision=decision.decision, comment=decision.comment,
            evidence_digest=decision.evidence_digest, at=decision.at,
        )
    )  # fmt: skip
    events.record(
        ctx, _FACTS[decision.decision], approval.subject,
        approval=approval.id, gate=approval.gate, comment=decision.comment, evidence_digest=decision.evidence_digest,
    )  # fmt: skip


def close(ctx: Ctx, approval: model.Approval, status: model.ApprovalStatus, reason: str) -> None:
    """The one writer of an approval's end; only an open one ends."""
    where = sa.and_(APPROVALS.c.id == approval.id, APPROVALS.c.status == model.ApprovalStatus.OPEN.value)
    changed = ctx.tx.execute(
        APPROVALS.update().where(where).values(status=status.value, reason=reason, closed_at=ctx.now)
    )
    if changed.rowcount:
        events.record(
            ctx, "approval.closed", approval.subject, approval=approval.id, gate=approval.gate, status=status.value,
            reason=reason,
        )  # fmt: skip
