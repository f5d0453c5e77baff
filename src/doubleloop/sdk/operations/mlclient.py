"""``MLClient``: a workspace of a server as one user, in the words of ``azure-ai-ml``."""

from __future__ import annotations

import builtins
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.sdk import client as clients
from doubleloop.sdk import profiles, routes, transport
from doubleloop.sdk.entities import assets as asset_entities
from doubleloop.sdk.entities import batch as batch_entities
from doubleloop.sdk.entities import online, schedules
from doubleloop.sdk.entities.files import LoadedFile
from doubleloop.sdk.entities.model import Entity
from doubleloop.sdk.operations import assets, batches, endpoints, jobs, model
from doubleloop.sdk.operations.schedules import ScheduleOperations
from doubleloop.sdk.steps.components import Component
from doubleloop.sdk.steps.model import Step

# How long a server of this machine that is being started again may take, in seconds.
_RESTART = 180.0


class ComputeOperations:
    """``client.compute``: every name stands for this machine; the declared ones are listed."""

    def __init__(self, place: model.Place) -> None:
        self.place = place

    def get(self, name: str) -> routes.Body:
        return self.place.routes.computes.show(name)

    def list(self) -> builtins.list[routes.Body]:
        return self.place.routes.computes.list()


class DatastoreOperations:
    """``client.datastores``: made of files (``load_datastore``)."""

    def __init__(self, place: model.Place) -> None:
        self.place = place

    def create_or_update(self, datastore: LoadedFile) -> routes.Body:
        return self.place.routes.datastores.create(self.place.ship(datastore)[1])

    def get(self, name: str) -> routes.Body:
        return self.place.routes.datastores.show(name)

    def list(self) -> builtins.list[routes.Body]:
        return self.place.routes.datastores.list()

    def delete(self, name: str) -> None:
        self.place.routes.datastores.delete(name)


class MLClient:
    """``MLClient.from_login(workspace="dev")``, or ``MLClient(url, token, workspace="dev")``.

    Its groups: ``jobs``, ``data``, ``models``, ``environments``, ``components``, ``online_endpoints``,
    ``online_deployments``, ``batch_endpoints``, ``batch_deployments``, ``schedules``, ``compute``, ``datastores``.
    ``http`` speaks all routes of the server. Every method raises the error that the server answered with
    (``doubleloop.sdk.errors``), or Unavailable.
    """

    def __init__(
        self, url: str, token: str = "", *, workspace: str | None = None, registry: bool = False,
        timeout: float = 60.0, patience: transport.Patience | None = None,
    ) -> None:  # fmt: skip
        """``workspace``: when left out, the only one that there is. ``registry``: the registry in its place.
        ``timeout``: seconds that one answer may take."""
        if not isinstance(url, str):
            raise TypeError(
                "MLClient's first argument is the server's address; with a stored login: "
                "MLClient.from_login(workspace=...)"
            )
        self.http = clients.Client(url, token, timeout=timeout, patience=patience)
        self.workspace_name = assets.REGISTRY if registry else workspace or self._only()
        place = model.Place(self.http, self.workspace_name)
        self.jobs = jobs.JobOperations(place)
        self.data = assets.DataOperations(place)
        self.models = assets.ModelOperations(place)
        self.environments = assets.EnvironmentOperations(place)
        self.components = assets.ComponentOperations(place)
        self.online_endpoints = endpoints.OnlineEndpointOperations(place)
        self.online_deployments = endpoints.OnlineDeploymentOperations(place)
        self.batch_endpoints = batches.BatchEndpointOperations(place, self.jobs)
        self.batch_deployments = batches.BatchDeploymentOperations(place)
        self.schedules = ScheduleOperations(place)
        self.compute = ComputeOperations(place)
        self.datastores = DatastoreOperations(place)

    @classmethod
    def from_login(
        cls, workspace: str | None = None, *, user: str | None = None, registry: bool = False,
        home: str | os.PathLike[str] | None = None,
    ) -> MLClient:  # fmt: skip
        """As whom `doubleloop login` logged in on this machine (``user``: as another who did), in the workspace in use
        (`doubleloop workspace use`). ``DOUBLELOOP_URL``, ``_TOKEN``, ``_WORKSPACE`` and ``_HOME`` count too.

        Raises NotFound when nobody is logged in.
        """
        environ = {**os.environ, **({"DOUBLELOOP_HOME": str(Path(home))} if home is not None else {})}
        profile = profiles.find(user, environ)
        patience = transport.Patience()
        if profiles.runs_here(profiles.home(environ), profile.url):
            patience = dataclasses.replace(patience, seconds=_RESTART, unknown=_RESTART)
        return cls(
            profile.url, profile.token, workspace=workspace or profile.workspace, registry=registry, patience=patience
        )  # fmt: skip

    @classmethod
    def from_config(cls, credential: object = None, **_: object) -> MLClient:
        """As ``from_login()``; what Azure would be told (a credential, a subscription) has no effect here."""
        return cls.from_login()

    def create_or_update(self, entity: Any) -> Any:
        """Submit a job, or keep an asset, endpoint, deployment or schedule: whatever ``entity`` is."""
        for kinds, does in self._ways():
            if isinstance(entity, kinds):
                return does(entity)
        raise errors.InvalidInput(
            f"{type(entity).__name__} is nothing that a server keeps", cure="Give a job, an asset, an endpoint …"
        )

    def begin_create_or_update(self, entity: Entity) -> model.Poller[Any]:
        """As ``create_or_update``, for what may take its time."""
        if isinstance(entity, online.ManagedOnlineDeployment):
            return self.online_deployments.begin_create_or_update(entity)
        return model.done(self.create_or_update(entity))

    def _ways(self) -> tuple[tuple[type, Callable[[Any], Any]], ...]:
        return (
            (Step, self.jobs.create_or_update),
            (Component, self.components.create_or_update),
            (asset_entities.Data, self.data.create_or_update),
            (asset_entities.Model, self.models.create_or_update),
            (asset_entities.Environment, self.environments.create_or_update),
            (online.ManagedOnlineEndpoint, self.online_endpoints.create_or_update),
            (online.ManagedOnlineDeployment, self.online_deployments.create_or_update),
            (batch_entities.BatchEndpoint, self.batch_endpoints.create_or_update),
            (batch_entities.BatchDeployment, self.batch_deployments.create_or_update),
            (schedules.Schedule, self.schedules.create_or_update),
        )

    def _only(self) -> str:
        names = [str(each["name"]) for each in self.http.workspaces() if not each.get("is_registry")]
        if len(names) == 1:
            return names[0]
        told = f"Give workspace=...; there are: {', '.join(names)}." if names else "Make one with a setup file first."
        raise errors.InvalidInput("No workspace was given", cure=told)

    def close(self) -> None:
        """Close this thread's connection; the client can still be used."""
        self.http.link.close()

    def __enter__(self) -> MLClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"MLClient({self.http.url!r}, workspace={self.workspace_name!r})"
