"""The reaction: an alert opens a project on what the model was least sure of and what moved most; its export proposes
the inner loop and starts nothing."""

from __future__ import annotations

import base64
import io
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "monitoring"))

from monitoring_watch import NOW, Watch

from doubleloop.automation import commands as rules
from doubleloop.automation import labels, loop, telling, workflows
from doubleloop.base import clock, errors
from doubleloop.catalog import queries as catalog
from doubleloop.data import commands as data
from doubleloop.durable.fake import EagerEngine
from doubleloop.environments import commands as environments
from doubleloop.events import commands as events
from doubleloop.events import queries as facts
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.labeling import commands, model, queries, sources, training
from doubleloop.recipes.vision import reading
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
    engine = EagerEngine(house.contexts, {**workflows.WORKFLOWS, **telling.WORKFLOWS, **labels.WORKFLOWS})
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


TRAIN = """train:
  input: rows
  job:
    type: command
    command: python train.py ${{inputs.rows}} ${{inputs.rate}}
    environment: azureml:train:1
    inputs: {rows: {type: uri_file, path: "azureml:tickets-labelled:7"}, rate: 0.1}
"""


def labelled(watch: Watch, tmp_path: Path, project: str) -> model.Project:
    """A project of an alert, all of it labelled."""
    (tmp_path / "tickets.yml").write_text(project.replace("annotators: {per_item: 2}\n", ""))
    put(watch.house, "tickets.yml", folder=str(tmp_path))
    happens(watch.house)
    (found,) = projects(watch.house)
    for number in (1, 2):
        with watch.house.write("ada", "dev") as ctx:
            commands.label(ctx, found.name, number, "other")
    return found


def test_reviewed_labels_are_data_by_themselves_and_the_inner_loop_is_proposed_but_not_started(
    watch: Watch, tmp_path: Path
) -> None:
    house = watch.house
    with house.write("service:setup", None) as ctx:
        group = identities.Group("data_scientists", identities.Persona.DATA_SCIENTIST, ("ada",), (), notify="science")
        identity.put_group(ctx, group)
    found = labelled(watch, tmp_path, PROJECT + TRAIN)
    happens(house, "another", kind="infrastructure", endpoint="none")
    (exported,), (proposed,) = told_of(house, "labeling.exported"), told_of(house, "training.proposed")
    assert (exported.data["data"], exported.actor) == ("data:dev/tickets-labelled:1", "linus")
    table = sources.frame(house.contexts, reference(house, "data:dev/tickets-labelled:1"))
    assert table.columns == ["request_id", "row", "time", "text", "prediction", "probability", "label"]
    assert table["label"].to_list() == ["other", "other"] and table["text"][0] == "pay meeting 23"
    assert (exported.data["tell"], proposed.data["tell"]) == ([], ["data_scientist"])
    assert proposed.data["start"] == f"doubleloop labeling train {found.name} -w dev"
    tried = [each for each in told_of(house, "notification.failed") if each.data["fact"] == proposed.seq]
    assert [each.subject for each in tried] == ["notification:science"], "the group's target, which is no address here"
    assert not told_of(house, "release.started", "job.submitted")


def test_who_may_submit_jobs_starts_what_is_proposed_once(watch: Watch, tmp_path: Path) -> None:
    house = watch.house
    found = labelled(watch, tmp_path, PROJECT + TRAIN)
    with house.write("ada", "dev") as ctx:
        body = {"name": "train", "conda_file": {"$file": "c.yml", "text": "dependencies: [python=3.11]"}}
        environments.create(ctx, "train", "1", body)
    with house.write("ada", "dev") as ctx, pytest.raises(errors.Conflict, match="Nothing of"):
        training.start(ctx, found.name)
    commands.export(house.contexts, house.actor("ada"), "dev", found.name)
    with house.write("eve", "dev") as ctx, pytest.raises(errors.NotPermitted):
        training.start(ctx, found.name)
    with house.write("ada", "dev") as ctx:
        before = training.find(ctx, commands.find(ctx, found.name))
        assert before is not None and before.job is None
        with pytest.raises(errors.InvalidInput, match="no input 'row'"):
            training.start(ctx, found.name, "row")
        job = training.start(ctx, found.name)
        assert training.start(ctx, found.name).id == job.id
        after = training.find(ctx, commands.find(ctx, found.name))
        assert after is not None and after.job is not None and after.job.created_by == "ada"
        assert catalog.ancestry(ctx, f"job:{job.id}")[0].source == f"labeling:dev/{found.name}"
    assert (job.workspace, job.inputs["rows"]) == ("dev", {"type": "uri_file", "path": "azureml:tickets-labelled:1"})
    assert job.inputs["rate"] == 0.1 and job.purpose["data"] == "data:dev/tickets-labelled:1"
    assert len(told_of(house, "job.submitted")) == 1


