"""All routes, one after the other: who is let in, who is not, and what each says of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from api_server import RELEASE, SETUP, SETUP_FILE, Prepared, Served, wire
from fastapi import FastAPI
from fastapi.routing import APIRoute

from doubleloop.api import app, routing
from doubleloop.base import errors
from doubleloop.events import queries as events
from doubleloop.identity.actions import Action

DOCS = Path(__file__).parents[2] / "docs" / "http-api.md"
STATUSES = {kind.status: code for code, kind in errors.BY_CODE.items() if code != "failed"}


def listed() -> list[tuple[str, APIRoute]]:
    api = FastAPI()
    for module in app.ROUTERS:
        api.include_router(module.router)
    found = [(method, route) for route in routing.api_routes(api) for method in sorted(route.methods or ())]
    return sorted(found, key=lambda each: (each[1].path, each[0]))


ROUTES = listed()


def action(route: APIRoute) -> str:
    return str((route.openapi_extra or {})[routing.KEY])


def fill(path: str, places: dict[str, str]) -> str:
    """The route's path to something that is there."""
    place = {**places, "sha256": places["tree" if "trees" in path else "blob"]}
    return re.sub(r"\{(\w+)(?::path)?\}", lambda match: place[match[1]], path)


def error(body: bytes) -> dict[str, Any]:
    """The error in a body; it has the shape of the documentation, nothing more and nothing less."""
    whole = json.loads(body)
    assert set(whole) == {"error"}, whole
    found: dict[str, Any] = whole["error"]
    assert {"code", "message"} <= set(found) <= {"code", "message", "where", "cure", "details"}, found
    assert found["message"] and isinstance(found["message"], str)
    return found


def denials(served: Served) -> list[Any]:
    with served.contexts.read(SETUP) as ctx:
        return events.facts(ctx, types=["access.denied"], limit=1000)


def test_the_documentation_lists_exactly_the_routes() -> None:
    kinds = {
        "{assets}": ("data", "environments", "components", "models"),
        "{labelled}": ("data", "environments", "components"),
    }
    written = set()
    for method, path in re.findall(r"^(GET|POST|PUT|DELETE|PATCH) (/api/v1/\S+)", DOCS.read_text(), re.MULTILINE):
        variable = next((name for name in kinds if name in path), "")
        for kind in kinds[variable] if variable else ("",):
            written.add((method, path.replace(variable, kind) if variable else path))
    served = {(method, route.path.replace(":path}", "}")) for method, route in ROUTES}
    assert written == served


def test_the_documentation_says_which_routes_are_open() -> None:
    marked = set(re.findall(r"^(\w+) (/api/v1/\S+) — \*open\*", DOCS.read_text(), re.MULTILINE))
    assert marked == {(method, route.path) for method, route in ROUTES if action(route) == routing.OPEN}
    assert marked == {("GET", "/api/v1/health"), ("POST", "/api/v1/login")} | {
        ("POST", f"/api/v1/login/oidc{step}") for step in ("", "/finish", "/device", "/device/finish")
    }


def test_every_action_that_has_a_route_is_one_of_the_list() -> None:
    known = {*map(str, Action), routing.OPEN, routing.OWN}
    assert {action(route) for _, route in ROUTES} <= known


def test_an_app_with_a_route_that_names_no_action_does_not_start() -> None:
    for extra in (None, {}, {routing.KEY: "anything.goes"}):
        api = FastAPI()
        router = routing.router("/api/v1")
        router.add_api_route("/new", lambda: {}, openapi_extra=extra)
        api.include_router(router)
        with pytest.raises(RuntimeError, match="names no action"):
            routing.check(api)
    api = FastAPI()
    api.add_api_route("/api/v1/new", lambda: {}, openapi_extra=routing.needs(Action.DATA_READ))
    with pytest.raises(RuntimeError, match="is not guarded"):
        routing.check(api)


@pytest.mark.parametrize("body", [b"", b"{}", b"not json"])
def test_no_route_but_the_open_ones_answers_a_stranger(served: Served, prepared: Prepared, body: bytes) -> None:
    """Also with a body that cannot be read: it is not looked at."""
    for method, route in ROUTES:
        if action(route) == routing.OPEN:
            continue
        for token in ("", "Bearer wrong", f"Basic {served.tokens['admin']}"):
            status, _, answer = served.raw(
                method, fill(route.path, prepared.places), None, body, authorization=token,
                content_type="application/json",
            )  # fmt: skip
            assert status == 401, (method, route.path, token, answer)
            assert error(answer)["code"] == "not_authenticated"


