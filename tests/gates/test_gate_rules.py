"""A gate opens only on evidence, and only for those who may open it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from doubleloop.base import canonical, errors, verdicts
from doubleloop.gates import model, rules

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def evidence(check: str, outcome: str = "passed", *reasons: str) -> model.Evidence:
    made = model.Evidence(
        f"evidence-{check}", "release:r", check, check.partition(":")[2], verdicts.Outcome(outcome), reasons, {"n": 1},
        {}, "service:releases", NOW, "",
    )  # fmt: skip
    return model.Evidence(**{**made.__dict__, "hash": rules.seal(made)})


def test_a_gate_opens_when_every_required_check_passed() -> None:
    assert rules.judge(["0.0:a", "0.1:b"], [evidence("0.0:a"), evidence("0.1:b")]).passed


def test_a_gate_with_nothing_required_opens() -> None:
    assert rules.judge([], []).passed


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        ([], "no evidence was deposited"),
        ([evidence("0.0:a", "failed", "too slow")], "0.0:a failed: too slow"),
        ([evidence("0.0:a", "not_checked", "no database")], "0.0:a was not checked: no database"),
        ([evidence("0.9:a")], "no evidence was deposited"),
    ],
)
def test_a_gate_stays_shut_and_says_why(held: list[model.Evidence], reason: str) -> None:
    verdict = rules.judge(["0.0:a"], held)
    assert verdict.outcome is verdicts.Outcome.FAILED
    assert reason in verdict.reasons[0]


def test_not_checked_passes_only_where_the_definition_allows_it() -> None:
    held = [evidence("0.0:a", "not_checked", "no database")]
    verdict = rules.judge(["0.0:a"], held, allow_not_checked={"0.0:a"})
    assert verdict.passed
    assert "was not checked" in verdict.reasons[0]


def test_the_digest_is_the_hash_of_the_sorted_hashes() -> None:
    a, b = evidence("0.0:a"), evidence("0.1:b")
    assert rules.digest([a, b]) == rules.digest([b, a]) == canonical.sha256(sorted([a.hash, b.hash]))
    assert rules.digest([a]) != rules.digest([a, b])


def test_evidence_that_was_changed_no_longer_fits_its_hash() -> None:
    held = evidence("0.0:a", "failed", "worse")
    assert not rules.altered(held)
    assert rules.altered(model.Evidence(**{**held.__dict__, "outcome": verdicts.Outcome.PASSED}))
    assert rules.altered(model.Evidence(**{**held.__dict__, "body": {"n": 2}}))


def approval(**changes: Any) -> model.Approval:
    values: dict[str, Any] = {
        "id": "approval-1", "subject": "release:r", "gate": "1", "workspace": "prod", "personas": ("project_lead",),
        "count": 1, "authors": {"ada": "registered the model"}, "evidence_digest": "d" * 64, "notify": "w",
        "status": model.ApprovalStatus.OPEN, "opened_at": NOW, "expires_at": NOW + timedelta(days=7),
    }  # fmt: skip
    return model.Approval(**{**values, **changes})


def said(actor: str, decision: str = "approve") -> model.Decision:
    return model.Decision("approval-1", actor, decision, "", "d" * 64, NOW)


def refusal(held: model.Approval, **changes: Any) -> errors.DoubleloopError | None:
    values: dict[str, Any] = {
        "actor": "grace", "personas": {"project_lead"}, "decision": "approve", "comment": "",
        "evidence_digest": "d" * 64, "now": NOW,
    }  # fmt: skip
    return rules.refusal(held, **{**values, **changes})


def test_a_persona_who_is_no_author_may_approve() -> None:
    assert refusal(approval()) is None


CLOSED = {"status": model.ApprovalStatus.REJECTED, "closed_at": NOW, "reason": "no"}


@pytest.mark.parametrize(
    ("held", "changes", "kind", "words"),
    [
        ({}, {"actor": "ada"}, errors.NotPermitted, "ada registered the model"),
        (
            {},
            {"personas": {"data_scientist"}},
            errors.NotPermitted,
            "decided by a project_lead; grace holds data_scien",
        ),
        ({}, {"personas": set()}, errors.NotPermitted, "holds no persona"),
        ({"decisions": (said("grace"),), "count": 2}, {}, errors.Conflict, "grace decided on release:r already"),
        ({}, {"now": NOW + timedelta(days=7)}, errors.Conflict, "ran out on 2026-03-08"),
        ({}, {"evidence_digest": "e" * 64}, errors.Conflict, "other evidence"),
        ({}, {"evidence_digest": ""}, errors.InvalidInput, "must name the evidence"),
        (CLOSED, {}, errors.Conflict, "decided already: rejected"),
        ({}, {"decision": "maybe"}, errors.InvalidInput, "not a decision"),
        ({}, {"decision": "reject"}, errors.InvalidInput, "needs a comment"),
        ({}, {"comment": "x" * 5000}, errors.InvalidInput, "5000 characters"),
    ],
)
def test_who_may_not_decide_is_told_why(held: Any, changes: Any, kind: type[Exception], words: str) -> None:
    refused = refusal(approval(**held), **changes)
    assert type(refused) is kind
    assert words in str(refused)


def test_the_quorum_counts_people_and_one_rejection_ends_it() -> None:
    two = approval(count=2)
    assert rules.status_after(two, [said("a")]) is model.ApprovalStatus.OPEN
    assert rules.status_after(two, [said("a"), said("a")]) is model.ApprovalStatus.OPEN
    assert rules.status_after(two, [said("a"), said("b")]) is model.ApprovalStatus.APPROVED
    assert rules.status_after(two, [said("a"), said("b", "reject")]) is model.ApprovalStatus.REJECTED


def test_authors_are_named_with_every_reason_and_services_are_left_out() -> None:
    named = rules.authors(
        [("ada", "registered the model"), ("ada", "wrote the release definition"), (None, "x"), ("service:jobs", "y")]
    )
    assert named == {"ada": "registered the model and wrote the release definition"}
