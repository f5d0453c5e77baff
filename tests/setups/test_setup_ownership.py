"""What a setup file made goes when the file no longer names it; what no file made stays, and so does data."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from doubleloop.automation import commands as automation
from doubleloop.automation import queries as rules
from doubleloop.automation import store as _automation_store  # noqa: F401  (declares its tables)
from doubleloop.base import errors
from doubleloop.catalog import commands as catalog
from doubleloop.db import tables
from doubleloop.durable import store as durable
from doubleloop.endpoints import store as _endpoint_store
from doubleloop.events import queries as events
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.identity import store as users
from doubleloop.jobs import store as _job_store
from doubleloop.releases import store as _release_store
from doubleloop.setups import commands, planning
from doubleloop.specs import documents
from doubleloop.workspaces import declared
from doubleloop.workspaces import queries as workspaces

ADMIN = "service:setup"
FULL = """$schema: doubleloop/setup
registry: {name: shared}
registries: [{name: vision}]
workspaces:
  - {name: one, kind: preproduction}
  - {name: two, kind: production}
users: [{name: mary}, {name: joan}]
groups: [{name: leads, persona: project_lead, members: [mary], workspaces: [two]}]
assignments: [{user: joan, role: R, workspace: one, reason: she asked}]
computes: [{name: cpu, type: amlcompute, size: STANDARD_DS3_v2, max_instances: 2}]
datastores: [{name: lake, type: local, path: /data, workspaces: [one]}]
notifications: [{name: team, emails: [team@example.com]}]
budgets: [{name: b, amount: 100, workspace: one, notify: [team]}]
rules:
  - name: tell
    workspaces: [one]
    on: monitor.alert
    do: {notify: {to: team}}
