"""A rule that would feed itself is stopped, says so, and its author is told; what only looks like it goes on."""

from __future__ import annotations

from typing import Any

import pytest

from doubleloop.automation import commands, loop, telling, workflows
from doubleloop.base import errors
from doubleloop.durable import store as outbox
from doubleloop.durable.fake import EagerEngine
from doubleloop.environments import commands as environments
from doubleloop.events import commands as events
from doubleloop.events import queries as facts
from doubleloop.events.model import Fact
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.jobs import model as job_model
from doubleloop.jobs import store as jobs
from doubleloop.monitoring import store as _store  # noqa: F401  (declares its tables before the house is built)
from doubleloop.specs import documents

JOB = "run_job: {job: {type: command, command: echo hi, environment: 'azureml:base@latest'}}"


@pytest.fixture
def base(house: Any) -> Any:
    with house.write("ada", "registry") as ctx:
        body = {"name": "base", "conda_file": {"$file": "c.yml", "text": "dependencies: [python=3.11]"}}
        environments.create(ctx, "base", "1", body)
    return house


def put(house: Any, name: str, on: str, do: str = JOB, more: str = "") -> None:
    text = f"$schema: doubleloop/rule\nname: {name}\non: {on}\ndo: [{{{do}}}]\n{more}"
    with house.write("ada", "dev") as ctx:
        commands.put_rule(ctx, documents.parse(text, "rule.yml", "/"))


def happens(house: Any, type_: str = "monitor.alert", **data: Any) -> None:
    with house.write("service:monitor", "dev") as ctx:
        events.record(ctx, type_, "thing:1", **data)


def carry_out(house: Any, ends: job_model.Status = job_model.Status.FAILED, rounds: int = 6) -> None:
    """Reactions, then the jobs that they started end; until nothing happens any more."""

    async def job(_flow: Any, argument: dict[str, Any]) -> None:
        with house.write("service:jobs", None) as ctx:
            found = jobs.get(ctx, argument["job"])
            jobs.set_job(ctx.in_workspace(found.workspace), found, ends)

    engine = EagerEngine(house.contexts, {**workflows.WORKFLOWS, **telling.WORKFLOWS, "jobs.run": job})
    for _ in range(rounds):
        watching = loop.Loop(house.contexts, 0.01)
        while watching.tick():
            pass
        engine.run()


def told(house: Any, *types: str) -> list[Fact]:
    with house.read("service:setup", None) as ctx:
        return facts.facts(ctx, types=types, limit=1000)


def test_a_rule_whose_job_fails_into_the_rule_again_is_stopped_and_says_by_which_way(base: Any) -> None:
    put(base, "again", "job.failed")
    happens(base, "job.failed", job="by-hand", kind="command", purpose={})
    carry_out(base)
    assert len(told(base, "rule.fired")) == len(told(base, "job.submitted")) == 1
    (stopped,) = told(base, "rule.loop_stopped")
    first, second = told(base, "job.failed")
    assert (stopped.data["fact"], stopped.data["trail"]) == (second.seq, [first.seq])
    assert stopped.data["why"] == f"its own action on fact {first.seq} led to this one, in 1 step"
    (submitted,) = told(base, "job.submitted")
    assert submitted.context is not None
    assert (submitted.context["door"], submitted.context["cause"]) == ("rule", first.seq)


def test_two_rules_that_feed_each_other_are_stopped_where_the_first_would_act_again(base: Any) -> None:
    put(base, "one", "job.failed")
    put(base, "two", "job.submitted", JOB, "where: {purpose.rule: {exists: true}}\n")
    happens(base, "job.failed", job="by-hand", kind="command", purpose={})
    carry_out(base)
    assert {each.subject for each in told(base, "rule.loop_stopped")} == {"rule:dev/one", "rule:dev/two"}
    assert len(told(base, "rule.fired")) == 2, "each acted once"


def test_what_comes_of_a_rule_may_lead_to_another_and_new_occasions_count_anew(base: Any) -> None:
    put(base, "retry", "monitor.alert")
    put(base, "after", "job.completed")
    for _ in range(2):
        happens(base)
    carry_out(base, job_model.Status.COMPLETED)
    fired = [each.subject for each in told(base, "rule.fired")]
    assert sorted(fired) == ["rule:dev/after"] * 2 + ["rule:dev/retry"] * 2
    # What the rule's own job completes is where it is stopped, not before.
    assert [each.subject for each in told(base, "rule.loop_stopped")] == ["rule:dev/after"] * 2


def test_the_author_is_told_by_the_target_of_their_group(base: Any) -> None:
    with base.write("service:setup", None) as ctx:
        science = identities.Group("data_scientists", identities.Persona.DATA_SCIENTIST, ("ada",), (), notify="science")
        identity.put_group(ctx, science)
    put(base, "again", "job.failed")
    happens(base, "job.failed", job="by-hand", kind="command", purpose={})
    carry_out(base)
    (stopped,) = told(base, "rule.loop_stopped")
    assert [(each.subject, each.data["fact"]) for each in told(base, "notification.sent", "notification.failed")] == [
        ("notification:science", stopped.seq)
    ]


def test_what_is_told_to_a_persona_goes_to_its_groups_and_to_nobody_is_an_error(base: Any) -> None:
    put(base, "tell", "monitor.alert", 'notify: {to: ["persona:data_scientist"]}')
    happens(base)
    carry_out(base)
    (failed,) = told(base, "rule.failed")
    assert "No group of the persona data_scientist has a notification target" in failed.data["results"][0]["error"]
    with pytest.raises(errors.InvalidInput, match="'wizard' is not a persona"):
        put(base, "tell", "monitor.alert", 'notify: {to: ["persona:wizard"]}')
    with base.read("service:setup", None) as ctx:
        assert outbox.pending(ctx) == []
