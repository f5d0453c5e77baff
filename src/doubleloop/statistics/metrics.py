"""The metrics a signal may name: what they need, what they can be asked of, and on which side they alert."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import StrEnum

from doubleloop.base import errors
from doubleloop.statistics.schema import Kind


class Family(StrEnum):
    DRIFT = "drift"
    QUALITY = "quality"
    REGRESSION = "regression"
    CLASSIFICATION = "classification"
    ATTRIBUTION = "attribution"
    FAIRNESS = "fairness"
    RESIDUALS = "residuals"
    VECTORS = "vectors"
    TEXT = "text"
    IMAGES = "images"


class Alert(StrEnum):
    """On which side of its threshold a metric alerts; the threshold itself is still good."""

    ABOVE = "above"
    BELOW = "below"
    AWAY_FROM_ZERO = "away_from_zero"


@dataclass(frozen=True)
class Metric:
    name: str
    family: Family
    alert: Alert
    kinds: tuple[Kind, ...] = ()  # drift only: the kinds of column it is defined for

    @property
    def needs_scores(self) -> bool:
        """Whether predictions must be scores per class rather than labels."""
        return self.name in ("log_loss", "roc_auc")


_BOTH = (Kind.NUMERICAL, Kind.CATEGORICAL)

# Azure's rule (azureml-assets evaluate_metrics_threshold.py): the two p-values alert below, all others above.
# Deliberate corrections: accuracy, precision and recall (and what is like them) alert below, each with its own
# threshold; Azure's component alerts when accuracy is above, and judges precision by the accuracy threshold.
_ALL = (
    Metric("jensen_shannon_distance", Family.DRIFT, Alert.ABOVE, _BOTH),
    Metric("population_stability_index", Family.DRIFT, Alert.ABOVE, _BOTH),
    Metric("normalized_wasserstein_distance", Family.DRIFT, Alert.ABOVE, (Kind.NUMERICAL,)),
    Metric("two_sample_kolmogorov_smirnov_test", Family.DRIFT, Alert.BELOW, (Kind.NUMERICAL,)),
    Metric("pearsons_chi_squared_test", Family.DRIFT, Alert.BELOW, (Kind.CATEGORICAL,)),
    Metric("null_value_rate", Family.QUALITY, Alert.ABOVE),
    Metric("data_type_error_rate", Family.QUALITY, Alert.ABOVE),
    Metric("out_of_bounds_rate", Family.QUALITY, Alert.ABOVE),
    Metric("mae", Family.REGRESSION, Alert.ABOVE),
    Metric("mse", Family.REGRESSION, Alert.ABOVE),
    Metric("rmse", Family.REGRESSION, Alert.ABOVE),
    Metric("mape", Family.REGRESSION, Alert.ABOVE),
    Metric("r2", Family.REGRESSION, Alert.BELOW),
    Metric("bias", Family.REGRESSION, Alert.AWAY_FROM_ZERO),
    Metric("accuracy", Family.CLASSIFICATION, Alert.BELOW),
    Metric("precision", Family.CLASSIFICATION, Alert.BELOW),
    Metric("recall", Family.CLASSIFICATION, Alert.BELOW),
    Metric("f1", Family.CLASSIFICATION, Alert.BELOW),
    Metric("roc_auc", Family.CLASSIFICATION, Alert.BELOW),
    Metric("log_loss", Family.CLASSIFICATION, Alert.ABOVE),
    Metric("normalized_discounted_cumulative_gain", Family.ATTRIBUTION, Alert.BELOW),
    Metric("selection_rate_difference", Family.FAIRNESS, Alert.ABOVE),
    Metric("selection_rate_ratio", Family.FAIRNESS, Alert.BELOW),
    Metric("equalized_odds_difference", Family.FAIRNESS, Alert.ABOVE),
    Metric("accuracy_difference", Family.FAIRNESS, Alert.ABOVE),
    Metric("mae_difference", Family.FAIRNESS, Alert.ABOVE),
    Metric("mae_ratio", Family.FAIRNESS, Alert.BELOW),
    Metric("residual_mean_shift", Family.RESIDUALS, Alert.BELOW),
    Metric("residual_variance_shift", Family.RESIDUALS, Alert.BELOW),
    Metric("residual_autocorrelation", Family.RESIDUALS, Alert.BELOW),
    Metric("residual_normality", Family.RESIDUALS, Alert.BELOW),
    Metric("maximum_mean_discrepancy", Family.VECTORS, Alert.ABOVE),
    Metric("maximum_mean_discrepancy_test", Family.VECTORS, Alert.BELOW),
    Metric("classifier_two_sample", Family.VECTORS, Alert.ABOVE),
    Metric("classifier_two_sample_test", Family.VECTORS, Alert.BELOW),
    Metric("out_of_vocabulary_rate", Family.TEXT, Alert.ABOVE),
    Metric("unreadable_rate", Family.IMAGES, Alert.ABOVE),
)

BY_NAME = {metric.name: metric for metric in _ALL}

# The SDK's defaults when a monitor names no signals.
DEFAULT_DRIFT = {
    Kind.NUMERICAL: {"normalized_wasserstein_distance": 0.1},
    Kind.CATEGORICAL: {"jensen_shannon_distance": 0.1},
}
DEFAULT_QUALITY = {"null_value_rate": 0.0, "data_type_error_rate": 0.0, "out_of_bounds_rate": 0.0}


def named(name: str) -> Metric:
    """The metric of that name. Raises InvalidInput, with the nearest known name."""
    metric = BY_NAME.get(name)
    if metric is None:
        near = difflib.get_close_matches(name, BY_NAME, 1)
        known = f"Did you mean {near[0]}?" if near else f"Known are: {', '.join(BY_NAME)}."
        raise errors.InvalidInput(f"unknown metric '{name}'", cure=known)
    return metric
