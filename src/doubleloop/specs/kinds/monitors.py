"""What a monitor compares: its target, its signals, their data and thresholds."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from doubleloop.specs import support
from doubleloop.specs.fields import Accepted, Fold, Int, Many, Share, Spec, Text
from doubleloop.specs.kinds import generation, infrastructure, model_signals
from doubleloop.specs.kinds.signal_data import (
    Compared,
    DriftThresholds,
    Features,
    FeatureTypes,
    Limit,
    Segment,
    SignalData,
    Watched,
)
from doubleloop.specs.kinds.values import Mailbox, Persona


class MonitorCompute(Spec):
    title: ClassVar[str] = "monitor › compute"

    instance_type: Text | None = Field(None, description="Azure machine size.")
    runtime_version: Text | None = Field(None, description="Spark version.")
    compute_type: Text | None = Field(None, description="Azure compute type.")


class Target(Spec):
    title: ClassVar[str] = "monitor › monitoring_target"

    ml_task: (
        Annotated[Literal["classification", "regression", "question_answering", "questionanswering"], Fold] | None
    ) = Field(None, description="classification, regression or question_answering.")
    endpoint_deployment_id: Text | None = Field(None, description="azureml:ENDPOINT:DEPLOYMENT.")
    model_id: Text | None = Field(None, description="azureml:MODEL:VERSION, when no deployment is watched.")


class QualityLimits(Spec):
    title: ClassVar[str] = "quality thresholds › numerical, categorical"

    null_value_rate: Share | None = Field(None, description="Share of empty values; alert above.")
    data_type_error_rate: Share | None = Field(None, description="Share of values of a wrong type; alert above.")
    out_of_bounds_rate: Share | None = Field(None, description="Share of values outside the reference's; alert above.")


class QualityThresholds(Spec):
    title: ClassVar[str] = "monitor › quality thresholds"

    numerical: QualityLimits | None = Field(None, description="For numerical columns.")
    categorical: QualityLimits | None = Field(None, description="For categorical columns.")
    threshold: Accepted | None = Field(None, description="A field of Azure's schema without a meaning.")


class ClassificationLimits(Spec):
    title: ClassVar[str] = "performance thresholds › classification"

    accuracy: Share | None = Field(None, description="Alert below.")
    precision: Share | None = Field(None, description="Alert below.")
    recall: Share | None = Field(None, description="Alert below.")


class RegressionLimits(Spec):
    title: ClassVar[str] = "performance thresholds › regression"

    mae: Limit | None = Field(None, description="Mean absolute error; alert above.")
    mse: Limit | None = Field(None, description="Mean squared error; alert above.")
    rmse: Limit | None = Field(None, description="Root of the mean squared error; alert above.")


class PerformanceThresholds(Spec):
    title: ClassVar[str] = "monitor › performance thresholds"

    classification: ClassificationLimits | None = Field(None, description="For classifiers.")
    regression: RegressionLimits | None = Field(None, description="For regressors.")
    threshold: Accepted | None = Field(None, description="A field of Azure's schema without a meaning.")


class DataDrift(Compared):
    title: ClassVar[str] = "monitor › data_drift"

    type: Annotated[Literal["data_drift"], Fold] = Field(description="data_drift")
    features: Features | None = Field(None, description="all_features (default), names, or top_n_feature_importance.")
    feature_type_override: FeatureTypes = Field(default_factory=dict, description="Column: numerical or categorical.")
    data_segment: Segment | None = Field(None, description="Look at some rows only.")
    metric_thresholds: DriftThresholds | None = Field(None, description="Metrics to compute and when they alert.")


class PredictionDrift(Compared):
    title: ClassVar[str] = "monitor › prediction_drift"

    type: Annotated[Literal["prediction_drift"], Fold] = Field(description="prediction_drift")
    features: Features | None = Field(None, description="Outputs to look at (default: all).")
    feature_type_override: FeatureTypes = Field(default_factory=dict, description="Column: numerical or categorical.")
    metric_thresholds: DriftThresholds | None = Field(None, description="Metrics to compute and when they alert.")


class DataQuality(Compared):
    title: ClassVar[str] = "monitor › data_quality"

    type: Annotated[Literal["data_quality"], Fold] = Field(description="data_quality")
    features: Features | None = Field(None, description="all_features (default), names, or top_n_feature_importance.")
    feature_type_override: FeatureTypes = Field(default_factory=dict, description="Column: numerical or categorical.")
    metric_thresholds: QualityThresholds | None = Field(None, description="Metrics to compute and when they alert.")


class ModelPerformance(Watched):
    title: ClassVar[str] = "monitor › model_performance"

    type: Annotated[Literal["model_performance"], Fold] = Field(description="model_performance")
    production_data: Annotated[list[SignalData], Many] | None = Field(
        None, description="What was answered; left out, the endpoint's log."
    )
    reference_data: SignalData | None = Field(None, description="The true values (data_context: ground_truth).")
    data_segment: Segment | None = Field(None, description="Look at some rows only.")
    metric_thresholds: PerformanceThresholds | None = Field(None, description="Metrics to compute and when they alert.")


def _signal_type(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    kind = str(kind or "").strip().lower()
    return f"<{kind}>"


Signal = Annotated[
    Annotated[DataDrift, Tag("<data_drift>")]
    | Annotated[PredictionDrift, Tag("<prediction_drift>")]
    | Annotated[DataQuality, Tag("<data_quality>")]
    | Annotated[ModelPerformance, Tag("<model_performance>")]
    | Annotated[model_signals.FeatureAttributionDrift, Tag("<feature_attribution_drift>")]
    | Annotated[model_signals.EstimatedPerformance, Tag("<estimated_performance>")]
    | Annotated[model_signals.SegmentPerformance, Tag("<segment_performance>")]
    | Annotated[model_signals.Fairness, Tag("<fairness>")]
    | Annotated[model_signals.ResidualDrift, Tag("<residual_drift>")]
    | Annotated[model_signals.TextDrift, Tag("<text_drift>")]
    | Annotated[model_signals.ImageDrift, Tag("<image_drift>")]
    | Annotated[model_signals.EmbeddingDrift, Tag("<embedding_drift>")]
    | Annotated[model_signals.Custom, Tag("<custom>")]
    | Annotated[infrastructure.EndpointHealth, Tag("<endpoint_health>")]
    | Annotated[infrastructure.ComputeHealth, Tag("<compute_health>")]
    | Annotated[infrastructure.JobsHealth, Tag("<jobs_health>")]
    | Annotated[infrastructure.DataFreshness, Tag("<data_freshness>")]
    | Annotated[infrastructure.ModelUsage, Tag("<model_usage>")]
    | Annotated[infrastructure.Budgets, Tag("<budgets>")]
    | Annotated[generation.TokenStatistics, Tag("<generation_token_statistics>")]
    | Annotated[generation.SafetyQuality, Tag("<generation_safety_quality>")],
    Discriminator(_signal_type),
]


class AlertPolicy(Spec):
    """Ours: Azure's files have none, and mean the default."""

    title: ClassVar[str] = "monitor › alert_policy"

    windows: Annotated[Int, Field(ge=1, le=100)] = Field(1, description="Windows that must cross to be an alert.")
    of: Annotated[Int, Field(ge=1, le=100)] | None = Field(
        None, description="Of so many of the newest (default: as many as windows)."
    )
    severity: Annotated[Literal["critical", "error", "warning", "informational"], Fold] = Field(
        "warning", description="critical, error, warning or informational."
    )
    tell: Annotated[list[Persona], Many] = Field(
        default_factory=list, description="Personas that are told (default: by what the signal is about)."
    )

    @model_validator(mode="after")
    def _fits(self) -> AlertPolicy:
        if self.of is not None and self.of < self.windows:
            raise ValueError(f"{self.windows} windows of {self.of} can never be")
        return self


