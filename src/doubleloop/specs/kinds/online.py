"""Managed online endpoints and their deployments."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from doubleloop.base import clock
from doubleloop.specs import fields, support
from doubleloop.specs.fields import (
    Accepted,
    Flag,
    Fold,
    Int,
    LooseText,
    Name,
    Number,
    Share,
    Spec,
    Tags,
    Text,
    Variables,
)
from doubleloop.specs.kinds.assets import Model
from doubleloop.specs.kinds.environment import EnvironmentField

AuthMode = Annotated[Literal["key", "aml_token", "aad_token"], Fold]
Percent = Annotated[Int, Field(ge=0, le=100)]
Count = Annotated[Int, Field(ge=1)]


def _window(value: str) -> str:
    if not 3600 <= clock.duration(value).total_seconds() <= 366 * 86400:
        raise ValueError(f"'{value}' is not between an hour and a year")
    return value


Target = Annotated[Number, Field(gt=0, lt=100)]


class AvailabilityObjective(Spec):
    title: ClassVar[str] = "online endpoint › slo › availability"

    target: Target = Field(description="Least share of requests without a failure of the server's side, in per cent.")


class LatencyObjective(Spec):
    title: ClassVar[str] = "online endpoint › slo › latency"

    target: Target = Field(description="Least share of answers within the threshold, in per cent.")
    threshold_ms: Annotated[Number, Field(gt=0)] = Field(description="Longest time of a good answer, in milliseconds.")


class Slo(Spec):
    title: ClassVar[str] = "online endpoint › slo"

    availability: AvailabilityObjective | None = Field(None, description="Objective for failures.")
    latency: LatencyObjective | None = Field(None, description="Objective for slow answers.")
    window: Annotated[Text, AfterValidator(_window)] = Field(
        "P28D", description="Rolling window of the objectives: an ISO 8601 duration."
    )


class OnlineEndpoint(Spec):
    title: ClassVar[str] = "online endpoint"

    schema_: Text | None = Field(None, alias="$schema", description="Names the kind of this file.")
    name: Name = Field(description="Name of the endpoint; part of its address.")
    description: LooseText | None = Field(None, description="What it answers.")
    auth_mode: AuthMode = Field("key", description="How callers prove who they are: key, aml_token or aad_token.")
    traffic: dict[str, Percent] = Field(default_factory=dict, description="Share of each deployment in per cent.")
    mirror_traffic: dict[str, Percent] = Field(
        default_factory=dict, description="Share of requests that a deployment gets a copy of."
    )
    slo: Slo | None = Field(None, description="Service level objectives, measured by the gateway (own field).")
    tags: Tags = Field(default_factory=dict, description="Free labels: text to text.")
    properties: Tags = Field(default_factory=dict, description="Free values kept with it.")
    identity: Accepted | None = Field(None, description="Azure identity of the endpoint.")
    location: Accepted | None = Field(None, description="Azure region.")
    public_network_access: Accepted | None = Field(None, description="Whether Azure opens it to the internet.")
    compute: Accepted | None = Field(None, description="Attached cluster of a Kubernetes endpoint.")


class CodeConfiguration(Spec):
    title: ClassVar[str] = "deployment › code_configuration"

    code: Text = Field(description="Folder of the scoring code.", json_schema_extra=fields.path("code"))
    scoring_script: Text = Field(description="Script in that folder, with init() and run().")


class RequestSettings(Spec):
    title: ClassVar[str] = "online deployment › request_settings"

    request_timeout_ms: Count | None = Field(None, description="Longest time a request may take, in milliseconds.")
    max_concurrent_requests_per_instance: Count | None = Field(None, description="Requests scored at the same time.")
    max_queue_wait_ms: Annotated[Int, Field(ge=0)] | None = Field(
        None, description="Longest time a request may wait for its turn, in milliseconds."
    )


class Probe(Spec):
    title: ClassVar[str] = "online deployment › probe"

    period: Count | None = Field(None, description="Seconds between two checks; 10 if it is left out.")
    initial_delay: Annotated[Int, Field(ge=0)] | None = Field(
        None, description="Seconds before the first check; 10 if it is left out."
    )
    timeout: Count | None = Field(None, description="Seconds that a check may take.")
    success_threshold: Count | None = Field(None, description="Good checks in a row that count as ready.")
    failure_threshold: Count | None = Field(
        None, description="Bad checks in a row that count as down; 30 if it is left out."
    )


def _polling(value: str) -> str:
    """Whole seconds, as Azure's files have them, or a duration; a second at least."""
    if not value.isdigit():
        if clock.duration(value).total_seconds() < 1:
            raise ValueError(f"'{value}' is shorter than a second")
    elif int(value) < 1:
        raise ValueError("0 is shorter than a second")
    return value


