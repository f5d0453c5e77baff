"""The set-up of an installation, and rules: what they may say, and when a rule fits a fact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from doubleloop.base import errors
from doubleloop.specs import documents
from doubleloop.specs.kinds import rules, setups

SETUP = """$schema: doubleloop/setup
registry: {name: shared}
workspaces:
  - name: dev
    kind: preproduction
    package_substitutions:
      - {match: "git+https://github.com/org/*", action: drop, reason: not on this network}
      - {match: "azureml-core*", action: replace, with: "azureml-core==1.57.0"}
  - {name: prod, kind: Production}
computes:
  - {name: cpu, type: local, max_instances: 2, size: Standard_X, workspaces: [dev], price_per_hour: 0.4, currency: USD}
datastores:
  - {name: lake, type: uri, uri: "s3://bucket/lake"}
users:
  - {name: ada, display_name: Ada, email: ada@example.com}
  - {name: ci, kind: service}
groups:
  - {name: leads, persona: Project lead, members: [ada], workspaces: [prod]}
assignments:
  - {user: ci, role: C, workspace: prod}
notifications:
  - {name: team, emails: [team@example.com], events: ["monitor.*"]}
budgets:
  - {name: b, amount: 100, workspace: dev, compute: cpu, forecast_at: [120]}
"""
RULE = """$schema: doubleloop/rule
name: retrain-on-drift
on: monitor.alert
where:
  signal: {in: [data_drift, model_performance]}
  value: {at_least: 0.2}
  endpoint: taxi
do:
  - retrain: {release: taxi-fare, data: {asset: "azureml:taxi-data", target: cost, window: 30d}}
  - notify: {to: team, message: "${{fact.signal}} on ${{fact.endpoint}}"}