class Emails(Spec):
    title: ClassVar[str] = "monitor › alert_notification"

    emails: Annotated[list[Mailbox], Many] = Field(
        default_factory=list, description="Who is written to when an alert opens, and when it is open again."
    )


def _alert_shape(value: Any) -> str:
    return "<word>" if isinstance(value, str) else "<emails>"


class Monitor(Spec):
    title: ClassVar[str] = "monitor"

    compute: MonitorCompute | None = Field(None, description="Spark pool that Azure computes on.")
    monitoring_target: Target | None = Field(None, description="What is watched.")
    monitoring_signals: dict[str, Signal] | None = Field(
        None, description="Signals by name; left out, data drift, prediction drift and data quality."
    )
    alert_policy: AlertPolicy | None = Field(None, description="When alerts open, and who is told.")
    alert_notification: (
        Annotated[
            Annotated[Annotated[Literal["azmonitoring"], Fold], Tag("<word>")] | Annotated[Emails, Tag("<emails>")],
            Discriminator(_alert_shape),
        ]
        | None
    ) = Field(None, description="emails: [...]; azmonitoring means that nobody is written to.")


DEFAULT_SIGNALS: dict[str, dict[str, Any]] = {
    "data-drift-signal": {
        "type": "data_drift",
        "features": "all_features",
        "metric_thresholds": {
            "numerical": {"normalized_wasserstein_distance": 0.1},
            "categorical": {"jensen_shannon_distance": 0.1},
        },
    },
    "prediction-drift-signal": {
        "type": "prediction_drift",
        "metric_thresholds": {
            "numerical": {"normalized_wasserstein_distance": 0.1},
            "categorical": {"jensen_shannon_distance": 0.1},
        },
    },
    "data-quality-signal": {
        "type": "data_quality",
        "features": "all_features",
        "metric_thresholds": {
            "numerical": {"null_value_rate": 0.0, "data_type_error_rate": 0.0, "out_of_bounds_rate": 0.0},
            "categorical": {"null_value_rate": 0.0, "data_type_error_rate": 0.0, "out_of_bounds_rate": 0.0},
        },
    },
}


