"""Whatever is sent, the answer is an error of the documented shape that says what is wrong; never a crash."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from api_server import JOB, RELEASE, Prepared, Served, wire
from test_every_route import BODIES, ROUTES, action, error, fill

from doubleloop.api import routing
from doubleloop.identity.actions import Action

WRONG: list[Any] = [
    None, True, 0, -1, 1e308, 10**30, "", "x", "\0", "a/../b", "é" * 300, [], [None], [[]], {}, {"": None}, {"x": [1]},
]  # fmt: skip
FIELDS = {
    "/login": ("user", "password"),
    "/login/oidc": ("redirect_uri", "code_challenge"),
    "/login/oidc/finish": ("state", "code", "code_verifier"),
    "/login/oidc/device/finish": ("state",),
    "/identity": ("subject", "issuer"),
    "/tokens": ("name", "user", "workspace", "lifetime", "actions", "resource"),
    "/users": ("name", "display_name", "password", "is_admin"),
    "/password": ("password",),
    "/principals": ("name", "description", "workspace", "owner", "role", "persona"),
    "/setup/plan": ("document",),
    "/setup/apply": ("document", "digest", "delete_data"),
    "/setup/destroy": ("name", "confirm", "digest", "delete_data"),
    "/bundles": ("manifest", "key", "signature"),
    "/bundle-keys": ("name", "public"),
    "/secrets": ("name", "value", "description"),
    "/reveal": ("version",),
    "/blobs/missing": ("sha256",),
    "/trees": ("entries",),
    "/datastores": ("document",),
    "/contracts": ("document",),
    "/data": ("document", "label"),
    "/environments": ("document", "label"),
    "/components": ("document", "label"),
    "/models": ("document", "label"),
    "/labels/{label}": ("version",),
    "/jobs": ("document", "id", "experiment", "force_rerun"),
    "/batch-endpoints/{name}/jobs": ("properties",),
    "/jobs/validate": ("document",),
    "/jobs/{id}": ("display_name", "description", "experiment", "tags"),
    "/online-endpoints": ("document",),
    "/batch-endpoints": ("document",),
    "/traffic": ("traffic", "mirror_traffic", "reason"),
    "/keys": ("key_type",),
    "/deployments": ("document", "id", "all_traffic"),
    "/schedules": ("document",),
    "/monitors": ("document",),
    "/monitors/{name}/runs": ("as_of", "id"),
    "/acknowledge": ("comment",),
    "/silence": ("comment", "until", "for"),
    "/resolve": ("comment",),
    "/reopen": ("comment",),
    "/alerts/{alert}/label": ("project", "task", "workspace"),
    "/profile": ("target", "against"),
    "/labeling-projects": ("document",),
    "/labeling-projects/{name}/export": ("format", "partial"),
    "/labeling-projects/{name}/import": ("data", "format", "annotator", "proposals"),
    "/labeling-projects/{name}/train": ("input",),
    "/undo": ("item",),
    "/label": ("value",),
    "/review": ("value", "leave_out"),
    "/rules": ("document",),
    "/dry-run": ("since", "document"),
    "/release-definitions": ("document",),
    "/releases": ("definition", "model_version", "id", "trigger"),
    "/approve": ("comment", "evidence_digest", "break_glass"),
    "/reject": ("comment", "evidence_digest"),
    "/releases/{id}/cancel": ("comment",),
    "/assignments": (
        "principal",
        "role",
        "kind",
        "workspace",
        "resource",
        "until",
        "eligible",
        "needs_approval",
        "reason",
    ),
    "/activations": ("of", "reason", "seconds"),
    "/activations/{id}/approve": ("comment",),
    "/activations/{id}/refuse": ("comment",),
    "/policies/{name}": ("text",),
    "/package-substitutions": ("items",),
}
# What else such a body must hold for the field to be looked at.
BESIDE: dict[str, dict[str, Any]] = {
    "/jobs": {"document": wire(JOB)},
    "/releases": {"definition": "thing"},
    "/traffic": {"traffic": {}},
    "/users": {"name": "somebody"},
    "/principals": {"name": "robot"},
    "/login": {"user": "ada", "password": "x"},
    "/assignments": {"principal": "user:ada", "role": "R"},
    "/activations": {"of": "group:x", "reason": "y"},
}


def writing() -> list[tuple[str, Any]]:
    return [(method, route) for method, route in ROUTES if method in ("POST", "PUT")]


def known(path: str) -> str | None:
    fitting = [end for end in FIELDS if path.endswith(end)]
    return max(fitting, key=len) if fitting else None


def whom(route: Any) -> str:
    """Who may: the administrator sets the house up, but the values of secrets are not theirs."""
    return "grace" if action(route) == Action.SECRET_GET else "admin"


def ask(served: Served, method: str, target: str, body: Any, user: str = "admin") -> tuple[int, bytes]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, headers, answer = served.raw(method, target, user, content, content_type="application/json")
    assert status != 500, (method, target, body, answer)
    if status >= 400:
        error(answer)
        assert headers["content-type"] == "application/json"
    return status, answer


def test_every_route_that_takes_fields_is_known_here() -> None:
    without = {route.path for _, route in writing() if known(route.path) is None}
    assert {path.rpartition("/")[2] for path in without} == {
        "logout", "{sha256}", "archive", "restore", "build", "cancel", "retry", "invoke", "enable", "disable", "end",
        "renew", "export", "device", "archives", "checkpoints", "verify", "next", "skip", "close",
        "sync",
    }  # fmt: skip


@pytest.mark.parametrize(("method", "route"), writing(), ids=lambda each: getattr(each, "path", each))
def test_no_value_of_any_field_breaks_a_route(served: Served, prepared: Prepared, method: str, route: Any) -> None:
    place = known(route.path)
    target = fill(route.path, prepared.places)
    for field in FIELDS[place] if place else ("anything",):
        for value in WRONG:
            ask(served, method, target, {**BESIDE.get(place or "", {}), field: value})
    for body in WRONG:
        ask(served, method, target, body)


@pytest.mark.parametrize("body", [b"", b"not json", b"{", b"[1]", b'"x"', b"\xff\xfe", b'{"a": NaN}', b"[" * 5000])
def test_what_is_not_a_json_object_is_400_everywhere(served: Served, prepared: Prepared, body: bytes) -> None:
    for method, route in writing():
        if known(route.path) is None:
            continue
        status, answer = ask(served, method, fill(route.path, prepared.places), body, whom(route))
        optional = ("/runs", "/cancel", "/acknowledge", "/resolve", "/reopen", "/dry-run", "/profile")
        if body == b"" and route.path.endswith(optional):
            continue  # everything in these bodies may be left out
        assert status == 400, (method, route.path, answer)
        assert error(answer)["code"] == "invalid_input"


def test_an_unknown_field_is_400_and_named(served: Served, prepared: Prepared) -> None:
    for method, route in writing():
        if (place := known(route.path)) is None:
            continue
        body = {**BODIES.get((method, route.path), {}), **BESIDE.get(place, {}), "surprise": 1}
        status, answer = ask(served, method, fill(route.path, prepared.places), body, whom(route))
        assert status == 400, (method, route.path, answer)
        assert "surprise" in error(answer)["message"]


def test_a_document_of_another_kind_is_400_and_says_which(served: Served, prepared: Prepared) -> None:
    for method, route in writing():
        if (place := known(route.path)) is None or "document" not in FIELDS[place] or "components" in route.path:
            continue
        other = wire(JOB if "release" in route.path else RELEASE)
        status, answer = ask(served, method, fill(route.path, prepared.places), {"document": other})
        if route.path.endswith("validate"):
            assert (status, json.loads(answer)["ok"]) == (200, False)
            continue
        assert status == 400, (method, route.path, answer)
        assert "not a " in error(answer)["message"]


@pytest.mark.parametrize(
    "value",
    ["%00", "%2e%2e", "..%2f..%2fetc", "a%20b", "%C3%9F", "x" * 300, "%ff", "a;b", "a:b", "*", "%0a", "'", "%25"],
)
def test_no_name_in_a_path_breaks_a_route(served: Served, prepared: Prepared, value: str) -> None:
    for method, route in ROUTES:
        for variable in {"ws", "name", "id", "version", "label", "step", "deployment", "blob"} & set(prepared.places):
            if "{" + variable not in route.path and not (variable == "blob" and "sha256" in route.path):
                continue
            places = {**prepared.places, variable: value, **({"tree": value} if variable == "blob" else {})}
            status, _ = ask(served, method, fill(route.path, places), {})
            if action(route) == Action.SECRET_GET:
                # The administrator sets the house up; the values of secrets are not theirs.
                assert status == 404 if variable == "ws" else status in (403, 404)
                continue
            assert status in (200, 400, 404, 409, 422), (method, route.path, value, status)


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1001", "limit=-1", "after=x", "after=-1", "status=x",
                                   "order=x", "offset=-1", "offset=x", "lines=0", "archived=x", "open=x", "after=9e99",
                                   "limit=1&limit=2", "%00=%00", "type=%00", "after=99999999999999999999"])  # fmt: skip
def test_no_query_breaks_a_route(served: Served, prepared: Prepared, query: str) -> None:
    for method, route in ROUTES:
        if method == "GET" and action(route) != routing.OPEN:
            extra = "action=data.read&" if "explain" in route.path else ""
            target = f"{fill(route.path, prepared.places)}?{extra}{query}"
            status, answer = ask(served, "GET", target, {})
            assert status in (200, 400, 404, 503), (route.path, query, answer)


def test_a_path_that_is_no_route_and_a_method_that_is_none_are_errors_of_the_same_shape(served: Served) -> None:
    for path in ("/api/v1/nothing", "/api/v2/me", "/api", "/nothing"):
        status, _, body = served.raw("GET", path, "ada")
        assert (status, error(body)["code"]) == (404, "not_found")
    for method in ("DELETE", "PATCH", "POST"):
        status, headers, body = served.raw(method, "/api/v1/me", "ada", b"{}")
        assert (status, headers["allow"]) == (405, "GET")
        assert error(body)["code"] == "invalid_input"


def test_nothing_about_the_inside_is_told(served: Served) -> None:
    for path in ("/openapi.json", "/docs", "/redoc", "/api/v1/openapi.json"):
        assert served.raw("GET", path, "admin")[0] == 404
    _, headers, _ = served.raw("GET", "/api/v1/health", None)
    assert "server" not in {name.lower() for name in headers} or "uvicorn" in headers["server"]


def put(served: Served, content: bytes, sha256: str | None = None, **headers: str) -> tuple[int, bytes]:
    name = sha256 or hashlib.sha256(content).hexdigest()
    status, _, body = served.raw("PUT", f"/api/v1/blobs/{name}", "ada", content, **headers)
    return status, body


def test_an_upload_is_kept_up_to_the_limit_and_not_above(served: Served) -> None:
    assert served.settings.upload_limit == 1000
    assert put(served, b"x" * 1000)[0] == 200
    status, body = put(served, b"x" * 1001)
    assert (status, error(body)["code"]) == (413, "too_large")
    assert "1000" in error(body)["message"]
    assert not list((served.settings.home / "blobs" / "incoming").iterdir())


def test_an_upload_that_tells_no_length_or_another_hash_is_refused(served: Served) -> None:
    name = hashlib.sha256(b"x").hexdigest()
    status, body = put(served, b"y", name)
    assert (status, error(body)["code"]) == (400, "invalid_input")
    assert "not" in error(body)["message"] and "send it again" in error(body)["cure"]
    assert served.raw("GET", f"/api/v1/blobs/{name}")[0] == 404
    status, body = put(served, b"", name, transfer_encoding="chunked", content_length="")
    assert status == 400


def test_a_body_above_the_limit_is_413_before_it_is_read_and_while(served: Served, monkeypatch: Any) -> None:
    monkeypatch.setattr(routing, "MOST_BODY", 1000)
    target = "/api/v1/workspaces/dev/jobs"
    status, _, body = served.raw("POST", target, "ada", b"", content_length="1001", content_type="application/json")
    assert (status, error(body)["code"]) == (413, "too_large")
    answer = served.as_("ada").post(target, content=iter([b"[" * 600, b"[" * 600]),
                                    headers={"content-type": "application/json"})  # fmt: skip
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    status, _, body = served.raw("POST", target, None, b"", content_length="1001")
    assert status == 401


@pytest.mark.parametrize(
    "entries",
    [
        [["/etc/passwd", "H", 1, False]], [["../x", "H", 1, False]], [["a/../../x", "H", 1, False]],
        [["", "H", 1, False]], [[".", "H", 1, False]], [["a\\b", "H", 1, False]], [["a", "0" * 64, 1, False]],
        [["a", "H", 1, False], ["a", "H", 1, False]], [["a", "H", 1, False], ["a/b", "H", 1, False]],
        [["./a", "H", 1, False]], [["a//b", "H", 1, False]], [["a/", "H", 1, False]], [["a\0b", "H", 1, False]],
        [["a", "H", 2, False]], [["a", "H", -1, False]], [["a", "H", "1", False]], [["a", "H", 1, "yes"]],
        [["a", "H"]], [["a"]], ["a"], [1], [["x" * 300, "H", 1, False]], [["a", "H", 1, False, 1]],
    ],
)  # fmt: skip
def test_a_tree_that_could_not_be_laid_down_is_refused(served: Served, entries: Any) -> None:
    sha256 = hashlib.sha256(b"x").hexdigest()
    assert put(served, b"x")[0] == 200
    given = json.loads(json.dumps(entries).replace('"H"', f'"{sha256}"'))
    status, answer = ask(served, "POST", "/api/v1/trees", {"entries": given}, "ada")
    assert (status, error(answer)["code"]) == (400, "invalid_input"), answer


def test_content_that_is_no_folder_is_not_shown_as_one(served: Served) -> None:
    for content in (b"x", b"[1]", b'[["a"]]', b"{}", b"[]x", b"\xff"):
        put(served, content)
        status, _, body = served.raw("GET", f"/api/v1/trees/{hashlib.sha256(content).hexdigest()}")
        assert (status, error(body)["code"]) in ((404, "not_found"), (400, "invalid_input")), (content, body)


def test_content_comes_back_whole_and_from_the_middle(served: Served) -> None:
    content = bytes(range(256)) * 3
    put(served, content)
    target = f"/api/v1/blobs/{hashlib.sha256(content).hexdigest()}"
    status, headers, body = served.raw("GET", target)
    assert (status, body, headers["content-length"]) == (200, content, str(len(content)))
    status, headers, body = served.raw("GET", target, range="bytes=700-")
    assert (status, body, headers["content-range"]) == (206, content[700:], f"bytes 700-767/{len(content)}")
    for other in ("bytes=0-", "bytes=9999-", "bytes=x-", "bytes=1-2", "bytes=-5", "lines=1-"):
        status, _, body = served.raw("GET", target, range=other)
        assert (status, body) == (200, content), other
