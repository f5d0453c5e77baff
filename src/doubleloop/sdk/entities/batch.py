"""Batch endpoints and their deployments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from doubleloop.sdk.entities.assets import Environment, Model
from doubleloop.sdk.entities.model import Entity
from doubleloop.sdk.entities.online import CodeConfiguration, Served
from doubleloop.sdk.entities.settings import JobResourceConfiguration


@dataclass(kw_only=True, eq=False, repr=False)
class EndpointDefaults(Entity):
    """``deployment_name``: the deployment that answers when none is named."""

    deployment_name: str | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class BatchEndpoint(Served):
    """An address that scores files in the background. ``endpoint.defaults.deployment_name = "blue"``."""

    _kind: ClassVar[str] = "batch_endpoint"
    _inner: ClassVar[Mapping[str, type[Entity]]] = {"defaults": EndpointDefaults}

    auth_mode: str | None = None
    defaults: EndpointDefaults = field(default_factory=EndpointDefaults)
    identity: Any = None
    location: str | None = None

    @property
    def scoring_uri(self) -> str | None:
        return self.body.get("scoring_uri")


@dataclass(kw_only=True, eq=False, repr=False)
class BatchRetrySettings(Entity):
    """Further tries of a failed mini batch, and the seconds that one may take."""

    max_retries: int | None = None
    timeout: int | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class ModelBatchDeploymentSettings(Entity):
    """Mini batches, retries and outputs; the last four fields are those of a pipeline's deployment."""

    _inner: ClassVar[Mapping[str, type[Entity]]] = {"retry_settings": BatchRetrySettings}

    mini_batch_size: int | None = None
    max_concurrency_per_instance: int | None = None
    instance_count: int | None = None
    output_action: str | None = None
    output_file_name: str | None = None
    retry_settings: BatchRetrySettings | None = None
    error_threshold: int | None = None
    logging_level: str | None = None
    environment_variables: dict[str, str] = field(default_factory=dict)
    default_compute: str | None = None
    default_datastore: str | None = None
    continue_on_step_failure: bool | None = None
    force_rerun: bool | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class BatchDeployment(Served):
    """A model, or a pipeline component, behind a batch endpoint."""

    _kind: ClassVar[str] = "batch_deployment"
    _inner: ClassVar[Mapping[str, type[Entity]]] = {
        "model": Model, "environment": Environment, "code_configuration": CodeConfiguration,
        "resources": JobResourceConfiguration, "settings": ModelBatchDeploymentSettings,
        "retry_settings": BatchRetrySettings,
    }  # fmt: skip

    endpoint_name: str
    type: str | None = None
    model: str | Model | None = None
    component: str | Entity | Mapping[str, Any] | None = None
    job_definition: str | Entity | Mapping[str, Any] | None = None
    code_configuration: CodeConfiguration | None = None
    environment: str | Environment | None = None
    environment_variables: dict[str, str] = field(default_factory=dict)
    compute: str | None = None
    resources: JobResourceConfiguration | None = None
    settings: ModelBatchDeploymentSettings | None = None
    mini_batch_size: int | None = None
    max_concurrency_per_instance: int | None = None
    output_action: str | None = None
    output_file_name: str | None = None
    retry_settings: BatchRetrySettings | None = None
    error_threshold: int | None = None
    logging_level: str | None = None
    compile: bool | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class ModelBatchDeployment(BatchDeployment):
    """A model behind a batch endpoint."""

    type: str | None = "model"


@dataclass(kw_only=True, eq=False, repr=False)
class PipelineComponentBatchDeployment(BatchDeployment):
    """A pipeline component behind a batch endpoint."""

    type: str | None = "pipeline"