"""
EMPTY = "$schema: doubleloop/setup\nworkspaces: []\n"


def read(text: str = FULL, folder: Path = Path("/"), file: str = "setup.yml") -> documents.Document:
    return documents.parse(text, file, folder)


def apply(house: Any, text: str = FULL, file: str = "setup.yml", **given: Any) -> commands.Plan:
    with house.write(ADMIN, None) as ctx:
        done: commands.Plan = commands.apply(ctx, read(text, file=file), **given)
        return done


def actions(plan: commands.Plan) -> dict[tuple[str, str], str]:
    return {change.key: change.action for change in plan.real}


def test_every_section_is_made_and_a_second_time_there_is_nothing_to_do(house: Any) -> None:
    first = apply(house)
    assert {change.kind for change in first.real} == {
        "registry", "workspace", "user", "group", "assignment", "compute", "datastore", "notification", "budget",
        "rule",
    }  # fmt: skip
    with house.read(ADMIN, None) as ctx:
        head = events.head(ctx)
        assert {"shared", "vision"} <= set(workspaces.registries(ctx))
        assert [rule.name for rule in rules.rules(ctx.in_workspace("one"))] == ["tell"]
        assert declared.every(ctx, "compute")["cpu"]["max_instances"] == 2
        assert [each.role for each in users.assignments(ctx)] == ["R"]
    assert apply(house).real == []
    with house.read(ADMIN, None) as ctx:
        assert events.head(ctx) == head


def test_what_the_file_no_longer_names_is_removed_in_reverse_order(house: Any) -> None:
    apply(house)
    with house.read(ADMIN, None) as ctx:
        planned = commands.plan(ctx, read(EMPTY))
    kinds = [change.kind for change in planned.changes]
    assert kinds.index("rule") < kinds.index("datastore") < kinds.index("group") < kinds.index("workspace")
    assert set(actions(planned).values()) == {"remove"}
    assert apply(house, EMPTY, digest=planned.digest) == planned
    with house.read(ADMIN, None) as ctx:
        assert "one" not in workspaces.names(ctx)
        assert "leads" not in {group.name for group in users.groups(ctx)}
        assert users.assignments(ctx) == []
        mary = users.user(ctx, "mary")
        assert mary is not None and mary.disabled
    assert apply(house, EMPTY).real == []


def test_a_group_is_told_by_a_target_that_there_is_and_that_stays_as_long(house: Any) -> None:
    told = FULL.replace("members: [mary], workspaces", "members: [mary], notify: team, workspaces")
    with pytest.raises(errors.NotFound, match="told by 'crowd'") as caught:
        apply(house, told.replace("notify: team", "notify: crowd"))
    assert caught.value.where is not None and caught.value.where.line == 8
    apply(house, told)
    with house.read(ADMIN, None) as ctx:
        assert [group.notify for group in users.groups(ctx) if group.name == "leads"] == ["team"]
    without = re.sub("notifications:.*\n", "", told.replace("notify: team, ", "")).replace(", notify: [team]", "")
    without = without.replace("to: team", "to: a@example.com")
    chiefs = identities.Group("chiefs", identities.Persona.PROJECT_LEAD, ("mary",), (), notify="team")
    with house.write(ADMIN, None) as ctx:
        identity.put_group(ctx, chiefs)
    with pytest.raises(errors.Conflict, match="notification team: the group chiefs is told by it"):
        apply(house, without)
    with house.write(ADMIN, None) as ctx:
        identity.put_group(ctx, dataclasses.replace(chiefs, notify=None))
    assert actions(apply(house, without)) == {
        ("budget", "b"): "change", ("group", "leads"): "change", ("notification", "team"): "remove",
        ("rule", "one/tell"): "change",
    }  # fmt: skip


def test_a_user_who_comes_back_into_the_file_is_enabled_again(house: Any) -> None:
    apply(house)
    apply(house, EMPTY)
    fields = {change.key: change.fields for change in apply(house).real}
    assert fields[("user", "mary")] == {"disabled": (True, False)}


def test_what_no_file_made_is_never_removed(house: Any) -> None:
    text = "$schema: doubleloop/setup\nworkspaces: [{name: dev, kind: preproduction, description: ours}]\n"
    apply(house, text)  # dev was there before
    assert actions(apply(house, EMPTY)) == {("workspace", "dev"): "forget"}
    with house.read(ADMIN, None) as ctx:
        assert workspaces.get(ctx, "dev").description == "ours"


def test_what_two_set_ups_name_goes_with_the_last_of_them(house: Any) -> None:
    apply(house, "name: first\n" + FULL)
    apply(house, FULL, file="other/second.yml")
    planned = apply(house, EMPTY, file="second.yml")
    assert set(actions(planned).values()) == {"forget"}
    assert {change.note for change in planned.real} == {"the set-up 'first' names it too"}
    apply(house, FULL, file="second.yml")
    assert set(actions(apply(house, "name: first\n" + EMPTY)).values()) == {"forget"}
    assert set(actions(apply(house, EMPTY, file="second.yml")).values()) == {"remove"}


def test_two_files_without_a_name_do_not_take_each_others_things_away(house: Any) -> None:
    apply(house, FULL, file="one.yml")
    apply(house, "$schema: doubleloop/setup\nworkspaces: [{name: three, kind: production}]\n", file="two.yml")
    with house.read(ADMIN, None) as ctx:
        assert {"one", "two", "three"} <= set(workspaces.names(ctx))
        with pytest.raises(errors.NotFound, match="There are: one, two"):
            commands.plan_destroy(ctx, "")


def test_a_workspace_that_holds_anything_needs_a_second_word_and_till_then_nothing_is_done(house: Any) -> None:
    apply(house)
    with house.write(ADMIN, "one") as ctx:
        catalog.add(ctx, "data", "rides", "1", "0" * 64, {"type": "uri_file"}, None)
    with house.read(ADMIN, None) as ctx:
        head = events.head(ctx)
    with pytest.raises(errors.Conflict, match=r"1 assets.*--delete-data one"):
        apply(house, EMPTY)
    with house.read(ADMIN, None) as ctx:
        assert events.head(ctx) == head
        assert [rule.name for rule in rules.rules(ctx.in_workspace("one"))] == ["tell"]
    apply(house, EMPTY, delete_data=["one"])
    with house.read(ADMIN, None) as ctx:
        assert "one" not in workspaces.names(ctx)
        removed = events.facts(ctx, types=["workspace.removed"], subject="workspace:one")
        assert removed[0].data["held"] == {"assets": 1}


def test_the_second_word_is_for_what_is_removed_only(house: Any) -> None:
    apply(house)
    with pytest.raises(errors.InvalidInput, match="'dev' is no workspace"):
        apply(house, EMPTY, delete_data=["dev"])


def test_a_rule_made_by_hand_keeps_its_workspace(house: Any) -> None:
    apply(house)
    text = "$schema: doubleloop/rule\nname: mine\non: monitor.alert\ndo: {notify: {to: a@example.com}}\n"
    with house.write(ADMIN, "one") as ctx:
        automation.put_rule(ctx, documents.parse(text, "rule.yml", "/"))
    with pytest.raises(errors.Conflict, match="rule one/mine"):
        apply(house, EMPTY)


def test_a_group_made_by_hand_keeps_the_workspace_it_is_for(house: Any) -> None:
    apply(house)
    group = identities.Group("hand", identities.Persona.DATA_SCIENTIST, ("ada",), ("one",))
    with house.write(ADMIN, None) as ctx:
        identity.put_group(ctx, group)
    with pytest.raises(errors.Conflict, match="group hand is for it"):
        apply(house, EMPTY)


def test_destroy_removes_all_of_one_set_up_once_its_name_is_typed(house: Any) -> None:
    apply(house)
    apply(house, "$schema: doubleloop/setup\nname: other\nworkspaces: [{name: three, kind: production}]\n")
    with house.write(ADMIN, None) as ctx, pytest.raises(errors.InvalidInput, match="not the name"):
        commands.destroy(ctx, "setup", "setpu")
    with house.write(ADMIN, None) as ctx:
        commands.destroy(ctx, "setup", "setup")
    with house.read(ADMIN, None) as ctx:
        assert {"dev", "staging", "prod", "three"} <= set(workspaces.names(ctx))
        assert not {"one", "two", "shared"} & set(workspaces.names(ctx))
        with pytest.raises(errors.NotFound, match="There are: other"):
            commands.plan_destroy(ctx, "setup")


def test_a_rule_may_be_a_file_and_its_errors_name_that_file(house: Any, tmp_path: Path) -> None:
    rule = tmp_path / "tell.yml"
    rule.write_text("$schema: doubleloop/rule\nname: tell\non: monitor.alert\ndo: {notify: {to: x@example.com}}\n")
    text = "$schema: doubleloop/setup\nworkspaces: [{name: one, kind: preproduction}]\nrules: [./tell.yml]\n"
    with house.write(ADMIN, None) as ctx:
        commands.apply(ctx, read(text, tmp_path))
        assert [each.name for each in rules.rules(ctx.in_workspace("one"))] == ["tell"]
    rule.write_text("$schema: doubleloop/rule\nname: tell\nonn: monitor.alert\ndo: {notify: {to: x@example.com}}\n")
    with pytest.raises(errors.InvalidInput) as refused:
        read(text, tmp_path)
    assert refused.value.where is not None
    assert (Path(refused.value.where.file).name, refused.value.where.line) == ("tell.yml", 3)


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        ("members: [mary]", "members: [nobody]", 8, "nobody"),
        ("role: R", "role: King", 9, "not a role"),
        ("role: R", "role: R, until: soon", 9, "not a time"),
        ("user: joan, role", "user: nobody, role", 9, "no user named nobody"),
    ],
)
def test_what_cannot_be_carried_out_names_its_line_and_changes_nothing(
    house: Any, before: str, after: str, line: int, says: str
) -> None:
    assert before in FULL
    with house.read(ADMIN, None) as ctx:
        head = events.head(ctx)
    with pytest.raises(errors.DoubleloopError, match=says) as refused:
        apply(house, FULL.replace(before, after))
    assert refused.value.where is not None
    assert (refused.value.where.file, refused.value.where.line) == ("setup.yml", line)
    with house.read(ADMIN, None) as ctx:
        assert events.head(ctx) == head
        assert "one" not in workspaces.names(ctx)


def test_messages_go_to_the_addresses_of_a_target(house: Any) -> None:
    apply(house)
    with house.read(ADMIN, "one") as ctx:
        assert declared.addresses(ctx, ["team", "x@example.com"]) == ["team@example.com", "x@example.com"]


def test_an_assignment_that_changes_is_given_anew(house: Any) -> None:
    apply(house)
    apply(house, FULL.replace("reason: she asked", "eligible: true, reason: she asked"))
    with house.read(ADMIN, None) as ctx:
        assert [each.eligible for each in users.assignments(ctx)] == [True]


def test_the_administrator_of_the_first_start_may_set_up_all_of_it(house: Any) -> None:
    with house.write(ADMIN, None) as ctx:
        identity.create_user(ctx, "root", is_admin=True)
    with house.write("root", None) as ctx:
        assert len(commands.apply(ctx, read()).real) == 13
    with house.write("root", None) as ctx:
        commands.destroy(ctx, "setup", "setup")


def test_the_example_of_the_docs_is_carried_out(house: Any, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "setup.md").read_text()
    text = page.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "rules").mkdir()
    rule = "$schema: doubleloop/rule\nname: again\non: monitor.alert\ndo: {notify: {to: team}}\n"
    (tmp_path / "rules" / "retrain.yml").write_text(rule)
    with house.write(ADMIN, None) as ctx:
        done = commands.apply(ctx, read(text, tmp_path))
    assert {change.kind for change in done.changes} == set(planning.ORDER)
    with house.read(ADMIN, None) as ctx:
        assert commands.plan(ctx, read(text, tmp_path)).real == []


def test_nobody_disables_themselves(house: Any) -> None:
    with house.write(ADMIN, None) as ctx:
        commands.apply(ctx, read("$schema: doubleloop/setup\nusers: [{name: root}]\n"))
        users.update_user(ctx, "root", is_admin=True)
    with house.write("root", None) as ctx, pytest.raises(errors.Conflict, match="disable themselves"):
        commands.apply(ctx, read(EMPTY))


def test_a_job_that_runs_keeps_its_workspace_whatever_is_said(house: Any) -> None:
    apply(house)
    with house.write(ADMIN, "one") as ctx:
        insert(ctx, _job_store.JOBS, id="job-1", workspace="one", status="running")
    with pytest.raises(errors.Conflict, match=r"under way in it \(job-1\): cancel them first"):
        apply(house, EMPTY, delete_data=["one"])


def test_a_workspace_that_releases_went_through_is_kept(house: Any) -> None:
    apply(house)
    with house.write(ADMIN, "two") as ctx:
        insert(ctx, _release_store.STAGES, release="release-1", workspace="two")
    with pytest.raises(errors.Conflict, match="what was decided is kept"):
        apply(house, EMPTY, delete_data=["two"])


def test_an_endpoint_goes_with_its_workspace_and_the_gateway_is_told(house: Any) -> None:
    apply(house)
    with house.write(ADMIN, "one") as ctx:
        insert(ctx, _endpoint_store.ENDPOINTS, workspace="one", name="bikes", traffic="{}", mirror_traffic="{}",
               tags="{}")  # fmt: skip
        before = outbox(ctx)
    apply(house, EMPTY, delete_data=["one"])
    with house.read(ADMIN, None) as ctx:
        assert events.facts(ctx, types=["endpoint.deleted"])
        assert outbox(ctx) > before
        assert ctx.tx.execute(sa.select(_endpoint_store.ENDPOINTS)).all() == []


def insert(ctx: Any, table: sa.Table, **values: Any) -> None:
    """A row with something in every column that needs it."""
    for column in table.c:
        if not column.nullable and column.name not in values and column.name != "seq":
            empty: dict[type, Any] = {str: "", int: 0, bool: False}
            is_moment = isinstance(column.type, tables.Moment)
            values[column.name] = ctx.now if is_moment else empty[column.type.python_type]
    ctx.tx.execute(table.insert().values(**values))


def outbox(ctx: Any) -> int:
    return int(ctx.tx.execute(sa.select(sa.func.count()).select_from(durable.OUTBOX)).scalar())
