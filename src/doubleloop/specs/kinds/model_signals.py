"""Signals about models beside Azure's four basic ones: attributions as Azure has them, and six types of our own."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from doubleloop.specs import support
from doubleloop.specs.fields import Accepted, Flag, Fold, Int, LooseText, Many, Number, Share, Spec, Text
from doubleloop.specs.kinds import values
from doubleloop.specs.kinds.signal_data import (
    Compared,
    DriftThresholds,
    Features,
    Limit,
    NumericalDrift,
    Segment,
    SignalData,
    Watched,
)

_THRESHOLDS = "Metrics to compute and when they alert."


class AttributionLimits(Spec):
    title: ClassVar[str] = "feature_attribution_drift › metric_thresholds"

    normalized_discounted_cumulative_gain: Share | None = Field(
        None, description="How alike both sides rank the features, 1 is the same order; alert below."
    )


class FeatureAttributionDrift(Watched):
    title: ClassVar[str] = "monitor › feature_attribution_drift"

    type: Annotated[Literal["feature_attribution_drift"], Fold] = Field(description="feature_attribution_drift")
    production_data: Annotated[list[SignalData], Many] | None = Field(
        None, description="Inputs and answers; left out, the endpoint's log."
    )
    reference_data: SignalData | None = Field(None, description="Training data with its target; left out, earlier log.")
    metric_thresholds: AttributionLimits | None = Field(None, description=_THRESHOLDS)


class EstimatedClassification(Spec):
    title: ClassVar[str] = "estimated_performance thresholds › classification"

    accuracy: Share | None = Field(None, description="Alert below.")
    precision: Share | None = Field(None, description="Alert below.")
    recall: Share | None = Field(None, description="Alert below.")
    f1: Share | None = Field(None, description="Alert below.")
    roc_auc: Share | None = Field(None, description="Alert below.")


class EstimatedRegression(Spec):
    title: ClassVar[str] = "estimated_performance thresholds › regression"

    mae: Limit | None = Field(None, description="Mean absolute error; alert above.")
    mse: Limit | None = Field(None, description="Mean squared error; alert above.")
    rmse: Limit | None = Field(None, description="Root of the mean squared error; alert above.")


class EstimatedLimits(Spec):
    title: ClassVar[str] = "estimated_performance › metric_thresholds"

    classification: EstimatedClassification | None = Field(None, description="For classifiers.")
    regression: EstimatedRegression | None = Field(None, description="For regressors.")


class EstimatedPerformance(Compared):
    """Performance before the truth is known: by confidence (classifiers), by a model of the loss (regressors)."""

    title: ClassVar[str] = "monitor › estimated_performance"

    type: Annotated[Literal["estimated_performance"], Fold] = Field(description="estimated_performance")
    data_segment: Segment | None = Field(None, description="Look at some rows only.")
    metric_thresholds: EstimatedLimits | None = Field(None, description=_THRESHOLDS)


class SegmentClassification(EstimatedClassification):
    title: ClassVar[str] = "segment_performance thresholds › classification"


class SegmentRegression(EstimatedRegression):
    title: ClassVar[str] = "segment_performance thresholds › regression"


class SegmentLimits(Spec):
    title: ClassVar[str] = "segment_performance › metric_thresholds"

    classification: SegmentClassification | None = Field(None, description="For classifiers.")
    regression: SegmentRegression | None = Field(None, description="For regressors.")


class SegmentPerformance(Watched):
    """Performance of each label of some columns by itself."""

    title: ClassVar[str] = "monitor › segment_performance"

    type: Annotated[Literal["segment_performance"], Fold] = Field(description="segment_performance")
    production_data: SignalData | None = Field(None, description="What was answered; left out, the endpoint's log.")
    segment_by: Annotated[list[Text], Many, Field(min_length=1)] = Field(description="Input columns, each by itself.")
    min_rows: Annotated[Int, Field(ge=1)] = Field(30, description="Labels of fewer rows are left out.")
    metric_thresholds: SegmentLimits | None = Field(None, description=_THRESHOLDS)


class FairnessLimits(Spec):
    title: ClassVar[str] = "fairness › metric_thresholds"

    selection_rate_difference: Share | None = Field(None, description="Largest minus smallest group; alert above.")
    selection_rate_ratio: Share | None = Field(None, description="Smallest by largest group; alert below.")
    equalized_odds_difference: Share | None = Field(None, description="Of true and false positive rates; alert above.")
    accuracy_difference: Share | None = Field(None, description="Largest minus smallest group; alert above.")
    mae_difference: Limit | None = Field(None, description="Mean absolute error, largest minus smallest; alert above.")
    mae_ratio: Share | None = Field(None, description="Mean absolute error, smallest by largest; alert below.")


class Fairness(Watched):
    """Whether groups are treated alike, window by window."""

    title: ClassVar[str] = "monitor › fairness"

    type: Annotated[Literal["fairness"], Fold] = Field(description="fairness")
    production_data: SignalData | None = Field(None, description="What was answered; left out, the endpoint's log.")
    sensitive_features: Annotated[list[Text], Many, Field(min_length=1)] = Field(
        description="Input columns whose labels are the groups."
    )
    positive_label: LooseText = Field("1", description="The answer that selects somebody.")
    min_group_size: Annotated[Int, Field(ge=1)] = Field(30, description="Smaller groups are left out.")
    metric_thresholds: FairnessLimits | None = Field(None, description=_THRESHOLDS)


class ResidualLimits(Spec):
    title: ClassVar[str] = "residual_drift › metric_thresholds"

    residual_mean_shift: Share | None = Field(None, description="p-value (Welch); alert below.")
    residual_variance_shift: Share | None = Field(None, description="p-value (Brown-Forsythe); alert below.")
    residual_autocorrelation: Share | None = Field(None, description="p-value (Ljung-Box, 10 lags); alert below.")
    residual_normality: Share | None = Field(None, description="p-value (Jarque-Bera); alert below.")


class ResidualDrift(Watched):
    """Whether a forecast has begun to be wrong in a way that has a pattern."""

    title: ClassVar[str] = "monitor › residual_drift"

    type: Annotated[Literal["residual_drift"], Fold] = Field(description="residual_drift")
    production_data: SignalData | None = Field(None, description="What was answered; left out, the endpoint's log.")
    reference_data: SignalData | None = Field(None, description="Earlier answers (default: twice as long, before).")
    metric_thresholds: ResidualLimits | None = Field(None, description=_THRESHOLDS)


class TextThresholds(DriftThresholds):
    title: ClassVar[str] = "text_drift › metric_thresholds"

    out_of_vocabulary_rate: Share | None = Field(
        None, description="Share of words that the reference does not have; alert above."
    )


class TextDrift(Compared):
    """Drift of what texts are like: length, words, variety, script, and how much of them is new."""

    title: ClassVar[str] = "monitor › text_drift"

    type: Annotated[Literal["text_drift"], Fold] = Field(description="text_drift")
    features: Annotated[list[Text], Many, Field(min_length=1)] = Field(description="Input columns that hold text.")
    metric_thresholds: TextThresholds | None = Field(None, description=_THRESHOLDS)


class ImageThresholds(Spec):
    title: ClassVar[str] = "image_drift › metric_thresholds"

    numerical: NumericalDrift | None = Field(
        None, description="For width, height, brightness, contrast, sharpness and the three colours of each column."
    )
    unreadable_rate: Share | None = Field(None, description="Share of images that cannot be read; alert above.")


class ImageDrift(Watched):
    """Drift of what images are like: size, light, contrast, sharpness, colours; and how many are broken."""

    title: ClassVar[str] = "monitor › image_drift"

    type: Annotated[Literal["image_drift"], Fold] = Field(description="image_drift")
    features: Annotated[list[Text], Many, Field(min_length=1)] = Field(
        description="Input columns that hold images: base64 text, or pixels."
    )
    production_data: SignalData | None = Field(None, description="What was sent; left out, the endpoint's log.")
    reference_data: SignalData | None = Field(
        None, description="A data asset: a table with the same columns, or a folder of images; left out, earlier log."
    )
    metric_thresholds: ImageThresholds | None = Field(None, description=_THRESHOLDS)


class EmbeddingLimits(Spec):
    title: ClassVar[str] = "embedding_drift › metric_thresholds"

    maximum_mean_discrepancy: Limit | None = Field(None, description="Squared distance of both sets; alert above.")
    maximum_mean_discrepancy_test: Share | None = Field(None, description="p-value by relabelling; alert below.")
    classifier_two_sample: Share | None = Field(
        None, description="Area under the curve of telling both apart, 0.5 is not at all; alert above."
    )
    classifier_two_sample_test: Share | None = Field(None, description="p-value of the same; alert below.")


class EmbeddingDrift(Compared):
    """Drift of vectors: a column of lists of numbers, or several columns of numbers together."""

    title: ClassVar[str] = "monitor › embedding_drift"

    type: Annotated[Literal["embedding_drift"], Fold] = Field(description="embedding_drift")
    features: Features | None = Field(None, description="One column of vectors, or numbers (default: all numbers).")
    of_outputs: Flag = Field(False, description="Look at what the model answered, not at what it was asked.")
    metric_thresholds: EmbeddingLimits | None = Field(None, description=_THRESHOLDS)


class CustomLimit(Spec):
    title: ClassVar[str] = "custom › metric_thresholds"

    metric_name: Text = Field(description="A name that the component writes in the column metric_name.")
    threshold: Number | None = Field(None, description="Alert above; left out, the component's threshold_value.")


class Custom(Watched):
    """What a registered component computes: rows of metric_name and metric_value, in its output signal_output."""

    title: ClassVar[str] = "monitor › custom"

    type: Annotated[Literal["custom"], Fold] = Field(description="custom")
    component_id: Text = Field(description="Registered command component: azureml:NAME:VERSION.")
    connection: Accepted | None = Field(None, description="Connection whose secrets the component gets.")
    inputs: dict[str, values.JobInput] = Field(default_factory=dict, description="Values of the component's inputs.")
    input_data: dict[str, SignalData] = Field(
        default_factory=dict, description="Data of the component's inputs; without input_data, the endpoint's log."
    )
    metric_thresholds: Annotated[list[CustomLimit], Many] | None = Field(
        None, description="Which of its metrics alert, and when (default: those with a threshold_value)."
    )


DEFAULTS: dict[str, dict[str, float]] = {
    "feature_attribution_drift": {"normalized_discounted_cumulative_gain": 0.9},
    "fairness": {"selection_rate_ratio": 0.8},  # the four-fifths rule
    "residual_drift": {"residual_mean_shift": 0.01, "residual_variance_shift": 0.01},
    "embedding_drift": {"maximum_mean_discrepancy_test": 0.01},
}

_COMPARED = "type alert_enabled production_data reference_data metric_thresholds"
_AZURE = {"properties": support.AZURE}
SUPPORT: dict[type[Spec], support.Rows] = {
    CustomLimit: support.rows("metric_name threshold"),
    Custom: support.rows(
        "type alert_enabled component_id inputs input_data metric_thresholds",
        {"connection": "has no effect here: give the component its secrets by name", "properties": support.AZURE},
    ),
    AttributionLimits: support.rows("normalized_discounted_cumulative_gain"),
    FeatureAttributionDrift: support.rows(_COMPARED, _AZURE),
    EstimatedClassification: support.rows("accuracy precision recall f1 roc_auc"),
    EstimatedRegression: support.rows("mae mse rmse"),
    EstimatedLimits: support.rows("classification regression"),
    EstimatedPerformance: support.rows(_COMPARED + " data_segment", _AZURE),
    SegmentLimits: support.rows("classification regression"),
    SegmentPerformance: support.rows(
        "type alert_enabled production_data segment_by min_rows metric_thresholds", _AZURE
    ),
    FairnessLimits: support.rows(
        "selection_rate_difference selection_rate_ratio equalized_odds_difference accuracy_difference mae_difference "
        "mae_ratio"
    ),
    Fairness: support.rows(
        "type alert_enabled production_data sensitive_features positive_label min_group_size metric_thresholds", _AZURE
    ),
    ResidualLimits: support.rows(
        "residual_mean_shift residual_variance_shift residual_autocorrelation residual_normality"
    ),
    ResidualDrift: support.rows(_COMPARED, _AZURE),
    TextThresholds: support.rows("numerical categorical out_of_vocabulary_rate"),
    TextDrift: support.rows(_COMPARED + " features", _AZURE),
    ImageThresholds: support.rows("numerical unreadable_rate"),
    ImageDrift: support.rows(_COMPARED + " features", _AZURE),
    EmbeddingLimits: support.rows(
        "maximum_mean_discrepancy maximum_mean_discrepancy_test classifier_two_sample classifier_two_sample_test"
    ),
    EmbeddingDrift: support.rows(_COMPARED + " features of_outputs", _AZURE),
}
