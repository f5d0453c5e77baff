"""Judging evidence and approvals: pure; time is an argument."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

from doubleloop.base import canonical, clock, errors, verdicts
from doubleloop.gates import model

BREAK_GLASS = "break_glass"
DECISIONS = ("approve", "reject", BREAK_GLASS)
# Breaking the glass stands in for every persona that was asked for; it takes that many people, whatever was asked.
GLASS_TAKES = 2
MAX_COMMENT = 4000


def digest(evidence: Iterable[model.Evidence]) -> str:
    """One hash over a set of evidence: SHA-256 of the canonical JSON of the sorted evidence hashes."""
    return canonical.sha256(sorted(each.hash for each in evidence))


def judge(
    required: Sequence[str], evidence: Iterable[model.Evidence], allow_not_checked: Collection[str] = ()
) -> verdicts.Verdict:
    """Whether the gate opens: every required check has evidence that passed.

    Missing evidence never passes. ``not_checked`` passes only for the checks named in ``allow_not_checked``. Reasons
    name every check that holds the gate shut; for an open gate, every check that was let through unchecked.
    """
    found = {each.check: each for each in evidence}
    against: list[str] = []
    notes: list[str] = []
    for check in required:
        deposited = found.get(check)
        if deposited is None:
            against.append(f"{check}: no evidence was deposited")
        elif deposited.outcome is verdicts.Outcome.NOT_CHECKED and check in allow_not_checked:
            notes.append(f"{check} was not checked, which its definition allows{_because(deposited)}")
        elif deposited.outcome is not verdicts.Outcome.PASSED:
            word = "failed" if deposited.outcome is verdicts.Outcome.FAILED else "was not checked"
            against.append(f"{check} {word}{_because(deposited)}")
    return verdicts.failed(*against) if against else verdicts.passed(*notes)


def _because(evidence: model.Evidence) -> str:
    return ": " + "; ".join(evidence.reasons) if evidence.reasons else ""


def refusal(
    approval: model.Approval,
    actor: str,
    personas: Collection[str],
    decision: str,
    comment: str,
    evidence_digest: str,
    now: datetime,
) -> errors.DoubleloopError | None:
    """Why ``actor`` may not decide so, or None. ``personas`` are those that the actor holds in its workspace."""
    return (
        _bad_words(decision, comment, evidence_digest)
        or _closed(approval, now)
        or _not_entitled(approval, actor, personas, decision)
        or _said_before(approval, actor)
        or _other_evidence(approval, evidence_digest)
    )


def _bad_words(decision: str, comment: str, evidence_digest: str) -> errors.DoubleloopError | None:
    if decision not in DECISIONS:
        return errors.InvalidInput(f"'{decision}' is not a decision", cure="Use 'approve' or 'reject'.")
    if decision == "reject" and not comment.strip():
        return errors.InvalidInput("A rejection needs a comment", cure="Say why, so that the author can act on it.")
    if decision == BREAK_GLASS and len(comment.strip()) < 10:
        return errors.InvalidInput("Breaking the glass needs a reason that others will understand")
    if len(comment) > MAX_COMMENT:
        return errors.InvalidInput(f"The comment has {len(comment)} characters; at most {MAX_COMMENT} are kept")
    if not evidence_digest:
        return errors.InvalidInput(
            "A decision must name the evidence it was made on",
            cure="Send the evidence_digest that the release shows while it waits.",
        )
    return None


def _closed(approval: model.Approval, now: datetime) -> errors.DoubleloopError | None:
    if approval.status is not model.ApprovalStatus.OPEN:
        when = f" on {clock.iso(approval.closed_at)}" if approval.closed_at else ""
        why = f": {approval.reason}" if approval.reason else ""
        return errors.Conflict(f"{approval.subject} was decided already: {approval.status}{when}{why}")
    if approval.expires_at and now >= approval.expires_at:
        return errors.Conflict(
            f"The time to decide on {approval.subject} ran out on {clock.iso(approval.expires_at)}",
            cure="Start the release again.",
        )
    return None


def _not_entitled(
    approval: model.Approval, actor: str, personas: Collection[str], decision: str
) -> errors.DoubleloopError | None:
    if actor in approval.authors:
        return errors.NotPermitted(
            f"{actor} may not decide on {approval.subject}: {actor} {approval.authors[actor]}",
            cure=f"Ask another {_any_of(approval.personas)}.",
            details={"authors": dict(approval.authors)},
        )
    if decision != BREAK_GLASS and not entitled(approval, personas):
        holds = ", ".join(sorted(personas)) or "no persona"
        return errors.NotPermitted(
            f"{approval.subject} is decided by a {_any_of(approval.personas)}; {actor} holds {holds} "
            f"in workspace {approval.workspace}",
            cure="Ask one of them.",
        )
    return None


def entitled(approval: model.Approval, personas: Collection[str]) -> bool:
    """Whether who holds ``personas`` is one of those that were asked."""
    return not approval.personas or bool(set(personas) & set(approval.personas))


def stand_in(
    approval: model.Approval, actor: str, behind: Mapping[str, str], is_administrator: Callable[[str], bool]
) -> errors.DoubleloopError | None:
    """Why the decision could be that of somebody who must not make it (again) under the actor's name, or None.

    ``behind``: persons who could act under that name, and why. Who administers the installation sets everybody up, and
    counts as an author's stand-in only for their own second decision.
    """
    decided = {each.actor for each in approval.decisions}
    for name, why in behind.items():
        if name in approval.authors and not is_administrator(name):
            what = f"{name} {approval.authors[name]}"
        elif name in decided:
            what = f"{name} has decided already"
        else:
            continue
        return errors.NotPermitted(
            f"{actor} may not decide on {approval.subject} like this: {name} {why}, and {what}",
            cure="Set a password of your own, log in with it and decide then (`doubleloop user set-password`).",
        )
    return None


def _any_of(personas: Sequence[str]) -> str:
    return " or ".join(personas) or "person"


def _said_before(approval: model.Approval, actor: str) -> errors.DoubleloopError | None:
    before = next((each for each in approval.decisions if each.actor == actor), None)
    if before is None:
        return None
    return errors.Conflict(f"{actor} decided on {approval.subject} already ({before.decision}, {clock.iso(before.at)})")


def _other_evidence(approval: model.Approval, evidence_digest: str) -> errors.DoubleloopError | None:
    if evidence_digest == approval.evidence_digest:
        return None
    return errors.Conflict(
        f"The decision is about other evidence ({evidence_digest[:12]}…) than {approval.subject} stands on "
        f"({approval.evidence_digest[:12]}…)",
        cure="Look at the evidence again, then decide.",
        details={"evidence_digest": approval.evidence_digest},
    )


def status_after(approval: model.Approval, decisions: Sequence[model.Decision]) -> model.ApprovalStatus:
    """One rejection ends it; ``count`` different approvers approve it, or two people who break the glass."""
    if len({each.actor for each in decisions if each.decision == BREAK_GLASS}) >= GLASS_TAKES:
        return model.ApprovalStatus.APPROVED
    if any(each.decision == "reject" for each in decisions):
        return model.ApprovalStatus.REJECTED
    if len({each.actor for each in decisions if each.decision == "approve"}) >= approval.count:
        return model.ApprovalStatus.APPROVED
    return model.ApprovalStatus.OPEN


def authors(named: Iterable[tuple[str | None, str]]) -> dict[str, str]:
    """Who may not decide and why, from (name, why) pairs. Services are left out: they cannot decide anyway."""
    found: dict[str, list[str]] = {}
    for name, why in named:
        if name and not name.startswith("service:") and why not in found.setdefault(name, []):
            found[name].append(why)
    return {name: " and ".join(whys) for name, whys in found.items()}


def expired(approval: model.Approval, now: datetime) -> bool:
    return approval.status is model.ApprovalStatus.OPEN and bool(approval.expires_at and now >= approval.expires_at)


def altered(evidence: model.Evidence) -> bool:
    """Whether what is kept is no longer what was hashed when it was deposited."""
    return seal(evidence) != evidence.hash


def seal(evidence: model.Evidence) -> str:
    return canonical.sha256(document(evidence))


def document(evidence: model.Evidence) -> Mapping[str, object]:
    """What is hashed: everything that the evidence says, who deposited it and when."""
    return {
        "subject": evidence.subject,
        "check": evidence.check,
        "type": evidence.type,
        "outcome": evidence.outcome.value,
        "reasons": list(evidence.reasons),
        "body": evidence.body,
        "attachments": evidence.attachments,
        "created_by": evidence.created_by,
        "created_at": clock.iso(evidence.created_at),
    }
