"""Set-up as code: a plan shows the difference, applying makes it so, a second time changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from doubleloop.base import errors
from doubleloop.events import queries as events
from doubleloop.setups import commands
from doubleloop.specs import documents
from doubleloop.workspaces import declared

SETUP = """
$schema: doubleloop/setup
workspaces:
  - {name: fares-dev, kind: preproduction, package_substitutions: [{match: "git+https://*", action: drop}]}
  - {name: fares-prod, kind: production}
users: [{name: mary}, {name: joan}]
groups: [{name: leads, persona: project_lead, members: [joan, mary], workspaces: [fares-prod]}]
datastores: [{name: lake, type: local, path: /data, workspaces: [fares-dev]}]
"""
ADMIN = "service:setup"


def read(text: str = SETUP) -> documents.Document:
    return documents.parse(text, "setup.yml", "/")


@pytest.fixture
def text() -> str:
    try:
        read()
    except errors.DoubleloopError:  # the datastore kinds of the schema are those of Azure ML
        return "\n".join(line for line in SETUP.splitlines() if not line.startswith("datastores"))
    return SETUP


def test_what_is_planned_is_done_and_then_there_is_nothing_left_to_do(house: Any, text: str) -> None:
    with house.read(ADMIN, None) as ctx:
        planned = commands.plan(ctx, read(text))
    with house.write(ADMIN, None) as ctx:
        done = commands.apply(ctx, read(text), planned.digest)
        assert done == planned
    with house.write(ADMIN, None) as ctx:
        before = events.head(ctx)
        again = commands.apply(ctx, read(text))
        assert {change.action for change in again.changes} == {"none"}
        assert events.head(ctx) == before


def test_a_change_names_the_field_before_and_after(house: Any, text: str) -> None:
    with house.write(ADMIN, None) as ctx:
        commands.apply(ctx, read(text))
    changed = text.replace("members: [joan, mary]", "members: [joan]")
    with house.read(ADMIN, None) as ctx:
        changes = {(c.kind, c.name): c for c in commands.plan(ctx, read(changed)).changes if c.action != "none"}
    assert set(changes) == {("group", "leads")}
    assert changes[("group", "leads")].fields == {"members": (["joan", "mary"], ["joan"])}


def test_a_plan_that_is_overtaken_is_not_applied(house: Any, text: str) -> None:
    with house.read(ADMIN, None) as ctx:
        planned = commands.plan(ctx, read(text))
    with house.write(ADMIN, None) as ctx:  # somebody is quicker
        commands.apply(ctx, read(text))
    with house.write(ADMIN, None) as ctx, pytest.raises(errors.Conflict, match="changed since the plan"):
        commands.apply(ctx, read(text), planned.digest)


def test_a_file_that_cannot_be_carried_out_changes_nothing(house: Any, text: str) -> None:
    broken = text.replace("members: [joan, mary]", "members: [joan, nobody]")
    with pytest.raises(errors.NotFound, match="nobody"), house.write(ADMIN, None) as ctx:
        commands.apply(ctx, read(broken))
    with house.read(ADMIN, None) as ctx:
        assert {c.action for c in commands.plan(ctx, read(text)).changes} == {"create"}


def test_a_budget_is_kept_as_it_was_said(house: Any) -> None:
    document = read("$schema: doubleloop/setup\nbudgets: [{name: b, amount: 10}]\n")
    with house.write(ADMIN, None) as ctx:
        done = commands.apply(ctx, document)
        assert done.changes[0].note == ""
        kept = declared.every(ctx, "budget")["b"]
    assert kept["amount"] == 10 and "forecast_at" not in kept, "what was applied before forecasts has not drifted"


def test_a_data_scientist_cannot_set_up(house: Any, text: str) -> None:
    with house.write("ada", None) as ctx, pytest.raises(errors.NotPermitted):
        commands.apply(ctx, read(text))


def test_the_kind_of_a_workspace_never_changes(house: Any, text: str) -> None:
    with house.write(ADMIN, None) as ctx:
        commands.apply(ctx, read(text))
    flipped = text.replace("{name: fares-prod, kind: production}", "{name: fares-prod, kind: preproduction}")
    with house.write(ADMIN, None) as ctx, pytest.raises(errors.Conflict, match="cannot change"):
        commands.apply(ctx, read(flipped))
