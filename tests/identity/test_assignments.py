"""Roles beside the personas', rights just in time, and Cedar of one's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from doubleloop.base import actors, errors
from doubleloop.db.context import Contexts
from doubleloop.events import commands as recording
from doubleloop.events import queries as events
from doubleloop.identity import activations, assignments, commands, model, store
from doubleloop.identity.actions import Action

HOUR = timedelta(hours=1)


def may(house: Any, user: str, action: Action, workspace: str | None = "prod", resource: str | None = None) -> bool:
    with house.read(user, workspace) as ctx:
        return commands.decide(ctx, action, resource=resource).allowed


def later(house: Any, by: timedelta) -> Contexts:
    return Contexts(house.contexts.engine, house.ports, lambda: datetime.now(UTC) + by)


def give(house: Any, principal: str, role: str, by: str = "linus", **more: Any) -> model.Assignment:
    with house.write(by, None) as ctx:
        return assignments.put(ctx, principal, role, **more)


def test_a_role_for_a_person_counts_at_its_scope_and_nowhere_else(house: Any) -> None:
    assert not may(house, "ada", Action.ENDPOINT_READ)
    given = give(house, "user:ada", "R", kind="workspace", workspace="prod", reason="on call")
    assert may(house, "ada", Action.ENDPOINT_READ)
    assert not may(house, "ada", Action.ENDPOINT_WRITE)
    assert not may(house, "ada", Action.RELEASE_READ)
    assert not may(house, "ada", Action.ENDPOINT_READ, None)
    with house.write("linus", None) as ctx:
        assignments.remove(ctx, given.id)
    assert not may(house, "ada", Action.ENDPOINT_READ)
    with house.read("linus", None) as ctx:
        (made,) = events.facts(ctx, types=["assignment.created"])
        assert (made.actor, made.data["principal"], made.data["reason"]) == ("linus", "user:ada", "on call")


def test_a_role_for_the_whole_installation_counts_in_every_workspace(house: Any) -> None:
    give(house, "group:business_stakeholders", "C", kind="images")
    assert all(may(house, "eve", Action.ENVIRONMENT_WRITE, place) for place in ("dev", "prod", "registry", None))
    assert not may(house, "ada", Action.ENVIRONMENT_WRITE, "prod")


def test_a_role_for_one_thing_counts_for_that_thing(house: Any) -> None:
    give(house, "user:eve", "EU", workspace="prod", resource="endpoint/bikes")
    assert may(house, "eve", Action.ENDPOINT_INVOKE, resource="endpoint/bikes")
    assert not may(house, "eve", Action.ENDPOINT_INVOKE, resource="endpoint/cars")
    assert not may(house, "eve", Action.ENDPOINT_INVOKE)
    assert not may(house, "eve", Action.ENDPOINT_INVOKE, "dev", resource="endpoint/bikes")


def test_an_assignment_with_an_end_ends(house: Any) -> None:
    give(house, "user:ada", "O", workspace="prod", until=datetime.now(UTC) + HOUR)
    assert may(house, "ada", Action.ENDPOINT_WRITE)
    with later(house, 2 * HOUR).read(actors.Actor("ada"), "prod") as ctx:
        assert not commands.decide(ctx, Action.ENDPOINT_WRITE).allowed


def test_a_process_gets_no_more_than_it_is_given(house: Any) -> None:
    assert not may(house, "service:tracking", Action.JOB_SUBMIT, "dev")
    give(house, "service:tracking", "C", kind="workspace", workspace="dev")
    assert may(house, "service:tracking", Action.JOB_SUBMIT, "dev")
    assert not may(house, "service:tracking", Action.JOB_SUBMIT, "prod")


@pytest.mark.parametrize(
    ("principal", "role", "more", "error", "words"),
    [
        ("user:ghost", "R", {}, errors.NotFound, "ghost"), ("group:ghost", "R", {}, errors.NotFound, "ghost"),
        ("service:ghost", "R", {}, errors.NotFound, "ghost"), ("ada", "R", {}, errors.InvalidInput, "principal"),
        ("user:ada", "King", {}, errors.InvalidInput, "King"),
        ("user:ada", "ADS", {"kind": "logs"}, errors.InvalidInput, "allows nothing on logs"),
        ("user:ada", "R", {"kind": "throne"}, errors.InvalidInput, "throne"),
        ("user:ada", "R", {"workspace": "nowhere"}, errors.NotFound, "nowhere"),
        ("user:ada", "R", {"resource": "endpoint/x"}, errors.InvalidInput, "one thing of a workspace"),
        ("user:ada", "R", {"workspace": "dev", "resource": "cake/x"}, errors.InvalidInput, "one thing of a workspace"),
        ("user:ada", "EU", {"workspace": "dev", "resource": "model/x"}, errors.InvalidInput, "nothing on model/x"),
        ("user:ada", "R", {"until": datetime(2020, 1, 1, tzinfo=UTC)}, errors.InvalidInput, "passed"),
    ],
)  # fmt: skip
def test_what_cannot_be_given_is_refused(
    house: Any, principal: str, role: str, more: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        give(house, principal, role, by="service:setup", **more)
    with house.read("service:setup", None) as ctx:
        assert store.assignments(ctx) == []


@pytest.mark.parametrize("user", ["ada", "grace", "eve"])
def test_only_owners_give_roles(house: Any, user: str) -> None:
    for workspace in (None, "dev", "prod"):
        with pytest.raises(errors.NotPermitted):
            give(house, "user:eve", "R", by=user, workspace=workspace)


def test_nobody_raises_their_own_rights(house: Any) -> None:
    for principal in ("user:linus", "group:platform_supports"):
        with pytest.raises(errors.NotPermitted, match="own rights"):
            give(house, principal, "KVA", workspace="prod")
    with house.write("linus", None) as ctx, pytest.raises(errors.NotPermitted, match="own rights"):
        commands.put_group(ctx, model.Group("owners", model.Persona.PRODUCT_OWNER, ("linus",), ()))
    with house.write("linus", None) as ctx, pytest.raises(errors.NotPermitted, match="own rights"):
        mine = next(group for group in store.groups(ctx) if "linus" in group.members)
        commands.put_group(ctx, model.Group(mine.name, model.Persona.PROJECT_LEAD, ("eve",), ()))
    assert not may(house, "linus", Action.RELEASE_APPROVE)


def test_a_policy_of_ones_own_outweighs_every_permit(house: Any) -> None:
    text = """@id("freeze") @why("nothing moves in December")
    forbid (principal, action == Doubleloop::Action::"endpoint.write", resource)
    when { resource in Doubleloop::Environment::"production" };"""
    assert may(house, "linus", Action.ENDPOINT_WRITE)
    with house.write("linus", None) as ctx:
        assignments.put_policy(ctx, "freeze", text)
    assert not may(house, "linus", Action.ENDPOINT_WRITE)
    assert may(house, "linus", Action.ENDPOINT_WRITE, "dev")
    with house.read("linus", "prod") as ctx, pytest.raises(errors.NotPermitted, match="nothing moves in December"):
        commands.permit(ctx, Action.ENDPOINT_WRITE)
    with house.write("linus", None) as ctx:
        assignments.remove_policy(ctx, "freeze")
    assert may(house, "linus", Action.ENDPOINT_WRITE)


@pytest.mark.parametrize(
    "text",
    [
        "permit (principal",
        'permit (principal, action == Doubleloop::Action::"make.coffee", resource);',
        'permit (principal == Doubleloop::Robot::"r2", action, resource);',
        "permit (principal, action, resource) when { principal.age > 18 };",
        "permit (principal, action, resource) when { context.job + 1 == 2 };",
    ],
)
def test_a_policy_that_the_schema_does_not_know_is_refused(house: Any, text: str) -> None:
    with house.write("linus", None) as ctx, pytest.raises(errors.InvalidInput):
        assignments.put_policy(ctx, "wrong", text)
    with house.read("linus", None) as ctx:
        assert store.policies(ctx) == []


def test_all_that_decides_can_be_read(house: Any) -> None:
    give(house, "user:ada", "R", workspace="prod")
    with house.read("linus", None) as ctx:
        found = assignments.cedar(ctx)
    assert '@id("group data_scientists: ADS on workspace in preproduction")' in found["policies"]
    assert "R for user:ada at prod" in found["policies"] and "entity Workspace" in found["schema"]
    with house.read("ada", None) as ctx, pytest.raises(errors.NotPermitted):
        assignments.cedar(ctx)


@pytest.fixture
def sleepy(house: Any) -> Any:
    """alan is in platform support just in time; mary may approve."""
    with house.write("service:setup", None) as ctx:
        for user in ("alan", "mary"):
            commands.create_user(ctx, user)
        support = model.Persona.PLATFORM_SUPPORT
        commands.put_group(ctx, model.Group("support", support, ("alan",), (), just_in_time=True))
        commands.put_group(ctx, model.Group("night", support, ("alan",), ("prod",), True, needs_approval=True))
        commands.put_group(ctx, model.Group("owners", support, ("mary",), ()))
    return house


def activate(house: Any, of: str = "group:support", user: str = "alan", length: timedelta = HOUR) -> model.Activation:
    with house.write(user, None) as ctx:
        return activations.activate(ctx, of, "ticket 4711", length)


def test_a_right_just_in_time_is_nothing_until_it_is_activated_and_after_its_end(sleepy: Any) -> None:
    assert not may(sleepy, "alan", Action.COMPUTE_WRITE)
    with sleepy.read("alan", "prod") as ctx, pytest.raises(errors.NotPermitted) as caught:
        commands.permit(ctx, Action.COMPUTE_WRITE)
    assert "role activate group:" in caught.value.cure
    begun = activate(sleepy)
    assert begun.status == "active"
    assert may(sleepy, "alan", Action.COMPUTE_WRITE)
    with sleepy.read("alan", "prod") as ctx:
        assert commands.personas(ctx, "alan", "prod") == {model.Persona.PLATFORM_SUPPORT}
    with later(sleepy, HOUR + timedelta(seconds=1)).read(actors.Actor("alan"), "prod") as ctx:
        assert not commands.decide(ctx, Action.COMPUTE_WRITE).allowed
        assert commands.personas(ctx, "alan", "prod") == set()


def test_the_end_is_noted_once(sleepy: Any) -> None:
    begun = activate(sleepy)
    with sleepy.read("service:automation", None) as ctx:
        assert not activations.over(ctx)
    for _ in range(2):
        with later(sleepy, 2 * HOUR).write(actors.service("automation")) as ctx:
            activations.end_over(ctx)
    with sleepy.read("service:setup", None) as ctx:
        ended = events.facts(ctx, types=["activation.ended"])
        assert [(each.subject, each.data["why"]) for each in ended] == [(f"activation:{begun.id}", "its time is over")]


def test_where_another_has_to_approve_it_begins_with_their_yes(sleepy: Any) -> None:
    asked = activate(sleepy, "group:night")
    assert asked.status == "waiting" and not may(sleepy, "alan", Action.COMPUTE_WRITE)
    for user in ("alan", "ada"):
        with sleepy.write(user, None) as ctx, pytest.raises(errors.NotPermitted):
            activations.decide(ctx, asked.id, True)
    with sleepy.write("mary", None) as ctx:
        assert activations.decide(ctx, asked.id, True, "go").decided_by == "mary"
    assert may(sleepy, "alan", Action.COMPUTE_WRITE)
    assert not may(sleepy, "alan", Action.COMPUTE_WRITE, "dev")
    with sleepy.write("mary", None) as ctx, pytest.raises(errors.Conflict):
        activations.decide(ctx, asked.id, False)


def test_who_may_say_yes_sees_what_waits_for_them_and_nobody_else_does(sleepy: Any) -> None:
    def waiting(user: str) -> list[str]:
        with sleepy.read(user, None) as ctx:
            return [each.id for each in activations.waiting(ctx)]

    asked = activate(sleepy, "group:night")
    assert (waiting("mary"), waiting("alan"), waiting("ada")) == ([asked.id], [], [])
    with sleepy.read("service:automation", None) as ctx:
        assert activations.told(ctx, asked.id) == set()
    with sleepy.write("alan", None) as ctx:  # who may set mary's password could answer as her
        recording.record(ctx, "user.password_set", "user:mary")
    assert waiting("mary") == []
    with sleepy.write("mary", None) as ctx:
        recording.record(ctx, "user.password_set", "user:mary")
    with sleepy.write("mary", None) as ctx:
        activations.decide(ctx, asked.id, True)
    assert waiting("mary") == []


def test_a_no_is_a_no(sleepy: Any) -> None:
    asked = activate(sleepy, "group:night")
    with sleepy.write("mary", None) as ctx:
        activations.decide(ctx, asked.id, False, "not tonight")
    assert not may(sleepy, "alan", Action.COMPUTE_WRITE)


def test_who_was_put_out_of_the_group_is_not_let_in_by_an_old_request(sleepy: Any) -> None:
    asked = activate(sleepy, "group:night")
    with sleepy.write("service:setup", None) as ctx:
        support = model.Persona.PLATFORM_SUPPORT
        commands.put_group(ctx, model.Group("night", support, ("eve",), ("prod",), True, needs_approval=True))
    with sleepy.write("mary", None) as ctx, pytest.raises(errors.NotPermitted, match="not eligible"):
        activations.decide(ctx, asked.id, True)


def test_an_eligible_assignment_is_activated_by_each_for_themselves(house: Any) -> None:
    with house.write("service:setup", None) as ctx:
        commands.create_user(ctx, "alan")
        commands.put_group(ctx, model.Group("science", model.Persona.DATA_SCIENTIST, ("ada", "alan"), ()))
    given = give(house, "group:science", "O", workspace="prod", eligible=True)
    assert not may(house, "ada", Action.ENDPOINT_WRITE)
    begun = activate(house, f"assignment:{given.id}", "ada")
    assert may(house, "ada", Action.ENDPOINT_WRITE) and not may(house, "alan", Action.ENDPOINT_WRITE)
    with house.write("ada", None) as ctx:
        activations.end(ctx, begun.id)
        assert activations.end(ctx, begun.id).status == "ended"
    assert not may(house, "ada", Action.ENDPOINT_WRITE)


@pytest.mark.parametrize(
    ("of", "reason", "length", "error"),
    [
        ("group:support", " ", HOUR, errors.InvalidInput), ("group:support", "x", 9 * HOUR, errors.InvalidInput),
        ("group:support", "x", timedelta(0), errors.InvalidInput), ("group:owners", "x", HOUR, errors.NotPermitted),
        ("group:ghost", "x", HOUR, errors.NotPermitted), ("assignment:x", "x", HOUR, errors.NotPermitted),
        ("throne", "x", HOUR, errors.NotPermitted),
    ],
)  # fmt: skip
def test_what_cannot_be_activated_is_refused(
    sleepy: Any, of: str, reason: str, length: timedelta, error: type[Exception]
) -> None:
    with sleepy.write("alan", None) as ctx, pytest.raises(error):
        activations.activate(ctx, of, reason, length)
    with sleepy.read("service:setup", None) as ctx:
        assert store.activations(ctx) == []


def test_it_is_asked_for_once_at_a_time_and_never_by_the_code_of_a_job(sleepy: Any) -> None:
    activate(sleepy)
    with pytest.raises(errors.Conflict):
        activate(sleepy)
    job = actors.Actor("alan", via="job:train/fit")
    with sleepy.contexts.write(job, None) as ctx, pytest.raises(errors.NotPermitted):
        activations.activate(ctx, "group:night", "x", HOUR)
