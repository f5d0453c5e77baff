"""Two people are two people: not one with a second token, a second account, or a process of theirs."""

from __future__ import annotations

from datetime import UTC, datetime

from doubleloop.base import errors
from doubleloop.gates import model, rules

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def approval(*decided: str, authors: dict[str, str] | None = None) -> model.Approval:
    said = tuple(model.Decision("approval-1", who, "approve", "", "digest", NOW) for who in decided)
    return model.Approval(
        "approval-1", "release:1", "0", "prod", ("project_lead",), 2, authors or {}, "digest", "",
        model.ApprovalStatus.OPEN, NOW, None, decisions=said,
    )  # fmt: skip


def nobody(_name: str) -> bool:
    return False


def test_who_made_the_token_must_not_be_an_author() -> None:
    asked = approval(authors={"mallory": "wrote the release definition"})
    refused = rules.stand_in(asked, "grace", {"mallory": "made the token in use of grace"}, nobody)
    assert isinstance(refused, errors.NotPermitted)
    assert "mallory made the token in use of grace, and mallory wrote the release definition" in refused.what
    assert rules.stand_in(asked, "grace", {"eve": "made the token in use of grace"}, nobody) is None
    assert rules.stand_in(asked, "grace", {}, nobody) is None


def test_who_administers_the_house_sets_everybody_up_but_does_not_decide_twice() -> None:
    behind = {"admin": "set the password of grace"}
    asked = approval(authors={"admin": "wrote the rule"})
    assert rules.stand_in(asked, "grace", behind, lambda name: name == "admin") is None
    refused = rules.stand_in(approval("admin"), "grace", behind, lambda name: name == "admin")
    assert refused is not None and "admin has decided already" in refused.what


def test_only_a_persona_that_was_asked_counts() -> None:
    assert rules.entitled(approval(), {"project_lead", "data_scientist"})
    assert not rules.entitled(approval(), {"data_scientist"}) and not rules.entitled(approval(), set())
