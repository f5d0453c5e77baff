"""Every persona, in both kinds of workspace, at every route and for every action: let in, or told no.

What is expected is worked out here, from the tables as they were published and the list of actions in the
documentation, and not asked of the code that decides.
"""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from api_server import RELEASE, SETUP, SETUP_FILE, Prepared, Served, serve, wire
from fastapi import FastAPI
from fastapi.routing import APIRoute

import doubleloop.identity
from doubleloop import wiring
from doubleloop.api import app, routing
from doubleloop.base import actors
from doubleloop.gates import commands as gates
from doubleloop.identity import commands as identity
from doubleloop.identity import model
from doubleloop.identity.actions import Action
from doubleloop.identity.model import Persona
from doubleloop.releases import store as releases
from doubleloop.settings.model import Settings

PLACES = {"preproduction": "dev", "production": "prod"}
TABLES = Path(doubleloop.identity.__file__).with_name("tables")
DOCS = Path(__file__).parents[2] / "docs" / "access.md"
ROWS = {
    "Data scientist": "data_scientist", "Data analyst": "data_analyst", "Model tester": "model_tester",
    "Business stakeholders": "business_stakeholder", "Project lead (Data science lead)": "project_lead",
    "Project/product owner": "product_owner", "Platform technical support": "platform_support",
    "Model end user": "model_end_user", "CI/CD processes": "cicd_process",
    "Machine Learning workspace": "workspace_process", "Monitoring processes": "monitoring_process",
    "Data governance processes": "governance_process",
}  # fmt: skip


def _kinds() -> tuple[dict[str, str], dict[str, set[str]]]:
    """From the documentation: the article's column of each kind of resource, and the kind's actions."""
    columns, actions = {}, {}
    for kind, column, text in re.findall(r"^\| (\w+) \| ([A-Z][\w ]+) \| (`.*) \|$", DOCS.read_text(), re.MULTILINE):
        columns[column] = kind
        patterns = re.findall(r"`([a-z]+\.(?:[a-z]+|\*))`", text)
        actions[kind] = {action.value for action in Action for each in patterns if fnmatchcase(action, each)}
    return columns, actions


COLUMNS, ACTIONS = _kinds()
KIND = {action: kind for kind, actions in ACTIONS.items() for action in actions}


def granted(role: str, kind: str) -> set[str]:
    """What the documentation says that a role may do on a kind of resource."""
    every = ACTIONS[kind]
    values, people = {"secret.get", "secret.write"}, {"audit.read", "identity.read"}
    found = {
        "R": {each for each in every if each.endswith(".read")} - people,
        "C": every - values - {"identity.write", "release.approve", "audit.write"},
        "O": every - values - {"release.approve", "audit.write"},
        "ADS": every - {"compute.write", "workspace.write", "identity.read", "identity.write"},
        "AcrPush": every, "KVA": every, "KVR": {"secret.read"}, "MC": every, "MR": {"monitor.read"},
        "LAR": {"log.read"}, "LAC": every - {"audit.write"}, "DOPCA": every - {"release.approve"},
        "EU": {"endpoint.invoke"}, "APR": {"release.approve", "release.read"}, "AUD": {"audit.read"},
        "LAB": {"labeling.label", "labeling.read"},
    }  # fmt: skip
    return found[role] & every


