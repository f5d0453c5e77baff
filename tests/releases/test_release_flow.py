"""One release, from its start to every end it can have."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from doubleloop.base import errors
from doubleloop.gates import rules as gate_rules
from doubleloop.releases import commands, fake, model, queries
from doubleloop.specs import sources


def first_release(site: Any) -> model.Release:
    """Version 1 goes out, as r1, with nothing there before."""
    site.register("1")
    site.define()
    return site.through(site.start("1").id)


def test_a_good_candidate_goes_all_the_way(site: Any) -> None:
    site.register("1")
    site.define()
    release = site.through(site.start("1").id)
    assert (release.status, release.reasons) == ("completed", ())
    assert (release.version, release.candidate) == ("1", "2")  # retrained
    assert site.traffic() == {"blue-r1": 100}
    assert site.champion("prod") == "2"
    assert site.monitors.put_in_place == ["prod/bikes-monitor"]
    # The staging deployment was for the checks only.
    assert site.deployments("staging", "bikes-test") == []
    types = [fact.type for fact in site.facts(release.id)]
    told = [each for each in types if each in (
        "release.started", "release.stage_entered", "release.candidate", "release.evidence", "release.judged",
        "release.waiting", "approval.given", "release.approved", "release.rolling_out", "release.promoted",
        "release.completed",
    )]  # fmt: skip
    assert told == [
        "release.started", "release.stage_entered", "release.candidate", *["release.evidence"] * 4, "release.judged",
        "release.stage_entered", "release.waiting", "approval.given", "release.approved", "release.rolling_out",
        "release.promoted", "release.completed",
    ]  # fmt: skip


def test_the_first_release_has_nothing_to_share_traffic_with(site: Any) -> None:
    release = first_release(site)
    assert [fact.data["percent"] for fact in site.facts(release.id, "release.traffic")] == [100]


def test_the_second_release_moves_traffic_in_steps_and_keeps_the_first_to_go_back_to(site: Any) -> None:
    first_release(site)
    site.register("3")
    release = site.through(site.start("3").id)
    assert release.status == "completed"
    assert [fact.data["traffic"] for fact in site.facts(release.id, "release.traffic")] == [
        {"blue-r2": 10, "blue-r1": 90},
        {"blue-r2": 50, "blue-r1": 50},
        {"blue-r2": 100},
    ]
    assert site.deployments() == ["blue-r1", "blue-r2"]
    site.register("5")
    third = site.through(site.start("5").id)
    assert third.status == "completed"
    assert site.deployments() == ["blue-r2", "blue-r3"]


def test_scans_come_before_anything_loads_the_model(site: Any) -> None:
    site.measuring.answers["scan"] = {"model": {"files": 1, "findings": [{"file": "m.pkl", "what": "os.system"}]},
                                      "packages": None}  # fmt: skip
    site.register("1")
    site.define()
    release = site.through(site.start("1").id)
    assert release.status == "failed"
    assert "m.pkl: os.system" in release.reasons[0]
    assert [question.check["type"] for question in site.measuring.asked] == ["scan"]
    with site.house.read("linus", "staging") as ctx:
        assert not ctx.tx.exec_driver_sql("select count(*) from deployments").scalar()


def test_a_failed_check_ends_the_release_with_every_reason_and_production_as_it_was(site: Any) -> None:
    first_release(site)
    before = (site.traffic(), site.champion())
    site.measuring.answers["model_quality"] = {
        **fake.GOOD["model_quality"], "candidate": {"model": "bikes:4", "value": 9.0, "training_data": []}
    }  # fmt: skip
    site.measuring.answers["endpoint_performance"] = {
        **fake.GOOD["endpoint_performance"], "latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 300.0}
    }  # fmt: skip
    site.register("3")
    release = site.through(site.start("3").id)
    assert release.status == "failed"
    assert "rmse 9, must be at most 4" in release.reasons[0]
    assert "p99 300.0 ms, allowed 250 ms" in release.reasons[1]
    assert (site.traffic(), site.champion()) == before
    assert site.deployments("staging", "bikes-test") == []
    assert [fact.type for fact in site.facts(release.id)][-1] == "release.failed"


def test_a_check_that_cannot_be_measured_never_passes(site: Any) -> None:
    site.measuring.answers["data_quality"] = errors.NotFound("no data bikes@production")
    site.register("1")
    site.define()
    release = site.through(site.start("1").id)
    assert release.status == "failed"
    assert "could not be measured: no data bikes@production" in release.reasons[0]


def test_a_fault_while_measuring_fails_the_check_and_does_not_hang(site: Any) -> None:
    site.measuring.answers["data_quality"] = ZeroDivisionError("division by zero")
    site.register("1")
    site.define()
    release = site.through(site.start("1").id)
    assert release.status == "failed"
    assert "ZeroDivisionError" in release.reasons[0]


def test_a_source_that_is_away_is_asked_again_and_then_counts_as_not_checked(site: Any) -> None:
    site.measuring.answers["data_quality"] = errors.Unavailable("the store is away")
    site.register("1")
    site.define()
    release = site.through(site.start("1").id)
    assert release.status == "failed"
    assert "was not checked: could not be measured: the store is away" in release.reasons[0]
    asked = [question for question in site.measuring.asked if question.check["type"] == "data_quality"]
    assert len(asked) == 4


def test_evidence_that_is_not_there_keeps_the_gate_shut(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doubleloop.releases.checking._deposit", lambda *_: {"end": None, "outcome": "passed"})
    site.register("1")
    site.define()
    release = site.through(site.start("1").id)
    assert release.status == "failed"
    assert "0.0:scan: no evidence was deposited" in release.reasons[0]


def test_evidence_that_was_changed_afterwards_keeps_the_gate_shut(site: Any) -> None:
    def tamper(question: model.Question) -> dict[str, Any]:
        with site.contexts.write(site.house.actor("service:setup")) as ctx:
            ctx.tx.exec_driver_sql(
                "update gate_evidence set outcome = 'passed', body = '{}' where type = 'data_quality'"
            )
        return fake.GOOD["endpoint_performance"]

    site.measuring.answers["data_quality"] = errors.NotFound("no data")
    site.measuring.answers["endpoint_performance"] = tamper
    site.register("1")
    site.define()
    release = site.through(site.start("1").id)
    assert release.status == "failed"
    assert "0.1:data_quality was changed after it was deposited" in release.reasons[0]


def test_a_rejection_ends_it_with_its_comment(site: Any) -> None:
    first_release(site)
    site.register("3")
    release = site.through(site.start("3").id, "reject", comment="worse at night")
    assert release.status == "rejected"
    assert release.reasons == ("rejected by grace: worse at night",)
    assert site.traffic() == {"blue-r1": 100}
    assert site.deployments() == ["blue-r1"]
    assert site.deployments("staging", "bikes-test") == []


def test_nothing_stands_in_production_before_people_have_said_yes(site: Any) -> None:
    site.register("1")
    site.define()
    release = site.start("1")
    seen: list[Any] = []

    async def people() -> None:
        await site.until(release.id, "waiting")
        with site.house.read("linus", "prod") as ctx:
            seen.append(ctx.tx.exec_driver_sql("select count(*) from deployments where workspace = 'prod'").scalar())
        await asyncio.to_thread(lambda: site.decide(release.id))

    site.run(people)
    assert seen == [0]


def test_an_approval_that_nobody_gives_expires(site: Any, later: Any) -> None:
    site.register("1")
    site.define(NO_CHECKS)
    release = site.start("1", by="linus")

    async def people() -> None:
        await site.until(release.id, "waiting")
        # Eight days go by: every wait runs out at once, and the clock has moved.
        site.house.contexts.__dict__["now"] = later(days=8).now
        site.engine.expire = True

    site.run(people)
    ended = site.get(release.id)
    assert ended.status == "expired"
    assert ended.reasons[0].startswith("0 of 1 approvals by project_lead until ")


NO_CHECKS = """
$schema: doubleloop/release
name: bikes
model: azureml:bikes
stages:
  - workspace: prod
    approval: {personas: [project_lead]}
    deployment: {name: blue, endpoint_name: bikes-live, model: azureml:bikes:1}
    rollout: {steps: [100], bake: 1s}
