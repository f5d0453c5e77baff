"""Schemathesis over the whole OpenAPI of the control plane, as nobody, a data scientist and the administrator, over
real HTTP.

Never a 5xx, never a 2xx to somebody whom the tables do not let in, every error of the documented shape. The examples
are drawn from a fixed seed, so that two runs ask the same;
``EXAMPLES`` may be raised by hand for a longer search.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from api_server import KINDS, SETUP, Prepared, Served, serve
from fastapi import FastAPI
from schemathesis import GenerationMode
from test_bad_requests import BESIDE, FIELDS, known
from test_every_route import BY_HASH, FILTERED, ROUTES, action, error

from doubleloop import wiring
from doubleloop.api import app, routing
from doubleloop.identity import commands as identity
from doubleloop.identity import model, roles
from doubleloop.identity.actions import Action
from doubleloop.identity.model import Persona
from doubleloop.settings.model import Settings

pytestmark = pytest.mark.slow

EXAMPLES = 1
WHO = {"nobody at all": None, "scientist": Persona.DATA_SCIENTIST}
# They would end the caller's own session, or build environments with packages from the internet.
LEFT_OUT = {
    ("POST", "/api/v1/logout"),
    ("POST", "/api/v1/workspaces/{ws}/environments/{name}/versions/{version}/build"),
}
# They ask a process that does not run here, and say so.
AWAY = ("/metrics", "/invoke", "/login/oidc", "/login/oidc/finish", "/login/oidc/device", "/login/oidc/device/finish")
BY_PATH = {(method, route.path.replace(":path}", "}")): route for method, route in ROUTES}
# One's own tokens and what one may activate are nobody's business but one's own.
OWN_THINGS = {("POST", "/api/v1/tokens"), ("DELETE", "/api/v1/tokens/{id}"), ("GET", "/api/v1/roles/explain")}


def described(places: dict[str, str]) -> dict[str, Any]:
    """The OpenAPI as FastAPI makes it, with the fields that bodies have and with names of things that are there."""
    api = FastAPI(title="Doubleloop", version="1")
    for module in app.ROUTERS:
        api.include_router(module.router)
    found = api.openapi()
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    name = parameter["name"]
                    there = places.get(name) or places["tree" if "trees" in path else "blob"]
                    parameter["schema"] = {"anyOf": [{"enum": [there]}, {"type": "string", "minLength": 1}]}
            fields = FIELDS.get(known(path) or "", ())
            if fields and method in ("post", "put"):
                beside = BESIDE.get(known(path) or "", {})
                properties = {
                    each: {"anyOf": [{"enum": [beside[each]]}, {}]} if each in beside else {} for each in fields
                }
                body = {"type": "object", "properties": properties, "additionalProperties": False}
                operation["requestBody"] = {"content": {"application/json": {"schema": body}}, "required": True}
    return found


def operations(places: dict[str, str]) -> list[Any]:
    found = [each.ok() for each in schemathesis.openapi.from_dict(described(places)).get_all_operations()]
    return [each for each in found if (each.method.upper(), each.path) not in LEFT_OUT]


@pytest.fixture
def peopled(prepared: Prepared, tmp_path: Path) -> Iterator[Served]:
    import shutil

    home = Path(shutil.copytree(prepared.home, tmp_path / "home"))
    contexts = wiring.contexts(Settings(home=home))
    tokens = dict(prepared.tokens)
    with contexts.write(SETUP) as ctx:
        for number, (_, persona) in enumerate(WHO.items()):
            if persona is not None:
                identity.create_user(ctx, f"p{number}")
                group = model.Group(f"all-{persona}", persona, (f"p{number}",), tuple(KINDS))
                identity.put_group(ctx, group)
                tokens[persona.value] = identity.create_token(ctx, f"p{number}", "test")[1]
    contexts.engine.dispose()
    with serve(Settings(home=home), tokens) as made:
        yield made


def allowed(persona: Persona, method: str, path: str, workspace: str | None) -> bool:
    """Whether a 2xx may be: what the tables say of the route's action, there or (without a workspace) anywhere."""
    route = BY_PATH[(method, path)]
    word = action(route)
    if word in (routing.OPEN, routing.OWN) or (method, path) in FILTERED | BY_HASH | OWN_THINGS:
        return True
    kinds = [KINDS[workspace]] if workspace in KINDS else list(KINDS.values())
    return any(Action(word) in roles.allowed_actions(persona, kind) for kind in kinds)


def drawn(operation: Any, ask: Callable[..., None]) -> Callable[[], None]:
    """A function that asks with examples of an operation."""

    @hypothesis.seed(1)
    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def run(case: Any) -> None:
        ask(case)

    return run


@pytest.mark.parametrize("who", [*WHO, "administrator"])
def test_whatever_the_schema_allows_is_answered_as_it_should(peopled: Served, prepared: Prepared, who: str) -> None:
    persona = WHO.get(who)
    token = (
        peopled.tokens["admin" if who == "administrator" else persona.value]
        if who != "nobody at all" and (persona or who == "administrator")
        else None
    )
    headers = {"authorization": f"Bearer {token}"} if token else {}
    wrong: list[Any] = []
    seen: set[int] = set()

    def ask(case: Any, method: str, path: str) -> None:
        answer = case.call(base_url=peopled.url, headers=headers, timeout=30)
        status = answer.status_code
        seen.add(status)
        told = (method, path, case.path_parameters, case.query, case.body, status, answer.text[:300])
        if status >= 500 and not (status == 503 and path.endswith(AWAY)):
            wrong.append(told)
        if status >= 400:
            error(answer.content)
        if status < 300 and who == "nobody at all" and action(BY_PATH[(method, path)]) != routing.OPEN:
            wrong.append(told)
        if status < 300 and persona and not allowed(persona, method, path, (case.path_parameters or {}).get("ws")):
            wrong.append(told)

    for each in operations(prepared.places):
        drawn(each, functools.partial(ask, method=each.method.upper(), path=each.path))()
    assert wrong == []
    assert seen & {200, 401}, seen
