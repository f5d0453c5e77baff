"""A role, or a token, for one thing: it opens what is about that thing, lists show that thing, and nothing else."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from api_server import DATA, ENVIRONMENT, MONITOR, SCHEDULE, SETUP, Prepared, Served, wire

from doubleloop.base import paging
from doubleloop.identity import commands as identity

WS = "/api/v1/workspaces/dev"
# Kind, the path of its list, of the one, and of another that is not there for them.
KINDS = [
    ("data", "data", "data/{}/versions"),
    ("endpoint", "online-endpoints", "online-endpoints/{}"),
    ("environment", "environments", "environments/{}/versions"),
    ("model", "models", "models/{}/versions"),
    ("monitor", "monitors", "monitors/{}"),
    ("schedule", "schedules", "schedules/{}"),
    ("secret", "secrets", "secrets/{}"),
    ("rule", "rules", "rules/{}"),
    ("job", "jobs", "jobs/{}"),
]


def more(served: Served, places: dict[str, str]) -> None:
    """A second one beside each thing."""
    admin = served.as_("admin")
    for path, document in (
        ("data", DATA % f"tree:sha256:{places['tree']}/thing.csv"), ("environments", ENVIRONMENT),
        ("monitors", MONITOR), ("schedules", SCHEDULE),
    ):  # fmt: skip
        text = document.replace("name: thing-daily", "name: other").replace("name: thing", "name: other", 1)
        answer = admin.post(f"{WS}/{path}", json={"document": wire(text)})
        assert answer.status_code == 200, answer.text
    assert admin.post(f"{WS}/secrets", json={"name": "other", "value": "nothing"}).status_code == 200


@pytest.mark.parametrize("by", ["role", "token"])
def test_one_thing_is_seen_in_lists_and_by_name_and_no_other(served: Served, prepared: Prepared, by: str) -> None:
    more(served, prepared.places)
    for kind, several, one in KINDS:
        name = {"schedule": "thing-daily", "job": "thing-1"}.get(kind, "thing")
        client = allowed(served, by, kind, name)
        listed = client.get(f"{WS}/{several}")
        assert listed.status_code == 200, (kind, listed.text)
        assert [each.get("name") or each["id"] for each in listed.json()["items"]] == [name], kind
        assert client.get(f"{WS}/{one.format(name)}").status_code == 200, kind
        assert client.get(f"{WS}/{one.format('other')}").status_code == 403, kind
        for _, others, _ in KINDS:
            if others != several:
                assert client.get(f"{WS}/{others}").status_code == 403, (kind, others)
        assert client.get(f"{WS}").status_code == 403 and client.get(f"{WS}/computes").status_code == 403
        assert client.get("/api/v1/workspaces/prod/" + several).status_code == 403


def allowed(served: Served, by: str, kind: str, name: str) -> httpx.Client:
    thing = f"{kind}/{name}"
    if by == "token":
        with served.contexts.write(SETUP) as ctx:
            secret = identity.create_token(ctx, "grace", "t", workspace="dev", resource=thing)[1]
    else:
        with served.contexts.write(SETUP) as ctx:
            user = f"only-{kind}"
            identity.create_user(ctx, user)
            secret = identity.create_token(ctx, user, "t")[1]
        role = "KVA" if kind == "secret" else "C"
        given = {"principal": f"user:{user}", "role": role, "workspace": "dev", "resource": thing}
        assert served.as_("admin").post("/api/v1/assignments", json=given).status_code == 200
    return httpx.Client(base_url=served.url, headers={"authorization": f"Bearer {secret}"}, timeout=30)


def test_one_thing_is_changed_and_no_other(served: Served) -> None:
    client = allowed(served, "role", "secret", "thing")
    assert client.post(f"{WS}/secrets", json={"name": "thing", "value": "new"}).json()["version"] == 2
    assert client.post(f"{WS}/secrets/thing/reveal", json={}).json()["value"] == "new"
    for name in ("other", "things", "thing2"):
        assert client.post(f"{WS}/secrets", json={"name": name, "value": "new"}).status_code == 403
    assert client.post(f"{WS}/secrets/renew").status_code == 403
    client = allowed(served, "role", "schedule", "thing-daily")
    assert client.post(f"{WS}/schedules/thing-daily/disable").status_code == 200
    # What it starts would be a job, which is another thing.
    assert client.post(f"{WS}/schedules", json={"document": wire(SCHEDULE)}).status_code == 403
    client = allowed(served, "role", "data", "thing")
    assert client.post(f"{WS}/data/thing/versions/1/archive").status_code == 200
    assert client.post(f"{WS}/data/thing/versions/1/restore").status_code == 200
    client = allowed(served, "role", "job", "thing-1")
    assert client.post(f"{WS}/jobs/thing-1/cancel").status_code == 200
    assert client.post(f"{WS}/jobs", json={"document": {}}).status_code in (400, 403)


def test_one_release_definition_with_its_releases(served: Served) -> None:
    client = allowed(served, "role", "release-definition", "thing")
    assert [each["name"] for each in client.get("/api/v1/release-definitions").json()["items"]] == ["thing"]
    assert client.get("/api/v1/release-definitions/thing").status_code == 200
    assert [each["id"] for each in client.get("/api/v1/releases").json()["items"]] == ["thing-1"]
    assert client.get("/api/v1/releases/thing-1").status_code == 200
    assert client.get("/api/v1/releases/thing-1/evidence").status_code == 200
    assert client.get(f"{WS}/rules").status_code == 403


def test_a_policy_that_keeps_one_thing_from_everybody_keeps_it_out_of_lists(served: Served, prepared: Prepared) -> None:
    more(served, prepared.places)
    text = 'forbid (principal, action, resource == Doubleloop::Item::"dev/secret/other");'
    assert served.as_("admin").put("/api/v1/policies/hidden", json={"text": text}).status_code == 200
    admin = served.as_("admin")
    assert [each["name"] for each in admin.get(f"{WS}/secrets").json()["items"]] == ["thing"]
    assert admin.get(f"{WS}/secrets/other").status_code == 403


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_a_looked_through_list_has_full_pages_and_an_end(limit: int) -> None:
    rows = list(range(95, 0, -1))

    def fetch(cursor: str | None, size: int) -> paging.Page[int]:
        left = [each for each in rows if cursor is None or each < int(cursor)]
        return paging.Page(left[:size], str(left[size - 1]) if len(left) > size else None)

    found: list[int] = []
    cursor: str | None = None
    pages: list[Any] = []
    while not pages or cursor is not None:
        page = paging.filled(fetch, lambda each: each % 10 == 0, cursor, limit)
        pages.append(page)
        found, cursor = found + page.items, page.next
        assert len(page.items) == limit or cursor is None
    assert found == [90, 80, 70, 60, 50, 40, 30, 20, 10]


def test_a_role_for_one_endpoint_shows_the_batch_endpoint_of_that_name_and_no_other(served: Served) -> None:
    for name in ("thing", "other"):
        document = f"$schema: https://azuremlschemas.azureedge.net/latest/batchEndpoint.schema.json\nname: {name}\n"
        answer = served.as_("admin").post(f"{WS}/batch-endpoints", json={"document": wire(document)})
        assert answer.status_code == 200, answer.text
    client = allowed(served, "role", "endpoint", "thing")
    assert [each["name"] for each in client.get(f"{WS}/batch-endpoints").json()["items"]] == ["thing"]
    assert client.get(f"{WS}/batch-endpoints/other").status_code == 403
