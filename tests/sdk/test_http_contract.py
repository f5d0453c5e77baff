"""docs/http-api.md, the server's routes and the client's calls are the same list."""

from __future__ import annotations

import contextlib
import inspect
import re
from pathlib import Path
from typing import Any

from small_server import Reply, SmallServer

from doubleloop.base import errors
from doubleloop.sdk import client as clients
from doubleloop.sdk import routes

DOCS = Path(__file__).parents[2] / "docs" / "http-api.md"
KINDS = {
    "{assets}": ("data", "environments", "components", "models"), "{kept}": ("data", "environments", "models"),
    "{labelled}": ("data", "environments", "components"),
}  # fmt: skip
Route = tuple[str, str]


def documented() -> set[Route]:
    found = set()
    for method, path in re.findall(r"^(GET|POST|PUT|DELETE) (/api/v1/\S+)", DOCS.read_text(), re.MULTILINE):
        variable = next((name for name in KINDS if name in path), None)
        for kind in KINDS[variable] if variable else ("",):
            found.add((method, blank(path.replace(variable or "\0", kind))))
    return found


def blank(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def test_every_route_of_the_server_is_documented_and_every_documented_one_is_there() -> None:
    from fastapi import FastAPI

    from doubleloop.api import app, routing

    api = FastAPI()
    for module in app.ROUTERS:
        api.include_router(module.router)
    served = {(method, blank(route.path)) for route in routing.api_routes(api) for method in route.methods or ()}
    assert documented() - served == set()
    assert served - documented() == set()


def methods(thing: Any) -> list[Any]:
    own = [name for name in dir(thing) if not name.startswith("_") and callable(getattr(thing, name, None))]
    return [getattr(thing, name) for name in own if inspect.ismethod(getattr(thing, name))]


def call(method: Any) -> None:
    """Call it with texts for what it needs, and with everything else it can take."""
    given: dict[str, Any] = {}
    for name, parameter in inspect.signature(method).parameters.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        kind = str(parameter.annotation)
        if "Body" in kind or "dict" in kind:
            given[name] = {"kind": "x"} if "int" not in kind else {"blue": 100}
        elif "bool" in kind:
            given[name] = True
        elif "int" in kind:
            given[name] = 1
        elif "bytes" in kind:
            given[name] = b"{}"
        elif "Path" in kind and name == "data":  # what is sent before the call
            given[name] = Path(__file__)
        elif "Path" in kind:
            given[name] = Path("/no/such/folder/p")
        elif "Callable" in kind or "Progress" in kind:
            given[name] = lambda *_: None
        else:
            given[name] = "p"
    method(**given)


def test_every_call_of_the_client_is_a_documented_route(client: clients.Client, server: SmallServer) -> None:
    known = [(method, re.compile(path.replace("{}", "[^/]+"))) for method, path in documented()]
    answered = b'{"items": [], "next": null, "result": {}, "sha256": "", "missing": [], "entries": [], "archived": {}}'
    answer = Reply(200, answered)
    for method in ("GET", "POST", "PUT", "DELETE"):
        for depth in range(1, 9):
            server.on(method, "/".join(["*"] * depth), answer)
    groups = [client, client.users, client.principals, client.audit, client.setup, client.definitions, client.releases]
    groups += [each for each in vars(client.workspace("p")).values() if isinstance(each, routes.Routes)]
    called = [method for group in groups for method in methods(group) if method.__name__ not in ("workspace",)]
    for method in called:
        call(method)
    groups_of_files = methods(client.bundles)
    for method in groups_of_files:
        with contextlib.suppress(errors.DoubleloopError, KeyError, OSError):  # files and their content: tests/api
            call(method)
    assert len(called) > 70
    absent = {"labels", "archive", "restore", "versions"}  # of kinds of assets that do not have them yet
    for seen in server.seen:
        fits = any(method == seen.method and path.fullmatch(seen.path) for method, path in known)
        assert fits or absent & set(seen.path.split("/")), f"{seen.method} {seen.path} is not in docs/http-api.md"
