"""What signals of monitors have in common: which data they look at, and when drift of it alerts."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from doubleloop.base import clock
from doubleloop.specs import fields, support
from doubleloop.specs.fields import Accepted, Flag, Fold, Int, LooseText, Number, Share, Spec, Text
from doubleloop.specs.kinds.values import InputMode


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

    @model_validator(mode="after")
    def _is_one(self) -> Window:
        size = self.lookback_window_size
        if size is not None and size != "default" and not clock.duration(size):
            raise ValueError(f"a window of {size} holds nothing; lookback_window_size is longer than zero")
        if self.window_end is not None and self.window_start is None:
            raise ValueError("window_end needs window_start")
        if self.window_start is not None and size is not None:
            raise ValueError("the window is either fixed (window_start, window_end) or looks back, not both")
        start, end = (clock.parse(each) if each else None for each in (self.window_start, self.window_end))
        if start and end and end < start:
            raise ValueError("window_end lies before window_start")
        return self


class Columns(Spec):
    title: ClassVar[str] = "monitor › data_column_names"

    target_column: Text | None = Field(None, description="The true value.")
    prediction: Text | None = Field(None, description="The model's answer.")
    prediction_probability: Text | None = Field(None, description="The model's probability.")
    correlation_id: Text | None = Field(None, description="The id that joins inputs, outputs and true values.")
    prompt_column: Text | None = Field(None, description="What a language model was asked.")
    completion_column: Text | None = Field(None, description="What it answered.")
    context_column: Text | None = Field(None, description="What it was given to answer from.")
    ground_truth_column: Text | None = Field(None, description="What it should have answered.")


class SignalData(Spec):
    title: ClassVar[str] = "monitor › production_data, reference_data"

    input_data: MonitorInput | None = Field(None, description="The data; left out, what the endpoint logged.")
    data_context: Context | None = Field(None, description="What the data is: model_inputs, training, ...")
    pre_processing_component: Text | None = Field(
        None, description="Registered command component that makes the data ready: azureml:NAME:VERSION."
    )
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


def _features_shape(value: Any) -> str:
    if isinstance(value, str):
        return "<all>"
    return "<names>" if isinstance(value, list) else "<top>"


Features = Annotated[
    Annotated[Annotated[Literal["all_features"], Fold], Tag("<all>")]
    | Annotated[list[Text], Field(min_length=1), Tag("<names>")]
    | Annotated[TopFeatures, Tag("<top>")],
    Discriminator(_features_shape),
]
FeatureTypes = dict[str, Annotated[Literal["numerical", "categorical"], Fold]]


class Watched(Spec):
    alert_enabled: Flag = Field(True, description="Whether a crossed threshold raises an alert.")
    properties: Accepted | None = Field(None, description="Settings of Azure's own component.")


class Compared(Watched):
    production_data: SignalData | None = Field(None, description="What came in; left out, the endpoint's log.")
    reference_data: SignalData | None = Field(
        None, description="What to compare with; left out, earlier production data."
    )


_JUDGED = "belongs to signals that need a judge: let a custom signal's component ask one"
SUPPORT: dict[type[Spec], support.Rows] = {
    MonitorInput: support.rows("path type mode", {"datastore": support.STORE, "path_on_compute": support.AZURE}),
    Window: support.rows("lookback_window_size lookback_window_offset window_start window_end"),
    Columns: support.rows(
        "target_column prediction prediction_probability correlation_id",
        {"prompt_column completion_column context_column ground_truth_column": _JUDGED},
    ),
    SignalData: support.rows(
        "input_data data_context pre_processing_component data_column_names data_window data_window_size "
        "target_column_name",
    ),
    Segment: support.rows("feature_name feature_values"),
    TopFeatures: support.rows("top_n_feature_importance"),
    NumericalDrift: support.rows(
        "jensen_shannon_distance normalized_wasserstein_distance population_stability_index "
        "two_sample_kolmogorov_smirnov_test"
    ),
    CategoricalDrift: support.rows("jensen_shannon_distance population_stability_index pearsons_chi_squared_test"),
    DriftThresholds: support.rows("numerical categorical", {"threshold": "has no meaning in Azure ML either"}),
}
