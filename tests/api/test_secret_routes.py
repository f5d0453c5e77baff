"""Secrets over HTTP: a value comes back only where it is asked for, is not cached, and no error repeats it."""

from __future__ import annotations

from typing import Any

import pytest
from api_server import Prepared, Served

from doubleloop.base import actors
from doubleloop.events import queries as events

SECRETS = "/api/v1/workspaces/dev/secrets"
VALUE = "correct-horse-battery-staple"


def test_a_secret_is_written_listed_revealed_and_destroyed(served: Served, prepared: Prepared) -> None:
    ada = served.as_("ada")
    for value in ("first-value", VALUE):
        made = ada.post(SECRETS, json={"name": "warehouse", "value": value, "description": "read only"})
        assert made.status_code == 200, made.text
        assert value not in made.text
    shown = ada.get(f"{SECRETS}/warehouse")
    assert VALUE not in shown.text
    assert {key: shown.json()[key] for key in ("name", "workspace", "version", "description")} == {
        "name": "warehouse", "workspace": "dev", "version": 2, "description": "read only",
    }  # fmt: skip
    assert [each["version"] for each in shown.json()["versions"]] == [2, 1]
    assert [each["name"] for each in ada.get(SECRETS).json()["items"]] == ["thing", "warehouse"]
    told = ada.post(f"{SECRETS}/warehouse/reveal", json={})
    assert (told.json(), told.headers["cache-control"]) == (
        {"name": "warehouse", "version": 2, "value": VALUE}, "no-store",
    )  # fmt: skip
    assert ada.post(f"{SECRETS}/warehouse/reveal", json={"version": 1}).json()["value"] == "first-value"
    assert ada.post(f"{SECRETS}/renew").json() == {"renewed": 3}
    assert ada.delete(f"{SECRETS}/warehouse").json() == {}
    assert ada.post(f"{SECRETS}/warehouse/reveal", json={}).status_code == 404
    with served.contexts.read(actors.service("setup")) as ctx:
        whole = str([each.data for each in events.facts(ctx, limit=1000)])
    assert VALUE not in whole
    assert "first-value" not in whole


def test_the_administrator_sets_up_and_does_not_see_values(served: Served, prepared: Prepared) -> None:
    admin = served.as_("admin")
    assert admin.post(SECRETS, json={"name": "a", "value": VALUE}).status_code == 200
    refused = admin.post(f"{SECRETS}/a/reveal", json={})
    assert refused.status_code == 403
    assert VALUE not in refused.text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "a b", "value": VALUE}, "cannot be the name"),
        ({"value": VALUE}, "cannot be the name"),
        ({"name": "a", "value": ""}, "The value must be text"),
        ({"name": "a", "value": VALUE + "\0"}, "'value' must be text"),
        ({"name": "a", "value": {"v": VALUE}}, "'value' must be text"),
        ({"name": "a", "value": VALUE, "version": 1}, "Unknown field 'version'"),
    ],
)
def test_bad_input_is_refused_without_repeating_it(served: Served, body: Any, said: str) -> None:
    answer = served.as_("ada").post(SECRETS, json=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]
    assert VALUE not in answer.text


@pytest.mark.parametrize("version", [0, -1, 10**12, "1", True, 1.5])
def test_a_version_is_a_number_from_one(served: Served, prepared: Prepared, version: Any) -> None:
    assert served.as_("ada").post(f"{SECRETS}/thing/reveal", json={"version": version}).status_code == 400
