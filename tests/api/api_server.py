"""The real API on a real home, served by uvicorn in a thread, with a client for each user."""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

import databases
from doubleloop import wiring
from doubleloop.api import app
from doubleloop.base import actors
from doubleloop.bundles import commands as bundles
from doubleloop.bundles import model as bundle_model
from doubleloop.catalog import commands as catalog
from doubleloop.db.context import Contexts
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.main import home as homes
from doubleloop.main import server as server_process
from doubleloop.monitoring import workflows as monitoring
from doubleloop.settings.model import Settings
from doubleloop.specs import documents
from doubleloop.workspaces import commands as workspaces
from doubleloop.workspaces import declared
from doubleloop.workspaces import model as places

SETUP = actors.service("setup")
# Who is there, with the persona of the group that each is the only member of.
PEOPLE = {
    "ada": identities.Persona.DATA_SCIENTIST,
    "grace": identities.Persona.PROJECT_LEAD,
    "linus": identities.Persona.PLATFORM_SUPPORT,
    "nobody": None,
}
KINDS = {"dev": identities.WorkspaceKind.PREPRODUCTION, "prod": identities.WorkspaceKind.PRODUCTION}


@dataclass(frozen=True)
class Prepared:
    """``places``: what the variables of a path may stand for, since one of everything is there."""

    home: Path
    tokens: dict[str, str]
    places: dict[str, str]


def template(folder: Path) -> dict[str, str]:
    """Make a home with workspaces and people; returns a token for each."""
    settings = Settings(home=folder)
    homes.create(settings)
    homes.prepare(settings)
    tokens = {"admin": json.loads((folder / "client.json").read_text())["token"]}
    contexts = wiring.contexts(settings)
    with contexts.write(SETUP) as ctx:
        for name, kind in KINDS.items():
            workspaces.put(ctx, places.Workspace(name, kind, "", False))
        for user, persona in PEOPLE.items():
            identity.create_user(ctx, user)
            if persona:
                identity.put_group(ctx, identities.Group(f"{user}s", persona, (user,), ()))
            tokens[user] = identity.create_token(ctx, user, "test")[1]
    contexts.engine.dispose()
    return tokens


@dataclass
class Served:
    """``served.as_("ada").get("/api/v1/me")``; ``raw`` sends a path to the byte as it is given."""

    settings: Settings
    contexts: Contexts
    url: str
    tokens: dict[str, str]
    clients: dict[str, httpx.Client] = field(default_factory=dict)

    def as_(self, user: str | None) -> httpx.Client:
        if str(user) not in self.clients:
            headers = {"authorization": f"Bearer {self.tokens[user]}"} if user else {}
            self.clients[str(user)] = httpx.Client(base_url=self.url, headers=headers, timeout=30, verify=False)
        return self.clients[str(user)]

    def raw(self, method: str, target: str, user: str | None = "ada", body: bytes = b"", **headers: str) -> Any:
        """Status, headers and body of a request whose target nobody tidies up."""
        host = httpx.URL(self.url)
        connection = http.client.HTTPConnection(host.host, host.port or 0, timeout=30)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            given = {"content-length": str(len(body)), **{key.replace("_", "-"): text for key, text in headers.items()}}
            if user:
                given["authorization"] = f"Bearer {self.tokens[user]}"
            for name, text in given.items():
                if text:
                    connection.putheader(name, text)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


@contextmanager
def running(application: Any, **config: Any) -> Iterator[uvicorn.Server]:
    """``application`` in a thread until the block ends."""
    server = uvicorn.Server(uvicorn.Config(application, log_level="error", lifespan="on", **config))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server ended while it started"
        time.sleep(0.005)
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def serve(settings: Settings, tokens: dict[str, str]) -> Iterator[Served]:
    # One that is on another database opens it as the server does.
    database = None if settings.database_url else databases.opened(settings.sqlite_path)
    contexts = wiring.contexts(settings, database)
    with running(app.create(contexts, settings), port=0, **server_process.forwarding(settings)) as server:
        port = server.servers[0].sockets[0].getsockname()[1]
        made = Served(settings, contexts, f"http://127.0.0.1:{port}", tokens)
        try:
            yield made
        finally:
            for client in made.clients.values():
                client.close()
    contexts.engine.dispose()


def wire(text: str, folder: Path | None = None) -> dict[str, Any]:
    """The wire form of a file that points at nothing local."""
    return documents.parse(text, "thing.yml", folder or Path("/nowhere")).to_wire()