"""


def breaks_at(site: Any, percent: int, name: str = "blue-r2") -> None:
    """The candidate is healthy until it has ``percent`` of the traffic; what it answers then is broken in part."""
    calm = site.serving.status
    looks: list[int] = []

    def status() -> Any:
        if site.traffic().get(name, 0) >= percent:
            looks.append(1)
        if len(looks) > 1:
            site.answers(name, requests=100, broken=5)
        return calm()

    site.answers(name)
    site.serving.status = status


def test_errors_during_the_canary_move_traffic_back_by_themselves(site: Any) -> None:
    first_release(site)
    site.monitors.put_in_place.clear()
    breaks_at(site, 50)
    site.register("3")
    ended = site.through(site.start("3").id)
    assert ended.status == "rolled_back"
    assert "at 50 % of the traffic: error rate 0.0500 is above 0.01" in ended.reasons[0]
    assert [fact.data["percent"] for fact in site.facts(ended.id, "release.traffic")] == [10, 50]
    assert site.traffic() == {"blue-r1": 100}
    assert site.champion() == "2"
    assert site.deployments() == ["blue-r1"]
    assert site.monitors.put_in_place == []


def test_cancelling_during_the_canary_moves_traffic_back(site: Any) -> None:
    first_release(site)
    site.register("3")
    release = site.start("3")
    calm = site.serving.status

    def status() -> Any:
        if site.traffic().get("blue-r2", 0) == 50 and site.get(release.id).ending is None:
            with site.house.write("ada", None) as ctx:
                commands.cancel(ctx, release.id, "second thoughts")
        return calm()

    site.serving.status = status
    ended = site.through(release.id)
    assert (ended.status, ended.reasons) == ("cancelled", ("cancelled by ada: second thoughts",))
    assert site.traffic() == {"blue-r1": 100}
    assert site.champion() == "2"


@pytest.mark.parametrize("what", ["body = '{}'", "hash = upper(hash)"])
def test_an_approval_is_void_when_what_it_was_given_on_is_changed(site: Any, what: str) -> None:
    site.register("1")
    site.define()
    release = site.start("1")

    def decided_and_changed(*_: Any, **__: Any) -> None:
        """In one transaction, so that the release cannot have gone on in between."""
        with site.house.write("grace", None) as ctx:
            asked = queries.approvals(ctx, release.id)[-1]
            commands.approve(ctx, release.id, "looks good", asked.evidence_digest)
            ctx.tx.exec_driver_sql(f"update gate_evidence set {what} where type = 'model_quality'")

    site.decide = decided_and_changed
    ended = site.through(release.id)
    assert ended.status == "failed"
    assert "the approval is void: the evidence was changed" in ended.reasons[0]
    assert (site.champion(), site.deployments()) == (None, [])


def test_a_first_release_that_breaks_leaves_the_endpoint_without_traffic(site: Any) -> None:
    site.register("1")
    site.define()
    release = site.start("1")
    site.answers("blue-r1", requests=0, state="failed")
    ended = site.through(release.id)
    assert ended.status == "rolled_back"
    assert site.traffic() == {}
    assert site.champion() is None


def test_a_candidate_that_nobody_can_watch_goes_back(site: Any) -> None:
    first_release(site)
    site.register("3")
    release = site.start("3")
    site.serving.away = True
    site.measuring.asked.clear()

    async def people() -> None:
        await site.until(release.id, "waiting")
        await asyncio.to_thread(lambda: site.decide(release.id))
        site.engine.expire = True

    site.run(people)
    ended = site.get(release.id)
    assert ended.status == "rolled_back"
    assert "the gateway did not answer" in ended.reasons[0]
    assert site.traffic() == {"blue-r1": 100}


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ("fail", "is failed: it exited with 1"),
        ("silent", "the retrain job registered no version of bikes"),
    ],
)
def test_a_retraining_without_a_model_ends_it(site: Any, training: str, words: str) -> None:
    site.training = training
    site.register("1")
    site.define()
    release = site.through(site.start("1").id)
    assert release.status == "failed"
    assert words in release.reasons[0]
    assert site.measuring.asked == []


def test_a_deployment_that_does_not_start_ends_it(site: Any) -> None:
    site.deploying = "fail"
    site.register("1")
    site.define()
    release = site.through(site.start("1").id)
    assert release.status == "failed"
    assert "the deployment blue-r1 is failed: no such package" in release.reasons[0]


def test_cancelling_while_it_waits_ends_it_at_once(site: Any) -> None:
    site.register("1")
    site.define()
    release = site.start("1")

    async def people() -> None:
        await site.until(release.id, "waiting")
        with site.house.write("ada", None) as ctx:
            commands.cancel(ctx, release.id, "wrong data")

    site.run(people)
    ended = site.get(release.id)
    assert (ended.status, ended.reasons) == ("cancelled", ("cancelled by ada: wrong data",))
    assert site.deployments("staging", "bikes-test") == []
    with pytest.raises(errors.Conflict, match="has ended"), site.house.write("ada", None) as ctx:
        commands.cancel(ctx, release.id)
    with pytest.raises(errors.Conflict, match="decided already: withdrawn"):
        site.decide(release.id)


def test_cancelling_while_it_trains_cancels_the_job(site: Any) -> None:
    site.training = "never"
    site.register("1")
    site.define()
    release = site.start("1")

    async def people() -> None:
        while not site.get(release.id).topic:
            await asyncio.sleep(0.01)
        with site.house.write("ada", None) as ctx:
            commands.cancel(ctx, release.id)

    site.run(people)
    assert site.get(release.id).status == "cancelled"
    with site.house.read("ada", None) as ctx:
        asked = ctx.tx.exec_driver_sql("select cancelled_by from jobs").scalar()
    assert asked == "service:releases"


def test_a_newer_release_overtakes_an_older_one_that_waits(site: Any) -> None:
    site.register("1")
    site.define()
    old = site.start("1")
    ids: list[str] = []

    async def people() -> None:
        await site.until(old.id, "waiting")
        await asyncio.to_thread(lambda: ids.append(site.start().id))
        await site.until(ids[0], "waiting")
        await site.until(old.id, "superseded")
        await asyncio.to_thread(lambda: site.decide(ids[0]))

    site.run(people)
    assert site.get(ids[0]).status == "completed"
    ended = site.get(old.id)
    assert ended.status == "superseded"
    assert "superseded by release 2" in ended.reasons[0]
    with pytest.raises(errors.Conflict, match="superseded by release 2"):
        site.decide(old.id)


def test_a_newer_release_that_fails_its_checks_supersedes_nothing(site: Any) -> None:
    site.register("1")
    site.define()
    old = site.start("1")

    async def people() -> None:
        await site.until(old.id, "waiting")
        site.measuring.answers["data_quality"] = errors.NotFound("no data")
        newer = await asyncio.to_thread(site.start)
        await site.until(newer.id, "failed")
        await asyncio.to_thread(lambda: site.decide(old.id))

    site.run(people)
    assert site.get(old.id).status == "completed"


def test_a_champion_that_changed_after_the_comparison_stops_the_rollout(site: Any) -> None:
    first_release(site)
    site.register("3")
    release = site.start("3")

    async def people() -> None:
        await site.until(release.id, "waiting")
        with site.house.write("service:releases", "prod") as ctx:
            from doubleloop.models import commands as model_commands

            model_commands.set_champion(ctx, "bikes", "1")
        await asyncio.to_thread(lambda: site.decide(release.id))

    site.run(people)
    ended = site.get(release.id)
    assert ended.status == "failed"
    assert "compared with the champion 2, but the champion is now 1" in ended.reasons[0]


def test_a_model_without_signature_gets_that_of_its_hold_out(site: Any) -> None:
    site.register("1", signature=None)
    site.define(SIMPLE)
    release = site.through(site.start("1", by="linus").id)
    assert release.status == "completed"
    with site.house.read("linus", "prod") as ctx:
        kept = ctx.tx.exec_driver_sql("select signature from deployments where workspace = 'prod'").scalar()
    assert '"name":"x"' in kept
    assert site.facts(release.id, "release.signature_inferred")


SIMPLE = """
$schema: doubleloop/release
name: bikes
model: azureml:bikes
stages:
  - workspace: prod
    approval: {personas: [project_lead]}
    deployment: {name: blue, endpoint_name: bikes-live, model: azureml:bikes:1}
    checks:
      - {type: model_quality, data: azureml:holdout:1, target: y, metric: rmse, at_most: 4}
    rollout: {steps: [100], bake: 1s}
