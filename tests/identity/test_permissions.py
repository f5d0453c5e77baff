"""Who may do what: default deny, and every cell of the table said out loud, so that a change of it is seen."""

from __future__ import annotations

from typing import Any

import pytest

from doubleloop.base import actors, errors
from doubleloop.identity import commands, model, rules
from doubleloop.identity.actions import Action
from doubleloop.identity.model import Persona, WorkspaceKind

# One letter an action, in the order of the list, for each persona: preproduction, then production.
# a workspace's own people:        r read  w write  x run or decide  . no
ACTIONS = (
    "audit.read", "compute.read", "compute.write", "data.read", "data.write", "endpoint.invoke", "endpoint.keys",
    "endpoint.read", "endpoint.write", "environment.read", "environment.write", "identity.read", "identity.write",
    "job.cancel", "job.read", "job.submit", "model.read", "model.write", "monitor.read", "monitor.run", "monitor.write",
    "release.approve", "release.read", "release.start", "release.write", "rule.read", "rule.write", "schedule.read",
    "schedule.write", "tracking.read", "tracking.write", "workspace.read", "workspace.write",
)  # fmt: skip
TABLE = """
data_scientist        preproduction  .x.xxxxxxxx..xxxxxxxx.xxxxxxxxxx.
data_scientist        production     ................x.x...x..........
data_analyst          preproduction  .x.xx..x.x....x.x.x...x..x.x.x.x.
data_analyst          production     .................................
model_tester          preproduction  .x.x.x.x.x....x.x.x...x..x.x.x.x.
model_tester          production     .................................
business_stakeholder  preproduction  .......x......x.x.x...x........x.
business_stakeholder  production     ..................x..............
project_lead          preproduction  xx.xxxxxxxx..xxxxxxxxxxxxxxxxxxx.
project_lead          production     xx.x...x.x....x.x.x..xx..x.x.x.x.
product_owner         preproduction  .......x......x.x.x..xx........x.
product_owner         production     ..................x..xx..........
platform_support      preproduction  xxxxxxxxxxxxxxxxxxxxx.xx.xxxxxxxx
platform_support      production     xxxxxxxxxxxxxxxxxxxxx.xx.xxxxxxxx
model_end_user        preproduction  .....x...........................
model_end_user        production     .....x...........................
cicd_process          preproduction  xxxxxxxxxxxxxxxxxxxxx.xxxxxxxxxxx
cicd_process          production     xxxxxxxxxxxxxxxxxxxxx.xxxxxxxxxxx
workspace_process     preproduction  .x.xxxxxxxx..xxxxxxxx.xxxxxxxxxx.
workspace_process     production     .x.xxxxxxxx..xxxxxxxx.xxxxxxxxxx.
monitoring_process    preproduction  .x.xx..x.x....x.x.xx..xx.x.x.x.x.
monitoring_process    production     ...x...x......x.x.xx..x........x.
governance_process    preproduction  xx.x...x.x....x.x.x...x..x.x.x.x.
governance_process    production     xx.x...x.x....x.x.x...x..x.x.x.x.
"""
CELLS = [
    (Persona(persona), WorkspaceKind(kind), Action(action), letter == "x")
    for persona, kind, letters in (line.split() for line in TABLE.split("\n") if line)
    for action, letter in zip(ACTIONS, letters, strict=True)
]
SERVICES = {
    "service:jobs": "compute.read data.read data.write endpoint.invoke endpoint.keys endpoint.read endpoint.write "
    "environment.read environment.write job.cancel job.read job.submit model.read model.write monitor.read monitor.run "
    "monitor.write release.read release.start release.write rule.read rule.write schedule.read schedule.write "
    "tracking.read tracking.write workspace.read",
    "service:monitor": "compute.read data.read data.write endpoint.read environment.read job.read model.read "
    "monitor.read monitor.run release.read rule.read schedule.read tracking.read workspace.read",
    "service:automation": "compute.read data.read data.write endpoint.read endpoint.write environment.read job.read "
    "job.submit model.read monitor.read monitor.run release.read release.start rule.read schedule.read tracking.read "
    "workspace.read",
    "service:tracking": "model.read model.write release.read",
    "service:durable": "",
    "service:setup": " ".join(each for each in ACTIONS if each != "release.approve"),
}
SERVICES["service:releases"] = SERVICES["service:jobs"]


def test_the_list_of_actions_is_alphabetical_and_whole() -> None:
    assert list(Action) == sorted(Action) == list(ACTIONS)


def test_every_action_persona_and_kind_of_workspace_is_in_the_table() -> None:
    assert len(CELLS) == len(set(CELLS)) == len(Action) * len(Persona) * len(WorkspaceKind)


def test_the_table_is_as_it_is_written_here() -> None:
    wrong = [
        f"{persona} {kind} {action}: {'may' if not wanted else 'may not'}"
        for persona, kind, action, wanted in CELLS
        if (action in rules.allowed_actions(persona, kind)) is not wanted
    ]
    assert wrong == []


@pytest.mark.parametrize("kind", WorkspaceKind)
@pytest.mark.parametrize("persona", Persona)
def test_decisions_follow_the_table(persona: Persona, kind: WorkspaceKind) -> None:
    group = model.Group("team", persona, ("ada",), ())
    for _, _, action, wanted in (each for each in CELLS if each[:2] == (persona, kind)):
        decision = rules.decide("ada", False, [group], action, "place", kind)
        assert decision.allowed is wanted, action
        assert ("team" in decision.why) and (wanted or f"none allows {action}" in decision.why)


