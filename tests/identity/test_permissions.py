"""Who may do what: default deny, and every cell of the table said out loud, so that a change of it is seen."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from doubleloop.base import actors, errors
from doubleloop.identity import commands, deciding, model, policies, roles, services
from doubleloop.identity.actions import Action
from doubleloop.identity.model import Persona, WorkspaceKind

# What a role may do, said once more and in other words than the code's: the verbs it has on a kind of resource.
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = {
    "workspace": "compute.read compute.write data.read data.write endpoint.invoke endpoint.keys endpoint.read "
    "endpoint.write identity.read identity.write job.cancel job.read job.submit labeling.label labeling.read "
    "labeling.review labeling.write model.read model.write "
    "monitor.write schedule.read schedule.write tracking.read tracking.write workspace.read workspace.write",
    "secrets": "secret.get secret.read secret.write",
    "images": "environment.read environment.write",
    "storage": "storage.read storage.write",
    "delivery": "release.approve release.read release.start release.write rule.read rule.write",
    "packages": "package.read package.write",
    "logs": "audit.read audit.write log.read",
    "metrics": "alert.write monitor.read monitor.run",
}
ACTIONS = sorted(action for text in KINDS.values() for action in text.split())
NEVER = {
    "O": "audit.write release.approve secret.get secret.write",
    "C": "audit.write release.approve secret.get secret.write identity.write",
}
ADS = "compute.write workspace.write identity.read identity.write"
OURS = {"EU": "endpoint.invoke", "APR": "release.read release.approve", "AUD": "audit.read",
        "LAB": "labeling.label labeling.read"}  # fmt: skip


def may(role: str, kind: str) -> set[str]:
    every = set(KINDS[kind].split())
    if role in ("R", "MR", "KVR"):
        return {each for each in every if each.endswith(".read")} - {"identity.read", "audit.read"}
    if role == "LAR":
        return {"log.read"}
    if role in NEVER:
        return every - set(NEVER[role].split())
    if role == "LAC":
        return every - {"audit.write"}
    if role == "ADS":
        return every - set(ADS.split())
    if role in ("DOPA", "DOPCA"):
        return every - {"release.approve"}
    return set(OURS[role].split()) if role in OURS else every  # AcrPush, MC, KVA: all there is


# The two tables, a line a persona, in the published order of columns: workspace, secrets, images, storage, delivery,
# packages, logs, metrics. Our own choices, where they are silent, stand after a plus sign.
TABLE = """
preproduction data_scientist       ADS | R KVA | C | C | C | C | LAC | MC
preproduction data_analyst         R +LAB | | | C | | | LAR | MC
preproduction model_tester         R +EU | R KVR | R | R | R | R | LAR | MR
preproduction business_stakeholder R | | R | R | R | R | |
preproduction project_lead         C | C KVA | C | C | C +APR | C | LAC | MC
preproduction product_owner        R | | | R | +APR | | | MR
preproduction platform_support     O | O KVA | O | O | DOPCA | O | O | O
preproduction model_end_user       +EU | | | | | | |
preproduction cicd_process         O | O KVA | AcrPush | O | DOPCA | O | O | O
preproduction workspace_process    | R KVR | C | C | | | |
preproduction monitoring_process   R | R | R | R | R | R | LAC |
preproduction governance_process   R | | R | R | | | +AUD |
production data_scientist          | | R | | | | LAR | MR
production data_analyst            | | | | | | |
production model_tester            | | | | | | |
production business_stakeholder    | | | | | | | MR
production project_lead            R | R KVR | R | | +APR | | LAR +AUD | MR
production product_owner           | | | | +APR | | | MR
production platform_support        O | O KVA | | | DOPCA | O | O | O
production model_end_user          +EU | | | | | | |
production cicd_process            O | O KVA | AcrPush | | DOPCA | O | O | O
production workspace_process       | R | C | C | | | |
production monitoring_process      R | | | | | | LAR | MR
production governance_process      R | | R | R | R | R | +AUD |
"""


def _cells() -> dict[tuple[str, str], set[str]]:
    found = {}
    for line in filter(None, TABLE.split("\n")):
        environment, persona, cells = line.split(maxsplit=2)
        columns = [cell.replace("+", "").split() for cell in f"{cells} ".split("|")]
        assert len(columns) == len(KINDS), line
        found[persona, environment] = {
            action for kind, roles in zip(KINDS, columns, strict=True) for role in roles for action in may(role, kind)
        }
    return found


CELLS = _cells()
LOOK = (
    "compute.read data.read endpoint.read environment.read job.read labeling.read log.read model.read monitor.read "
    "release.read rule.read schedule.read storage.read tracking.read workspace.read"
)
SERVICES = {
    "service:jobs": f"{LOOK} secret.get secret.read tracking.write",
    "service:releases": f"{LOOK} data.write endpoint.invoke endpoint.keys endpoint.write job.cancel job.submit "
    "model.write monitor.write release.start release.write secret.get secret.read tracking.write",
    "service:batch": "data.write",
    "service:monitor": f"{LOOK} data.write monitor.run",
    "service:automation": f"{LOOK} data.write endpoint.write job.submit labeling.write monitor.run release.start "
    "secret.get secret.read",
    "service:tracking": "model.read model.write release.read",
    "service:durable": "",
    "service:audit": "",
    "service:setup": " ".join(each for each in ACTIONS if each not in ("release.approve", "secret.get")),
}


def test_the_list_of_actions_is_alphabetical_and_whole() -> None:
    assert [each.value for each in Action] == sorted(Action) == ACTIONS


def test_every_action_belongs_to_one_kind_of_resource() -> None:
    assert {action.value: kind.value for action, kind in roles.KIND_OF.items()} == {
        action: kind for kind, text in KINDS.items() for action in text.split()
    }


def test_the_roles_are_those_of_the_article_with_their_names() -> None:
    published = {"R", "C", "O", "ADS", "ACO", "AcrPush", "DOPA", "DOPCA", "LAR", "LAC", "MR", "MC", "KVA", "KVR"}
    assert set(roles.ROLES) == published | set(OURS)
    assert (roles.NAMES["ADS"], roles.NAMES["KVA"]) == ("AzureML Data Scientist", "Key Vault Administrator")
    assert roles.actions("ACO") == {Action.COMPUTE_READ, Action.COMPUTE_WRITE, Action.WORKSPACE_READ}
    assert roles.actions("DOPA") == roles.actions("DOPCA")
    assert roles.actions("LAR", roles.ResourceKind.WORKSPACE) == frozenset()


@pytest.mark.parametrize(("persona", "environment"), CELLS)
def test_the_table_is_as_it_is_written_here(persona: str, environment: str) -> None:
    assert roles.allowed_actions(Persona(persona), WorkspaceKind(environment)) == CELLS[persona, environment]


def test_whatever_the_tables_do_not_say_has_its_reason() -> None:
    ours = [cell for cell in roles.cells() if cell.role in OURS]
    assert len(ours) == TABLE.count("+") == len([cell for cell in roles.cells() if cell.why])
    assert all(len(cell.why) > 30 for cell in ours)


def test_platform_support_alone_is_just_in_time() -> None:
    assert [each for each in Persona if roles.just_in_time(each)] == [Persona.PLATFORM_SUPPORT]


@pytest.mark.parametrize(("persona", "environment"), CELLS)
def test_decisions_follow_the_table(persona: str, environment: str) -> None:
    group = model.Group("team", Persona(persona), ("ada",), ())
    text = policies.text([group], [])
    for action in ACTIONS:
        asked = model.Asked("user:ada", action, "place", environment)
        decision = deciding.decide(text, asked, False, ["team"])
        assert decision.allowed is (action in CELLS[persona, environment]), action
        assert all(each.startswith("group team: ") for each in decision.by)


@pytest.mark.parametrize("persona", Persona)
def test_the_whole_installation_takes_what_is_allowed_in_both_kinds_of_workspace(persona: Persona) -> None:
    both = CELLS[persona.value, "preproduction"] & CELLS[persona.value, "production"]
    for workspaces, wanted in (((), both), (("dev",), set())):
        text = policies.text([model.Group("team", persona, ("ada",), workspaces)], [])
        allowed = {
            action
            for action in ACTIONS
            if deciding.decide(text, model.Asked("user:ada", action), False, ["team"]).allowed
        }
        assert allowed == wanted


def test_every_policy_there_can_be_agrees_with_the_schema() -> None:
    groups = [
        model.Group(f'{persona}\n"\\\u0007ü{at}', persona, ("ada",), at)
        for persona in Persona
        for at in ((), ("dev", 'a"b'))
    ]
    assignments = [
        model.Assignment(f"a{number}", principal, role, kind, *scope, None, False, False, "", "me", NOW)
        for number, (principal, (role, kind), scope) in enumerate(
            itertools.product(
                ("user:ada", "group:team", "service:ci"),
                [
                    (role, kind)
                    for role, kinds in roles.ROLES.items()
                    for kind in (None, *kinds)
                    if roles.actions(role, kind)
                ],
                ((None, None), ("dev", None), ("dev", "endpoint/bikes")),
            )
        )
    ]  # fmt: skip
    deciding.check(policies.text(groups, assignments))


def test_services_have_what_is_listed_and_nothing_else() -> None:
    assert {name: set(map(str, allowed)) for name, allowed in services.SERVICES.items()} == {
        name: set(text.split()) for name, text in SERVICES.items()
    }


def test_no_process_and_no_administrator_approves() -> None:
    assert not [name for name, allowed in services.SERVICES.items() if Action.RELEASE_APPROVE in allowed]
    assert frozenset(Action) - {Action.RELEASE_APPROVE, Action.SECRET_GET} == services.ADMIN
    for persona, environment in CELLS:
        if persona.endswith("_process") or persona == "platform_support":
            assert "release.approve" not in CELLS[persona, environment]


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
