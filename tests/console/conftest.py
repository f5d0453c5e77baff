from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import console_scene
import pytest
from console_scene import Scene

import databases
from doubleloop.db.context import Contexts
from doubleloop.identity import ports as identity_ports
from doubleloop.settings.model import Settings
from doubleloop.storage import ports as storage_ports
from doubleloop.storage.local import LocalBlobs
from doubleloop.workspaces import queries as workspace_queries


@contextlib.contextmanager
def building(config: pytest.Config, folder: Path) -> Iterator[Scene]:
    """A scene that outlives one test: the shared ``house`` fixture, built by hand."""
    shared: Any = next(
        each
        for each in config.pluginmanager.get_plugins()
        if Path(getattr(each, "__file__", "") or "") == Path(__file__).parents[1] / "conftest.py"
    )
    home = folder / "home"
    home.mkdir()
    db = databases.filled(home / "doubleloop.sqlite", shared.settle)
    ports: dict[type[Any], Any] = {
        storage_ports.Blobs: LocalBlobs(home / "blobs"),
        identity_ports.WorkspaceKinds: workspace_queries.Kinds(),
        Settings: Settings(home=home),
    }
    contexts = Contexts(db, ports)
    found = console_scene.build(shared.House(home, contexts, ports))
    yield found
    found.stop()
    db.dispose()


@pytest.fixture(scope="session")
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One scene for every test that only looks."""
    with building(request.config, tmp_path_factory.mktemp("console")) as found:
        yield found


@pytest.fixture(scope="module")
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[console_scene.Served]:
    """A scene of a module's own, on a free port of this machine."""
    with building(request.config, tmp_path_factory.mktemp("served")) as found:
        server = console_scene.Served(found)
        yield server
        server.stop()


@pytest.fixture
def own(house: Any) -> Iterator[Scene]:
    """A scene for a test that changes it."""
    found = console_scene.build(house)
    yield found
    found.stop()