ENVIRONMENT = "{$schema: x/environment.schema.json, name: thing, image: python}"
DATA = "{$schema: x/data.schema.json, name: thing, type: uri_file, path: %s}"
JOB = """
$schema: x/commandJob.schema.json
command: echo hello
environment: azureml:thing:1
"""
COMPONENT = """
$schema: x/commandComponent.schema.json
name: thing
type: command
command: echo ${{inputs.word}}
environment: azureml:thing:1
inputs: {word: {type: string, default: hello}}
"""
ENDPOINT = "{$schema: x/managedOnlineEndpoint.schema.json, name: thing, auth_mode: key}"
DEPLOYMENT = """
$schema: x/managedOnlineDeployment.schema.json
name: blue
endpoint_name: thing
model: azureml:thing:1
"""
BATCH_ENDPOINT = "{$schema: x/batchEndpoint.schema.json, name: thing}"
BATCH_DEPLOYMENT = """
$schema: x/pipelineComponentBatchDeployment.schema.json
name: blue
endpoint_name: thing
type: pipeline
component: {type: pipeline, jobs: {say: {type: command, command: echo hello, environment: azureml:thing:1}}}
"""
SCHEDULE = """
$schema: x/schedule.schema.json
name: thing-daily
trigger: {type: cron, expression: "0 0 * * *"}
create_job: {type: command, command: echo hello, environment: azureml:thing:1}
"""
MONITOR = """
$schema: x/monitorSchedule.schema.json
name: thing
trigger: {type: cron, expression: "0 0 * * *"}
create_monitor:
  compute: {instance_type: standard_e4s_v3, runtime_version: "3.4"}
  monitoring_target: {ml_task: regression, endpoint_deployment_id: azureml:thing:blue}
"""
LABELING = """
$schema: doubleloop/labeling
name: thing
task: text_classification
labels: [one, two]
data: azureml:thing:1
column: x
output: thing-labelled
"""
RULE = "{$schema: doubleloop/rule, name: thing, on: monitor.alert, do: [{notify: {to: [a@example.org]}}]}"
RELEASE = """
$schema: doubleloop/release
name: thing
model: azureml:thing
trigger: manual
stages:
  - workspace: dev
    checks: [{type: scan}]
"""
SETUP_FILE = "{$schema: doubleloop/setup, workspaces: [{name: more, kind: preproduction}]}"


def inhabit(served: Served) -> dict[str, str]:
    """One of everything, made through the API by the administrator; returns what a path's variables may stand for."""
    admin = served.as_("admin")

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = admin.post(f"/api/v1{path}", json=body)
        assert answer.status_code == 200, (path, answer.text)
        found: dict[str, Any] = answer.json()
        return found

    content = b"x,y\n1,2\n"
    sha256 = hashlib.sha256(content).hexdigest()
    assert admin.put(f"/api/v1/blobs/{sha256}", content=content).status_code == 200
    tree = post("/trees", {"entries": [["thing.csv", sha256, len(content), False]]})["sha256"]
    ws = "/workspaces/dev"
    post(f"{ws}/environments", {"document": wire(ENVIRONMENT)})
    post(f"{ws}/data", {"document": wire(DATA % f"tree:sha256:{tree}/thing.csv")})
    contract = "{$schema: doubleloop/contract, data: thing, columns: {x: integer}}"
    post(f"{ws}/contracts", {"document": wire(contract)})
    post(f"{ws}/labeling-projects", {"document": wire(LABELING)})
    post(f"{ws}/components", {"document": wire(COMPONENT)})
    post("/principals", {"name": "thing"})
    with served.contexts.write(SETUP) as ctx:
        declared.put(ctx, "budget", "thing", {"workspace": "dev", "amount": 10})
    with served.contexts.write(actors.Actor("admin"), places.REGISTRY) as ctx:
        spec = {"reference": f"tree:sha256:{tree}", "flavor": "mlflow", "authors": ["admin"]}
        catalog.add(ctx, "model", "thing", "1", tree, spec)
    post(f"{ws}/jobs", {"document": wire(JOB), "id": "thing-1"})
    post(f"{ws}/online-endpoints", {"document": wire(ENDPOINT)})
    post(f"{ws}/online-endpoints/thing/deployments", {"document": wire(DEPLOYMENT), "id": "thing-d"})
    post(f"{ws}/batch-endpoints", {"document": wire(BATCH_ENDPOINT)})
    post(f"{ws}/batch-endpoints/thing/deployments", {"document": wire(BATCH_DEPLOYMENT)})
    nothing = documents.from_model("batch_invocation", {}).to_wire()
    assert post(f"{ws}/batch-endpoints/thing/invoke", {"document": nothing, "id": "thing-b"})["id"] == "thing-b"
    post(f"{ws}/schedules", {"document": wire(SCHEDULE)})
    post(f"{ws}/monitors", {"document": wire(MONITOR)})
    run = post(f"{ws}/monitors/thing/runs", {"id": "thing-1"})
    metric = {"metric": "rmse", "column": "", "value": 9.0, "threshold": 1.0, "alert": True, "reason": ""}
    found = {"signal": "accuracy", "type": "model_performance", "status": "alert", "reason": "", "reference_rows": 1,
             "production_rows": 1, "metrics": [metric], "moved": []}  # fmt: skip
    monitoring.record(served.contexts, "thing-1", {"signals": [found]})
    (alert,) = admin.get(f"/api/v1{ws}/alerts").json()["items"]
    post(f"{ws}/rules", {"document": wire(RULE)})
    post(f"{ws}/datastores", {"document": wire("{$schema: x/datastore.schema.json, name: thing, type: local}")})
    post(f"{ws}/secrets", {"name": "thing", "value": "a value of no meaning"})
    post("/release-definitions", {"document": wire(RELEASE)})
    release = post("/releases", {"definition": "thing", "id": "thing-1"})
    assert run["id"] == release["id"] == "thing-1"
    described = bundle_model.Wanted({"id": "thing-1", "workspace": "dev"}, "release:thing-1", "dev", ("thing", "1"))
    bundle = bundles.pack(served.contexts, actors.service("releases"), described)
    step = admin.get(f"/api/v1{ws}/jobs/thing-1/steps").json()["items"][0]["name"]
    return {"ws": "dev", "name": "thing", "version": "1", "id": "thing-1", "label": "newest", "step": step,
            "deployment": "blue", "job": "thing-b", "number": "1", "alert": alert["id"],
            "blob": sha256, "tree": tree, "digest": bundle.digest}  # fmt: skip
