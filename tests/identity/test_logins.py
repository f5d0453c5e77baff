"""Passwords, tokens and sessions: what is kept of them, how long they work, and what a wrong one is told."""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import argon2
import pytest

from doubleloop.base import actors, errors
from doubleloop.db.context import Contexts
from doubleloop.events import queries as events
from doubleloop.identity import commands, store
from doubleloop.identity.actions import Action

PASSWORD = "a long enough password"
DAY = timedelta(days=1)


@pytest.fixture
def everybody(house: Any) -> Any:
    with house.write("service:setup") as ctx:
        commands.set_password(ctx, "ada", PASSWORD)
    return house


def dump(house: Any) -> str:
    with sqlite3.connect(house.home / "doubleloop.sqlite") as raw:
        return "\n".join(raw.iterdump())


def later(house: Any, by: timedelta) -> Contexts:
    return Contexts(house.contexts.engine, house.ports, lambda: datetime.now(UTC) + by)


def test_a_password_is_kept_as_an_argon2id_hash_and_nowhere_else(everybody: Any) -> None:
    text = dump(everybody)
    assert PASSWORD not in text
    with sqlite3.connect(everybody.home / "doubleloop.sqlite") as raw:
        (kept,) = raw.execute("select password_hash from users where name = 'ada'").fetchone()
    parameters = argon2.extract_parameters(kept)
    assert parameters.type is argon2.Type.ID
    # RFC 9106, second recommended option, at least: 64 MiB, 3 passes; 16 bytes of salt.
    assert (parameters.memory_cost >= 65536, parameters.time_cost >= 3, parameters.salt_len >= 16) == (True,) * 3
    assert argon2.PasswordHasher().verify(kept, PASSWORD)


def test_equal_passwords_have_different_hashes(everybody: Any) -> None:
    with everybody.write("service:setup") as ctx:
        commands.set_password(ctx, "grace", PASSWORD)
    with sqlite3.connect(everybody.home / "doubleloop.sqlite") as raw:
        kept = [row[0] for row in raw.execute("select password_hash from users where password_hash is not null")]
    assert len(set(kept)) == 2


def test_a_login_opens_a_session_that_ends(everybody: Any) -> None:
    with everybody.write("service:setup") as ctx:
        actor, secret = commands.login(ctx, "ada", PASSWORD, DAY)
    assert actor == actors.Actor("ada")
    with everybody.read() as ctx:
        assert commands.authenticate(ctx, secret) == actors.Actor("ada", via="session")
    for by, works in ((DAY - timedelta(minutes=1), True), (DAY + timedelta(minutes=1), False)):
        with later(everybody, by).read(everybody.actor("ada")) as ctx:
            if works:
                assert commands.authenticate(ctx, secret).id == "ada"
            else:
                with pytest.raises(errors.NotAuthenticated, match="unknown or has expired"):
                    commands.authenticate(ctx, secret)


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("ada", "a wrong password"), ("ada", ""), ("ada", PASSWORD + " "), ("ada", PASSWORD.upper()),
        ("nobody", PASSWORD), ("grace", PASSWORD), ("", PASSWORD), ("ADA", PASSWORD), ("service:jobs", PASSWORD),
    ],
)  # fmt: skip
def test_every_failed_login_is_told_the_same_words(everybody: Any, user: str, password: str) -> None:
    with everybody.write("service:setup") as ctx, pytest.raises(errors.NotAuthenticated) as caught:
        commands.login(ctx, user, password, DAY)
    assert (caught.value.what, caught.value.cure, caught.value.details) == ("User name or password is wrong", "", None)


def test_a_login_of_an_unknown_user_takes_as_much_work_as_of_a_known_one(everybody: Any) -> None:
    with everybody.read("service:setup") as ctx:
        kept = store.password_hash(ctx, "ada")
    of_nobody = commands._NOBODY
    assert argon2.extract_parameters(of_nobody) == argon2.extract_parameters(kept)
    assert len(of_nobody) == len(kept)
    with pytest.raises(argon2.exceptions.VerifyMismatchError):  # and not InvalidHashError, which takes no work
        argon2.PasswordHasher().verify(of_nobody, PASSWORD)


def test_a_disabled_user_cannot_log_in_and_their_tokens_stop(everybody: Any) -> None:
    with everybody.write("ada") as ctx:
        _, secret = commands.create_token(ctx, "ada", "mine")
        store.update_user(ctx, "ada", disabled=True)
    with everybody.write("service:setup") as ctx:
        with pytest.raises(errors.NotAuthenticated, match="wrong"):
            commands.login(ctx, "ada", PASSWORD, DAY)
        with pytest.raises(errors.NotAuthenticated, match="disabled"):
            commands.authenticate(ctx, secret)


