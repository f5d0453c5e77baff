"""MLflow's own server as a child, and the API in front of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

sys.path.append(str(Path(__file__).parents[1] / "api"))

from api_server import SETUP, Served, serve, template

from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.identity import queries as people
from doubleloop.main import children
from doubleloop.settings.model import Settings
from doubleloop.tracking.mlflow import Mlflow
from doubleloop.workspaces import commands as workspaces
from doubleloop.workspaces import model as places


@pytest.fixture(scope="session")
def mlflow_home() -> Iterator[tuple[Settings, dict[str, str]]]:
    """A home whose MLflow server answers, and a token for each user. Its path is short: a socket's may not be long."""
    with tempfile.TemporaryDirectory(prefix="dl-") as folder:
        settings = Settings(home=Path(folder) / "h")
        tokens = template(settings.home)
        child = children.mlflow(settings)
        log = (settings.home / "logs" / "mlflow.log").open("w")
        process = subprocess.Popen(child.command, env={**os.environ, **child.environment}, stdout=log, stderr=log)
        try:
            _wait(settings, process)
            yield settings, tokens
        finally:
            process.terminate()
            process.wait(30)
            log.close()


def _wait(settings: Settings, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        assert process.poll() is None, (settings.home / "logs" / "mlflow.log").read_text()[-3000:]
        try:
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(settings.mlflow_socket))) as client:
                if client.get("http://localhost/health").status_code == 200:
                    return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError("MLflow's server did not answer")


@pytest.fixture(scope="session")
def mlflow_port(mlflow_home: tuple[Settings, dict[str, str]]) -> Iterator[Mlflow]:
    settings, _ = mlflow_home
    made = Mlflow(settings.mlflow_socket, settings.mlflow_artifacts)
    yield made
    made.close()


@pytest.fixture
def two(tracked: Served) -> Served:
    """With two persons with every right of a data scientist, each in a workspace of their own."""
    with tracked.contexts.write(SETUP) as ctx:
        for user, workspace in (("sun", "day"), ("moon", "night")):
            workspaces.put(ctx, places.Workspace(workspace, identities.WorkspaceKind.PREPRODUCTION, "", False))
            if all(each.name != user for each in people.users(ctx)):
                identity.create_user(ctx, user)
                persona = identities.Persona.DATA_SCIENTIST
                identity.put_group(ctx, identities.Group(f"{user}s", persona, (user,), (workspace,)))
            tracked.tokens[user] = identity.create_token(ctx, user, "test")[1]
    return tracked


@pytest.fixture
def tracked(mlflow_home: tuple[Settings, dict[str, str]]) -> Iterator[Served]:
    """The API, with MLflow behind it."""
    with serve(*mlflow_home) as made:
        yield made
