"""Rules and schedules: each fact is acted on once, quiet times are kept, what was missed is one run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from doubleloop.automation import commands, loop, messages, queries, store
from doubleloop.base import clock, errors, ids
from doubleloop.db.context import Contexts
from doubleloop.durable import store as outbox
from doubleloop.environments import commands as environments
from doubleloop.events import commands as events
from doubleloop.events import queries as facts
from doubleloop.events.model import Fact
from doubleloop.jobs import commands as jobs
from doubleloop.jobs import queries as past_jobs
from doubleloop.monitoring import commands as monitoring
from doubleloop.specs import documents

RULE = """
$schema: doubleloop/rule
name: tell
on: monitor.alert
where: {signal: performance, value: {at_least: 10}}
do: [{webhook: {url: "http://127.0.0.1:9/hook"}}]
"""
SCHEDULE = """
name: nightly
trigger: {type: cron, expression: "0 3 * * *"}
create_job:
  job: {type: command, command: echo hi, environment: "azureml:base@latest"}
"""


NIGHTLY = ids.derived("nightly-20260302T030000", "schedule:dev/nightly")


def put_rule(house: Any, text: str = RULE) -> None:
    with house.write("ada", "dev") as ctx:
        commands.put_rule(ctx, documents.parse(text, "rule.yml", "/"))


def alert(house: Any, workspace: str = "dev", **data: Any) -> None:
    with house.write("service:monitor", workspace) as ctx:
        events.record(ctx, "monitor.alert", "monitor:m", **{"signal": "performance", "value": 12.0, **data})


def acts(house: Any) -> list[str]:
    with house.read("service:setup", None) as ctx:
        return [each.workflow_id for each in outbox.pending(ctx, 1000) if each.name == "automation.react"]


def drain(house: Any, now: datetime | None = None) -> None:
    contexts = Contexts(house.contexts.engine, house.ports, (lambda: now) if now else clock.now)
    watching = loop.Loop(contexts, 0.01)
    while watching.tick():
        pass


def kinds(house: Any, *types: str) -> list[Fact]:
    with house.read("service:setup", None) as ctx:
        return facts.facts(ctx, types=types)


def test_a_fact_that_fits_is_acted_on_once(house: Any) -> None:
    put_rule(house)
    alert(house)
    drain(house)
    drain(house)
    assert len(acts(house)) == 1
    assert [fact.data["do"] for fact in kinds(house, "rule.fired")] == [["webhook"]]


def test_a_loop_that_dies_between_reaction_and_marker_does_not_react_twice(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_rule(house)
    alert(house)

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(loop.events, "advance", dies)
        with pytest.raises(KeyboardInterrupt):
            drain(house)
    assert acts(house) == []  # the reaction went with the transaction
    drain(house)
    assert len(acts(house)) == 1


@pytest.mark.parametrize("data", [{"signal": "inputs"}, {"value": 9.0}, {"value": "high"}])
def test_a_fact_that_does_not_fit_is_passed_over(house: Any, data: dict[str, Any]) -> None:
    put_rule(house)
    alert(house, **data)
    drain(house)
    assert acts(house) == []


def test_a_rule_hears_its_own_workspace_alone(house: Any) -> None:
    put_rule(house)
    alert(house, workspace="staging")
    drain(house)
    assert acts(house) == []


def test_within_its_cool_down_it_stays_quiet_and_says_so(house: Any) -> None:
    put_rule(house, RULE + "cool_down: 1h\n")
    alert(house)
    drain(house)
    alert(house)
    drain(house)
    assert len(acts(house)) == 1
    assert "cooling down" in kinds(house, "rule.skipped")[0].data["why"]
    alert(house)
    drain(house, clock.now() + timedelta(hours=2))
    assert len(acts(house)) == 2


def test_two_metrics_that_cross_in_one_run_of_a_monitor_are_one_occasion(house: Any) -> None:
    put_rule(house, RULE + "limit: {count: 2, per: 1d}\n")
    alert(house, metric="mse", value=9.0, run="run-1")  # does not fit
    alert(house, metric="mae", run="run-1")
    alert(house, metric="rmse", run="run-1")
    drain(house)
    assert len(acts(house)) == 1
    (why,) = [each.data["why"] for each in kinds(house, "rule.skipped")]
    assert why.startswith("acted on the alerts of run run-1 already, with fact ")
    alert(house, metric="rmse", run="run-2")
    drain(house)
    assert len(acts(house)) == 2


def test_each_rule_acts_for_itself_on_what_a_run_found(house: Any) -> None:
    put_rule(house)
    put_rule(house, RULE.replace("name: tell", "name: tell-others"))
    for metric in ("mae", "rmse"):
        alert(house, metric=metric, run="run-1")
    drain(house)
    assert len(acts(house)) == 2 and len(kinds(house, "rule.skipped")) == 2


def test_a_limit_of_times_is_kept(house: Any) -> None:
    put_rule(house, RULE + "limit: {count: 2, per: 1d}\n")
    for _ in range(4):
        alert(house)
    drain(house)
    assert len(acts(house)) == 2
    assert len(kinds(house, "rule.skipped")) == 2


def test_a_rule_for_everything_does_not_feed_on_its_own_facts(house: Any) -> None:
    put_rule(house, RULE.replace("monitor.alert", '"*"').replace(
        "where: {signal: performance, value: {at_least: 10}}\n", ""
    ))  # fmt: skip
    drain(house)
    first = len(acts(house))
    alert(house)
    drain(house)
    assert len(acts(house)) == first + 1


@pytest.mark.parametrize(
    ("project", "says"),
    [
        ("no.yml", "the file 'no.yml' does not exist"),
        ("'a b'", "neither a file that ends in .yml nor a project's name"),
    ],
)
def test_a_labelling_project_that_cannot_be_is_refused_with_its_line(house: Any, project: str, says: str) -> None:
    text = RULE.replace(
        'do: [{webhook: {url: "http://127.0.0.1:9/hook"}}]', f"do: [{{open_labeling: {{project: {project}}}}}]"
    )
    with pytest.raises(errors.InvalidInput, match=says) as refused:
        put_rule(house, text)
    assert refused.value.where is not None and refused.value.where.line == 6


def test_a_schedule_fires_once_for_all_it_missed_in_its_authors_name(house: Any) -> None:
    with house.write("ada", "registry") as ctx:
        body = {"name": "base", "conda_file": {"$file": "c.yml", "text": "dependencies: [python=3.11]"}}
        environments.create(ctx, "base", "1", body)
    begin = datetime(2026, 3, 1, 12, tzinfo=UTC)
    contexts = Contexts(house.contexts.engine, house.ports, lambda: begin)
    with contexts.write(house.actor("ada"), "dev") as ctx:
        made = commands.put_schedule(ctx, documents.parse(SCHEDULE, "s.yml", "/", kind="schedule"))
        assert made.next_at == datetime(2026, 3, 2, 3, tzinfo=UTC)
    for before, quiet in ((3600, 20), (5, 5), (0, 1)):
        at = made.next_at - timedelta(seconds=before)
        waiting = loop.Loop(Contexts(house.contexts.engine, house.ports, lambda at=at: at), 0.1)  # type: ignore[misc]
        assert waiting.quiet_seconds() == quiet, "nothing is looked at before it falls due"
    drain(house, begin + timedelta(days=4))
    drain(house, begin + timedelta(days=4))
    submitted = kinds(house, "job.submitted")
    assert [(fact.data["job"], fact.actor) for fact in submitted] == [(NIGHTLY, "ada")]
    with house.read("ada", "dev") as ctx:
        assert queries.schedule(ctx, "nightly").next_at == datetime(2026, 3, 6, 3, tzinfo=UTC)


def test_a_schedule_of_a_past_job_starts_what_was_submitted_then(house: Any) -> None:
    with house.write("ada", "registry") as ctx:
        body = {"name": "base", "conda_file": {"$file": "c.yml", "text": "dependencies: [python=3.11]"}}
        environments.create(ctx, "base", "1", body)
    job = "$schema: x/commandJob.schema.json\ncommand: echo ${{inputs.word}}\nenvironment: azureml:base@latest\n"
    with house.write("ada", "dev") as ctx:
        jobs.submit(ctx, documents.parse(job + "inputs: {word: hi}\n", "j.yml", "/"), id="past")
        head = "name: nightly\ntrigger: {type: cron, expression: '0 3 * * *'}\ncreate_job: "
        for create in ("azureml:past", "{job: azureml:past, display_name: again, inputs: {word: ho}}"):
            commands.put_schedule(ctx, documents.parse(head + create, "s.yml", "/", kind="schedule"))
        with pytest.raises(errors.NotFound) as missing:
            commands.put_schedule(ctx, documents.parse(head + "azureml:none", "s.yml", "/", kind="schedule"))
    assert missing.value.where is not None and missing.value.where.line == 3
    drain(house, clock.now() + timedelta(days=2))
    with house.read("ada", "dev") as ctx:
        started = past_jobs.show(ctx, [each.data["job"] for each in kinds(house, "job.submitted")][1])
        assert (started.display_name, started.inputs) == ("again", {"word": "ho"})
        assert past_jobs.steps(ctx, started.id)[0].task.command == past_jobs.steps(ctx, "past")[0].task.command


def test_schedules_of_one_name_in_two_workspaces_both_start_their_jobs(house: Any) -> None:
    with house.write("ada", "registry") as ctx:
        body = {"name": "base", "conda_file": {"$file": "c.yml", "text": "dependencies: [python=3.11]"}}
        environments.create(ctx, "base", "1", body)
    for workspace in ("dev", "staging"):
        with house.write("ada", workspace) as ctx:
            commands.put_schedule(ctx, documents.parse(SCHEDULE, "s.yml", "/", kind="schedule"))
    drain(house, clock.now() + timedelta(days=2))
    assert kinds(house, "schedule.failed") == []
    assert {fact.workspace for fact in kinds(house, "job.submitted")} == {"dev", "staging"}


MONITOR = """
name: watch
trigger: {type: cron, expression: "0 3 * * *"}
create_monitor:
  compute: {instance_type: standard_e4s_v3, runtime_version: "3.4"}
  monitoring_target: {ml_task: regression, endpoint_deployment_id: "azureml:bikes:blue"}