class ScaleSettings(Spec):
    title: ClassVar[str] = "online deployment › scale_settings"

    type: Annotated[Literal["default", "target_utilization"], Fold] = Field(
        description="default (the number of instances stays) or target_utilization (it follows the load)."
    )
    min_instances: Count | None = Field(None, description="Fewest instances; 1 if it is left out.")
    max_instances: Count | None = Field(None, description="Most instances; 1 if it is left out.")
    polling_interval: Annotated[Text, AfterValidator(_polling)] | None = Field(
        None,
        description="Time between two looks at the load: seconds, or a duration such as PT5S; 1 if it is left out.",
    )
    target_utilization_percentage: Annotated[Int, Field(ge=1, le=100)] | None = Field(
        None, description="Share of max_concurrent_requests_per_instance to aim at, in per cent; 70 if it is left out."
    )


class CollectionData(Spec):
    title: ClassVar[str] = "data_collector › collection › data"

    name: Text | None = Field(None, description="Data asset that the collected rows appear as.")
    version: Text | None = Field(None, description="Its version.")
    path: Text | None = Field(None, description="Datastore path to write to.")


def _collected_shape(value: Any) -> str:
    return "<reference>" if isinstance(value, str) else "<inline>"


class Collection(Spec):
    title: ClassVar[str] = "data_collector › collection"

    enabled: Flag = Field(description="Whether to collect it.")
    data: (
        Annotated[
            Annotated[Text, Tag("<reference>")] | Annotated[CollectionData, Tag("<inline>")],
            Discriminator(_collected_shape),
        ]
        | None
    ) = Field(None, description="Data asset to collect into.")
    client_id: Accepted | None = Field(None, description="Azure identity that writes it.")


class RequestLogging(Spec):
    title: ClassVar[str] = "data_collector › request_logging"

    capture_headers: list[Text] = Field(default_factory=list, description="Request headers to log.")


class DataCollector(Spec):
    title: ClassVar[str] = "online deployment › data_collector"

    collections: dict[str, Collection] = Field(
        default_factory=dict,
        description="What to log: model_inputs, model_outputs, or own names of a script. Both if neither is named.",
    )
    rolling_rate: Annotated[Literal["minute", "hour", "day", "month", "year"], Fold] | None = Field(
        None, description="Span of one log file."
    )
    sampling_rate: Share | None = Field(None, description="Share of requests to log, 0 to 1.")
    request_logging: RequestLogging | None = Field(None, description="Headers to log.")
    column_masking: dict[str, Annotated[Literal["hash", "drop"], Fold]] = Field(
        default_factory=dict, description="Columns that the log must not show: drop, or hash (Doubleloop's own field)."
    )


def _model_shape(value: Any) -> str:
    return "<reference>" if isinstance(value, str) else "<inline>"


ModelField = Annotated[
    Annotated[Text, Tag("<reference>")] | Annotated[Model, Tag("<inline>")], Discriminator(_model_shape)
]


