"""A worker that reacts to facts of a house and sends, on the real engine, until it is killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from doubleloop.automation import loop, telling, workflows
from doubleloop.db import engine as engines
from doubleloop.db.context import Contexts
from doubleloop.durable import engine
from doubleloop.identity import ports as identity
from doubleloop.settings.model import Settings
from doubleloop.workspaces import queries as workspaces


def main(home: Path) -> None:
    settings = Settings(home=home, private_addresses="127.0.0.1")
    database = engines.create(f"sqlite:///{home}/doubleloop.sqlite")
    contexts = Contexts(database, {Settings: settings, identity.WorkspaceKinds: workspaces.Kinds()})
    bodies = {**workflows.WORKFLOWS, **telling.WORKFLOWS}
    durable = engine.Engine(contexts, bodies, url=f"sqlite:///{home}/durable.sqlite", poll_interval=0.05)
    durable.launch()
    watching = loop.Loop(contexts, 0.05)
    while True:
        watching.tick()
        time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
