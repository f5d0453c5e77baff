"""Secrets: who may write and see them, versions, what is on record, and that nothing at rest tells their value."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kv_server
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from doubleloop.base import actors, errors
from doubleloop.events import queries as events
from doubleloop.secrets.local import FileKeys
from doubleloop.settings.model import Settings
from doubleloop.vault import choosing, commands, fernet, hashicorp, model, ports, queries, rules, store

VALUE = "correct-horse-battery-staple"
JOBS = actors.service("jobs")
ADA = actors.Actor("ada")


def sealed(home: Path, *keys: str) -> ports.Safe:
    return fernet.SealedSafe(fernet.LocalKeys(keys, FileKeys(home / "secret.key").derive))


def client(server: kv_server.Server, token: str = kv_server.TOKEN) -> hashicorp.Client:
    return hashicorp.Client(server.url, lambda: token, namespace="team")


SAFES: dict[str, Callable[[Path, kv_server.Server], ports.Safe]] = {
    "file": lambda home, server: sealed(home),
    "environment": lambda home, server: sealed(home, Fernet.generate_key().decode()),
    "kms": lambda home, server: fernet.SealedSafe(hashicorp.TransitKeys(client(server), "doubleloop")),
    "vault": lambda home, server: hashicorp.KvSafe(client(server)),
}


@pytest.fixture(params=SAFES)
def kept(request: Any, house: Any, server: kv_server.Server) -> Any:
    """A house with each way to keep values."""
    house.ports[ports.Safe] = SAFES[request.param](house.home, server)
    return house


@pytest.fixture
def at_home(house: Any) -> Any:
    house.ports[ports.Safe] = sealed(house.home)
    return house


def put(house: Any, value: str = VALUE, name: str = "warehouse", workspace: str = "dev") -> model.Secret:
    return commands.put(house.contexts, ADA, workspace, name, value)


def on_disk(home: Path, value: str) -> list[Path]:
    forms = (value.encode(), base64.b64encode(value.encode()).rstrip(b"="))
    return [
        each for each in home.rglob("*")
        if each.is_file() and not each.is_symlink() and any(form in each.read_bytes() for form in forms)
    ]  # fmt: skip


def facts(house: Any, *types: str) -> list[Any]:
    with house.read("service:setup", None) as ctx:
        return events.facts(ctx, types=types)


def test_versions_are_kept_and_each_can_be_seen(kept: Any) -> None:
    assert [put(kept, value).versions[0].number for value in ("first-value", "second-value", VALUE)] == [1, 2, 3]
    assert commands.reveal(kept.contexts, ADA, "dev", "warehouse") == (3, VALUE)
    assert commands.reveal(kept.contexts, ADA, "dev", "warehouse", 1) == (1, "first-value")
    with kept.read() as ctx:
        assert [each.number for each in queries.show(ctx, "warehouse").versions] == [3, 2, 1]
        assert [each.name for each in queries.secrets(ctx)] == ["warehouse"]
    with pytest.raises(errors.NotFound, match="has no version 4") as caught:
        commands.reveal(kept.contexts, ADA, "dev", "warehouse", 4)
    assert caught.value.cure == "There are: 1, 2, 3."


def test_nothing_at_rest_tells_the_value(kept: Any) -> None:
    put(kept)
    commands.reveal(kept.contexts, ADA, "dev", "warehouse")
    commands.give(kept.contexts, JOBS, "ada", "dev", {"PASSWORD": "${{secrets.warehouse}}"}, "step:j/main")
    assert (kept.home / "doubleloop.sqlite-wal").exists()
    assert on_disk(kept.home, VALUE) == []
    (kept.home / "control").write_text(VALUE)
    assert on_disk(kept.home, VALUE) == [kept.home / "control"]


def test_texts_of_every_kind_come_back_as_they_were(kept: Any) -> None:
    for value in ("x", "two\nlines\n", ' "quoted" \\ $HOME ', "žluťoučký kůň 🐎", "a" * rules.MOST):
        put(kept, value)
        assert commands.reveal(kept.contexts, ADA, "dev", "warehouse")[1] == value


def test_a_deleted_secret_has_no_value_anywhere_and_its_numbers_are_not_used_again(kept: Any) -> None:
    put(kept)
    put(kept, "second-value")
    commands.delete(kept.contexts, ADA, "dev", "warehouse")
    with pytest.raises(errors.NotFound, match="There is no secret warehouse in dev"):
        commands.reveal(kept.contexts, ADA, "dev", "warehouse")
    with pytest.raises(errors.NotFound):
        commands.delete(kept.contexts, ADA, "dev", "warehouse")
    with kept.read() as ctx:
        assert queries.secrets(ctx) == []
        assert set(ctx.tx.execute(sa.select(store.VERSIONS.c.kept)).scalars()) == {None}
    assert put(kept, "third-value").versions[0].number == 3
    assert commands.reveal(kept.contexts, ADA, "dev", "warehouse") == (3, "third-value")


def test_everything_but_the_value_is_on_record(at_home: Any) -> None:
    put(at_home)
    commands.reveal(at_home.contexts, ADA, "dev", "warehouse")
    commands.give(at_home.contexts, JOBS, "ada", "dev", {"P": "${{secrets.warehouse@1}}", "Q": "plain"}, "step:j/main")
    commands.renew(at_home.contexts, ADA, "dev")
    commands.delete(at_home.contexts, ADA, "dev", "warehouse")
    found = facts(at_home, "secret.written", "secret.revealed", "secret.given", "secret.renewed", "secret.deleted")
    told = {each.type: (each.actor, each.data) for each in found}
    assert told == {
        "secret.written": ("ada", {"name": "warehouse", "version": 1}),
        "secret.revealed": ("ada", {"name": "warehouse", "version": 1}),
        "secret.given": (
            "service:jobs",
            {"name": "warehouse", "version": 1, "to": "step:j/main", "owner": "ada", "variable": "P"},
        ),
        "secret.renewed": ("ada", {"versions": 1}),
        "secret.deleted": ("ada", {"name": "warehouse", "versions": [1]}),
    }


def test_who_has_no_right_is_refused_and_told_nothing(at_home: Any) -> None:
    put(at_home)
    eve = actors.Actor("eve")
    for refused in (
        lambda: commands.put(at_home.contexts, eve, "dev", "warehouse", "another"),
        lambda: commands.reveal(at_home.contexts, eve, "dev", "warehouse"),
        lambda: commands.delete(at_home.contexts, eve, "dev", "warehouse"),
        lambda: commands.renew(at_home.contexts, eve, "dev"),
        lambda: commands.give(at_home.contexts, JOBS, "eve", "dev", {"P": "${{secrets.warehouse}}"}, "step:j/main"),
        lambda: commands.give(at_home.contexts, eve, "ada", "dev", {"P": "${{secrets.warehouse}}"}, "step:j/main"),
    ):
        with pytest.raises(errors.NotPermitted) as caught:
            refused()
        assert VALUE not in str(caught.value)
    with at_home.read("eve") as ctx, pytest.raises(errors.NotPermitted):
        queries.secrets(ctx)
    assert facts(at_home, "secret.revealed", "secret.given") == []


def test_a_job_of_somebody_who_may_see_secrets_cannot_see_them_by_its_token(at_home: Any) -> None:
    put(at_home)
    code = actors.Actor("ada", via="job:j-1/main")
    with pytest.raises(errors.NotPermitted):
        commands.reveal(at_home.contexts, code, "dev", "warehouse")


def test_a_secret_of_another_workspace_is_not_there(at_home: Any) -> None:
    put(at_home, workspace="staging")
    for look in (
        lambda: commands.reveal(at_home.contexts, ADA, "dev", "warehouse"),
        lambda: commands.give(at_home.contexts, JOBS, "ada", "dev", {"P": "${{secrets.warehouse}}"}, "step:j/main"),
    ):
        with pytest.raises(errors.NotFound, match="There is no secret warehouse in dev"):
            look()


@pytest.mark.parametrize("column", ["workspace", "name"])
def test_a_value_moved_in_the_database_is_refused(kept: Any, column: str) -> None:
    put(kept)
    moved = {"workspace": "staging"} if column == "workspace" else {"name": "other"}
    with kept.write() as ctx:
        ctx.tx.execute(store.VERSIONS.update().values(**moved))
    with pytest.raises(errors.Failed, match="is the value of another secret"):
        commands.reveal(kept.contexts, ADA, moved.get("workspace", "dev"), moved.get("name", "warehouse"))


def test_keys_are_changed_by_putting_a_new_one_in_front_and_renewing(house: Any) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    house.ports[ports.Safe] = sealed(house.home, old)
    put(house)
    put(house, "other-value", "other")
    house.ports[ports.Safe] = sealed(house.home, new, old)
    assert commands.reveal(house.contexts, ADA, "dev", "warehouse") == (1, VALUE)
    assert commands.renew(house.contexts, ADA, "dev") == 2
    house.ports[ports.Safe] = sealed(house.home, new)
    assert commands.reveal(house.contexts, ADA, "dev", "warehouse") == (1, VALUE)
    house.ports[ports.Safe] = sealed(house.home, old)
    with pytest.raises(errors.Failed, match="Secret other of dev cannot be opened"):
        commands.reveal(house.contexts, ADA, "dev", "other")


def test_what_the_derived_key_locked_opens_after_keys_are_given(at_home: Any) -> None:
    put(at_home)
    at_home.ports[ports.Safe] = sealed(at_home.home, Fernet.generate_key().decode())
    assert commands.reveal(at_home.contexts, ADA, "dev", "warehouse") == (1, VALUE)


def test_without_the_key_the_error_says_what_is_missing_and_not_the_value(at_home: Any) -> None:
    put(at_home)
    (at_home.home / "secret.key").unlink()
    with pytest.raises(errors.Failed, match="Secret warehouse of dev cannot be opened: None of this") as caught:
        commands.reveal(at_home.contexts, ADA, "dev", "warehouse")
    assert "DOUBLELOOP_SECRETS_KEYS" in caught.value.cure
    assert len(facts(at_home, "secret.revealed")) == 1


def test_damage_is_told_and_never_an_empty_value(at_home: Any) -> None:
    put(at_home)
    for damaged in ("", "{}", "[]", '{"key": "x", "body": "y"}', "not json"):
        with at_home.write() as ctx:
            ctx.tx.execute(store.VERSIONS.update().values(kept=damaged))
        with pytest.raises(errors.Failed, match=r"damaged|cannot be opened"):
            commands.reveal(at_home.contexts, ADA, "dev", "warehouse")


@pytest.mark.parametrize("value", ["", "nul\0nul", "\udc80"])
def test_values_that_cannot_be_given_to_a_process_are_refused(at_home: Any, value: str) -> None:
    with pytest.raises(errors.InvalidInput, match="must be text"):
        put(at_home, value)
    with pytest.raises(errors.TooLarge, match="65537 bytes"):
        put(at_home, "a" * (rules.MOST + 1))


@pytest.mark.parametrize("name", ["", "1st", "a b", "a/b", "../x", "a.b", "a@1", "x" * 128, "ž"])
def test_names_that_could_not_be_referred_to_are_refused(at_home: Any, name: str) -> None:
    with pytest.raises(errors.InvalidInput, match="cannot be the name of a secret"):
        put(at_home, name=name)


def test_references_are_the_whole_of_a_variable() -> None:
    assert rules.reference("${{secrets.a}}") == model.Reference("a")
    assert rules.reference(" ${{ secrets.a-b@12 }} ") == model.Reference("a-b", 12)
    assert str(model.Reference("a", 3)) == "${{secrets.a@3}}"
    assert rules.reference("plain $HOME ${{inputs.x}}") is None
    for text in ("Bearer ${{secrets.a}}", "${{secrets.a}}${{secrets.b}}", "${{secrets.a@0}}", "${{secrets.a@x}}",
                 "${{secrets.prod.a}}", "${{secrets}}", "${{ secrets.}}"):  # fmt: skip
        with pytest.raises(errors.InvalidInput, match="must be the whole value"):
            rules.reference(text)


def test_settings_choose_the_safe_and_say_what_does_not_fit(tmp_path: Path, server: kv_server.Server) -> None:
    keys = FileKeys(tmp_path / "secret.key")
    assert isinstance(choosing.safe(Settings(home=tmp_path), keys), fernet.SealedSafe)
    chosen = Settings(home=tmp_path, secrets_safe="vault", vault_url=server.url, vault_token=kv_server.TOKEN)
    place = model.Place("dev", "a")
    safe = choosing.safe(chosen, keys)
    assert safe.open(place, safe.keep(place, VALUE)) == VALUE
    assert list(server.versions) == ["doubleloop/dev/a"]
    assert kv_server.TOKEN not in repr(chosen)
    for wrong, said in (
        (Settings(home=tmp_path, secrets_safe="safe"), "DOUBLELOOP_SECRETS_SAFE"),
        (Settings(home=tmp_path, secrets_safe="vault"), "DOUBLELOOP_VAULT_URL"),
        (Settings(home=tmp_path, secrets_keys="abc"), "Key 1 of DOUBLELOOP_SECRETS_KEYS"),
    ):
        with pytest.raises(errors.InvalidInput, match=said):
            choosing.safe(wrong, keys)


def test_a_value_kept_elsewhere_is_told_apart_from_a_broken_one(at_home: Any, server: kv_server.Server) -> None:
    put(at_home)
    at_home.ports[ports.Safe] = hashicorp.KvSafe(client(server))
    with pytest.raises(errors.Failed, match="is kept by 'sealed', and this installation now uses 'vault'"):
        commands.reveal(at_home.contexts, ADA, "dev", "warehouse")


def test_a_deletion_leaves_nothing_behind_in_a_vault_that_is_not_set_any_more(
    house: Any, server: kv_server.Server
) -> None:
    house.ports[ports.Safe] = hashicorp.KvSafe(client(server))
    put(house)
    house.ports[ports.Safe] = sealed(house.home)
    with pytest.raises(errors.Failed, match="is kept by 'vault', and this installation now uses 'sealed'"):
        commands.delete(house.contexts, ADA, "dev", "warehouse")
    house.ports[ports.Safe] = hashicorp.KvSafe(client(server))
    commands.delete(house.contexts, ADA, "dev", "warehouse")
    assert server.versions == {"doubleloop/dev/warehouse": [{"data": None, "destroyed": True}]}
    house.ports[ports.Safe] = sealed(house.home)
    put(house)
    house.ports[ports.Safe] = hashicorp.KvSafe(client(server))
    commands.delete(house.contexts, ADA, "dev", "warehouse")
