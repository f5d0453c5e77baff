"""Fixtures every room's tests share: a whole installation's lower floors on a real SQLite file."""

from __future__ import annotations

import gc
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import databases
from doubleloop.base import actors
from doubleloop.catalog import store as _catalog_store  # noqa: F401  (declares its tables)
from doubleloop.db.context import Contexts, Ctx
from doubleloop.durable import store as _durable_store  # noqa: F401
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.identity import ports as identity_ports
from doubleloop.settings.model import Settings
from doubleloop.storage import ports as storage_ports
from doubleloop.storage.local import LocalBlobs
from doubleloop.workspaces import commands as workspaces
from doubleloop.workspaces import model as workspace_model
from doubleloop.workspaces import queries as workspace_queries

SETUP = actors.service("setup")

# What is imported and collected lives to the end: each search for garbage among it is time lost.
gc.disable()

# Where it is set, each of the processes that tests start compiles all it imports, which takes most of its time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


# About how many seconds of work a test is, a quick one and one that is marked slow; and files that are more than that.
QUICK, SLOW = 0.1, 5.0
HEAVY = {
    "faults/test_kills.py": 200, "e2e/test_open_gate_release.py": 110, "e2e/test_project_from_template.py": 90,
    "e2e/test_language_family.py": 80, "api/test_bad_requests.py": 70, "e2e/test_bad_input.py": 50,
    "console/test_console_browser.py": 50, "console/test_console_pages.py": 40, "examples/test_bikes_story.py": 40,
    "tracking/test_mlflow_clients.py": 40, "gateway/test_overload.py": 35, "minibatches/test_minibatch_tables.py": 35,
    "api/test_personas_over_http.py": 30, "console/test_console_data.py": 30, "gateway/test_torch_graphs.py": 30,
    "jobs/test_automl_jobs.py": 30, "jobs/test_groups_of_steps.py": 25, "jobs/test_jobs_survive.py": 25,
    "gateway/test_plans.py": 25, "recipes/test_language_networks.py": 25, "recipes/test_vision_training.py": 25,
    "e2e/test_secrets_at_rest.py": 20, "gateway/test_fronts.py": 20, "gateway/test_replacement.py": 20,
    "examples/test_open_gate.py": 20, "jobs/test_pipeline_jobs.py": 20, "recipes/test_lstm.py": 20,
    "tracking/test_isolation.py": 20, "cli/test_against_the_server.py": 20, "releases/test_release_flow.py": 20,
    "tracking/test_tracking_port.py": 15,
}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The heaviest files first: a file goes to one process as a whole, and one that begins late ends the run alone."""
    weight: dict[Path, float] = Counter()
    for item in items:
        weight[item.path] += SLOW if item.get_closest_marker("slow") else QUICK
    for path in weight:
        weight[path] = max(weight[path], HEAVY.get("/".join(path.parts[-2:]), 0))
    place = {path: number for number, (path, _) in enumerate(sorted(weight.items(), key=lambda each: -each[1]))}
    items.sort(key=lambda item: place[item.path])


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@dataclass
class House:
    """Lower floors of an installation: real database, real blobs, three workspaces, four users with personas."""

    home: Path
    contexts: Contexts
    ports: dict[type[Any], Any] = field(default_factory=dict)

    def write(self, user: str = "ada", workspace: str | None = "dev") -> Any:
        return self.contexts.write(self.actor(user), workspace)

    def read(self, user: str = "ada", workspace: str | None = "dev") -> Any:
        return self.contexts.read(self.actor(user), workspace)

    @staticmethod
    def actor(user: str) -> actors.Actor:
        return actors.service(user.removeprefix("service:")) if user.startswith("service:") else actors.Actor(user)


def populate(ctx: Ctx) -> None:
    kinds = identities.WorkspaceKind
    for name, kind, is_registry in [
        ("dev", kinds.PREPRODUCTION, False),
        ("staging", kinds.PREPRODUCTION, False),
        ("prod", kinds.PRODUCTION, False),
        (workspace_model.REGISTRY, kinds.PREPRODUCTION, True),
    ]:
        workspaces.put(ctx, workspace_model.Workspace(name, kind, "", is_registry))
    for user, persona in [
        ("ada", identities.Persona.DATA_SCIENTIST),
        ("grace", identities.Persona.PROJECT_LEAD),
        ("linus", identities.Persona.PLATFORM_SUPPORT),
        ("eve", identities.Persona.BUSINESS_STAKEHOLDER),
    ]:
        identity.create_user(ctx, user)
        identity.put_group(ctx, identities.Group(f"{persona.value}s", persona, (user,), ()))


def settle(db: sa.Engine) -> None:
    contexts = Contexts(db, {identity_ports.WorkspaceKinds: workspace_queries.Kinds()})
    with contexts.write(SETUP) as ctx:
        populate(ctx)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    home = tmp_path / "home"
    home.mkdir()
    db = databases.filled(home / "doubleloop.sqlite", settle)
    ports: dict[type[Any], Any] = {
        storage_ports.Blobs: LocalBlobs(home / "blobs"),
        identity_ports.WorkspaceKinds: workspace_queries.Kinds(),
        # The servers of tests are on this machine.
        Settings: Settings(home=home, private_addresses="127.0.0.1"),
    }
    contexts = Contexts(db, ports)
    yield House(home, contexts, ports)
    db.dispose()
