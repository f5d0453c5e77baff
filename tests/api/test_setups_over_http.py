"""Plan, apply, drift and destroy through the HTTP API."""

from __future__ import annotations

from typing import Any

from api_server import Served, wire

SETUP = """$schema: doubleloop/setup
name: extra
workspaces: [{name: one, kind: preproduction}]
computes: [{name: gpu, type: amlcompute, workspaces: [one]}]
budgets: [{name: b, amount: 10}]
"""


def post(served: Served, verb: str, user: str = "admin", **body: Any) -> tuple[int, dict[str, Any]]:
    answer = served.as_(user).post(f"/api/v1/setup/{verb}", json=body)
    return answer.status_code, answer.json()


def drift(served: Served) -> dict[str, Any]:
    found: dict[str, Any] = served.as_("admin").get("/api/v1/setup/drift", params={"name": "extra"}).json()
    return found


def test_a_set_up_lives_from_plan_to_destroy(served: Served) -> None:
    document = wire(SETUP)
    status, plan = post(served, "plan", document=document)
    assert (status, plan["setup"]) == (200, "extra")
    assert {each["action"] for each in plan["changes"]} == {"create"}
    assert post(served, "apply", document=document, digest=plan["digest"])[0] == 200
    assert post(served, "apply", document=document, digest=plan["digest"])[0] == 409
    computes = served.as_("admin").get("/api/v1/workspaces/one/computes").json()["items"]
    assert [each["name"] for each in computes] == ["local", "gpu"]
    (budget,) = served.as_("admin").get("/api/v1/workspaces/one/budgets").json()["items"]
    assert (budget["name"], budget["spent"], budget["amount"], budget["workspace"]) == ("b", "0.00", "10.0", None)
    assert served.as_("admin").get("/api/v1/workspaces/one/budgets/b").json()["lines"] == []
    assert served.as_("admin").get("/api/v1/workspaces/one/budgets/c").status_code == 404
    assert drift(served)["items"] == []
    _, planned = post(served, "destroy", name="extra")
    assert {each["action"] for each in planned["changes"]} == {"remove"}
    assert post(served, "destroy", name="extra", confirm="exta")[0] == 400
    assert post(served, "destroy", name="extra", confirm="extra", digest=planned["digest"])[0] == 200
    assert served.as_("admin").get("/api/v1/workspaces/one").status_code == 404
    assert served.as_("admin").get("/api/v1/setup/drift", params={"name": "extra"}).status_code == 404


def test_a_workspace_that_somebody_has_a_token_for_needs_the_second_word(served: Served) -> None:
    post(served, "apply", document=wire(SETUP))
    made = served.as_("admin").post("/api/v1/tokens", json={"name": "ci", "workspace": "one"})
    assert made.status_code == 200
    empty = wire("$schema: doubleloop/setup\nname: extra\nworkspaces: []\n")
    status, answer = post(served, "apply", document=empty)
    assert (status, "1 tokens" in answer["error"]["message"]) == (409, True)
    assert post(served, "apply", document=empty, delete_data=["nowhere"])[0] == 400
    assert post(served, "apply", document=empty, delete_data="one")[0] == 400
    assert post(served, "apply", document=empty, delete_data=["one"])[0] == 200
    secret = made.json()["token"]
    assert served.raw("GET", "/api/v1/me", None, authorization=f"Bearer {secret}")[0] == 401


def test_who_may_not_set_up_may_not_look_either(served: Served) -> None:
    assert post(served, "plan", "ada", document=wire(SETUP))[0] == 403
    assert post(served, "apply", "ada", document=wire(SETUP))[0] == 403
    assert post(served, "destroy", "ada")[0] == 403
    assert served.as_("ada").get("/api/v1/setup/drift").status_code == 403
