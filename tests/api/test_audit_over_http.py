"""What the record says of a request, who may see it, and its proof and export over HTTP."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest
from api_server import Prepared, Served

from doubleloop.base import exports, record


def facts(served: Served, **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = served.as_("admin").get("/api/v1/audit", params=asked).json()["items"]
    return found


def test_an_entry_says_who_as_what_from_where_and_why(served: Served) -> None:
    headers = {
        "user-agent": "my robot 1", "doubleloop-reason": "ticket%204711%0a%C3%9F",
        "x-forwarded-for": "6.6.6.6", "forwarded": "for=6.6.6.6", "x-real-ip": "6.6.6.6",
    }  # fmt: skip
    done = served.as_("linus").put(
        "/api/v1/workspaces/dev/package-substitutions",
        json={"items": [{"match": "pywin32", "action": "drop"}]}, headers=headers,
    )  # fmt: skip
    assert done.status_code == 200, done.text
    fact = facts(served, type="workspace.changed", actor="linus")[0]
    context = fact["context"]
    assert (context["door"], context["address"], context["login"]) == ("api", "127.0.0.1", "token")
    assert (context["agent"], context["reason"], fact["reason"]) == ("my robot 1", "ticket 4711 ß", "ticket 4711 ß")
    assert context["token"].startswith("token-")
    assert context["personas"] == ["platform_support"]
    assert [each["action"] for each in context["permitted"]] == ["package.write"]
    assert context["permitted"][0]["by"][0].startswith("group linuss: ")
    assert context["roles"] == sorted({each.split(": ")[1].split(" on ")[0] for each in context["permitted"][0]["by"]})
    assert fact["data"]["before"] != fact["data"]["settings"]
    assert fact["outcome"] == "done"


def test_an_administrator_and_a_login_are_told_apart(served: Served) -> None:
    admin = served.as_("admin")
    assert admin.post("/api/v1/users", json={"name": "mary"}).status_code == 200
    assert facts(served, type="user.created", subject="user:mary")[0]["context"]["roles"] == ["administrator"]
    assert admin.put("/api/v1/users/mary/password", json={"password": "a long enough one"}).status_code == 200
    assert served.as_(None).post("/api/v1/login", json={"user": "mary", "password": "wrong"}).status_code == 401
    refused = facts(served, outcome="refused")[0]
    assert (refused["actor"], refused["data"]["claimed"], refused["context"]["address"]) == (
        "service:gate", "mary", "127.0.0.1",
    )  # fmt: skip
    done = served.as_(None).post("/api/v1/login", json={"user": "mary", "password": "a long enough one"})
    assert done.status_code == 200
    made = facts(served, type="token.created", actor="mary")[0]
    assert (made["data"]["kind"], made["context"]["address"]) == ("session", "127.0.0.1")


def test_a_refusal_says_what_was_missing_and_not_what_was_allowed(served: Served) -> None:
    assert served.as_("nobody").get("/api/v1/workspaces/prod/data").status_code == 403
    fact = facts(served, action="data.read", outcome="refused")[0]
    assert (fact["actor"], fact["workspace"], fact["data"]["details"]["action"]) == ("nobody", "prod", "data.read")
    assert "permitted" not in fact["context"]


def test_a_release_s_own_history_does_not_tell_from_where_people_work(served: Served) -> None:
    found = served.as_("admin").get("/api/v1/releases/thing-1/facts").json()["items"]
    assert found
    assert not [each for each in found if "context" in each]


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({"type": ["user.created", "group.*"]}, lambda f: f["type"] == "user.created" or f["type"][:6] == "group."),
        ({"subject": "user:*"}, lambda f: f["subject"].startswith("user:")),
        ({"subject": "user:%"}, lambda f: False),
        ({"workspace": "dev", "actor": "admin"}, lambda f: (f["workspace"], f["actor"]) == ("dev", "admin")),
        ({"action": "secret.write"}, lambda f: f["type"] == "secret.written"),
        ({"since": "2000-01-01", "until": "2000-01-02"}, lambda f: False),
    ],
)
def test_filters_find_what_fits_and_nothing_else_page_by_page(served: Served, asked: Any, fits: Any) -> None:
    everything = facts(served, limit=1000)
    wanted = [each["seq"] for each in everything if fits(each)]
    seen, after = [], None
    while True:
        params = {**asked, "limit": 3, **({"after": after} if after else {})}
        page = served.as_("admin").get("/api/v1/audit", params=params).json()
        seen += [each["seq"] for each in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == wanted


@pytest.mark.parametrize("asked", ["action=fly", "outcome=maybe", "since=yesterday", "until=2026-99-99", "after=-1"])
def test_a_filter_that_is_none_is_refused(served: Served, asked: str) -> None:
    for path in ("audit", "audit/export"):
        answer = served.as_("admin").get(f"/api/v1/{path}?{asked}")
        assert answer.status_code == 400 or (path, asked) == ("audit/export", "after=-1")


def test_sensitive_reading_is_on_record_once_for_each_thing(served: Served, prepared: Prepared) -> None:
    ada, tree, blob = served.as_("ada"), prepared.places["tree"], prepared.places["blob"]
    for _ in range(2):
        assert ada.get(f"/api/v1/trees/{tree}").status_code == 200
        assert ada.get(f"/api/v1/blobs/{blob}").status_code == 200
    assert served.as_("linus").get(f"/api/v1/blobs/{blob}", headers={"range": "bytes=2-"}).status_code == 206
    found = facts(served, type="content.read", order="oldest")
    assert [(each["actor"], each["subject"].partition(":")[0]) for each in found] == [
        ("ada", "tree"),
        ("linus", "blob"),
    ]
    assert found[0]["data"]["assets"] == ["model:registry/thing:1"]
    ws = "/api/v1/workspaces/dev"
    assert served.as_("admin").get(f"{ws}/online-endpoints/thing/keys").status_code == 200
    assert facts(served, type="endpoint.keys_read")[0]["subject"] == "endpoint:dev/thing"
    assert ada.post(f"{ws}/secrets/thing/reveal", json={}).status_code == 200
    assert facts(served, type="secret.revealed", actor="ada")[0]["context"]["permitted"][0]["action"] == "secret.get"


def test_an_export_is_proved_offline_and_is_on_record_itself(served: Served) -> None:
    admin = served.as_("admin")
    public = admin.get("/api/v1/audit/key").json()["public"]
    text = admin.get("/api/v1/audit/export").text
    report = exports.verify(text.splitlines(keepends=True), public=public)
    assert (report.why, report.whole, report.by) == ("", True, "admin")
    fact = facts(served, type="audit.exported")[0]
    assert (fact["seq"], fact["data"]["upto"]) == (report.last + 1, report.last)
    part = admin.get("/api/v1/audit/export", params={"format": "csv", "actor": "admin", "type": "secret.*"})
    assert part.headers["content-type"].startswith("text/csv")
    assert part.text.splitlines()[0].startswith("seq,at,actor,outcome")
    assert "secret.written" in part.text


def test_who_may_read_a_part_of_the_record_exports_that_part(served: Served) -> None:
    admin = served.as_("admin")
    body = {"principal": "user:nobody", "role": "AUD", "workspace": "dev"}
    assert admin.post("/api/v1/assignments", json=body).status_code == 200
    lines = served.as_("nobody").get("/api/v1/audit/export").text.splitlines(keepends=True)
    report = exports.verify(lines)
    assert (report.line, report.whole) == (0, False)
    assert report.facts > 0
    assert {json.loads(line)["workspace"] for line in lines} == {"dev"}
    assert served.as_("nobody").get("/api/v1/audit/export?workspace=prod").status_code == 403
    assert served.as_("nobody").post("/api/v1/audit/archives", json={"older_than": 0}).status_code == 403


def test_a_checkpoint_that_was_kept_elsewhere_misses_the_end(served: Served) -> None:
    admin = served.as_("admin")
    kept = admin.post("/api/v1/audit/checkpoints").json()
    assert record.checkpoint(kept).genuine()
    assert admin.get("/api/v1/audit/checkpoints").json()["items"][-1] == kept
    whole = admin.post("/api/v1/audit/verify", json={"checkpoints": [kept]}).json()
    assert (whole["whole"], whole["signed"], whole["guarded"]) == (True, kept["seq"], True)
    for wrong in ({}, "x", {**kept, "seq": "one"}, {**kept, "more": 1}):
        assert admin.post("/api/v1/audit/verify", json={"checkpoints": [wrong]}).status_code == 400
    (served.settings.home / "audit" / "checkpoints.jsonl").unlink()
    with sqlite3.connect(served.settings.sqlite_path) as raw:
        for (name,) in raw.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            raw.execute(f"drop trigger {name}")
        raw.execute("delete from facts where seq >= ?", (kept["seq"],))
        raw.execute("delete from fact_checkpoints")
        raw.execute(
            "update fact_chain set seq = ?, hash = (select hash from facts order by seq desc limit 1)",
            (kept["seq"] - 1,),
        )
    assert admin.get("/api/v1/audit/verify").json()["whole"]
    report = admin.post("/api/v1/audit/verify", json={"checkpoints": [kept]}).json()
    assert (report["whole"], report["broken_at"], report["guarded"]) == (False, kept["seq"], False)


def test_the_administrator_archives_what_is_old(served: Served) -> None:
    admin = served.as_("admin")
    assert admin.post("/api/v1/audit/archives", json={"older_than": 3600 * 24}).json() == {"archived": None}
    for wrong in ({}, {"older_than": -1}, {"older_than": True}, {"older_than": "1d"}, {"older_than": 1, "x": 1}):
        assert admin.post("/api/v1/audit/archives", json=wrong).status_code == 400
    made = admin.post("/api/v1/audit/archives", json={"older_than": 0}).json()["archived"]
    assert admin.get("/api/v1/audit/archives").json()["items"] == [made]
    report = admin.get("/api/v1/audit/verify").json()
    assert (report["whole"], report["archived"], report["facts"]) == (True, made["seq"], made["seq"] + 1)
    assert [each["type"] for each in facts(served)] == ["audit.archived"]
    with (served.settings.home / "audit" / "archive" / made["file"]).open() as file:
        assert exports.verify(file).whole