def test_without_a_known_job_the_proposal_says_which_data_to_train_on(watch: Watch, tmp_path: Path) -> None:
    found = labelled(watch, tmp_path, PROJECT)
    commands.export(watch.house.contexts, watch.house.actor("ada"), "dev", found.name)
    (proposed,) = told_of(watch.house, "training.proposed")
    assert "path=azureml:tickets-labelled:1 -w dev" in proposed.data["start"]
    with watch.house.write("ada", "dev") as ctx, pytest.raises(errors.InvalidInput, match="not known which job"):
        training.start(ctx, found.name)


@pytest.mark.parametrize(
    ("train", "says"),
    [
        ("train: {job: 'azureml:nobodys'}\n", "no job nobodys"),
        (TRAIN.replace("input: rows", "input: row"), "no input 'row'"),
        (TRAIN.replace("  input: rows\n", "").replace("labelled:7", "x:1").replace("rate: 0.1", "b: 'azureml:y:1'"),
         "2 inputs that could get the labels"),
    ],
)  # fmt: skip
def test_a_job_that_cannot_train_on_the_labels_is_refused_with_its_line(house: Any, train: str, says: str) -> None:
    document = documents.parse(PROJECT + train, "tickets.yml", "/")
    with pytest.raises(errors.DoubleloopError, match=says) as caught:
        commands.create(house.contexts, house.actor("ada"), "dev", document)
    assert caught.value.where is not None and caught.value.where.line >= 10


def reference(house: Any, id_: str) -> str:
    return sources.reference(house.contexts, house.actor("ada"), id_)


def test_a_name_of_a_project_is_a_template_and_a_name_of_none_is_refused_in_the_record(watch: Watch) -> None:
    put(watch.house, "nobodys")
    (said,) = happens(watch.house)
    assert "No labelling project is named 'nobodys' in dev" in said and projects(watch.house) == []


def test_what_cannot_be_measured_is_told_and_the_rest_chooses(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "tickets.yml").write_text(PROJECT)
    sample = "{count: 9, by: [uncertainty, diversity], probabilities: [none]}"
    put(watch.house, "tickets.yml", sample, folder=str(tmp_path))
    happens(watch.house)
    (found,) = projects(watch.house)
    assert found.items == 5
    assert found.opened_by["sampled"]["uncertainty"].startswith("not measured: Column 'out.none'")
    assert found.opened_by["sampled"]["diversity"] == "what is told of text"
    assert set(contents(watch.house, found.name)[:2]) > {"Zażółć " * 40}, "what is unlike the others is among the first"


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


def test_images_that_were_sent_as_bytes_are_labelled_and_what_is_exported_can_be_trained_on(
    house: Any, tmp_path: Path
) -> None:
    def picture(light: int) -> bytes:
        file = io.BytesIO()
        Image.fromarray(np.full((9, 9), light, dtype=np.uint8)).save(file, "PNG")
        return file.getvalue()

    watch, now = Watch(house), [picture(30), picture(31), picture(240)]
    before = [picture(light) for light in range(20, 40)]
    watch.answered({"image": before}, ["dark"] * 20, start=NOW - timedelta(hours=40))
    shares = {"out.probabilities": [[0.9, 0.1], [0.5, 0.5], [0.8, 0.2]]}
    watch.answered({"image": now}, ["dark", "dark", "dark"], start=NOW - timedelta(hours=2), more=shares)
    (tmp_path / "lights.yml").write_text(
        "{$schema: doubleloop/labeling, name: lights, task: image_classification, labels: [dark, light], "
        "data: 'azureml:lights-seen', output: lights-labelled, export: csv}"
    )
    put(house, "lights.yml", folder=str(tmp_path))
    happens(house)
    (found,) = projects(house)
    assert found.opened_by["sampled"] == {"uncertainty": "probabilities", "drift": "what is told of image"}
    for number in (1, 2):
        with house.write("ada", "dev") as ctx:
            commands.label(ctx, found.name, number, "light")
    happens(house, kind="none")
    with house.read("ada", "dev") as ctx:
        reference = catalog.resolve(ctx, "data", "azureml:lights-labelled@latest").spec["reference"]
    data.materialise(house.contexts, reference, tmp_path / "labels.csv")
    learnt = reading.examples("", str(tmp_path / "labels.csv"), reading.Columns())
    assert [each.label for each in learnt] == ["light", "light"]
    assert {base64.b64decode(each.content) for each in learnt} == {now[1], now[2]}, "least sure, and most moved"
