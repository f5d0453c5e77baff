"""The command line as a real process, speaking with a small real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

import databases
import programs

sys.path.insert(0, str(Path(__file__).parents[1] / "sdk"))

import small_server

from doubleloop import wiring
from doubleloop.api import app
from doubleloop.main import home
from doubleloop.settings import model as settings_model

DOUBLELOOP = str(Path(sys.executable).with_name("doubleloop"))


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Terminal:
    """``terminal("job", "list")`` runs it in ``folder`` with an environment of its own."""

    folder: Path
    home: Path
    program: str = DOUBLELOOP

    @property
    def environ(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("DOUBLELOOP_", "COV_"))}
        return {**kept, "DOUBLELOOP_HOME": str(self.home), "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}

    def __call__(self, *words: str, stdin: str | None = None, **variables: str) -> Ended:
        done = programs.run(words, cwd=self.folder, env={**self.environ, **variables}, stdin=stdin or "")
        assert "Traceback" not in done.stderr, done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.program, *words], cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def file(self, name: str, text: str) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name


@pytest.fixture
def server(tmp_path: Path) -> Iterator[small_server.SmallServer]:
    with small_server.serving(tmp_path / "server") as small:
        yield small


@pytest.fixture
def stranger(tmp_path: Path) -> Terminal:
    """A terminal where no server is known."""
    (tmp_path / "work").mkdir()
    return Terminal(tmp_path / "work", tmp_path / "home")


@pytest.fixture
def terminal(stranger: Terminal, server: small_server.SmallServer) -> Terminal:
    """A terminal logged in as ada, working in dev."""
    stranger.home.mkdir()
    profile = {"url": server.url, "token": small_server.TOKEN, "user": "ada", "workspace": "dev"}
    (stranger.home / "client.json").write_text(json.dumps(profile))
    return stranger


@pytest.fixture
def in_sequence() -> Callable[..., Callable[[Any], Any]]:
    """``in_sequence(a, b)``: an answer a call, the last one for ever (for answers that are chosen by the request)."""

    def make(*answers: Any) -> Callable[[Any], Any]:
        left = list(answers)
        return lambda _: left[0] if len(left) == 1 else left.pop(0)

    return make


@pytest.fixture
def installed(stranger: Terminal) -> Iterator[Terminal]:
    """A terminal on an installation whose API runs here; workspaces, users and logins are made by its commands."""
    settings = settings_model.Settings(home=stranger.home)
    home.create(settings)
    home.prepare(settings)
    contexts = wiring.contexts(settings, databases.opened(settings.sqlite_path))
    server = uvicorn.Server(uvicorn.Config(app.create(contexts, settings), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    profile = json.loads((stranger.home / "client.json").read_text())
    profile["url"] = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    (stranger.home / "client.json").write_text(json.dumps(profile))
    yield stranger
    server.should_exit = True
    thread.join()
