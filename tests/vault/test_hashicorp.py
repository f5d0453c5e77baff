"""The door to HashiCorp Vault: its wire format, and what each of its refusals becomes."""

from __future__ import annotations

import socket
from pathlib import Path

import kv_server
import pytest

from doubleloop.base import errors
from doubleloop.vault import hashicorp, model

PLACE = model.Place("dev", "warehouse")
VALUE = "correct-horse-battery-staple"


def safe(server: kv_server.Server, token: str = kv_server.TOKEN, **more: str) -> hashicorp.KvSafe:
    return hashicorp.KvSafe(hashicorp.Client(server.url, lambda: token), **more)


def test_values_lie_where_the_documentation_says(server: kv_server.Server) -> None:
    kept = safe(server).keep(PLACE, VALUE)
    assert server.versions == {"doubleloop/dev/warehouse": [{"data": {"value": VALUE}, "destroyed": False}]}
    assert VALUE not in kept
    assert safe(server).open(PLACE, kept) == VALUE
    assert safe(server).renew(PLACE, kept) == kept


def test_the_namespace_and_the_token_go_along(server: kv_server.Server) -> None:
    client = hashicorp.Client(f"{server.url}/", lambda: kv_server.TOKEN, namespace="team/a")
    hashicorp.KvSafe(client).keep(PLACE, VALUE)
    assert server.headers[-1]["X-Vault-Namespace"] == "team/a"
    assert server.headers[-1]["X-Vault-Token"] == kv_server.TOKEN


def test_a_destroyed_version_is_gone_and_the_others_are_not(server: kv_server.Server) -> None:
    one, two = (safe(server).keep(PLACE, value) for value in ("first-value", VALUE))
    for _ in range(2):
        safe(server).destroy(PLACE, [one])
    with pytest.raises(errors.Failed, match="no version 1 of secret/doubleloop/dev/warehouse"):
        safe(server).open(PLACE, one)
    assert safe(server).open(PLACE, two) == VALUE


def test_a_sealed_vault_is_unavailable_and_a_refused_token_is_not(server: kv_server.Server) -> None:
    kept = safe(server).keep(PLACE, VALUE)
    with pytest.raises(errors.Failed, match=r"answered 403 .* permission denied") as caught:
        safe(server, "hvs.wrong").open(PLACE, kept)
    assert "hvs.wrong" not in str(caught.value)
    assert "DOUBLELOOP_VAULT_TOKEN" in caught.value.cure
    server.sealed = True
    with pytest.raises(errors.Unavailable, match="Vault is sealed"):
        safe(server).open(PLACE, kept)


def test_a_mount_that_is_not_there_is_named(server: kv_server.Server) -> None:
    with pytest.raises(errors.NotFound, match="kv/data/doubleloop/dev/warehouse: no handler for route"):
        safe(server, mount="kv").keep(PLACE, VALUE)


def test_nobody_at_the_address_is_unavailable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = hashicorp.Client(f"http://127.0.0.1:{free.getsockname()[1]}", lambda: "t")
        with pytest.raises(errors.Unavailable, match="does not answer"):
            hashicorp.KvSafe(client).keep(PLACE, VALUE)


def test_the_token_file_is_read_at_each_request(server: kv_server.Server, tmp_path: Path) -> None:
    file = tmp_path / "token"
    client = hashicorp.Client(server.url, hashicorp.token_from("unused", str(file)))
    with pytest.raises(errors.Unavailable, match="token of HashiCorp Vault cannot be read"):
        hashicorp.KvSafe(client).keep(PLACE, VALUE)
    file.write_text("hvs.old\n")
    with pytest.raises(errors.Failed):
        hashicorp.KvSafe(client).keep(PLACE, VALUE)
    file.write_text(f"{kv_server.TOKEN}\n")
    hashicorp.KvSafe(client).keep(PLACE, VALUE)


def test_transit_locks_keys_and_tells_a_wrong_one(server: kv_server.Server) -> None:
    keys = hashicorp.TransitKeys(hashicorp.Client(server.url, lambda: kv_server.TOKEN), "doubleloop")
    wrapped = keys.wrap(b"\0key\xff")
    assert wrapped.startswith("vault:v1:")
    assert keys.unwrap(wrapped) == b"\0key\xff"
    with pytest.raises(errors.Failed, match="invalid ciphertext"):
        keys.unwrap("vault:v1:AAAA")
