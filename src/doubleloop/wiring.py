"""The only place where ports meet their implementations."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from doubleloop.compute import local as local_compute
from doubleloop.compute import ports as compute
from doubleloop.db import engine as engines
from doubleloop.db.context import Contexts
from doubleloop.endpoints import ports as endpoints
from doubleloop.endpoints import serving
from doubleloop.identity import ports as identity
from doubleloop.secrets import local as local_secrets
from doubleloop.secrets import ports as secrets
from doubleloop.settings.model import Settings, network
from doubleloop.storage import local as local_storage
from doubleloop.storage import ports as storage
from doubleloop.tracking import mlflow
from doubleloop.tracking import ports as tracking
from doubleloop.vault import choosing
from doubleloop.vault import ports as vault
from doubleloop.workspaces import queries as workspaces


def engine(settings: Settings) -> sa.Engine:
    return engines.create(settings.url)


def contexts(settings: Settings, database: sa.Engine | None = None) -> Contexts:
    """Everything below the edges, wired for one process."""
    keys = local_secrets.FileKeys(settings.home / "secret.key")
    ports: dict[type[Any], Any] = {
        Settings: settings,
        compute.Compute: local_compute.LocalCompute(settings.home, network()),
        endpoints.Serving: serving.GatewayServing(settings.home),
        identity.WorkspaceKinds: workspaces.Kinds(),
        secrets.Keys: keys,
        storage.Blobs: local_storage.LocalBlobs(settings.home / "blobs"),
        tracking.Tracking: mlflow.Mlflow(settings.mlflow_socket, settings.mlflow_artifacts),
        vault.Safe: choosing.safe(settings, keys),
    }
    return Contexts(database if database is not None else engine(settings), ports)
