"""What a monitor compares: its target, its signals, their data and thresholds."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from doubleloop.base import clock
from doubleloop.specs import fields, support
from doubleloop.specs.fields import Accepted, Flag, Fold, Int, LooseText, Many, Number, Share, Spec, Text
from doubleloop.specs.kinds import infrastructure
from doubleloop.specs.kinds.values import InputMode, Persona


def _span(value: str) -> str:
    if value.lower() == "default":
        return "default"
    if clock.duration(value).total_seconds() < 0:
        raise ValueError(f"'{value}' is a negative duration")
    return value


Span = Annotated[Text, AfterValidator(_span)]
Limit = Annotated[Number, Field(ge=0)]
Context = Annotated[
    Literal["model_inputs", "model_outputs", "model_inputs_outputs", "training", "test", "validation", "ground_truth"],
    Fold,
]


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


class MonitorInput(Spec):
    title: ClassVar[str] = "monitor › input_data"

    path: Text = Field(description="The data: any reference.", json_schema_extra=fields.path())
    type: Annotated[Literal["uri_folder", "uri_file", "mltable"], Fold] | None = Field(
        None, description="uri_folder, uri_file or mltable."
    )
    mode: InputMode | None = Field(None, description="How it is read.")
    datastore: Text | None = Field(None, description="Datastore to upload a local path to.")
    path_on_compute: Text | None = Field(None, description="Where Azure mounts it.")


class Window(Spec):
    title: ClassVar[str] = "monitor › data_window"

    lookback_window_size: Span | None = Field(None, description="Length of the window: P7D, 1d, or default.")
    lookback_window_offset: Span | None = Field(None, description="How far back it ends: P0D, P7D, or default.")
    window_start: fields.Moment | None = Field(None, description="First day of a fixed window: YYYY-MM-DD.")
    window_end: fields.Moment | None = Field(None, description="Last day of a fixed window: YYYY-MM-DD.")


class Columns(Spec):
    title: ClassVar[str] = "monitor › data_column_names"

    target_column: Text | None = Field(None, description="The true value.")
    prediction: Text | None = Field(None, description="The model's answer.")
    prediction_probability: Text | None = Field(None, description="The model's probability.")
    correlation_id: Text | None = Field(None, description="The id that joins inputs, outputs and true values.")


class SignalData(Spec):
    title: ClassVar[str] = "monitor › production_data, reference_data"

    input_data: MonitorInput | None = Field(None, description="The data; left out, what the endpoint logged.")
    data_context: Context | None = Field(None, description="What the data is: model_inputs, training, ...")
    pre_processing_component: Text | None = Field(None, description="Component that turns raw files into a table.")
    data_column_names: Columns | None = Field(None, description="Which column is what.")
    data_window: Window | None = Field(None, description="Which time of it; see the default windows.")
    data_window_size: Span | None = Field(None, description="Older name of lookback_window_size.")
    target_column_name: Text | None = Field(None, description="Older name of data_column_names.target_column.")


class Segment(Spec):
    title: ClassVar[str] = "monitor › data_segment"

    feature_name: Text = Field(description="Column that the rows are chosen by.")
    feature_values: list[LooseText] = Field(description="Values of the rows to look at.")


class TopFeatures(Spec):
    title: ClassVar[str] = "monitor › features"

    top_n_feature_importance: Annotated[Int, Field(ge=1)] = Field(10, description="The most important features.")


class NumericalDrift(Spec):
    title: ClassVar[str] = "drift thresholds › numerical"

    jensen_shannon_distance: Limit | None = Field(None, description="Alert above (0 to 1).")
    normalized_wasserstein_distance: Limit | None = Field(None, description="Alert above (in reference deviations).")
    population_stability_index: Limit | None = Field(None, description="Alert above.")
    two_sample_kolmogorov_smirnov_test: Share | None = Field(None, description="p-value; alert below.")


class CategoricalDrift(Spec):
    title: ClassVar[str] = "drift thresholds › categorical"

    jensen_shannon_distance: Limit | None = Field(None, description="Alert above (0 to 1).")
    population_stability_index: Limit | None = Field(None, description="Alert above.")
    pearsons_chi_squared_test: Share | None = Field(None, description="p-value; alert below.")


class DriftThresholds(Spec):
    title: ClassVar[str] = "monitor › drift thresholds"

    numerical: NumericalDrift | None = Field(None, description="For numerical columns.")
    categorical: CategoricalDrift | None = Field(None, description="For categorical columns.")
    threshold: Accepted | None = Field(None, description="A field of Azure's schema without a meaning.")


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


def _features_shape(value: Any) -> str:
    if isinstance(value, str):
        return "<all>"
    return "<names>" if isinstance(value, list) else "<top>"


Features = Annotated[
    Annotated[Annotated[Literal["all_features"], Fold], Tag("<all>")]
    | Annotated[list[Text], Tag("<names>")]
    | Annotated[TopFeatures, Tag("<top>")],
    Discriminator(_features_shape),
]
FeatureTypes = dict[str, Annotated[Literal["numerical", "categorical"], Fold]]


class _Signal(Spec):
    alert_enabled: Flag = Field(True, description="Whether a crossed threshold raises an alert.")
    properties: Accepted | None = Field(None, description="Settings of Azure's own component.")


class _Compared(_Signal):
    production_data: SignalData | None = Field(None, description="What came in; left out, the endpoint's log.")
    reference_data: SignalData | None = Field(
        None, description="What to compare with; left out, earlier production data."
    )


class DataDrift(_Compared):
    title: ClassVar[str] = "monitor › data_drift"

    type: Annotated[Literal["data_drift"], Fold] = Field(description="data_drift")
    features: Features | None = Field(None, description="all_features (default), names, or top_n_feature_importance.")
    feature_type_override: FeatureTypes = Field(default_factory=dict, description="Column: numerical or categorical.")
    data_segment: Segment | None = Field(None, description="Look at some rows only.")
    metric_thresholds: DriftThresholds | None = Field(None, description="Metrics to compute and when they alert.")


class PredictionDrift(_Compared):
    title: ClassVar[str] = "monitor › prediction_drift"

    type: Annotated[Literal["prediction_drift"], Fold] = Field(description="prediction_drift")
    features: Features | None = Field(None, description="Outputs to look at (default: all).")
    feature_type_override: FeatureTypes = Field(default_factory=dict, description="Column: numerical or categorical.")
    metric_thresholds: DriftThresholds | None = Field(None, description="Metrics to compute and when they alert.")


class DataQuality(_Compared):
    title: ClassVar[str] = "monitor › data_quality"

    type: Annotated[Literal["data_quality"], Fold] = Field(description="data_quality")
    features: Features | None = Field(None, description="all_features (default), names, or top_n_feature_importance.")
    feature_type_override: FeatureTypes = Field(default_factory=dict, description="Column: numerical or categorical.")
    metric_thresholds: QualityThresholds | None = Field(None, description="Metrics to compute and when they alert.")


class ModelPerformance(_Signal):
    title: ClassVar[str] = "monitor › model_performance"

    type: Annotated[Literal["model_performance"], Fold] = Field(description="model_performance")
    production_data: Annotated[list[SignalData], Many] | None = Field(
        None, description="What was answered; left out, the endpoint's log."
    )
    reference_data: SignalData | None = Field(None, description="The true values (data_context: ground_truth).")
    data_segment: Segment | None = Field(None, description="Look at some rows only.")
    metric_thresholds: PerformanceThresholds | None = Field(None, description="Metrics to compute and when they alert.")


class UnservedSignal(Spec):
    """Signals that are read and kept, and not computed yet."""

    title: ClassVar[str] = "monitor › other signals"

    type: Annotated[
        Literal["feature_attribution_drift", "custom", "generation_safety_quality", "generation_token_statistics"], Fold
    ] = Field(description="The signal's type.")
    alert_enabled: Flag = Field(True, description="Whether a crossed threshold raises an alert.")
    production_data: Annotated[list[SignalData], Many] | None = Field(None, description="What came in.")
    reference_data: SignalData | None = Field(None, description="What to compare with.")
    metric_thresholds: Accepted | None = Field(None, description="Metrics and when they alert.")
    properties: Accepted | None = Field(None, description="Settings of Azure's own component.")
    component_id: Text | None = Field(None, description="Component of a custom signal.")
    connection: Accepted | None = Field(None, description="Connection of a custom signal.")
    inputs: Accepted | None = Field(None, description="Values for a custom signal's component.")
    input_data: Accepted | None = Field(None, description="Data for a custom signal's component.")
    connection_id: Text | None = Field(None, description="Connection of a generation signal.")
    workspace_connection_id: Text | None = Field(None, description="Older name of connection_id.")
    sampling_rate: Share | None = Field(None, description="Share of requests to look at.")


_UNSERVED = ("feature_attribution_drift", "custom", "generation_safety_quality", "generation_token_statistics")


def _signal_type(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    kind = str(kind or "").strip().lower()
    return "<other>" if kind in _UNSERVED else f"<{kind}>"


Signal = Annotated[
    Annotated[DataDrift, Tag("<data_drift>")]
    | Annotated[PredictionDrift, Tag("<prediction_drift>")]
    | Annotated[DataQuality, Tag("<data_quality>")]
    | Annotated[ModelPerformance, Tag("<model_performance>")]
    | Annotated[infrastructure.EndpointHealth, Tag("<endpoint_health>")]
    | Annotated[infrastructure.ComputeHealth, Tag("<compute_health>")]
    | Annotated[infrastructure.JobsHealth, Tag("<jobs_health>")]
    | Annotated[infrastructure.DataFreshness, Tag("<data_freshness>")]
    | Annotated[infrastructure.ModelUsage, Tag("<model_usage>")]
    | Annotated[UnservedSignal, Tag("<other>")],
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

    emails: list[Text] = Field(default_factory=list, description="Who is written to.")


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
    ) = Field(None, description="emails: [...], or azmonitoring.")


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
    MonitorInput: support.rows("path type mode", {"datastore": support.STORE, "path_on_compute": support.AZURE}),
    Window: support.rows("lookback_window_size lookback_window_offset window_start window_end"),
    Columns: support.rows("target_column prediction prediction_probability correlation_id"),
    SignalData: support.rows(
        "input_data data_context data_column_names data_window data_window_size target_column_name",
        {"pre_processing_component": "has no effect here: tables are read as they are"},
    ),
    Segment: support.rows("feature_name feature_values"),
    TopFeatures: support.rows("top_n_feature_importance"),
    NumericalDrift: support.rows(
        "jensen_shannon_distance normalized_wasserstein_distance population_stability_index "
        "two_sample_kolmogorov_smirnov_test"
    ),
    CategoricalDrift: support.rows("jensen_shannon_distance population_stability_index pearsons_chi_squared_test"),
    DriftThresholds: support.rows("numerical categorical", {"threshold": "has no meaning in Azure ML either"}),
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
    UnservedSignal: support.rows(
        "alert_enabled production_data reference_data metric_thresholds properties component_id connection inputs "
        "input_data connection_id workspace_connection_id sampling_rate",
        {"type": "names a signal that is read and kept, and not computed yet"},
    ),
    AlertPolicy: support.rows("windows of severity tell"),
    Emails: support.rows("emails"),
    Monitor: support.rows(
        "monitoring_target monitoring_signals alert_policy alert_notification", {"compute": support.SIZE}
    ),
}
