"""The only place where ports meet their implementations."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from doubleloop.automation import telling
from doubleloop.automation import workflows as automation_workflows
from doubleloop.base import errors
from doubleloop.compute import local as local_compute
from doubleloop.compute import ports as compute
from doubleloop.db import engine as engines
from doubleloop.db.context import Contexts
from doubleloop.durable import ports as durable
from doubleloop.endpoints import ports as endpoints
from doubleloop.endpoints import serving
from doubleloop.endpoints import unfinished as unfinished_deployments
from doubleloop.endpoints import workflows as endpoint_workflows
from doubleloop.identity import ports as identity
from doubleloop.jobs import unfinished as unfinished_jobs
from doubleloop.jobs import workflows as job_workflows
from doubleloop.monitoring import unfinished as unfinished_monitoring
from doubleloop.monitoring import workflows as monitoring_workflows
from doubleloop.releases import unfinished as unfinished_releases
from doubleloop.releases import workflows as release_workflows
from doubleloop.secrets import local as local_secrets
from doubleloop.secrets import ports as secrets
from doubleloop.settings.model import Settings, network
from doubleloop.storage import local as local_storage
from doubleloop.storage import ports as storage
from doubleloop.tracking import mlflow
from doubleloop.tracking import ports as tracking
from doubleloop.vault import fernet, hashicorp
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
        vault.Safe: safe(settings, keys),
    }
    return Contexts(database if database is not None else engine(settings), ports)


def safe(settings: Settings, keys: secrets.Keys) -> vault.Safe:
    """Where values of secrets are kept. Raises InvalidInput for settings that do not fit together."""
    if settings.secrets_safe not in ("sealed", "vault"):
        raise errors.InvalidInput(
            f"DOUBLELOOP_SECRETS_SAFE={settings.secrets_safe!r} is not known", cure="Use sealed or vault."
        )
    if settings.secrets_safe == "sealed" and not settings.vault_transit_key:
        given = [key.strip() for key in settings.secrets_keys.split(",") if key.strip()]
        return fernet.SealedSafe(fernet.LocalKeys(given, keys.derive))
    token = hashicorp.token_from(settings.vault_token, settings.vault_token_file)
    client = hashicorp.Client(settings.vault_url, token, settings.vault_namespace)
    if settings.secrets_safe == "vault":
        return hashicorp.KvSafe(client, settings.vault_mount, settings.vault_prefix)
    return fernet.SealedSafe(hashicorp.TransitKeys(client, settings.vault_transit_key))


def workflows() -> dict[str, durable.Body]:
    """Every durable workflow by its frozen name."""
    return {
        **automation_workflows.WORKFLOWS,
        **telling.WORKFLOWS,
        **endpoint_workflows.WORKFLOWS,
        **job_workflows.WORKFLOWS,
        **monitoring_workflows.WORKFLOWS,
        **release_workflows.WORKFLOWS,
    }


def searches() -> tuple[durable.Search, ...]:
    """What of each room only a workflow can end. Jobs come first: what is higher waits for them."""
    return (
        unfinished_jobs.search,
        unfinished_deployments.search,
        unfinished_monitoring.search,
        unfinished_releases.search,
    )
