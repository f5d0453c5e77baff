"""Every persona, in both kinds of workspace, at every route of a workspace and for every action: let in, or told no."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_server import SETUP, Prepared, Served, serve
from fastapi import FastAPI
from fastapi.routing import APIRoute

from doubleloop import wiring
from doubleloop.api import app, routing
from doubleloop.identity import commands as identity
from doubleloop.identity import model, roles
from doubleloop.identity.actions import Action
from doubleloop.identity.model import Persona, WorkspaceKind
from doubleloop.settings.model import Settings

PLACES = {WorkspaceKind.PREPRODUCTION: "dev", WorkspaceKind.PRODUCTION: "prod"}


@pytest.fixture(scope="module")
def personas(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One user for each persona, in a group of its own that is good for dev and prod."""
    import shutil

    home = Path(shutil.copytree(prepared.home, tmp_path_factory.mktemp("personas") / "home"))
    contexts = wiring.contexts(Settings(home=home))
    tokens = dict(prepared.tokens)
    with contexts.write(SETUP) as ctx:
        for persona in Persona:
            identity.create_user(ctx, persona.value)
            identity.put_group(ctx, model.Group(f"all-{persona}", persona, (persona.value,), ("dev", "prod")))
            tokens[persona.value] = identity.create_token(ctx, persona.value, "test")[1]
    contexts.engine.dispose()
    with serve(Settings(home=home), tokens) as made:
        yield made


def routes() -> list[tuple[str, str, Action]]:
    """Method, path and action of every route below a workspace."""
    api = FastAPI()
    for module in app.ROUTERS:
        api.include_router(module.router)
    found = []
    for route in routing.api_routes(api):
        assert isinstance(route, APIRoute)
        word = str((route.openapi_extra or {})[routing.KEY])
        if "{ws}" in route.path and word not in (routing.OPEN, routing.OWN):
            found += [(method, route.path, Action(word)) for method in sorted(route.methods or ())]
    return found


ROUTES = routes()


def test_every_kind_of_resource_has_routes_in_a_workspace() -> None:
    """But delivery, whose releases span workspaces and are asked for by their own paths below."""
    kinds = {roles.KIND_OF[action] for _, _, action in ROUTES}
    assert set(roles.ResourceKind) - kinds <= {roles.ResourceKind.SECRETS}
    for persona in Persona:
        assert roles.of_persona(persona, WorkspaceKind.PREPRODUCTION)


@pytest.mark.parametrize("environment", WorkspaceKind)
@pytest.mark.parametrize("persona", Persona)
def test_a_route_lets_in_exactly_those_whose_table_says_so(
    personas: Served, persona: Persona, environment: WorkspaceKind
) -> None:
    client = personas.as_(persona.value)
    may = roles.allowed_actions(persona, environment)
    wrong = []
    for method, path, action in ROUTES:
        target = re.sub(r"\{(\w+)(?::path)?\}", "nothing-of-that-name", path.replace("{ws}", PLACES[environment]))
        # Not JSON: whoever is let in is told so before anything happens.
        status = client.request(method, target, content=b"{" if method in ("POST", "PUT") else None).status_code
        assert status not in (401, 500), (method, target, status)
        if (status != 403) is not (action in may):
            wrong.append((method, target, action.value, status))
    assert wrong == []


@pytest.mark.parametrize("environment", WorkspaceKind)
@pytest.mark.parametrize("persona", Persona)
def test_every_action_is_explained_as_it_is_decided(
    personas: Served, persona: Persona, environment: WorkspaceKind
) -> None:
    client = personas.as_(persona.value)
    for action in Action:
        query = {"action": action.value, "workspace": PLACES[environment]}
        found: dict[str, Any] = client.get("/api/v1/roles/explain", params=query).json()
        assert found["allowed"] is (action in roles.allowed_actions(persona, environment)), found
        if found["allowed"]:
            kind = roles.KIND_OF[action]
            cells = [c.role for c in roles.of_persona(persona, environment) if action in roles.actions(c.role, c.kind)]
            assert [f"group all-{persona}: {role} on {kind} in {environment}" for role in cells] == found["by"]
        else:
            assert (found["by"], f"none allows {action.value} in" in found["why"]) == ([], True)


def test_a_role_for_one_endpoint_opens_its_routes_and_no_others(personas: Served) -> None:
    client = personas.as_("data_analyst")
    routes = "/api/v1/workspaces/prod/online-endpoints"
    given = {"principal": "user:data_analyst", "role": "R", "workspace": "prod", "resource": "endpoint/mine"}
    assert client.post("/api/v1/assignments", json=given).status_code == 403
    assert personas.as_("admin").post("/api/v1/assignments", json=given).status_code == 200
    assert client.get(f"{routes}/mine").status_code == client.get(f"{routes}/mine/deployments/x").status_code == 404
    assert client.get(routes).json()["items"] == []  # a list shows what one may see: it is not there yet
    refused = (f"{routes}/others", f"{routes}/mine/keys", routes.replace("online-endpoints", "models"))
    assert [client.get(path).status_code for path in refused] == [403] * 3
    assert [each["principal"] for each in client.get("/api/v1/assignments").json()["items"]] == ["user:data_analyst"]