def test_the_secret_of_a_token_is_shown_once_and_kept_as_its_hash(everybody: Any) -> None:
    with everybody.write("ada") as ctx:
        token, secret = commands.create_token(ctx, "ada", "laptop")
    text = dump(everybody)
    assert secret not in text and hashlib.sha256(secret.encode()).hexdigest() in text
    assert len(secret) > 40 and token.expires_at is None
    with everybody.read() as ctx:
        assert commands.authenticate(ctx, secret) == actors.Actor("ada", via="laptop")


@pytest.mark.parametrize(
    "change", [lambda s: s[:-1], lambda s: s + "x", lambda s: s.swapcase(), lambda s: "", str.strip]
)
def test_only_the_exact_secret_works(everybody: Any, change: Any) -> None:
    with everybody.write("ada") as ctx:
        _, secret = commands.create_token(ctx, "ada", "laptop")
    with everybody.read() as ctx:
        if change(secret) == secret:
            assert commands.authenticate(ctx, change(secret)).id == "ada"
            return
        with pytest.raises(errors.NotAuthenticated):
            commands.authenticate(ctx, change(secret))


def test_the_hash_of_a_secret_is_not_a_secret(everybody: Any) -> None:
    with everybody.write("ada") as ctx:
        _, secret = commands.create_token(ctx, "ada", "laptop")
        with pytest.raises(errors.NotAuthenticated):
            commands.authenticate(ctx, hashlib.sha256(secret.encode()).hexdigest())


def test_a_token_is_made_for_oneself_and_for_others_by_those_who_may(everybody: Any) -> None:
    with everybody.write("ada") as ctx, pytest.raises(errors.NotPermitted):
        commands.create_token(ctx, "grace", "theirs")
    with everybody.write("linus") as ctx:
        _, secret = commands.create_token(ctx, "grace", "theirs", lifetime=DAY)
        assert commands.authenticate(ctx, secret).id == "grace"
        with pytest.raises(errors.NotFound, match="ghost"):
            commands.create_token(ctx, "ghost", "none")


def test_a_revoked_token_stops_at_once(everybody: Any) -> None:
    with everybody.write("ada") as ctx:
        token, secret = commands.create_token(ctx, "ada", "laptop")
    with everybody.write("linus") as ctx:
        commands.revoke_token(ctx, token.id)
        with pytest.raises(errors.NotAuthenticated):
            commands.authenticate(ctx, secret)


def test_ones_own_token_can_be_revoked_and_nobody_elses(everybody: Any) -> None:
    with everybody.write("ada") as ctx:
        token, _ = commands.create_token(ctx, "ada", "laptop")
    with everybody.write("grace") as ctx, pytest.raises(errors.NotPermitted):
        commands.revoke_token(ctx, token.id)
    with everybody.write("ada") as ctx:
        commands.revoke_token(ctx, token.id)
    with everybody.read() as ctx:
        assert events.facts(ctx, subject=f"token:{token.id}", types=["token.revoked"])[0].actor == "ada"


def test_a_logout_ends_the_own_session_and_no_other(everybody: Any) -> None:
    with everybody.write("service:setup") as ctx:
        _, first = commands.login(ctx, "ada", PASSWORD, DAY)
        _, second = commands.login(ctx, "ada", PASSWORD, DAY)
    with everybody.write("grace") as ctx:
        commands.end_session(ctx, first)
    with everybody.write("ada") as ctx:
        commands.end_session(ctx, second)
        assert commands.authenticate(ctx, first).id == "ada"
        with pytest.raises(errors.NotAuthenticated):
            commands.authenticate(ctx, second)


def job_token(house: Any, user: str = "ada", workspace: str = "dev") -> actors.Actor:
    """The actor behind a job's token, made as the jobs room makes it."""
    kind = actors.ActorKind.SERVICE if user.startswith("service:") else actors.ActorKind.PERSON
    with house.contexts.write(actors.Actor(user, kind, "job:train-1/fit"), workspace) as ctx:
        _, secret = commands.create_token(ctx, user, "job:train-1/fit", lifetime=DAY, workspace=workspace)
        return commands.authenticate(ctx, secret)


def test_the_token_of_a_job_says_which_job_and_step(everybody: Any) -> None:
    actor = job_token(everybody)
    assert (actor.id, actor.job(), actor.workspace) == ("ada", ("train-1", "fit"), "dev")


