"""Online endpoints and their deployments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, ClassVar

from doubleloop.sdk.entities.assets import Environment, Model
from doubleloop.sdk.entities.model import Entity


@dataclass(kw_only=True, eq=False, repr=False)
class Served(Entity):
    """What endpoints and deployments of a server have in common: ``body`` is all that the server says."""

    name: str
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        """What the server says of it; empty for one that was made here."""
        found: dict[str, Any] = self.__dict__.get("_body", {})
        return found

    @property
    def provisioning_state(self) -> str | None:
        return self.body.get("provisioning_state")

    @property
    def created_by(self) -> str | None:
        return self.body.get("created_by")


@dataclass(kw_only=True, eq=False, repr=False)
class AvailabilityObjective(Entity):
    """``target``: least share of requests without a failure of the server's side, in per cent."""

    target: float


@dataclass(kw_only=True, eq=False, repr=False)
class LatencyObjective(Entity):
    """``target``: least share of answers within ``threshold_ms``, in per cent."""

    target: float
    threshold_ms: float


@dataclass(kw_only=True, eq=False, repr=False)
class ServiceLevelObjectives(Entity):
    """What an endpoint is to keep over a rolling ``window`` (``P28D``)."""

    _inner: ClassVar[Mapping[str, type[Entity]]] = {
        "availability": AvailabilityObjective, "latency": LatencyObjective,
    }  # fmt: skip

    availability: AvailabilityObjective | None = None
    latency: LatencyObjective | None = None
    window: str | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class ManagedOnlineEndpoint(Served):
    """An address that models answer at. ``traffic``: share of each deployment in per cent."""

    _kind: ClassVar[str] = "online_endpoint"
    _inner: ClassVar[Mapping[str, type[Entity]]] = {"slo": ServiceLevelObjectives}

    auth_mode: str | None = None
    traffic: dict[str, int] = field(default_factory=dict)
    mirror_traffic: dict[str, int] = field(default_factory=dict)
    slo: ServiceLevelObjectives | None = None
    identity: Any = None
    location: str | None = None
    public_network_access: str | None = None
    compute: str | None = None

    @property
    def scoring_uri(self) -> str | None:
        return self.body.get("scoring_uri")

    @property
    def openapi_uri(self) -> str | None:
        return self.body.get("openapi_uri")


@dataclass(kw_only=True, eq=False, repr=False)
class CodeConfiguration(Entity):
    """A folder, and the script in it that scores: ``init()`` and ``run()``."""

    code: str | PathLike[str]
    scoring_script: str


@dataclass(kw_only=True, eq=False, repr=False)
class OnlineRequestSettings(Entity):
    """Limits of requests; times in milliseconds."""

    request_timeout_ms: int | None = None
    max_concurrent_requests_per_instance: int | None = None
    max_queue_wait_ms: int | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class ProbeSettings(Entity):
    """When an instance counts as ready or dead; times in seconds."""

    period: int | None = None
    initial_delay: int | None = None
    timeout: int | None = None
    success_threshold: int | None = None
    failure_threshold: int | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class DefaultScaleSettings(Entity):
    type: str = "default"


@dataclass(kw_only=True, eq=False, repr=False)
class TargetUtilizationScaleSettings(Entity):
    """The number of instances follows the load. ``polling_interval``: seconds, or a duration such as ``PT5S``."""

    min_instances: int | None = None
    max_instances: int | None = None
    polling_interval: int | str | None = None
    target_utilization_percentage: int | None = None
    type: str = "target_utilization"


@dataclass(kw_only=True, eq=False, repr=False)
class DeploymentCollection(Entity):
    """One thing that is logged of each request."""

    enabled: bool
    data: str | Mapping[str, Any] | None = None
    client_id: str | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class RequestLogging(Entity):
    capture_headers: list[str] = field(default_factory=list)


@dataclass(kw_only=True, eq=False, repr=False)
class DataCollector(Entity):
    """What of each request is logged: ``collections`` such as ``model_inputs``, ``model_outputs``; ``sampling_rate`` is
    a share from 0 to 1; ``column_masking`` says of columns ``hash`` or ``drop``."""

    _inner: ClassVar[Mapping[str, type[Entity]]] = {"request_logging": RequestLogging}
    _inner_values: ClassVar[Mapping[str, type[Entity]]] = {"collections": DeploymentCollection}

    collections: dict[str, DeploymentCollection] = field(default_factory=dict)
    rolling_rate: str | None = None
    sampling_rate: float | None = None
    request_logging: RequestLogging | None = None
    column_masking: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True, eq=False, repr=False)
class ManagedOnlineDeployment(Served):
    """A model behind an endpoint. MLflow models need neither ``code_configuration`` nor ``environment``."""

    _kind: ClassVar[str] = "online_deployment"
    _inner: ClassVar[Mapping[str, type[Entity]]] = {
        "model": Model, "environment": Environment, "code_configuration": CodeConfiguration,
        "request_settings": OnlineRequestSettings, "liveness_probe": ProbeSettings, "readiness_probe": ProbeSettings,
        "data_collector": DataCollector,
    }  # fmt: skip

    endpoint_name: str
    type: str | None = None
    model: str | Model | None = None
    model_mount_path: str | None = None
    code_configuration: CodeConfiguration | None = None
    environment: str | Environment | None = None
    environment_variables: dict[str, str] = field(default_factory=dict)
    instance_count: int | None = None
    instance_type: str | None = None
    scale_settings: DefaultScaleSettings | TargetUtilizationScaleSettings | Mapping[str, Any] | None = None
    request_settings: OnlineRequestSettings | None = None
    liveness_probe: ProbeSettings | None = None
    readiness_probe: ProbeSettings | None = None
    data_collector: DataCollector | None = None
    compile: bool | None = None
    image_urls: bool | None = None
    app_insights_enabled: bool | None = None
    egress_public_network_access: str | None = None
    private_network_connection: bool | None = None

    @property
    def status(self) -> str | None:
        """``preparing``, ``starting``, ``ready``, ``failed``, ``deleted`` or ``replaced``."""
        return self.body.get("status")