def effective_signals(monitor: Monitor) -> dict[str, Any]:
    """The signals of a monitor, or Azure ML's three default ones when it names none, with their thresholds.

    A signal without thresholds gets the default ones of its type.
    """
    if not monitor.monitoring_signals:
        return dict(Monitor.model_validate({"monitoring_signals": DEFAULT_SIGNALS}).monitoring_signals or {})
    defaults = {item["type"]: item["metric_thresholds"] for item in DEFAULT_SIGNALS.values()}
    signals: dict[str, Any] = {}
    for name, signal in monitor.monitoring_signals.items():
        if signal.metric_thresholds is None and signal.type in defaults:
            written = signal.model_dump(mode="json", by_alias=True, exclude_unset=True)
            signal = type(signal).model_validate({**written, "metric_thresholds": defaults[signal.type]})
        signals[name] = signal
    return signals


SUPPORT: dict[type[Spec], support.Rows] = {
    MonitorCompute: support.rows("", {"instance_type runtime_version compute_type": support.SIZE}),
    Target: support.rows("ml_task endpoint_deployment_id model_id"),
    QualityLimits: support.rows("null_value_rate data_type_error_rate out_of_bounds_rate"),
    QualityThresholds: support.rows("numerical categorical", {"threshold": "has no meaning in Azure ML either"}),
    ClassificationLimits: support.rows("accuracy precision recall"),
    RegressionLimits: support.rows("mae mse rmse"),
    PerformanceThresholds: support.rows(
        "classification regression", {"threshold": "has no meaning in Azure ML either"}
    ),
    DataDrift: support.rows(
        "type alert_enabled production_data reference_data features feature_type_override data_segment "
        "metric_thresholds",
        {"properties": support.AZURE},
    ),
    PredictionDrift: support.rows(
        "type alert_enabled production_data reference_data features feature_type_override metric_thresholds",
        {"properties": support.AZURE},
    ),
    DataQuality: support.rows(
        "type alert_enabled production_data reference_data features feature_type_override metric_thresholds",
        {"properties": support.AZURE},
    ),
    ModelPerformance: support.rows(
        "type alert_enabled production_data reference_data data_segment metric_thresholds",
        {"properties": support.AZURE},
    ),
    AlertPolicy: support.rows("windows of severity tell"),
    Emails: support.rows("emails"),
    Monitor: support.rows(
        "monitoring_target monitoring_signals alert_policy alert_notification", {"compute": support.SIZE}
    ),
}
