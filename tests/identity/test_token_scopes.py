"""What a token is limited to: the decision is the owner's rights and the token's limits together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from doubleloop.base import actors, errors
from doubleloop.db.context import Contexts
from doubleloop.events import queries as events
from doubleloop.identity import activations, commands, model, policies, principals, queries
from doubleloop.identity.actions import Action
from doubleloop.identity.model import Persona

GATE = actors.service("gate")
HOUR = timedelta(hours=1)
READING = {str(action) for action in Action if action.endswith(".read")}


def made(house: Any, user: str = "ada", **limits: Any) -> actors.Actor:
    """The actor behind a new token of ``user``."""
    with house.write(user, None) as ctx:
        _, secret = commands.create_token(ctx, user, "robot", **limits)
    with house.contexts.read(GATE) as ctx:
        return commands.authenticate(ctx, secret)


def allowed(house: Any, actor: actors.Actor, place: str | None, resource: str | None = None) -> set[str]:
    with house.contexts.read(actor, place) as ctx:
        return {str(action) for action in Action if commands.decide(ctx, action, resource=resource).allowed}


def why(house: Any, actor: actors.Actor, action: Action, place: str | None, resource: str | None = None) -> str:
    with house.contexts.read(actor, place) as ctx:
        return commands.explain(ctx, actor.id, action, place, resource).why


def test_a_token_allows_what_its_owner_may_and_its_limits_let_through(house: Any) -> None:
    whole = {place: allowed(house, actors.Actor("ada"), place) for place in ("dev", "prod", "registry", None)}
    read_only = made(house, actions=["read-only"])
    some = made(house, actions=["data.read", "data.write", "release.approve"])
    both = made(house, actions=["read-only", "data.write"], workspace="dev")
    for place, may in whole.items():
        assert allowed(house, read_only, place) == may & READING
        assert allowed(house, some, place) == may & {"data.read", "data.write", "release.approve"}
        here = place in ("dev", "registry")
        assert allowed(house, both, place) == (may & (READING | {"data.write"}) if here else set())
    assert whole["dev"] & READING < whole["dev"]  # the limit took something away
    assert why(house, some, Action.JOB_SUBMIT, "dev") == (
        "the token 'robot' does not allow job.submit, only data.read, data.write, release.approve"
    )
    with house.contexts.read(read_only, "dev") as ctx:
        assert commands.decide(ctx, Action.DATA_WRITE).by == (policies.SOME_ACTIONS,)
        with pytest.raises(errors.NotPermitted, match=r"does not allow data\.write") as caught:
            commands.permit(ctx, Action.DATA_WRITE)
    assert "not limited like that" in caught.value.cure


def test_a_token_for_one_thing_is_good_for_nothing_else(house: Any) -> None:
    actor = made(house, workspace="dev", resource="endpoint/bikes")
    may = allowed(house, actors.Actor("ada"), "dev")
    of_endpoints = {each for each in may if each.startswith("endpoint.") or each == "log.read"}
    assert allowed(house, actor, "dev", "endpoint/bikes") == of_endpoints != set()
    for place, thing in (("dev", "endpoint/taxis"), ("dev", None), ("prod", "endpoint/bikes"), ("registry", None)):
        assert allowed(house, actor, place, thing) == set(), (place, thing)
    assert why(house, actor, Action.ENDPOINT_READ, "dev", "endpoint/taxis") == (
        "the token 'robot' is for endpoint/bikes in workspace dev alone"
    )
    caller = made(house, workspace="dev", resource="endpoint/bikes", actions=["endpoint.invoke"])
    assert allowed(house, caller, "dev", "endpoint/bikes") == {"endpoint.invoke"}


@pytest.mark.parametrize(
    "limits",
    [
        {"actions": []}, {"actions": ["data.reed"]}, {"actions": ["*"]}, {"actions": ["read-only", ""]},
        {"resource": "endpoint/bikes"}, {"resource": "cake/x", "workspace": "dev"},
        {"resource": "endpoint/../x", "workspace": "dev"}, {"resource": "", "workspace": "dev"},
    ],
)  # fmt: skip
def test_a_limit_that_is_not_one_is_refused(house: Any, limits: dict[str, Any]) -> None:
    with house.write("ada", None) as ctx, pytest.raises(errors.InvalidInput):
        commands.create_token(ctx, "ada", "robot", **limits)


def test_no_token_makes_one_that_reaches_further(house: Any) -> None:
    """Also not with the right to make tokens for everybody."""
    with house.write("service:setup", None) as ctx:
        commands.create_user(ctx, "root", is_admin=True)
    limits: list[dict[str, Any]] = [
        {"actions": ["identity.write", "data.read"]}, {"lifetime": HOUR},
        {"lifetime": HOUR, "actions": ["identity.write"]},
    ]  # fmt: skip
    for limit in limits:
        actor = made(house, "root", **limit)
        with house.contexts.write(actor) as ctx:
            for user in ("root", "ada"):
                with pytest.raises(errors.NotPermitted, match="reaches further"):
                    commands.create_token(ctx, user, "wide")
            more = {**limit, "actions": [*limit.get("actions", ["read-only"]), "data.write"]}
            if "actions" in limit:
                with pytest.raises(errors.NotPermitted, match="some actions alone"):
                    commands.create_token(ctx, "root", "wider", **more)
            if "lifetime" in limit:
                with pytest.raises(errors.NotPermitted, match="the time until"):
                    commands.create_token(ctx, "root", "longer", **{**limit, "lifetime": 2 * HOUR})
            narrow = commands.create_token(ctx, "root", "same", **{**limit, "lifetime": HOUR / 2})[0]
            assert narrow.created_by == "root"
    for limit in ({"workspace": "dev"}, {"workspace": "dev", "resource": "endpoint/x"}, {"actions": ["read-only"]}):
        with house.contexts.write(made(house, "root", **limit)) as ctx, pytest.raises(errors.NotPermitted):
            commands.create_token(ctx, "root", "same", **limit)  # type: ignore[arg-type]


def test_a_login_may_make_a_token_that_outlasts_it(house: Any) -> None:
    with house.write("service:setup", None) as ctx:
        secret = commands.open_session(ctx, "ada", HOUR)
        actor = commands.authenticate(ctx, secret)
        assert commands.create_token(ctx.acting_as(actor), "ada", "lasting")[0].expires_at is None


def test_a_limited_token_is_not_its_owner_in_person(house: Any) -> None:
    actor = made(house, actions=["read-only"])
    with house.write("service:setup", None) as ctx:
        commands.put_group(ctx, model.Group("jit", Persona.PROJECT_LEAD, ("ada",), (), True))
        held, _ = commands.create_token(ctx.acting_as(actors.Actor("ada")), "ada", "other")
    with house.contexts.write(actor) as ctx:
        for attempt in (
            lambda: commands.set_password(ctx, "ada", "a long enough password"),
            lambda: commands.revoke_token(ctx, held.id),
            lambda: commands.revoke_tokens(ctx, "ada"),
            lambda: activations.activate(ctx, "group:jit", "because", HOUR),
            lambda: queries.tokens(ctx, "ada"),
        ):
            with pytest.raises(errors.NotPermitted):
                attempt()


def test_the_use_of_a_token_is_noted_once_a_minute(house: Any) -> None:
    with house.write("ada", None) as ctx:
        held, secret = commands.create_token(ctx, "ada", "robot")
    start, seen = datetime.now(UTC).replace(microsecond=0), []
    for seconds in (0, 30, 59, 61, 100, 121):
        contexts = Contexts(house.contexts.engine, house.ports, lambda now=start + timedelta(seconds=seconds): now)
        assert commands.admit(contexts, GATE, secret).id == "ada"
        with house.read("ada", None) as ctx:
            (row,) = [each for each in queries.tokens(ctx, "ada") if each.id == held.id]
        assert row.last_used_at is not None
        seen.append((row.last_used_at - start).total_seconds())
    assert seen == [0, 0, 0, 61, 61, 121]


def test_tokens_are_listed_to_their_owner_and_to_who_may_see_identities(house: Any) -> None:
    with house.write("linus", None) as ctx:
        principals.create(ctx, "ci")
        commands.create_token(ctx, "service:ci", "robot", actions=["read-only"])
    made(house, workspace="dev", actions=["data.read"])
    for user, of, names in (
        ("ada", "ada", ["robot"]), ("linus", "ada", ["robot"]), ("linus", "service:ci", ["robot"]),
        ("linus", "eve", []),
    ):  # fmt: skip
        with house.read(user, None) as ctx:
            assert [each.name for each in queries.tokens(ctx, of)] == names
    for of in ("linus", "service:ci"):
        with house.read("ada", None) as ctx, pytest.raises(errors.NotPermitted):
            queries.tokens(ctx, of)


def test_all_tokens_and_logins_of_somebody_stop_together(house: Any) -> None:
    with house.write("service:setup", None) as ctx:
        secrets = [commands.open_session(ctx, "ada", HOUR), commands.create_token(ctx, "ada", "one")[1]]
        theirs = commands.create_token(ctx, "eve", "two")[1]
    with house.write("eve", None) as ctx, pytest.raises(errors.NotPermitted):
        commands.revoke_tokens(ctx, "ada")
    with house.write("linus", None) as ctx:
        assert commands.revoke_tokens(ctx, "ada") == 2
        assert len(events.facts(ctx, types=["token.revoked"])) == 2
        for secret in secrets:
            with pytest.raises(errors.NotAuthenticated):
                commands.authenticate(ctx, secret)
        assert commands.authenticate(ctx, theirs).id == "eve"


def test_a_disabled_users_logins_end_and_their_tokens_wait(house: Any) -> None:
    with house.write("service:setup", None) as ctx:
        session, token = commands.open_session(ctx, "ada", HOUR), commands.create_token(ctx, "ada", "one")[1]
    with house.write("ada", None) as ctx, pytest.raises(errors.NotPermitted):
        commands.disable_user(ctx, "eve", True)
    with house.write("linus", None) as ctx:
        with pytest.raises(errors.Conflict, match="themselves"):
            commands.disable_user(ctx, "linus", True)
        with pytest.raises(errors.NotFound):
            commands.disable_user(ctx, "ghost", True)
        commands.disable_user(ctx, "ada", True)
        for secret in (session, token):
            with pytest.raises(errors.NotAuthenticated):
                commands.authenticate(ctx, secret)
        commands.disable_user(ctx, "ada", False)
        assert commands.authenticate(ctx, token).id == "ada"
        with pytest.raises(errors.NotAuthenticated):
            commands.authenticate(ctx, session)


def test_what_ended_long_ago_is_forgotten(house: Any) -> None:
    with house.write("ada", None) as ctx:
        old, _ = commands.create_token(ctx, "ada", "old", lifetime=HOUR)
    for days, there in ((20, True), (40, False)):
        later = Contexts(house.contexts.engine, house.ports, lambda days=days: datetime.now(UTC) + timedelta(days=days))
        with later.write(actors.Actor("ada")) as ctx:
            commands.create_token(ctx, "ada", "new")
            assert (old.id in {each.id for each in queries.tokens(ctx, "ada")}) is there
