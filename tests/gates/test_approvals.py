"""Evidence and approvals on a real database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from doubleloop.base import actors, clock, errors, verdicts
from doubleloop.db.context import Contexts
from doubleloop.events import queries as events
from doubleloop.gates import commands, model, queries, rules
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities

ENGINE = "service:releases"


def deposit(
    house: Any, check: str = "0.0:scan", verdict: verdicts.Verdict | None = None, **body: Any
) -> model.Evidence:
    with house.write(ENGINE, "staging") as ctx:
        return commands.deposit(ctx, "release:r1", check, verdict or verdicts.passed("clean"), body)


def ask(house: Any, count: int = 1, **changes: Any) -> model.Approval:
    with house.write(ENGINE, "prod") as ctx:
        digest = rules.digest(queries.evidence(ctx, "release:r1"))
        values: dict[str, Any] = {
            "personas": ["project_lead", "product_owner"], "count": count, "not_author": {"ada": "started the release"},
            "expires_at": ctx.now + timedelta(days=7), "evidence_digest": digest, "notify": "flow-1", "gate": "1",
        }  # fmt: skip
        return commands.open_approval(ctx, "release:r1", **{**values, **changes})


def decide(
    house: Any, user: str, asked: model.Approval, decision: str = "approve", comment: str = "ok", **changes: Any
):  # type: ignore[no-untyped-def]
    with house.write(user, None) as ctx:
        return commands.decide(ctx, asked.id, decision, comment, changes.get("digest", asked.evidence_digest))


def test_evidence_is_hashed_kept_and_stands_in_the_sealed_log(house: Any) -> None:
    made = deposit(house, rows=3)
    with house.read("grace") as ctx:
        assert queries.evidence(ctx, "release:r1") == [made]
        assert queries.altered(ctx, "release:r1") == []
        fact = events.facts(ctx, types=["release.evidence"])[0]
    assert fact.data["hash"] == made.hash == rules.seal(made)


def test_a_second_deposit_of_the_same_check_changes_nothing(house: Any) -> None:
    first = deposit(house, verdict=verdicts.failed("slow"))
    assert deposit(house, verdict=verdicts.passed("quick")) == first
    with house.read("grace") as ctx:
        assert len(events.facts(ctx, types=["release.evidence"])) == 1


@pytest.mark.parametrize("user", ["ada", "grace", "linus", "service:jobs", "service:monitor"])
def test_nobody_but_the_engine_deposits_evidence(house: Any, user: str) -> None:
    with pytest.raises(errors.NotPermitted), house.write(user, "staging") as ctx:
        commands.deposit(ctx, "release:r1", "0.0:scan", verdicts.passed(), {})


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": object()}, {"x": "y" * (2 << 20)}])
def test_a_body_that_is_not_small_plain_json_is_refused(house: Any, body: Any) -> None:
    with pytest.raises(errors.InvalidInput, match=r"0\.0:scan"):
        deposit(house, **body)


def test_one_approval_decides_and_wakes_the_release(house: Any) -> None:
    deposit(house)
    asked = ask(house)
    decided = decide(house, "grace", asked)
    assert decided.status is model.ApprovalStatus.APPROVED
    assert decided.approvers == ("grace",)
    with house.read("grace") as ctx:
        facts = events.facts(ctx, subject="release:r1")
        assert [fact.type for fact in facts][-3:] == ["approval.opened", "approval.given", "approval.closed"]
        assert facts[-2].actor == "grace"
        assert queries.waiting(ctx) == []


def test_two_approvers_must_be_two_people(house: Any) -> None:
    with house.write("service:setup", None) as ctx:
        identity.create_user(ctx, "olga")
        identity.put_group(ctx, identities.Group("owners", identities.Persona.PRODUCT_OWNER, ("olga",), ()))
    asked = ask(house, count=2)
    assert decide(house, "grace", asked).status is model.ApprovalStatus.OPEN
    with pytest.raises(errors.Conflict, match="grace decided on release:r1 already"):
        decide(house, "grace", asked)
    assert decide(house, "olga", asked).status is model.ApprovalStatus.APPROVED


def test_a_rejection_with_its_comment_ends_it(house: Any) -> None:
    asked = ask(house)
    decided = decide(house, "grace", asked, "reject", "worse for night riders")
    assert (decided.status, decided.reason) == (model.ApprovalStatus.REJECTED, "worse for night riders")
    with pytest.raises(errors.Conflict, match="decided already: rejected"):
        decide(house, "grace", asked)


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("ada", "ada started the release"),
        ("eve", "none allows release.approve in production workspace prod"),
        ("linus", "none allows release.approve"),
        ("service:releases", "only a person approves"),
        ("service:setup", "only a person approves"),
        ("nobody", "not a user"),
    ],
)
def test_who_may_not_approve_is_refused(house: Any, user: str, words: str) -> None:
    asked = ask(house)
    with pytest.raises(errors.NotPermitted, match=words):
        decide(house, user, asked)
    with house.read("grace") as ctx:
        assert queries.approval(ctx, asked.id).status is model.ApprovalStatus.OPEN


def test_the_code_of_a_job_decides_nothing_for_its_user(house: Any) -> None:
    asked = ask(house)
    code = actors.Actor("grace", via="job:job-7/train")
    with pytest.raises(errors.NotPermitted, match="the code of job:job-7/train"), house.contexts.write(code) as ctx:
        commands.decide(ctx, asked.id, "approve", "", asked.evidence_digest)


def test_the_code_of_a_retraining_deposits_nothing(house: Any) -> None:
    code = actors.Actor("service:releases", actors.ActorKind.SERVICE, via="job:job-7/train")
    with pytest.raises(errors.NotPermitted), house.contexts.write(code, "staging") as ctx:
        commands.deposit(ctx, "release:r1", "0.0:scan", verdicts.passed(), {})


def test_being_administrator_approves_nothing(house: Any) -> None:
    with house.write("service:setup", None) as ctx:
        identity.create_user(ctx, "root", is_admin=True)
    asked = ask(house)
    with pytest.raises(errors.NotPermitted):
        decide(house, "root", asked)


def test_an_approval_of_other_evidence_is_a_conflict(house: Any) -> None:
    deposit(house)
    asked = ask(house)
    with pytest.raises(errors.Conflict, match="other evidence"):
        decide(house, "grace", asked, digest="0" * 64)


def test_nobody_decides_on_evidence_that_was_changed(house: Any) -> None:
    deposit(house, rows=3)
    asked = ask(house)
    with house.write(ENGINE, "prod") as ctx:
        ctx.tx.exec_driver_sql("update gate_evidence set body = '{}'")
    with pytest.raises(errors.Conflict, match=r"0\.0:scan was changed after it was deposited"):
        decide(house, "grace", asked)


def test_after_its_time_an_approval_takes_no_answer_and_expires(house: Any) -> None:
    asked = ask(house)
    later = Contexts(house.contexts.engine, house.contexts.ports, lambda: clock.now() + timedelta(days=8))
    with pytest.raises(errors.Conflict, match="ran out"), later.write(house.actor("grace")) as ctx:
        commands.decide(ctx, asked.id, "approve", "", asked.evidence_digest)
    with house.write(ENGINE, "prod") as ctx:
        assert commands.expire(ctx, asked.id).status is model.ApprovalStatus.OPEN
    with later.write(house.actor(ENGINE), "prod") as ctx:
        assert commands.expire(ctx, asked.id).status is model.ApprovalStatus.EXPIRED


def test_a_withdrawn_approval_takes_no_answer(house: Any) -> None:
    asked = ask(house)
    with house.write(ENGINE, "prod") as ctx:
        commands.withdraw(ctx, "release:r1", "superseded by release 8")
    with pytest.raises(errors.Conflict, match="superseded by release 8"):
        decide(house, "grace", asked)


def test_asking_twice_is_asking_once(house: Any) -> None:
    assert ask(house) == ask(house)
    with house.read("grace", "prod") as ctx:
        assert len(queries.waiting(ctx)) == 1


def test_waiting_shows_only_what_the_reader_may_see(house: Any) -> None:
    ask(house)
    with house.read("eve", None) as ctx:
        assert queries.waiting(ctx) == []
    with house.read("grace", None) as ctx:
        assert [each.subject for each in queries.waiting(ctx)] == ["release:r1"]


@pytest.fixture
def owners(house: Any) -> Any:
    """linus and mary own the house; ada, who made it, does too."""
    with house.write("service:setup", None) as ctx:
        identity.create_user(ctx, "mary")
        members = ("ada", "linus", "mary")
        identity.put_group(ctx, identities.Group("owners", identities.Persona.PLATFORM_SUPPORT, members, ()))
    deposit(house)
    return house


REASON = "nobody of the project can be reached, ticket 4711"


def test_two_owners_break_the_glass_and_the_record_says_so_loudly(owners: Any) -> None:
    asked = ask(owners, count=3)
    assert decide(owners, "linus", asked, "break_glass", REASON).status is model.ApprovalStatus.OPEN
    decided = decide(owners, "mary", asked, "break_glass", REASON)
    assert (decided.status, decided.approvers) == (model.ApprovalStatus.APPROVED, ("linus", "mary"))
    with owners.read("grace") as ctx:
        broken = events.facts(ctx, types=["approval.glass_broken"])
        assert [(each.actor, each.data["comment"]) for each in broken] == [("linus", REASON), ("mary", REASON)]
        assert all(each.data["evidence_digest"] == asked.evidence_digest for each in broken)


@pytest.mark.parametrize(
    ("user", "comment", "error", "words"),
    [
        ("ada", REASON, errors.NotPermitted, "started the release"), ("grace", REASON, errors.NotPermitted, "identity"),
        ("eve", REASON, errors.NotPermitted, "identity"), ("linus", "ok", errors.InvalidInput, "reason"),
    ],
)  # fmt: skip
def test_no_author_and_nobody_else_breaks_the_glass(
    owners: Any, user: str, comment: str, error: type[Exception], words: str
) -> None:
    asked = ask(owners)
    with pytest.raises(error, match=words):
        decide(owners, user, asked, "break_glass", comment)


def test_one_person_cannot_break_it_twice_and_other_evidence_does_not_count(owners: Any) -> None:
    asked = ask(owners)
    with pytest.raises(errors.Conflict, match="other evidence"):
        decide(owners, "linus", asked, "break_glass", REASON, digest="0" * 64)
    decide(owners, "linus", asked, "break_glass", REASON)
    with pytest.raises(errors.Conflict, match="already"):
        decide(owners, "linus", asked, "break_glass", REASON)


def test_a_process_never_decides_nor_breaks_the_glass(house: Any) -> None:
    asked = ask(house)
    for decision in ("approve", "reject", rules.BREAK_GLASS):
        with pytest.raises(errors.NotPermitted, match="only a person approves"):
            decide(house, "service:releases", asked, decision, "a reason that others understand")


def test_the_glass_is_not_broken_with_a_limited_token(house: Any) -> None:
    asked = ask(house)
    limited = actors.Actor("linus", via="robot", actions=frozenset({"identity.write"}))
    with house.contexts.write(limited) as ctx, pytest.raises(errors.NotPermitted):
        commands.decide(ctx, asked.id, rules.BREAK_GLASS, "a reason that others understand", asked.evidence_digest)


def test_a_token_that_an_author_made_for_somebody_else_does_not_decide(house: Any) -> None:
    asked = ask(house, not_author={"linus": "wrote the release definition"})
    with house.write("service:setup", None) as ctx:
        identity.create_user(ctx, "eva")
        identity.put_group(ctx, identities.Group("more-leads", identities.Persona.PROJECT_LEAD, ("eva",), ()))
    with house.write("linus", None) as ctx:
        _, secret = identity.create_token(ctx, "eva", "robot")
    with house.read("service:setup") as ctx:
        eve = identity.authenticate(ctx, secret)
    with house.contexts.write(eve) as ctx, pytest.raises(errors.NotPermitted, match="linus made the token in use"):
        commands.decide(ctx, asked.id, "approve", "ok", asked.evidence_digest)


def test_an_approval_of_who_lost_the_persona_no_longer_counts(house: Any) -> None:
    asked = ask(house, count=2)
    with house.write("service:setup", None) as ctx:
        for user in ("eva", "zoe"):
            identity.create_user(ctx, user)
        identity.put_group(ctx, identities.Group("more-leads", identities.Persona.PROJECT_LEAD, ("eva", "zoe"), ()))
    decide(house, "eva", asked)
    with house.write("service:setup", None) as ctx:
        identity.put_group(ctx, identities.Group("more-leads", identities.Persona.PROJECT_LEAD, ("zoe",), ()))
    assert decide(house, "zoe", asked).status is model.ApprovalStatus.OPEN
