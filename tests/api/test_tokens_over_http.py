"""Tokens and processes at the door: what each may, and that none works after it was taken away."""

from __future__ import annotations

from typing import Any

import httpx
from api_server import Served


def bearer(served: Served, secret: str) -> httpx.Client:
    return httpx.Client(base_url=served.url, headers={"authorization": f"Bearer {secret}"}, timeout=30)


def test_a_limited_token_at_every_turn(served: Served) -> None:
    ada = served.as_("ada")

    def token(**fields: Any) -> httpx.Client:
        answer = ada.post("/api/v1/tokens", json={"name": "robot", **fields})
        assert answer.status_code == 200, answer.text
        return bearer(served, answer.json()["token"])

    with token(actions=["read-only"]) as robot:
        assert robot.get("/api/v1/workspaces/dev/jobs").status_code == 200
        refused = robot.post("/api/v1/workspaces/dev/schedules", json={"document": {}})
        assert refused.status_code == 403 and "'robot' does not allow schedule.write" in refused.text
        assert robot.post("/api/v1/tokens", json={"name": "wide"}).status_code == 403
        asked = robot.get("/api/v1/roles/explain?action=data.write&workspace=dev").json()
        assert (asked["allowed"], asked["by"]) == (False, ["token of some actions"])
        # MLflow's routes are asked the same.
        create = "/mlflow/w/dev/api/2.0/mlflow/experiments/create"
        assert robot.post(create, json={"name": "x"}).status_code == 403
    with token(workspace="dev", resource="endpoint/thing", actions=["endpoint.read"]) as robot:
        assert robot.get("/api/v1/workspaces/dev/online-endpoints/thing").status_code == 200
        assert robot.get("/api/v1/workspaces/dev/online-endpoints/other").status_code == 403
        assert robot.get("/api/v1/workspaces/dev/jobs").status_code == 403
    with token() as robot:
        mine = {each["id"]: each for each in ada.get("/api/v1/tokens").json()["items"]}
        assert robot.get("/api/v1/me").json()["user"] == "ada"
        (used,) = [each for each in ada.get("/api/v1/tokens").json()["items"] if mine[each["id"]] != each]
        assert mine[used["id"]]["last_used_at"] is None and used["last_used_at"]
        assert not {"token", "hash", "secret"} & set(used)
        assert ada.delete(f"/api/v1/tokens/{used['id']}").status_code == 200
        assert robot.get("/api/v1/me").status_code == 401


def test_a_process_from_its_making_to_its_end(served: Served) -> None:
    admin = served.as_("admin")
    made = admin.post("/api/v1/principals", json={"name": "ci", "workspace": "dev", "role": "R"}).json()
    assert (made["id"], made["owner"], made["workspace"], made["assignments"][0]["role"]) == (
        "service:ci", "admin", "dev", "R",
    )  # fmt: skip
    secret = admin.post("/api/v1/tokens", json={"name": "robot", "user": "service:ci"}).json()["token"]
    with bearer(served, secret) as robot:
        assert robot.get("/api/v1/me").json()["user"] == "service:ci"
        assert robot.get("/api/v1/workspaces/dev/jobs").status_code == 200
        assert robot.get("/api/v1/workspaces/prod/jobs").status_code == 403
        record = admin.get("/api/v1/audit?type=access.denied&actor=service:ci").json()["items"]
        assert [each["workspace"] for each in record] == ["prod"]
        assert admin.post("/api/v1/principals/ci/disable").json()["disabled"] is True
        assert robot.get("/api/v1/me").status_code == 401
        assert admin.post("/api/v1/principals/ci/enable").json()["disabled"] is False
        assert robot.get("/api/v1/me").status_code == 200
        assert admin.delete("/api/v1/users/service:ci/tokens").json() == {"revoked": 1}
        assert robot.get("/api/v1/me").status_code == 401
    assert admin.delete("/api/v1/principals/ci").status_code == 200
    assert admin.get("/api/v1/principals/ci").status_code == 404
    built_in = {each["name"] for each in admin.get("/api/v1/principals").json()["items"] if each["built_in"]}
    assert {"jobs", "releases", "monitor"} <= built_in


def test_a_disabled_user_is_out_at_once(served: Served) -> None:
    admin, ada = served.as_("admin"), served.as_("ada")
    assert admin.post("/api/v1/users/ada/disable").json()["disabled"] is True
    assert ada.get("/api/v1/me").status_code == 401
    assert admin.post("/api/v1/users/ada/enable").json()["disabled"] is False
    assert ada.get("/api/v1/me").status_code == 200
