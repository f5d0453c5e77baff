"""A process that is killed while it applies a setup file leaves all of it, or nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest

from doubleloop.events import queries as events
from doubleloop.identity import store as users
from doubleloop.setups import commands, store
from doubleloop.specs import documents
from doubleloop.workspaces import queries as workspaces

ADMIN = "service:setup"
SETUP = """$schema: doubleloop/setup
workspaces: [{name: one, kind: preproduction}, {name: two, kind: production}]
users: [{name: mary}]
groups: [{name: leads, persona: project_lead, members: [mary], workspaces: [two]}]
budgets: [{name: b, amount: 10}]
"""
APPLY = """
import os, signal, sys
from pathlib import Path
from doubleloop.base import actors
from doubleloop.db import engine
from doubleloop.db.context import Contexts
from doubleloop.identity import ports
from doubleloop.setups import commands, making, store
from doubleloop.specs import documents
from doubleloop.workspaces import queries

home, text, place = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

def dies(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

contexts = Contexts(
    engine.create(f"sqlite:///{home / 'doubleloop.sqlite'}"), {ports.WorkspaceKinds: queries.Kinds()}
)
if place == "between":
    whole = making._MAKE["user"]
    making._MAKE["user"] = lambda *given: (whole(*given), dies())
if place == "record":
    store.put = dies
with contexts.write(actors.service("setup")) as ctx:
    commands.apply(ctx, documents.parse(text, "setup.yml", "/"))
    if place == "end":
        dies()
if place == "after":
    dies()
"""


@pytest.mark.parametrize(("place", "is_done"), [("between", False), ("record", False), ("end", False), ("after", True)])
def test_all_or_nothing(house: Any, place: str, is_done: bool) -> None:
    with house.read(ADMIN, None) as ctx:
        head = events.head(ctx)
    killed = subprocess.run([sys.executable, "-c", APPLY, str(house.home), SETUP, place], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    with house.read(ADMIN, None) as ctx:
        assert ("one" in workspaces.names(ctx)) is is_done
        assert (users.user(ctx, "mary") is not None) is is_done
        assert bool(store.items(ctx)) is is_done
        assert (events.head(ctx) != head) is is_done
    with house.write(ADMIN, None) as ctx:  # and whoever comes next goes on
        assert bool(commands.apply(ctx, documents.parse(SETUP, "setup.yml", "/")).real) is not is_done
