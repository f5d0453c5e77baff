"""What an alert leads to when nobody has said: by the scenario of the release whose stage is monitored."""

from __future__ import annotations

from typing import Any

import pytest

from doubleloop.automation import commands, loop, model, store
from doubleloop.monitoring import store as _store  # noqa: F401  (declares its tables before the house is built)
from doubleloop.releases import commands as releases
from doubleloop.specs import documents
from doubleloop.specs.kinds import rules

RELEASE = """
$schema: doubleloop/release
name: bikes
model: azureml:bikes
scenario: {scenario}
stages:
  - workspace: staging
    {retrain}
    deployment: {{name: blue, endpoint_name: bikes-test, model: azureml:bikes:1}}
    checks: [{{type: scan}}]
  - workspace: prod
    approval: {{personas: [project_lead]}}
    deployment: {{name: blue, endpoint_name: bikes, model: azureml:bikes:1}}
    monitor:
      name: watch
      trigger: {{type: cron, expression: "0 6 * * *"}}
      create_monitor:
        monitoring_target: {{ml_task: regression, endpoint_deployment_id: "azureml:bikes:blue"}}
"""
RETRAIN = "retrain: {job: {type: command, command: echo hi, environment: 'azureml:base@latest'}}"
OWN = """
$schema: doubleloop/rule
name: mine
on: monitor.alert
do: [{start_release: {release: bikes}}]
"""


def define(house: Any, scenario: str = "classical", retrain: str = RETRAIN) -> None:
    with house.write("ada", None) as ctx:
        text = RELEASE.format(scenario=scenario, retrain=retrain)
        releases.put_definition(ctx, documents.parse(text, "release.yml", "/"))
    watching = loop.Loop(house.contexts, 0.01)
    while watching.tick():
        pass


def found(house: Any) -> list[model.Rule]:
    with house.read("service:setup", None) as ctx:
        return store.rules(ctx)


def own(house: Any) -> None:
    with house.write("linus", "prod") as ctx:
        commands.put_rule(ctx, documents.parse(OWN, "rule.yml", "/"))


def test_a_classical_model_is_trained_again_and_goes_through_staging(house: Any) -> None:
    define(house)
    (rule,) = found(house)
    spec = documents.from_wire(rule.document).model
    assert (rule.workspace, rule.name, rule.is_default, rule.created_by) == ("prod", "bikes-on-alert", True, "ada")
    assert (spec.do[0].verb, spec.do[0].retrain.release, spec.cool_down) == ("retrain", "bikes", "1d")
    assert rules.fits(spec, "monitor.alert", {"monitor": "watch", "kind": "model"})
    assert not rules.fits(spec, "monitor.alert", {"monitor": "watch", "kind": "infrastructure"})
    assert not rules.fits(spec, "monitor.alert", {"monitor": "other", "kind": "model"})


@pytest.mark.parametrize(
    ("scenario", "retrain"), [("vision", RETRAIN), ("language", RETRAIN), ("classical", "name: a")]
)
def test_people_look_first_where_data_must_be_labelled_or_nothing_trains(
    house: Any, scenario: str, retrain: str
) -> None:
    define(house, scenario, retrain)
    (rule,) = found(house)
    *before, tells = documents.from_wire(rule.document).model.do
    assert (tells.verb, tells.notify.to) == ("notify", ["persona:data_scientist"])
    asked = [(each.verb, each.open_labeling.workspace, each.open_labeling.task) for each in before]
    task = {"vision": "image_classification", "language": "text_classification"}.get(scenario)
    assert asked == ([("open_labeling", "staging", task)] if task else [])


def test_who_writes_a_rule_for_the_release_takes_the_defaults_place(house: Any) -> None:
    define(house)
    own(house)
    assert [each.name for each in found(house)] == ["mine"]
    define(house, "vision")
    assert [each.name for each in found(house)] == ["mine"], "and it stays so"


def test_a_default_that_was_deleted_stays_away_until_the_scenario_is_another(house: Any) -> None:
    define(house)
    with house.write("linus", "prod") as ctx:
        commands.delete_rule(ctx, "bikes-on-alert")
    define(house, retrain=RETRAIN.replace("hi", "ho"))
    assert found(house) == []
    define(house, "language")
    assert [each.name for each in found(house)] == ["bikes-on-alert"]


def test_a_default_that_somebody_writes_anew_is_theirs(house: Any) -> None:
    define(house)
    text = OWN.replace("mine", "bikes-on-alert") + "enabled: false\n"
    with house.write("linus", "prod") as ctx:
        commands.put_rule(ctx, documents.parse(text, "rule.yml", "/"))
    (rule,) = found(house)
    assert (rule.is_default, rule.enabled, rule.created_by) == (False, False, "linus")
