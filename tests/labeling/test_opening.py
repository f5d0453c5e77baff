"""The reaction: an alert opens a project on what the model was least sure of and what moved most; its export proposes
the inner loop and starts nothing."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "monitoring"))

from monitoring_watch import NOW, Watch

from doubleloop.automation import commands as rules
from doubleloop.automation import loop, telling, workflows
from doubleloop.base import clock, errors
from doubleloop.durable import store as outbox
from doubleloop.durable.fake import EagerEngine
from doubleloop.events import commands as events
from doubleloop.events import queries as facts
from doubleloop.labeling import commands, model, queries, sources
from doubleloop.releases import commands as releases
from doubleloop.specs import documents

RULE = """
$schema: doubleloop/rule
name: ask-people
on: monitor.alert
do:
  - open_labeling:
      project: {project}
      workspace: dev
      window: P1D
      sample: {sample}
"""
PROJECT = """$schema: doubleloop/labeling
name: tickets
task: text_classification
labels: [spam, ham, other]
guidelines: Look at who asks for money.
data: azureml:tickets-seen
column: text
output: tickets-labelled
annotators: {per_item: 2}
"""


@pytest.fixture
def watch(house: Any) -> Watch:
    """Five texts in the window: the third is least sure, the fifth is unlike all that came the day before."""
    found = Watch(house)
    before = [f"minutes of meeting {number}" for number in range(20)]
    found.answered(
        {"text": before}, ["ham"] * 20, start=NOW - timedelta(hours=40), more={"out.probability": [0.9] * 20}
    )
    now = ["minutes of meeting 21", "minutes of meeting 22", "pay meeting 23", "minutes of meeting 24", "Zażółć " * 40]
    more = {"out.probability": [0.95, 0.9, 0.5, 0.85, 0.99]}
    found.answered({"text": now}, ["ham", "ham", "spam", "ham", "ham"], start=NOW - timedelta(hours=2), more=more)
    return found


def put(house: Any, project: str, sample: str = "{count: 2}", by: str = "linus", folder: str = "/") -> None:
    with house.write(by, "prod") as ctx:
        text = RULE.format(project=project, sample=sample)
        rules.put_rule(ctx, documents.parse(text, "rule.yml", folder))


def happens(house: Any, monitor: str = "watch", **data: Any) -> list[str]:
    """The alert, and whatever is done about it; returns what rules said of it."""
    with house.write("service:monitor", "prod") as ctx:
        told = {"endpoint": "bikes", "monitor": monitor, "kind": "model", "as_of": clock.iso(NOW), **data}
        events.record(ctx, "monitor.alert", f"monitor:prod/{monitor}", **told)
    engine = EagerEngine(house.contexts, {**workflows.WORKFLOWS, **telling.WORKFLOWS})
    for _ in range(2):
        watching = loop.Loop(house.contexts, 0.01)
        while watching.tick():
            pass
        engine.run()
    return [
        each.get("done") or each["error"]
        for fact in told_of(house, "rule.done", "rule.failed")
        for each in fact.data["results"]
    ]


def told_of(house: Any, *types: str) -> list[Any]:
    with house.read("service:setup", None) as ctx:
        return facts.facts(ctx, types=types, limit=1000)


def projects(house: Any) -> list[model.Project]:
    with house.read("ada", "dev") as ctx:
        return queries.projects(ctx)


def contents(house: Any, name: str) -> list[str]:
    with house.read("ada", "dev") as ctx:
        return [each.content for each in queries.items(ctx, name).items]


def test_an_alert_opens_a_project_like_the_file_on_what_was_least_sure_and_what_moved(
    watch: Watch, tmp_path: Path
) -> None:
    (tmp_path / "tickets.yml").write_text(PROJECT)
    put(watch.house, "tickets.yml", folder=str(tmp_path))
    (said,) = happens(watch.house)
    (found,) = projects(watch.house)
    assert said == f"labelling project {found.name} in dev, 2 items" and found.name.startswith("tickets-")
    assert contents(watch.house, found.name) == ["pay meeting 23", "Zażółć " * 40]
    spec = commands.spec_of(found)
    assert ([each.name for each in spec.labels], spec.annotators.per_item) == (["spam", "ham", "other"], 2)
    assert (found.source, found.output) == ("data:dev/tickets-seen:1", "tickets-labelled")
    assert found.opened_by["sampled"] == {"uncertainty": "probability", "drift": "what is told of text"}
    with watch.house.read("ada", "dev") as ctx:
        assert queries.item(ctx, found.name, 1).prelabel == "spam"
    (fact,) = told_of(watch.house, "labeling.created")
    assert fact.context is not None and fact.context["door"] == "rule"


def test_labels_become_data_and_the_inner_loop_is_proposed_but_not_started(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "tickets.yml").write_text(PROJECT.replace("annotators: {per_item: 2}\n", ""))
    put(watch.house, "tickets.yml", folder=str(tmp_path))
    happens(watch.house)
    (found,) = projects(watch.house)
    for number in (1, 2):
        with watch.house.write("ada", "dev") as ctx:
            commands.label(ctx, found.name, number, "other")
    asset = commands.export(watch.house.contexts, watch.house.actor("ada"), "dev", found.name)
    table = sources.frame(watch.house.contexts, asset.spec["reference"])
    assert table.columns == ["request_id", "row", "time", "text", "prediction", "probability", "label"]
    assert table["label"].to_list() == ["other", "other"] and table["text"][0] == "pay meeting 23"
    with watch.house.read("service:setup", None) as ctx:
        before = len(outbox.pending(ctx, 1000))
    happens(watch.house, "another", kind="infrastructure", endpoint="none")
    with watch.house.read("service:setup", None) as ctx:
        assert len(outbox.pending(ctx, 1000)) == before
    assert not told_of(watch.house, "release.started", "job.submitted")


def test_a_name_of_a_project_is_a_template_and_a_name_of_none_is_refused_in_the_record(watch: Watch) -> None:
    put(watch.house, "nobodys")
    (said,) = happens(watch.house)
    assert "No labelling project is named 'nobodys' in dev" in said and projects(watch.house) == []


def test_what_cannot_be_measured_is_told_and_the_rest_chooses(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "tickets.yml").write_text(PROJECT)
    sample = "{count: 9, by: [uncertainty], probabilities: [none]}"
    put(watch.house, "tickets.yml", sample, folder=str(tmp_path))
    happens(watch.house)
    (found,) = projects(watch.house)
    assert found.items == 5
    assert found.opened_by["sampled"]["uncertainty"].startswith("not measured: Column 'out.none'")
    assert found.opened_by["sampled"]["random"] == "the seed"


def test_who_may_not_open_projects_writes_no_such_rule(watch: Watch) -> None:
    with pytest.raises(errors.NotPermitted):
        put(watch.house, "tickets", by="grace")


RELEASE = """
$schema: doubleloop/release
name: mails
model: azureml:mails
scenario: language
stages:
  - workspace: staging
    deployment: {name: blue, endpoint_name: bikes-test, model: azureml:mails:1}
    checks: [{type: scan}]
  - workspace: prod
    approval: {personas: [project_lead]}
    deployment: {name: blue, endpoint_name: bikes, model: azureml:mails:1}
    monitor:
      name: watch
      trigger: {type: cron, expression: "0 6 * * *"}
      create_monitor:
        monitoring_target: {ml_task: classification, endpoint_deployment_id: "azureml:bikes:blue"}
"""


def test_the_default_of_language_opens_a_project_in_the_first_workspace(watch: Watch) -> None:
    house = watch.house
    with house.write("linus", None) as ctx:
        releases.put_definition(ctx, documents.parse(RELEASE, "release.yml", "/"))
    opened, _ = happens(house)
    with house.read("ada", "staging") as ctx:
        (found,) = queries.projects(ctx)
        assert opened.startswith(f"labelling project {found.name} in staging")
        assert [each.name for each in commands.spec_of(found).labels] == ["ham", "spam"]
        assert (found.output, found.items) == ("mails-labels-labelled", 25)  # of seven days