class OnlineDeployment(Spec):
    title: ClassVar[str] = "online deployment"

    schema_: Text | None = Field(None, alias="$schema", description="Names the kind of this file.")
    name: Name = Field(description="Name of the deployment within its endpoint, such as blue.")
    endpoint_name: Name = Field(description="The endpoint it belongs to.")
    type: Annotated[Literal["managed"], Fold] = Field("managed", description="managed")
    description: LooseText | None = Field(None, description="What it is.")
    model: ModelField | None = Field(None, description="Model: azureml:name:version, or path and type inline.")
    model_mount_path: Text | None = Field(None, description="Where a container of your own finds the model.")
    code_configuration: CodeConfiguration | None = Field(None, description="Scoring code; MLflow models need none.")
    environment: EnvironmentField | None = Field(
        None, description="Environment of the scoring code; MLflow models bring their own."
    )
    environment_variables: Variables = Field(default_factory=dict, description="Set for the scoring process.")
    instance_count: Count | None = Field(
        None, description="Number of scoring processes; with scale_settings the number it starts with."
    )
    instance_type: Accepted | None = Field(None, description="Azure machine size.")
    scale_settings: ScaleSettings | None = Field(None, description="How the number of instances follows the load.")
    request_settings: RequestSettings | None = Field(None, description="Time and queue limits of requests.")
    liveness_probe: Probe | None = Field(
        None,
        description="How long an instance may take to load its model: initial_delay + period × failure_threshold, "
        "and 180 seconds at least.",
    )
    readiness_probe: Probe | None = Field(None, description="The same; the longer of the two counts.")
    data_collector: DataCollector | None = Field(None, description="What of each request is logged.")
    compile: Flag = Field(
        True,
        description="Whether a plan compiled from the model may answer in its place where both agree (own field).",
    )
    image_urls: Flag = Field(
        False, description="Whether requests may name images by their addresses, which the gateway fetches (own field)."
    )
    app_insights_enabled: Accepted | None = Field(None, description="Telemetry to Application Insights.")
    egress_public_network_access: Accepted | None = Field(None, description="Whether Azure lets it call out.")
    private_network_connection: Accepted | None = Field(None, description="Private network of Azure.")
    tags: Tags = Field(default_factory=dict, description="Free labels: text to text.")
    properties: Tags = Field(default_factory=dict, description="Free values kept with it.")


SUPPORT: dict[type[fields.Spec], support.Rows] = {
    AvailabilityObjective: support.rows("target"),
    LatencyObjective: support.rows("target threshold_ms"),
    Slo: support.rows("availability latency window"),
    OnlineEndpoint: support.rows(
        "$schema name description auth_mode traffic mirror_traffic slo tags",
        {
            "properties": "has no effect here: write tags",
            "identity": support.IDENTITY,
            "location": support.AZURE,
            "public_network_access": support.NETWORK,
            "compute": "has no effect here: every endpoint is a managed one",
        },
    ),
    CodeConfiguration: support.rows("code scoring_script"),
    RequestSettings: support.rows("request_timeout_ms max_concurrent_requests_per_instance max_queue_wait_ms"),
    Probe: support.rows(
        "period initial_delay failure_threshold",
        {
            "timeout success_threshold": "has no effect here: an instance is ready once its model is loaded, and "
            "another takes its place when it ends or does not answer"
        },
    ),
    ScaleSettings: support.rows("type min_instances max_instances polling_interval target_utilization_percentage"),
    CollectionData: support.rows("", {"name version path": "has no effect here: the log has a place of its own"}),
    Collection: support.rows(
        "enabled", {"data": "has no effect here: the log has a place of its own", "client_id": support.IDENTITY}
    ),
    RequestLogging: support.rows("capture_headers"),
    DataCollector: support.rows(
        "collections sampling_rate request_logging column_masking",
        {"rolling_rate": "has no effect here: log files are closed by size and time"},
    ),
    OnlineDeployment: support.rows(
        "$schema name endpoint_name type description model code_configuration environment environment_variables "
        "instance_count scale_settings request_settings liveness_probe readiness_probe data_collector compile "
        "image_urls tags properties",
        {
            "instance_type": support.SIZE,
            "model_mount_path": "has no effect here: the model is found through AZUREML_MODEL_DIR",
            "app_insights_enabled": "has no effect here: requests are always logged and measured",
            "egress_public_network_access private_network_connection": support.NETWORK,
        },
    ),
}
