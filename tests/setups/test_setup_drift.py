"""Drift lists what was changed by hand since a set-up was applied, and by whom."""

from __future__ import annotations

from typing import Any

import pytest

from doubleloop.base import errors
from doubleloop.identity import assignments
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.identity import store as users
from doubleloop.setups import commands, queries
from doubleloop.specs import documents
from doubleloop.workspaces import declared

ADMIN = "service:setup"
SETUP = """$schema: doubleloop/setup
name: home
workspaces: [{name: one, kind: preproduction}]
users: [{name: mary}, {name: joan}]
groups: [{name: leads, persona: project_lead, members: [mary], workspaces: [one]}]
assignments: [{user: joan, role: R, workspace: one}]
budgets: [{name: b, amount: 10}]
"""


@pytest.fixture
def applied(house: Any) -> Any:
    with house.write(ADMIN, None) as ctx:
        commands.apply(ctx, documents.parse(SETUP, "setup.yml", "/"))
    return house


def drifts(house: Any, setup: str | None = None) -> list[Any]:
    with house.read(ADMIN, None) as ctx:
        return queries.drift(ctx, setup).drifts


def test_there_is_none_right_after_applying(applied: Any) -> None:
    assert drifts(applied) == []


def test_a_field_that_was_changed_by_hand_is_shown_with_who_and_when(applied: Any) -> None:
    group = identities.Group("leads", identities.Persona.PROJECT_LEAD, ("joan", "mary"), ("one",))
    with applied.write("service:cicd", None) as ctx:
        identity.put_group(ctx.acting_as(applied.actor(ADMIN)), group)
    (found,) = drifts(applied, "home")
    assert (found.change, found.kind, found.name, found.by) == ("changed", "group", "leads", ADMIN)
    assert found.fields == {"members": (["mary"], ["joan", "mary"])}
    assert found.at is not None


def test_what_was_removed_by_hand_is_shown_and_made_again_by_applying(applied: Any) -> None:
    with applied.write(ADMIN, None) as ctx:
        declared.remove(ctx, "budget", "b")
        assignments.remove(ctx, users.assignments(ctx)[0].id)
    assert {(each.kind, each.change) for each in drifts(applied)} == {("budget", "removed"), ("assignment", "removed")}
    assert {each.by for each in drifts(applied)} == {ADMIN}
    with applied.write(ADMIN, None) as ctx:
        commands.apply(ctx, documents.parse(SETUP, "setup.yml", "/"))
    assert drifts(applied) == []


def test_what_no_set_up_names_is_told_and_is_no_drift(applied: Any) -> None:
    with applied.read(ADMIN, None) as ctx:
        found = queries.drift(ctx)
    assert found.drifts == []
    assert ("workspace", "dev") in found.unmanaged
    assert ("workspace", "one") not in found.unmanaged


def test_a_set_up_that_was_never_applied_is_not_found(applied: Any) -> None:
    with applied.read(ADMIN, None) as ctx, pytest.raises(errors.NotFound, match="There are: home"):
        queries.drift(ctx, "away")
