from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import console_scene
import pytest
import uvicorn
from console_scene import Scene

from doubleloop.console import pages
from doubleloop.db import engine, tables
from doubleloop.db.context import Contexts
from doubleloop.identity import ports as identity_ports
from doubleloop.settings.model import Settings
from doubleloop.storage import ports as storage_ports
from doubleloop.storage.local import LocalBlobs
from doubleloop.workspaces import queries as workspace_queries


@pytest.fixture(scope="session")
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One scene for every test that only looks."""
    shared: Any = next(
        each
        for each in request.config.pluginmanager.get_plugins()
        if Path(getattr(each, "__file__", "") or "") == Path(__file__).parents[1] / "conftest.py"
    )
    home = tmp_path_factory.mktemp("console") / "home"
    home.mkdir()
    db = engine.create(f"sqlite:///{home / 'doubleloop.sqlite'}")
    tables.METADATA.create_all(db)
    ports: dict[type[Any], Any] = {
        storage_ports.Blobs: LocalBlobs(home / "blobs"),
        identity_ports.WorkspaceKinds: workspace_queries.Kinds(),
        Settings: Settings(home=home),
    }
    contexts = Contexts(db, ports)
    with contexts.write(shared.SETUP) as ctx:
        shared.populate(ctx)
    found = console_scene.build(shared.House(home, contexts, ports))
    yield found
    found.stop()
    db.dispose()


@pytest.fixture
def own(house: Any) -> Iterator[Scene]:
    """A scene for a test that changes it."""
    found = console_scene.build(house)
    yield found
    found.stop()


class Served:
    """The console on a free port of this machine."""

    def __init__(self, scene: Scene) -> None:
        config = uvicorn.Config(
            pages.create(scene.contexts, scene.settings), host="127.0.0.1", port=0, log_level="warning", lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="console", daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)


@pytest.fixture
def served(own: Scene) -> Iterator[Served]:
    found = Served(own)
    yield found
    found.stop()