def test_the_code_of_a_job_gets_no_token_that_may_do_more(everybody: Any) -> None:
    """Else a script could make one, leave the mark of its job behind and approve its own release."""
    actor = job_token(everybody, "grace")
    with everybody.contexts.write(actor, "dev") as ctx:
        for name in ("mine", "", "session", "job:other/fit"):
            with pytest.raises(errors.NotPermitted):
                commands.create_token(ctx, "grace", name)
        with pytest.raises(errors.NotPermitted):
            commands.create_token(ctx, "grace", actor.via)
        with pytest.raises(errors.NotPermitted):
            commands.set_password(ctx, "grace", "chosen by a script")


@pytest.mark.parametrize("user", ["grace", "linus", "service:releases"])
def test_the_code_of_a_job_may_read_record_register_and_add_data_in_its_workspace(everybody: Any, user: str) -> None:
    """Whoever submitted it: a lead, platform support who may do nearly everything themselves, or a release."""
    actor = job_token(everybody, user)
    may = {}
    for place in ("dev", "staging", "prod", "registry", None):
        with everybody.contexts.read(actor, place) as ctx:
            may[place] = {action for action in Action if commands.decide(ctx, action).allowed}
    assert may["staging"] == may["prod"] == may[None] == set()
    assert may["dev"] == may["registry"]
    assert {each for each in may["dev"] if not each.endswith(".read")} == {
        Action.DATA_WRITE, Action.ENDPOINT_INVOKE, Action.MODEL_WRITE, Action.TRACKING_WRITE,
    }  # fmt: skip
    assert not may["dev"] & {Action.AUDIT_READ, Action.IDENTITY_READ}
    with everybody.contexts.read(actor, "prod") as ctx, pytest.raises(errors.NotPermitted, match="workspace dev alone"):
        commands.permit(ctx, Action.DATA_READ)


def test_a_token_for_one_workspace_is_good_for_that_and_the_registries(everybody: Any) -> None:
    with everybody.write("ada") as ctx:
        _, secret = commands.create_token(ctx, "ada", "robot", workspace="dev")
        actor = commands.authenticate(ctx, secret)
    found = {}
    for place in ("dev", "staging", "registry", None):
        with everybody.contexts.read(actor, place) as ctx:
            found[place] = commands.decide(ctx, Action.DATA_WRITE).allowed
    assert found == {"dev": True, "staging": False, "registry": True, None: False}
    with everybody.contexts.write(actor, "dev") as ctx, pytest.raises(errors.NotPermitted):
        commands.create_token(ctx, "ada", "everywhere")


@pytest.mark.parametrize("password", ["", "short", "eleven char"])
def test_a_short_password_is_refused(everybody: Any, password: str) -> None:
    with everybody.write("ada") as ctx, pytest.raises(errors.InvalidInput) as caught:
        commands.set_password(ctx, "ada", password)
    assert caught.value.cure == "Use at least 12 characters."


def test_ones_own_password_is_changed_by_oneself_others_by_those_who_may(everybody: Any) -> None:
    with everybody.write("ada") as ctx:
        commands.set_password(ctx, "ada", "another long password")
        with pytest.raises(errors.NotPermitted):
            commands.set_password(ctx, "grace", "another long password")
    with everybody.write("service:setup") as ctx:
        with pytest.raises(errors.NotAuthenticated):
            commands.login(ctx, "ada", PASSWORD, DAY)
        assert commands.login(ctx, "ada", "another long password", DAY)[0].id == "ada"


@pytest.mark.parametrize("name", ["", "a b", "../ada", "service:jobs", "ada\n", "-ada", "a" * 256])
def test_a_name_that_cannot_be_one_is_refused(everybody: Any, name: str) -> None:
    with everybody.write("service:setup") as ctx, pytest.raises(errors.InvalidInput, match="cannot be a user name"):
        commands.create_user(ctx, name)


def test_a_user_is_made_once(everybody: Any) -> None:
    with everybody.write("service:setup") as ctx, pytest.raises(errors.Conflict, match="exists already"):
        commands.create_user(ctx, "ada")
    with everybody.write("ada") as ctx, pytest.raises(errors.NotPermitted):
        commands.create_user(ctx, "mallory")


def test_what_happened_is_on_record_without_its_secrets(everybody: Any) -> None:
    with everybody.write("service:setup") as ctx:
        _, secret = commands.login(ctx, "ada", PASSWORD, DAY)
        commands.permit(ctx, Action.IDENTITY_READ)
    with everybody.read() as ctx:
        facts = events.facts(ctx)
    assert {"user.created", "user.password_set", "token.created", "group.changed"} <= {each.type for each in facts}
    assert not [each for each in facts if secret in str(each.data) or PASSWORD in str(each.data)]
