"""The real API on a real home, served by uvicorn in a thread, with a client for each user."""

from __future__ import annotations

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

from doubleloop import wiring
from doubleloop.api import app
from doubleloop.base import actors
from doubleloop.db.context import Contexts
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.main import home as homes
from doubleloop.settings.model import Settings
from doubleloop.workspaces import commands as workspaces
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
            self.clients[str(user)] = httpx.Client(base_url=self.url, headers=headers, timeout=30)
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
    contexts = wiring.contexts(settings)
    with running(app.create(contexts, settings), port=0) as server:
        port = server.servers[0].sockets[0].getsockname()[1]
        made = Served(settings, contexts, f"http://127.0.0.1:{port}", tokens)
        try:
            yield made
        finally:
            for client in made.clients.values():
                client.close()
    contexts.engine.dispose()
