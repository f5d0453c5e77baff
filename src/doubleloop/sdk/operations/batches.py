"""Batch endpoints, their deployments, and having them score."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any

from doubleloop.sdk import routes
from doubleloop.sdk.entities.batch import BatchDeployment, BatchEndpoint
from doubleloop.sdk.entities.files import LoadedFile
from doubleloop.sdk.entities.model import Sheet
from doubleloop.sdk.entities.values import Input, Output
from doubleloop.sdk.operations import model
from doubleloop.sdk.operations.jobs import Job, JobOperations

_KEPT = ("name", "description", "auth_mode", "tags", "properties")
# The name of an input that was given without one, as in Azure ML.
UNNAMED = "job_data_path"


class BatchEndpointOperations:
    """``client.batch_endpoints``."""

    def __init__(self, place: model.Place, jobs: JobOperations) -> None:
        self.place, self._jobs = place, jobs

    def begin_create_or_update(self, endpoint: BatchEndpoint) -> model.Poller[BatchEndpoint]:
        """Make an endpoint, or change it to what is said. It is done at once."""
        return model.done(_endpoint(self.place.routes.batch_endpoints.put(self.place.ship(endpoint)[1])))

    def create_or_update(self, endpoint: BatchEndpoint) -> BatchEndpoint:
        """As ``begin_create_or_update(...).result()``."""
        return self.begin_create_or_update(endpoint).result()

    def get(self, name: str) -> BatchEndpoint:
        """Raises NotFound."""
        return _endpoint(self.place.routes.batch_endpoints.show(name))

    def list(self) -> builtins.list[BatchEndpoint]:
        return [_endpoint(body) for body in self.place.routes.batch_endpoints.list()]

    def begin_delete(self, name: str) -> model.Poller[bool]:
        """Delete an endpoint with its deployments. Its jobs and what they left stay."""
        self.place.routes.batch_endpoints.delete(name)
        return model.done(True)

    def invoke(
        self, endpoint_name: str, *, deployment_name: str | None = None, input: Input | None = None,
        inputs: Mapping[str, Input | Any] | None = None, outputs: Mapping[str, Output] | None = None,
        job_name: str | None = None, experiment_name: str | None = None, **settings: Any,
    ) -> Job:  # fmt: skip
        """Have files scored; the job that does it. ``settings``: those of the deployment for this once
        (``mini_batch_size``, ``output_file_name`` …). Its result: ``job.wait().outputs["score"].to_frame()``."""
        given = dict(inputs or {}) | ({UNNAMED: input} if input is not None else {})
        said = {
            "inputs": given, "outputs": dict(outputs or {}), "deployment_name": deployment_name,
            "experiment_name": experiment_name, **settings,
        }  # fmt: skip
        sheet = Sheet()
        spec = {key: sheet.value(value, (key,)) for key, value in said.items() if value not in (None, {})}
        wire = self.place.ship(LoadedFile("batch_invocation", spec, sheet.lines))[1]
        return Job(self._jobs, self.place.routes.batch_endpoints.invoke(endpoint_name, wire, job_name))

    def list_jobs(self, endpoint_name: str) -> builtins.list[Job]:
        """The jobs that invocations started, newest first."""
        return [Job(self._jobs, body) for body in self.place.routes.batch_endpoints.jobs(endpoint_name)]


class BatchDeploymentOperations:
    """``client.batch_deployments``."""

    def __init__(self, place: model.Place) -> None:
        self.place = place

    def begin_create_or_update(
        self, deployment: BatchDeployment, *, set_default: bool = False
    ) -> model.Poller[BatchDeployment]:
        """Make a deployment, or change it. ``set_default``: it answers when none is named. It is done at once."""
        document, wire = self.place.ship(deployment)
        body = self.place.routes.batch_endpoints.put_deployment(document.model.endpoint_name, wire, set_default)
        return model.done(_deployment(body))

    def create_or_update(self, deployment: BatchDeployment, *, set_default: bool = False) -> BatchDeployment:
        """As ``begin_create_or_update(...).result()``."""
        return self.begin_create_or_update(deployment, set_default=set_default).result()

    def get(self, name: str, endpoint_name: str) -> BatchDeployment:
        """Raises NotFound."""
        return _deployment(self.place.routes.batch_endpoints.deployment(endpoint_name, name))

    def list(self, endpoint_name: str) -> builtins.list[BatchDeployment]:
        return [_deployment(body) for body in self.place.routes.batch_endpoints.deployments(endpoint_name)]

    def begin_delete(self, name: str, endpoint_name: str) -> model.Poller[bool]:
        self.place.routes.batch_endpoints.delete_deployment(endpoint_name, name)
        return model.done(True)


def _endpoint(body: routes.Body) -> BatchEndpoint:
    default = (body.get("defaults") or {}).get("deployment_name")
    said = {key: body[key] for key in _KEPT if body.get(key)}
    made = BatchEndpoint._read({**said, **({"defaults": {"deployment_name": default}} if default else {})}, {})
    made.__dict__["_body"] = body
    return made


def _deployment(body: routes.Body) -> BatchDeployment:
    known = BatchDeployment._names().values()
    made = BatchDeployment._read({key: value for key, value in body.items() if key in known and value is not None}, {})
    made.__dict__["_body"] = body
    return made