"""


def test_monitors_of_one_name_in_two_workspaces_both_run_and_stop_nothing(house: Any) -> None:
    for workspace in ("staging", "prod"):
        with house.write("linus", workspace) as ctx:
            monitoring.put(ctx, documents.parse(MONITOR, "m.yml", "/", kind="schedule"))
    drain(house, clock.now() + timedelta(days=2))
    with house.read("service:setup", None) as ctx:
        started = [each for each in outbox.pending(ctx, 1000) if each.name == "monitoring.run"]
    assert len({each.workflow_id for each in started}) == 2


def test_after_a_time_away_a_monitor_runs_once_and_looks_back_from_the_last_time_it_missed(house: Any) -> None:
    begin = datetime(2026, 3, 1, 12, tzinfo=UTC)
    contexts = Contexts(house.contexts.engine, house.ports, lambda: begin)
    with contexts.write(house.actor("linus"), "prod") as ctx:
        monitoring.put(ctx, documents.parse(MONITOR, "m.yml", "/", kind="schedule"))
    for _ in range(2):
        drain(house, begin + timedelta(days=40))
    (asked,) = kinds(house, "monitor.requested")
    last = datetime(2026, 4, 10, 3, tzinfo=UTC)
    assert clock.parse(asked.data["as_of"]) == last
    with house.read("linus", "prod") as ctx:
        found = monitoring.get(ctx, "watch")
    assert (found.last_at, found.next_at) == (last, last + timedelta(days=1))


def test_a_disabled_schedule_rests(house: Any) -> None:
    with house.write("ada", "dev") as ctx:
        commands.put_schedule(ctx, documents.parse(SCHEDULE, "s.yml", "/", kind="schedule"))
        commands.enable_schedule(ctx, "nightly", False)
    drain(house, clock.now() + timedelta(days=9))
    assert kinds(house, "job.submitted", "schedule.failed") == []


def test_a_schedule_whose_job_is_refused_says_so_and_goes_on(house: Any) -> None:
    with house.write("ada", "dev") as ctx:
        commands.put_schedule(ctx, documents.parse(SCHEDULE, "s.yml", "/", kind="schedule"))
    drain(house, clock.now() + timedelta(days=2))  # azureml:base is not there
    assert "azureml:base" in kinds(house, "schedule.failed")[0].data["error"]
    with house.read("ada", "dev") as ctx:
        found = store.schedule(ctx, "dev", "nightly")
    assert found is not None and found.next_at is not None and found.next_at > clock.now() + timedelta(days=1)


def fact(**data: Any) -> Fact:
    return Fact(1, "monitor.alert", "dev", "monitor:m", "x", clock.now(), data, "", "")


def test_a_facts_fields_are_filled_in_and_missing_ones_are_told() -> None:
    found = fact(endpoint="rides", window={"start": "2026"})
    assert messages.fill("${{fact.endpoint}} since ${{ fact.window.start }} in ${{fact.workspace}}", found) == (
        "rides since 2026 in dev"
    )
    with pytest.raises(errors.InvalidInput, match="no field 'color'"):
        messages.fill("${{fact.color}}", found)