def test_services_have_what_is_listed_and_nothing_else() -> None:
    assert {name: set(map(str, allowed)) for name, allowed in rules.SERVICES.items()} == {
        name: set(text.split()) for name, text in SERVICES.items()
    }


def test_no_process_and_no_administrator_approves() -> None:
    assert not [name for name, allowed in rules.SERVICES.items() if Action.RELEASE_APPROVE in allowed]
    assert frozenset(Action) - {Action.RELEASE_APPROVE} == rules.ADMIN
    for persona in Persona:
        if persona.endswith("_process") or persona is Persona.PLATFORM_SUPPORT:
            assert not any(Action.RELEASE_APPROVE in rules.allowed_actions(persona, kind) for kind in WorkspaceKind)


def test_who_is_in_no_group_may_nothing(house: Any) -> None:
    with house.write("service:setup") as ctx:
        commands.create_user(ctx, "mallory")
    for user in ("mallory", "nobody", "", "service:jobs", "*", "%", "ada ", "ADA"):
        for workspace in ("dev", "staging", "prod", "registry", None):
            with house.contexts.read(actors.Actor(user), workspace) as ctx:
                allowed = [action for action in Action if commands.decide(ctx, action).allowed]
            assert allowed == [], (user, workspace)


def test_a_service_nobody_knows_may_nothing(house: Any) -> None:
    for name in ("unknown", "ada", "jobs2", ""):
        with house.contexts.read(actors.service(name), "dev") as ctx:
            assert not any(commands.decide(ctx, action).allowed for action in Action), name


def test_a_disabled_user_may_nothing(house: Any) -> None:
    from doubleloop.identity import store

    with house.write("ada") as ctx:
        commands.permit(ctx, Action.JOB_SUBMIT)
        store.update_user(ctx, "ada", disabled=True)
        with pytest.raises(errors.NotPermitted, match="ada is not a user"):
            commands.permit(ctx, Action.JOB_SUBMIT)


def test_a_group_counts_in_its_own_workspaces_and_in_registries(house: Any) -> None:
    with house.write("service:setup") as ctx:
        commands.create_user(ctx, "alan")
        commands.put_group(ctx, model.Group("here", Persona.DATA_SCIENTIST, ("alan",), ("dev",)))
    found = {}
    for workspace in ("dev", "staging", "prod", "registry"):
        with house.read("alan", workspace) as ctx:
            found[workspace] = commands.decide(ctx, Action.DATA_WRITE).allowed
    assert found == {"dev": True, "staging": False, "prod": False, "registry": True}


def test_a_workspace_that_is_not_there_is_not_found_and_not_allowed(house: Any) -> None:
    with house.read("ada", "nowhere") as ctx, pytest.raises(errors.NotFound, match="nowhere"):
        commands.permit(ctx, Action.DATA_READ)


def test_a_refusal_names_the_groups_that_were_looked_at_and_what_was_asked(house: Any) -> None:
    with house.read("eve", "prod") as ctx, pytest.raises(errors.NotPermitted) as caught:
        commands.permit(ctx, Action.RELEASE_APPROVE)
    assert "business_stakeholders (business_stakeholder)" in caught.value.what
    assert "none allows release.approve in production workspace prod" in caught.value.what
    assert caught.value.details == {"action": "release.approve", "workspace": "prod"}


def test_memberships_add_up_and_one_is_enough(house: Any) -> None:
    with house.write("service:setup") as ctx:
        commands.put_group(ctx, model.Group("owners", Persona.PRODUCT_OWNER, ("ada",), ("prod",)))
    with house.read("ada", "prod") as ctx:
        assert commands.decide(ctx, Action.RELEASE_APPROVE).why == (
            "group owners (product_owner) in production workspace prod"
        )
        assert commands.personas(ctx, "ada", "prod") == {Persona.DATA_SCIENTIST, Persona.PRODUCT_OWNER}
        assert commands.personas(ctx, "ada", "dev") == {Persona.DATA_SCIENTIST}
    with house.read("ada", "dev") as ctx:
        assert not commands.decide(ctx, Action.RELEASE_APPROVE).allowed


def test_others_decisions_are_explained_to_those_who_may_read_identities(house: Any) -> None:
    with house.read("linus", "prod") as ctx:
        assert commands.explain(ctx, "ada", Action.DATA_WRITE, "dev").allowed
        assert not commands.explain(ctx, "ada", Action.DATA_WRITE, "prod").allowed
    with house.read("ada", "dev") as ctx:
        assert commands.explain(ctx, "ada", Action.DATA_WRITE, "dev").allowed
        with pytest.raises(errors.NotPermitted):
            commands.explain(ctx, "grace", Action.DATA_WRITE, "dev")


def test_a_group_of_users_that_are_not_there_is_refused(house: Any) -> None:
    with house.write("service:setup") as ctx, pytest.raises(errors.NotFound, match="ghost"):
        commands.put_group(ctx, model.Group("team", Persona.DATA_SCIENTIST, ("ada", "ghost"), ()))
    with house.write("ada") as ctx, pytest.raises(errors.NotPermitted):
        commands.put_group(ctx, model.Group("team", Persona.PLATFORM_SUPPORT, ("ada",), ()))
