"""Signals of our own, in monitors: of what runs models and of what they are fed with.

Azure has them as metrics of Azure Monitor, which a monitor's file of Azure ML does not know.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from doubleloop.specs import support
from doubleloop.specs.fields import Flag, Fold, Many, Number, Share, Spec, Text

Limit = Annotated[Number, Field(ge=0)]


class EndpointLimits(Spec):
    title: ClassVar[str] = "endpoint_health › metric_thresholds"

    requests_per_minute_at_least: Limit | None = Field(None, description="Alert below.")
    requests_per_minute_at_most: Limit | None = Field(None, description="Alert above.")
    latency_p50_ms: Limit | None = Field(None, description="Milliseconds, median; alert above.")
    latency_p99_ms: Limit | None = Field(None, description="Milliseconds, 99th percentile; alert above.")
    queue_time_p99_ms: Limit | None = Field(None, description="Milliseconds before a scorer had it; alert above.")
    throttled_rate: Share | None = Field(None, description="Share of requests answered 429; alert above.")
    client_error_rate: Share | None = Field(None, description="Share answered 4xx; alert above.")
    server_error_rate: Share | None = Field(None, description="Share answered 5xx; alert above.")
    cpu_utilization: Limit | None = Field(None, description="Cores used for each instance; alert above.")
    memory_mb: Limit | None = Field(None, description="Resident megabytes of all instances; alert above.")
    ready_share: Share | None = Field(None, description="Instances that can answer over those wanted; alert below.")
    restarts: Limit | None = Field(None, description="Crashed instances since the run before; alert above.")
    burn_rate_1h: Limit | None = Field(None, description="Of an objective over 1 h and over 5 min; alert above.")
    burn_rate_6h: Limit | None = Field(None, description="Of an objective over 6 h and over 30 min; alert above.")
    burn_rate_3d: Limit | None = Field(None, description="Of an objective over 3 d and over 6 h; alert above.")


class EndpointHealth(Spec):
    title: ClassVar[str] = "monitor › endpoint_health"

    type: Annotated[Literal["endpoint_health"], Fold] = Field(description="endpoint_health")
    alert_enabled: Flag = Field(True, description="Whether a crossed threshold raises an alert.")
    metric_thresholds: EndpointLimits | None = Field(None, description="Metrics to compute and when they alert.")


class ComputeLimits(Spec):
    title: ClassVar[str] = "compute_health › metric_thresholds"

    cpu_utilization: Share | None = Field(None, description="Share of all cores, since the run before; alert above.")
    memory_utilization: Share | None = Field(None, description="Share of the memory in use; alert above.")
    disk_utilization: Share | None = Field(None, description="Share of the home's disk in use; alert above.")


class ComputeHealth(Spec):
    title: ClassVar[str] = "monitor › compute_health"

    type: Annotated[Literal["compute_health"], Fold] = Field(description="compute_health")
    alert_enabled: Flag = Field(True, description="Whether a crossed threshold raises an alert.")
    metric_thresholds: ComputeLimits | None = Field(None, description="Metrics to compute and when they alert.")


class JobLimits(Spec):
    title: ClassVar[str] = "jobs_health › metric_thresholds"

    failed_jobs: Limit | None = Field(None, description="Jobs of the window that failed; alert above.")
    failure_rate: Share | None = Field(None, description="Share of the jobs that ended; alert above.")
    queue_time_p95_s: Limit | None = Field(None, description="Seconds from submitted to started; alert above.")


class JobsHealth(Spec):
    title: ClassVar[str] = "monitor › jobs_health"

    type: Annotated[Literal["jobs_health"], Fold] = Field(description="jobs_health")
    alert_enabled: Flag = Field(True, description="Whether a crossed threshold raises an alert.")
    metric_thresholds: JobLimits | None = Field(None, description="Metrics to compute and when they alert.")


class FreshnessLimits(Spec):
    title: ClassVar[str] = "data_freshness › metric_thresholds"

    age_hours: Limit = Field(description="Hours since the newest version; alert above.")


class DataFreshness(Spec):
    title: ClassVar[str] = "monitor › data_freshness"

    type: Annotated[Literal["data_freshness"], Fold] = Field(description="data_freshness")
    alert_enabled: Flag = Field(True, description="Whether a crossed threshold raises an alert.")
    data: Annotated[list[Text], Many, Field(min_length=1)] = Field(
        description="Data assets by name, or azureml://datastores/…/paths/…: the newest file there."
    )
    metric_thresholds: FreshnessLimits | None = Field(None, description="When it alerts (default: after 24 hours).")


class UsageLimits(Spec):
    title: ClassVar[str] = "model_usage › metric_thresholds"

    requests_at_least: Limit = Field(description="Requests since the run before; alert below.")


class ModelUsage(Spec):
    title: ClassVar[str] = "monitor › model_usage"

    type: Annotated[Literal["model_usage"], Fold] = Field(description="model_usage")
    alert_enabled: Flag = Field(True, description="Whether a crossed threshold raises an alert.")
    metric_thresholds: UsageLimits | None = Field(None, description="When it alerts (default: below one request).")


class BudgetLimits(Spec):
    title: ClassVar[str] = "budgets › metric_thresholds"

    spent_share: Limit | None = Field(None, description="Of the amount, spent in the period so far; alert at it.")
    forecast_share: Limit | None = Field(None, description="Of the amount, expected of the period; alert at it.")


class Budgets(Spec):
    title: ClassVar[str] = "monitor › budgets"

    type: Annotated[Literal["budgets"], Fold] = Field(description="budgets")
    alert_enabled: Flag = Field(True, description="Whether a reached threshold raises an alert.")
    budgets: Annotated[list[Text], Many] = Field(
        default_factory=list, description="Budgets of the workspace by name (default: all of them)."
    )
    metric_thresholds: BudgetLimits | None = Field(None, description="When they alert (default: at the whole amount).")


# Burn rates: the Site Reliability Workbook's alerts (chapter 5, table 5-8), each over a long and a short window.
DEFAULTS: dict[str, dict[str, float]] = {
    "endpoint_health": {
        "server_error_rate": 0.01, "throttled_rate": 0.01, "ready_share": 1.0, "restarts": 0,
        "burn_rate_1h": 14.4, "burn_rate_6h": 6.0, "burn_rate_3d": 1.0,
    },
    "compute_health": {"cpu_utilization": 0.9, "memory_utilization": 0.9, "disk_utilization": 0.9},
    "jobs_health": {"failed_jobs": 0},
    "data_freshness": {"age_hours": 24},
    "model_usage": {"requests_at_least": 1},
    "budgets": {"spent_share": 1.0, "forecast_share": 1.0},
}  # fmt: skip
TYPES = tuple(DEFAULTS)
# Those that are about the monitor's endpoint.
OF_ENDPOINT = ("endpoint_health", "model_usage")

SUPPORT: dict[type[Spec], support.Rows] = {
    EndpointLimits: support.rows(" ".join(EndpointLimits.model_fields)),
    EndpointHealth: support.rows("type alert_enabled metric_thresholds"),
    ComputeLimits: support.rows(" ".join(ComputeLimits.model_fields)),
    ComputeHealth: support.rows("type alert_enabled metric_thresholds"),
    JobLimits: support.rows(" ".join(JobLimits.model_fields)),
    JobsHealth: support.rows("type alert_enabled metric_thresholds"),
    FreshnessLimits: support.rows("age_hours"),
    DataFreshness: support.rows("type alert_enabled data metric_thresholds"),
    UsageLimits: support.rows("requests_at_least"),
    ModelUsage: support.rows("type alert_enabled metric_thresholds"),
    BudgetLimits: support.rows("spent_share forecast_share"),
    Budgets: support.rows("type alert_enabled budgets metric_thresholds"),
}