# What the routes that are not about a workspace need to be told before they know whether one may.
BODIES = {
    ("POST", "/api/v1/release-definitions"): {"document": wire(RELEASE)},
    ("POST", "/api/v1/releases"): {"definition": "thing"},
    ("POST", "/api/v1/setup/plan"): {"document": wire(SETUP_FILE)},
    ("POST", "/api/v1/setup/apply"): {"document": wire(SETUP_FILE)},
    ("POST", "/api/v1/tokens"): {"name": "theirs", "user": "ada"},
    ("PUT", "/api/v1/users/{name}/password"): {"password": "a long enough one"},
    ("POST", "/api/v1/users"): {"name": "mallory"},
    ("POST", "/api/v1/principals"): {"name": "robot"},
}
# They answer everybody, with what each may see.
FILTERED = {
    ("GET", "/api/v1/approvals"), ("GET", "/api/v1/release-definitions"), ("GET", "/api/v1/releases"),
    ("GET", "/api/v1/workspaces"), ("GET", "/api/v1/assignments"), ("GET", "/api/v1/principals"),
}  # fmt: skip
# Content is asked for by its hash, which only those know who have seen it or what refers to it.
BY_HASH = {
    ("GET", "/api/v1/blobs/{sha256}"), ("GET", "/api/v1/trees/{sha256}"), ("POST", "/api/v1/blobs/missing"),
}  # fmt: skip
OWN = {
    ("GET", "/api/v1/me"), ("GET", "/api/v1/tokens"), ("POST", "/api/v1/logout"), ("GET", "/api/v1/activations"),
    ("POST", "/api/v1/activations"),
}  # fmt: skip


def test_a_user_of_no_group_is_refused_everywhere_and_each_time_on_record(served: Served, prepared: Prepared) -> None:
    refused = []
    for method, route in ROUTES:
        key = (method, route.path)
        if action(route) == routing.OPEN or key in OWN | BY_HASH:
            continue
        target = fill(route.path, prepared.places) + ("?action=data.read&user=ada" if "explain" in route.path else "")
        status, _, answer = served.raw(
            method, target, "nobody", json.dumps(BODIES.get(key, {})).encode(), content_type="application/json"
        )
        if key in FILTERED:
            assert (status, json.loads(answer)) == (200, {"items": [], "next": None}), key
            continue
        assert status == 403, (method, route.path, answer)
        found = error(answer)
        assert found["code"] == "not_permitted"
        assert "nobody belongs to no group" in found["message"], found
        refused.append(f"route:{method} {fill(route.path, prepared.places)}")
    facts = denials(served)
    assert [each.subject for each in facts] == refused
    assert {each.actor for each in facts} == {"nobody"}
    assert {each.workspace for each in facts} == {"dev", None}
    assert len(refused) > 85


def test_an_administrator_gets_an_answer_from_every_route_that_reads(served: Served, prepared: Prepared) -> None:
    """Nothing is broken: what is there is shown, what needs a process that does not run says so."""
    away = {"online-endpoints/{name}/metrics", "online-endpoints/{name}/mirror", "online-endpoints/{name}/invoke"}
    for method, route in ROUTES:
        if method != "GET":
            continue
        target = fill(route.path, prepared.places) + ("?action=data.read" if "explain" in route.path else "")
        status, _, answer = served.raw(method, target, "admin")
        if any(route.path.endswith(each) for each in away):
            assert (status, error(answer)["code"]) == (503, "unavailable")
        elif "/versions" in route.path and "labels" in route.path:
            continue
        else:
            assert status == 200, (method, route.path, answer)


def test_what_is_not_there_is_404_under_every_route(served: Served, prepared: Prepared) -> None:
    nothing = {name: "nothing" for name in prepared.places} | {
        "ws": "dev", "blob": "0" * 64, "tree": "0" * 64, "digest": "0" * 64, "version": "7",
    }  # fmt: skip
    for method, route in ROUTES:
        variables = set(re.findall(r"\{(\w+)", route.path)) - {"ws"}
        if method not in ("GET", "DELETE") or not variables or route.path.endswith("computes/{name}"):
            continue
        if (method, route.path) == ("DELETE", "/api/v1/tokens/{id}"):
            continue  # revoked is revoked, however often
        status, _, answer = served.raw(method, fill(route.path, nothing), "admin")
        if route.path.endswith("/versions"):
            assert (status, json.loads(answer)["items"]) == (200, [])
            continue
        assert (status, error(answer)["code"]) == (404, "not_found"), (method, route.path, answer)


def test_a_workspace_that_is_not_there_is_404_before_anything_else(served: Served, prepared: Prepared) -> None:
    for method, route in ROUTES:
        if "{ws}" not in route.path:
            continue
        target = fill(route.path, {**prepared.places, "ws": "nowhere"})
        status, _, answer = served.raw(method, target, "ada", b"not json", content_type="application/json")
        assert (status, error(answer)["code"]) == (404, "not_found"), (method, route.path)
        assert "There are:" in error(answer)["cure"]