cool_down: 1h
limit: 3
"""


def parse(text: str) -> Any:
    return documents.parse(text, "s.yml", Path()).model


def refused(text: str) -> errors.DoubleloopError:
    with pytest.raises(errors.DoubleloopError) as caught:
        parse(text)
    return caught.value


def test_a_setup_is_read_in_full() -> None:
    setup = parse(SETUP)
    assert [workspace.kind for workspace in setup.workspaces] == ["preproduction", "production"]
    drop, replace = setup.workspaces[0].package_substitutions
    assert (drop.action, replace.with_) == ("drop", "azureml-core==1.57.0")
    assert [user.kind for user in setup.users] == ["person", "service"]
    assert setup.groups[0].persona == "project_lead"
    assert setup.computes[0].workspaces == ["dev"]
    assert (setup.computes[0].price_per_hour, setup.computes[0].currency) == (0.4, "USD")
    assert (setup.budgets[0].alert_at, setup.budgets[0].forecast_at) == ([80, 100], [120])


def test_there_are_twelve_personas() -> None:
    assert len(set(setups.PERSONAS)) == 12


def test_what_is_kept_and_not_acted_on_is_noted() -> None:
    notes = documents.parse(SETUP, "s.yml", Path()).notices
    assert any(note.field == "size" and "one size of machine" in note.why for note in notes)


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        ("kind: preproduction", "kind: test", 5, "must be one of preproduction, production"),
        ("action: drop,", "", 7, "'action' is missing"),
        (', with: "azureml-core==1.57.0"', "", 8, "needs 'with: package==version'"),
        ("{name: prod, kind", "{name: dev, kind", 3, "'dev' is listed twice"),
        ("persona: Project lead", "persona: Boss", 18, "not 'boss'"),
        ("workspaces: [prod]", "workspaces: [prd]", 18, "'prd' is not a workspace"),
        ("user: ci, role", "user: ci, group: leads, role", 20, "one 'user' or one 'group'"),
        ("user: ci, role", "group: lead, role", 20, "'lead' is not a group"),
        ("emails: [team@example.com]", "emails: []", 22, "needs 'url' or 'emails'"),
        ("amount: 100", "amount: 0", 24, "greater than 0"),
        ("user: ci, role", "user: ci, service: jobs, role", 20, "one 'group' or one 'service'"),
        ("role: C, workspace: prod", "role: C, resource: endpoint/x", 20, "'resource' needs the 'workspace'"),
        ("emails: [team@example.com]", "url: 'mailto://me:word@example.com'", 22, "holds a password"),
        ("amount: 100, workspace: dev", "amount: 100, notify: [tema]", 24, "'tema' is not a notification target"),
        ("size: Standard_X, workspaces: [dev]", "size: Standard_X, workspaces: [dve]", 11, "'dve' is not a workspace"),
        ("kind: service", "knd: service", 16, "unknown field 'knd'"),
    ],
)
def test_what_is_wrong_in_a_setup_is_said_with_its_line(before: str, after: str, line: int, says: str) -> None:
    assert before in SETUP
    error = refused(SETUP.replace(before, after))
    assert says in error.what
    assert error.where and error.where.line == line


def test_a_rule_of_a_setup_is_checked_as_one_of_its_own() -> None:
    text = SETUP + "rules:\n  - {name: r, on: monitor.alert, do: {notify: {to: team, message: 'x ${{fact.a'}}}\n"
    error = refused(text)
    assert "is opened with" in error.what
    assert error.where and error.where.line == 26
    assert "'on' is missing" in refused(text.replace("on: monitor.alert, ", "")).what


def test_a_rule_is_read_in_full() -> None:
    rule = parse(RULE)
    assert [action.verb for action in rule.do] == ["retrain", "notify"]
    assert rule.do[0].retrain.data.window == "30d"
    assert rule.do[1].notify.to == ["team"]
    assert (rule.limit.count, rule.limit.per, rule.cool_down) == (3, "1d", "1h")


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        ("{at_least: 0.2}", "{atleast: 0.2}", 6, "unknown field 'atleast'"),
        ("{at_least: 0.2}", "{}", 6, "a condition needs one of"),
        (
            "  - retrain: {release: taxi-fare, data: {",
            "  - retrian: {release: taxi-fare, data: {",
            9,
            "unknown field 'retrian'",
        ),
        ("notify: {to", "notfy: {to", 10, "unknown field 'notfy'"),
        ("{to: team, ", "{to: [], ", 10, "to"),
        ("${{fact.signal}}", "${{facts.signal}}", 10, "not an expression"),
        ("cool_down: 1h", "cool_down: often", 11, "not a duration"),
        ("limit: 3", "limit: 0", 12, "greater than or equal to 1"),
        ("on: monitor.alert\n", "", 1, "'on' is missing"),
    ],
)
def test_what_is_wrong_in_a_rule_is_said_with_its_line(before: str, after: str, line: int, says: str) -> None:
    assert before in RULE
    error = refused(RULE.replace(before, after))
    assert says in error.what
    assert error.where and error.where.line == line


def test_an_action_is_one_thing() -> None:
    text = "name: r\non: x\ndo:\n- {notify: {to: a}, roll_back: {}}\n"
    assert "every item of 'do' is one of" in refused(text).what


def test_a_webhook_goes_to_the_web() -> None:
    assert "not an http or https address" in refused("name: r\non: x\ndo: {webhook: {url: 'file:///etc'}}\n").what


FACT = {"signal": "data_drift", "value": 0.3, "endpoint": "taxi", "nested": {"deep": True}, "n": 1}


@pytest.mark.parametrize(
    ("where", "fits"),
    [
        ({}, True),
        ({"signal": "data_drift", "endpoint": "taxi"}, True),
        ({"signal": "data_quality"}, False),
        ({"signal": {"in": ["a", "data_drift"]}}, True),
        ({"signal": {"not_in": ["data_drift"]}}, False),
        ({"value": {"at_least": 0.3}}, True),
        ({"value": {"at_least": 0.31}}, False),
        ({"value": {"at_least": 0.1, "at_most": 0.2}}, False),
        ({"signal": {"at_least": 0}}, False),
        ({"endpoint": {"matches": "ta*"}}, True),
        ({"nested.deep": True}, True),
        ({"nested.deep": 1}, False),
        ({"n": True}, False),
        ({"missing": {"exists": False}}, True),
        ({"missing": {"not_in": ["x"]}}, False),
        ({"missing": "x"}, False),
        ({"nested": {"exists": True}}, True),
    ],
)
def test_a_rule_fits_a_fact_when_all_conditions_hold(where: dict, fits: bool) -> None:
    rule = rules.Rule.model_validate(
        {"name": "r", "on": "monitor.*", "where": where, "do": [{"retrain": {"release": "x"}}]}
    )
    assert rules.fits(rule, "monitor.alert", FACT) is fits
    assert not rules.fits(rule, "model.registered", FACT)


def test_a_rule_that_is_switched_off_fits_nothing() -> None:
    rule = parse(RULE.replace("limit: 3", "enabled: false"))
    assert not rules.fits(rule, "monitor.alert", FACT)
    assert rules.fits(parse(RULE), "monitor.alert", FACT)