def _expected() -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for environment in PLACES:
        with (TABLES / f"rbac_{environment}.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                cells = [(COLUMNS[column], text) for column, text in row.items() if column != "Persona"]
                found[ROWS[row["Persona"]], environment] = {
                    action for kind, text in cells for role in text.replace(",", " ").split()
                    for action in granted(role, kind)
                }  # fmt: skip
    with (TABLES / "choices.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["persona"], row["environment"]] |= granted(row["role"], row["resource"])
    return found


EXPECTED = _expected()
CELLS = sorted(EXPECTED)


def test_the_tables_have_every_persona_and_the_documentation_every_action() -> None:
    assert {persona for persona, _ in CELLS} == {each.value for each in Persona} and len(CELLS) == 24
    assert sum(map(len, ACTIONS.values())) == len(KIND) == len(Action)
    assert len(COLUMNS) == 8
    # Nothing that everybody, or nobody, may do would be tried in one direction alone.
    for action in set(Action) - {Action.AUDIT_WRITE}:
        assert 0 < sum(action in allowed for allowed in EXPECTED.values()) < len(EXPECTED), action


@pytest.fixture(scope="module")
def personas(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One user for each persona, in a group of its own that is good for dev and prod; ``PERSONA-anywhere`` are in
    groups that are not limited to workspaces."""
    home = Path(shutil.copytree(prepared.home, tmp_path_factory.mktemp("personas") / "home"))
    contexts = wiring.contexts(Settings(home=home))
    tokens = dict(prepared.tokens)
    with contexts.write(SETUP) as ctx:
        for persona in Persona:
            for user, places in ((persona.value, ("dev", "prod")), (f"{persona.value}-anywhere", ())):
                identity.create_user(ctx, user)
                identity.put_group(ctx, model.Group(f"all-{user}", persona, (user,), places))
                tokens[user] = identity.create_token(ctx, user, "test")[1]
    contexts.engine.dispose()
    with serve(Settings(home=home), tokens) as made:
        for place in PLACES.values():
            document = wire(RELEASE.replace("name: thing", f"name: in-{place}").replace(": dev", f": {place}"))
            assert made.as_("admin").post("/api/v1/release-definitions", json={"document": document}).is_success
            started = {"definition": f"in-{place}", "id": f"in-{place}-1"}
            assert made.as_("admin").post("/api/v1/releases", json=started).is_success
            with made.contexts.write(actors.service("releases"), place) as ctx:
                asked = gates.open_approval(
                    ctx, f"release:in-{place}-1", personas=list(Persona), count=2, not_author={}, expires_at=None,
                    evidence_digest="0", notify="nothing",
                )  # fmt: skip
                release = releases.get(ctx, f"in-{place}-1")
                assert release
                releases.note_stage(ctx, release, approval=asked.id)
        yield made


def routes(below: bool) -> list[tuple[str, str, str]]:
    """Method, path and action of every route below a workspace, or of every other one."""
    api = FastAPI()
    for module in app.ROUTERS:
        api.include_router(module.router)
    found = []
    for route in routing.api_routes(api):
        assert isinstance(route, APIRoute)
        word = str((route.openapi_extra or {})[routing.KEY])
        if ("{ws}" in route.path) is below and word not in (routing.OPEN, routing.OWN):
            found += [(method, route.path, word) for method in sorted(route.methods or ())]
    return found


def to_try(persona: str, environment: str) -> list[tuple[str, str, str]]:
    """Every route of a workspace that lets in; of those that do not, two of each action, others for each cell: the
    door that refuses them is one and the same, and the cells together try them all."""
    found = []
    for action in sorted(set(Action)):
        those = [each for each in ROUTES if each[2] == action]
        refused = [cell for cell in CELLS if action not in EXPECTED[cell]]
        if those and (persona, environment) in refused:
            first = 2 * refused.index((persona, environment))
            those = sorted({those[(first + n) % len(those)] for n in (0, 1)})
        found += those
    return found


def target(path: str, **given: str) -> str:
    return re.sub(r"\{(\w+)(?::path)?\}", lambda found: given.get(found[1], "nothing-of-that-name"), path)


ROUTES = routes(below=True)


def test_every_route_of_a_workspace_is_tried_by_some_that_it_lets_in_and_some_that_it_does_not() -> None:
    tried = {(route, route[2] in EXPECTED[cell]) for cell in CELLS for route in to_try(*cell)}
    assert tried == {(route, let_in) for route in ROUTES for let_in in (True, False)}


@pytest.mark.parametrize(("persona", "environment"), CELLS)
def test_a_route_of_a_workspace_lets_in_exactly_those_whose_table_says_so(
    personas: Served, persona: str, environment: str
) -> None:
    client = personas.as_(persona)
    wrong = []
    for method, path, action in to_try(persona, environment):
        place = target(path, ws=PLACES[environment])
        # Not JSON: whoever is let in is told so before anything happens.
        status = client.request(method, place, content=b"{" if method in ("POST", "PUT") else None).status_code
        assert status not in (401, 500), (method, place, status)
        if (status != 403) is not (action in EXPECTED[persona, environment]):
            wrong.append((method, place, action, status))
    assert wrong == []


@pytest.mark.parametrize(("persona", "environment"), CELLS)
def test_delivery_and_mlflow_of_a_workspace_let_in_exactly_those_whose_table_says_so(
    personas: Served, persona: str, environment: str
) -> None:
    """Releases span workspaces and have paths of their own; MLflow is below its own. What is asked for is not there, or
    MLflow does not run: who is let in hears of that."""
    client, place = personas.as_(persona), PLACES[environment]
    named = RELEASE.replace("name: thing", f"name: of-{persona}-{place}".replace("_", "-"))
    document = wire(named.replace("workspace: dev", f"workspace: {place}"))
    asked: list[tuple[str, str, str, dict[str, Any] | None]] = [
        ("release.read", "GET", f"/api/v1/release-definitions/in-{place}", None),
        ("release.write", "POST", "/api/v1/release-definitions", {"document": document}),
        ("release.start", "POST", "/api/v1/releases", {"definition": f"in-{place}", "model_version": "99"}),
        ("release.read", "GET", f"/api/v1/releases/in-{place}-1/evidence", None),
        ("release.start", "POST", f"/api/v1/releases/in-{place}-1/cancel", {}),
        # What was seen is not named: whoever may decide is told so, and the release goes on waiting.
        ("release.approve", "POST", f"/api/v1/releases/in-{place}-1/approve", {"comment": "yes"}),
        ("release.approve", "POST", f"/api/v1/releases/in-{place}-1/reject", {"comment": "no"}),
        ("tracking.read", "GET", f"/mlflow/w/{place}/api/2.0/mlflow/runs/get?run_id=1", None),
        ("tracking.write", "POST", f"/mlflow/w/{place}/api/2.0/mlflow/runs/log-batch", {}),
        ("model.read", "GET", f"/mlflow/w/{place}/api/2.0/mlflow/registered-models/get?name=x", None),
        ("model.write", "POST", f"/mlflow/w/{place}/api/2.0/mlflow/registered-models/create", {}),
    ]
    wrong = []
    for action, method, path, body in asked:
        status = client.request(method, path, json=body).status_code
        assert status in (200, 400, 403, 404, 503), (action, path, status)
        if (status != 403) is not (action in EXPECTED[persona, environment]):
            wrong.append((action, path, status))
    assert wrong == []


# What these routes need to be told before they know whether one may; the rest is about names that are not there.
BODIES: dict[str, Any] = {
    "/api/v1/release-definitions": {"document": wire(RELEASE)}, "/api/v1/releases": {"definition": "thing"},
    "/api/v1/setup/plan": {"document": wire(SETUP_FILE)}, "/api/v1/setup/apply": {"document": wire(SETUP_FILE)},
    "/api/v1/tokens": {"name": "theirs", "user": "ada"}, "/api/v1/users": {"name": "Not A Name"},
    "/api/v1/users/{name}/password": {"password": "a long enough one"}, "/api/v1/principals": {"name": "Not A Name"},
    "/api/v1/setup/destroy": {"name": "nothing"},
}  # fmt: skip
# They answer everybody, with what each may see.
FILTERED = {"/api/v1/approvals", "/api/v1/release-definitions", "/api/v1/releases", "/api/v1/workspaces",
            "/api/v1/principals"}  # fmt: skip


def may_outside(persona: str, anywhere: bool, path: str, action: str) -> bool:
    """A release is one thing on its whole way, here through dev; bundles are in the registry, which is of the
    preproduction kind and reached by every group; whose record one may read is asked of each workspace; all else is
    of the installation: what a persona may in both kinds of workspace, if its group is not limited."""
    before, after = EXPECTED[persona, "preproduction"], EXPECTED[persona, "production"]
    if action.startswith("release.") or path.startswith("/api/v1/trace/"):
        return action in before
    if path.startswith("/api/v1/bundle") and action.startswith("model."):
        return action in before
    if action == "audit.read":
        return action in before | after
    return anywhere and action in before & after


@pytest.mark.parametrize(
    ("persona", "anywhere"),
    [(persona, True) for persona in sorted(ROWS.values())] + [("platform_support", False), ("project_lead", False)],
)
def test_a_route_of_the_installation_lets_in_exactly_those_whose_table_says_so(
    personas: Served, persona: str, anywhere: bool
) -> None:
    client = personas.as_(f"{persona}-anywhere" if anywhere else persona)
    wrong = []
    for method, path, action in routes(below=False):
        if method == "GET" and path in FILTERED:
            assert client.get(path).status_code == 200
            continue
        if action == Action.RELEASE_APPROVE:
            continue  # asked of those that wait, above
        there = {"id": "thing-1", "name": "thing"} if re.search("/(releases|trace|release-definitions)/", path) else {}
        place = target(path, **there)
        if path.endswith("explain"):
            place += "?action=data.read&user=ada"
        answer = client.request(method, place, json=BODIES.get(path, {}) if method in ("POST", "PUT") else None)
        assert answer.status_code not in (401, 500), (method, place, answer.text)
        if (answer.status_code != 403) is not may_outside(persona, anywhere, path, action):
            wrong.append((method, place, action, answer.status_code, answer.text[:150]))
    assert wrong == []


@pytest.mark.parametrize(("persona", "environment"), CELLS)
def test_every_action_is_explained_as_it_is_decided(personas: Served, persona: str, environment: str) -> None:
    client = personas.as_(persona)
    # Those that no path of a workspace asks for, and one of each kind of resource.
    walked = {action for _, _, action in ROUTES}
    for action in sorted({*(set(Action) - walked), *(Action(min(actions)) for actions in ACTIONS.values())}):
        query = {"action": action.value, "workspace": PLACES[environment]}
        found: dict[str, Any] = client.get("/api/v1/roles/explain", params=query).json()
        assert found["allowed"] is (action in EXPECTED[persona, environment]), found
        if found["allowed"]:
            assert found["by"], found
            for each in found["by"]:
                group, _, cell = each.partition(": ")
                role, kind = re.fullmatch(rf"(\w+) on (\w+) in {environment}", cell).groups()  # type: ignore[union-attr]
                assert (group, kind) == (f"group all-{persona}", KIND[action]) and action in granted(role, kind)
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