"""


def test_a_model_without_signature_and_hold_out_fails_early(site: Any) -> None:
    site.register("1", signature=None)
    site.define(NO_CHECKS)
    release = site.through(site.start("1", by="linus").id)
    assert release.status == "failed"
    assert "has no signature" in release.reasons[0]
    assert "infer_signature" in release.reasons[0]


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("ada", "ada started the release"),
        ("eve", "none allows release.approve"),
        ("service:releases", "only a person approves"),
    ],
)
def test_the_wrong_people_cannot_pass_it(site: Any, by: str, words: str) -> None:
    site.register("1")
    site.define()
    release = site.start("1")
    refused: list[str] = []

    async def people() -> None:
        await site.until(release.id, "waiting")
        try:
            await asyncio.to_thread(lambda: site.decide(release.id, by=by))
        except errors.NotPermitted as error:
            refused.append(str(error))
        await asyncio.to_thread(lambda: site.decide(release.id, "reject"))

    site.run(people)
    assert words in refused[0]
    assert site.get(release.id).status == "rejected"


def test_a_lead_who_trained_the_model_is_an_author_too(site: Any) -> None:
    site.register("1", by="grace")
    site.define()
    release = site.start("1")

    async def people() -> None:
        await site.until(release.id, "waiting")
        with pytest.raises(errors.NotPermitted, match="grace registered bikes:1"):
            await asyncio.to_thread(lambda: site.decide(release.id))
        with site.house.write("ada", None) as ctx:
            commands.cancel(ctx, release.id)

    site.run(people)


def test_a_lead_who_wrote_the_commit_of_the_code_is_an_author_too(site: Any) -> None:
    site.register("1")
    commit = sources.Commit("c" * 40, people=(("Grace Hopper", "grace@example.org"), ("", "")))
    site.define(commits=[commit])
    release = site.start("1")

    async def people() -> None:
        await site.until(release.id, "waiting")
        with pytest.raises(errors.NotPermitted, match="grace wrote the commit cccccccccccc of the code"):
            await asyncio.to_thread(lambda: site.decide(release.id))
        with site.house.write("ada", None) as ctx:
            commands.cancel(ctx, release.id)

    site.run(people)


def test_an_approval_is_pinned_to_the_evidence_of_the_checks(site: Any) -> None:
    site.register("1")
    site.define()
    release = site.through(site.start("1").id)
    with site.house.read("grace", None) as ctx:
        asked = queries.approvals(ctx, release.id)[0]
        held = queries.evidence(ctx, release.id)
    assert len(held) == 4
    assert asked.evidence_digest == gate_rules.digest(held) == asked.decisions[0].evidence_digest


def test_every_step_may_be_done_twice(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a crash between a step's end and the record of it makes happen, at every step at once."""
    from doubleloop.durable import fake as durable_fake

    once = durable_fake.EagerFlow.step

    async def twice(self: Any, name: str, do: Any, *args: Any, slot: str | None = None) -> Any:
        if name in ("job", "deploy"):
            return await once(self, name, do, *args)
        await once(self, name, do, *args)
        return await once(self, name, do, *args)

    monkeypatch.setattr(durable_fake.EagerFlow, "step", twice)
    release = first_release(site)
    site.register("3")
    second = site.through(site.start("3").id)
    assert [each.status for each in (release, second)] == ["completed", "completed"]
    assert site.traffic() == {"blue-r2": 100}
    for each in (release, second):
        facts = [fact.type for fact in site.facts(each.id)]
        for once_only in ("release.started", "release.waiting", "release.approved", "release.rolling_out",
                          "release.promoted", "release.completed", "release.candidate", "approval.opened"):  # fmt: skip
            assert facts.count(once_only) == 1, once_only
        assert facts.count("release.evidence") == 4
    with site.house.read("linus", None) as ctx:
        assert ctx.tx.exec_driver_sql("select count(*) from deployments").scalar() == 4
        assert ctx.tx.exec_driver_sql("select count(*) from jobs").scalar() == 2


def test_starting_twice_under_one_id_is_starting_once(site: Any) -> None:
    site.register("1")
    site.define()
    assert site.start("1", id="release-of-fact-7").number == site.start("1", id="release-of-fact-7").number
    assert len(site.facts("release-of-fact-7", "release.started")) == 1


def test_a_monitor_that_cannot_be_put_in_place_is_told(site: Any) -> None:
    class Broken:
        def put(self, ctx: Any, document: Any) -> None:
            raise errors.InvalidInput("no reference data")

    from doubleloop.releases import ports

    site.contexts.ports[ports.Monitors] = Broken()
    site.register("1")
    site.define()
    release = site.through(site.start("1").id)
    assert release.status == "completed"
    assert "no reference data" in release.reasons[0]
