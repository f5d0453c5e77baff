"""One question, one answer: the value of a metric between a reference and a current sample, and whether it alerts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from doubleloop.base import errors, verdicts
from doubleloop.statistics import (
    approximation,
    columns,
    drift,
    metrics,
    pairs,
    performance,
    profiles,
    quality,
    samples,
    schema,
    sketches,
)

_WHERE = {
    metrics.Family.ATTRIBUTION: "attribution", metrics.Family.FAIRNESS: "fairness", metrics.Family.TEXT: "texts",
    metrics.Family.RESIDUALS: "residuals", metrics.Family.VECTORS: "embeddings",
    metrics.Family.IMAGES: "images",
}  # fmt: skip


@dataclass(frozen=True)
class Value:
    """A metric's value. ``value`` is None when it could not be computed; ``reason`` then says why. ``exact`` is
    False when it was read off profiles instead of rows. Row counts are those that took part."""

    metric: str
    value: float | None
    column: str = ""
    kind: schema.Kind | None = None
    reason: str = ""
    exact: bool = True
    reference_rows: int = 0
    current_rows: int = 0

    def to_dict(self) -> dict[str, Any]:
        body = {key: getattr(self, key) for key in ("metric", "column", "reason", "exact")}
        body["value"] = sketches.number_out(self.value)
        body["kind"] = self.kind.value if self.kind else None
        return body | {"reference_rows": self.reference_rows, "current_rows": self.current_rows}


def evaluate(metric: str, reference: Any, current: Any, kind: schema.Kind | str | None = None, **options: Any) -> Value:
    """The value of ``metric`` for one column.

    * drift and quality: ``reference`` and ``current`` are columns, or both ``profiles.ColumnProfile`` (then drift is
      approximate); ``kind`` overrides how the reference is judged.
    * performance: ``reference`` is the truth and ``current`` the predictions (for log_loss and roc_auc the scores);
      ``options`` go to the function in ``performance``.

    A metric that cannot be had from this data (no rows, no values, wrong kind of column) is a Value without a value,
    with its reason. Raises InvalidInput for an unknown metric or option and for data that cannot be right.
    """
    asked = metrics.named(metric)
    if asked.family in (metrics.Family.REGRESSION, metrics.Family.CLASSIFICATION):
        return _performance(asked, reference, current, options)
    if asked.family not in (metrics.Family.DRIFT, metrics.Family.QUALITY):
        raise errors.InvalidInput(
            f"{metric} is not a metric of one column", cure=f"It is computed in statistics.{_WHERE[asked.family]}."
        )
    if options:
        raise errors.InvalidInput(f"{metric} takes no option {', '.join(options)}", cure="Leave it out.")
    if isinstance(reference, profiles.ColumnProfile) != isinstance(current, profiles.ColumnProfile):
        raise errors.InvalidInput(
            "one side is a profile and the other is rows", cure="Profile the rows against the reference profile."
        )
    if isinstance(reference, profiles.ColumnProfile):
        return _from_profiles(asked, reference, current)
    before, after = columns.series(reference), columns.series(current)
    if asked.family is metrics.Family.QUALITY:
        known = profiles.column(before, override=kind)
        return _from_profiles(asked, known, profiles.column(after, known))
    judged, name = schema.kind_of(before, kind), before.name or after.name
    if judged not in asked.kinds:
        return _undefined(asked, name, judged)
    return _drift(asked, name, samples.of(before, judged), samples.of(after, judged), judged)


def breached(metric: str, value: float, threshold: float) -> bool:
    """Whether a value alerts. A value equal to its threshold does not.

    Azure's rule, with two corrections: accuracy-like metrics (accuracy, precision, recall, f1, roc_auc, r2) alert when
    they fall *below* the threshold, and precision is judged by its own. ``bias`` alerts beyond the threshold on
    either side of zero. Raises InvalidInput for an unknown metric and for NaN, which nothing can be said about.
    """
    side = metrics.named(metric).alert
    if math.isnan(value) or math.isnan(threshold):
        raise errors.InvalidInput(
            f"{metric} {value} cannot be compared with threshold {threshold}", cure="Give it numbers."
        )
    if side is metrics.Alert.BELOW:
        return value < threshold
    return (abs(value) if side is metrics.Alert.AWAY_FROM_ZERO else value) > threshold


def judge(value: Value, threshold: float) -> verdicts.Verdict:
    """``breached`` as a verdict: a value that could not be computed is not checked, never passed."""
    subject = f"{value.column}: {value.metric}" if value.column else value.metric
    if value.value is None:
        return verdicts.not_checked(f"{subject} was not computed: {value.reason}")
    line = f"{subject} {value.value:.6g}, threshold {threshold:g}"
    return verdicts.failed(line) if breached(value.metric, value.value, threshold) else verdicts.passed(line)


def evaluate_table(
    wanted: Mapping[schema.Kind | str, Iterable[str]],
    reference: pairs.Table,
    current: pairs.Table,
    features: Sequence[str] | None = None,
    overrides: Mapping[str, schema.Kind | str] | None = None,
) -> list[Value]:
    """Drift or quality of every feature: ``wanted`` gives the metrics per kind, as ``metric_thresholds`` does.

    As Azure has it, the kinds come from the reference, and for drift a row with a missing value in any of the features
    is left out. A feature that is empty on one side, absent from the current data, or of another type gets Values with
    that reason instead of emptying the whole table. A table that is a ``pairs.Source`` is read a few columns at a
    time. Raises InvalidInput for features, overrides or metrics that cannot be right.
    """
    asked = metrics_of_features(wanted)
    found = compare(reference, current, features, overrides, lambda pair: values_of(pair, asked.get(pair.kind, [])))
    return [value for values in found for value in values]


Taken = TypeVar("Taken")


def compare(
    reference: pairs.Table,
    current: pairs.Table,
    features: Sequence[str] | None,
    overrides: Mapping[str, schema.Kind | str] | None,
    take: Callable[[pairs.Pair], Taken],
) -> list[Taken]:
    """``pairs.compare`` of the features, all of the reference's columns when they are None. Raises InvalidInput for
    features and overrides that cannot be right."""
    before, after = pairs.source(reference), pairs.source(current)
    chosen = list(features) if features is not None else list(before.schema)
    schema.known_names(before.schema, chosen, "features")
    schema.check_overrides(before.schema, overrides or {})
    return pairs.compare(before, after, chosen, overrides or {}, take)


def metrics_of_features(
    wanted: Mapping[schema.Kind | str, Iterable[str]],
) -> dict[schema.Kind, list[metrics.Metric]]:
    """By kind of column. Raises InvalidInput for metrics that are not there or not of a feature."""
    found = {schema.Kind(kind): [metrics.named(name) for name in names] for kind, names in wanted.items()}
    for metric in (each for some in found.values() for each in some):
        if metric.family not in (metrics.Family.DRIFT, metrics.Family.QUALITY):
            raise errors.InvalidInput(
                f"{metric.name} is not a metric of a feature", cure="Ask it of truth and predictions."
            )
    return found


def values_of(pair: pairs.Pair, asked: Iterable[metrics.Metric]) -> list[Value]:
    """Drift and quality of one feature."""
    return [_value_of(metric, pair) for metric in asked]


def _value_of(metric: metrics.Metric, pair: pairs.Pair) -> Value:
    if metric.family is metrics.Family.QUALITY:
        return _quality_of_feature(metric, pair)
    if pair.reason:
        return Value(metric.name, None, pair.name, pair.kind, pair.reason)
    if pair.kind not in metric.kinds:
        return _undefined(metric, pair.name, pair.kind)
    found = _drift(metric, pair.name, *pair.sides, pair.kind)
    if found.value is None:  # the column holds values, as was seen before; in whole rows it holds none
        side = "current data" if found.reference_rows else "reference"
        return replace(found, reason=f"no row of the {side} has all features: choose those that are always there")
    return found


def _quality_of_feature(metric: metrics.Metric, pair: pairs.Pair) -> Value:
    override = None if pair.kind is schema.Kind.UNSUPPORTED else pair.kind
    known = profiles.column(pair.before, override=override)
    return _from_profiles(metric, known, profiles.column(pair.after, known))


def _undefined(metric: metrics.Metric, name: str, kind: schema.Kind) -> Value:
    return Value(metric.name, None, name, kind, f"it is not defined for a column that is {kind}")


def _drift(metric: metrics.Metric, name: str, before: samples.Side, after: samples.Side, kind: schema.Kind) -> Value:
    rows = (len(before), len(after))
    for side, count in zip(("reference", "current"), rows, strict=True):
        if not count:
            return Value(metric.name, None, name, kind, f"the {side} column holds no values", True, *rows)
    compute: Callable[..., float] = getattr(drift, metric.name)
    value = compute(before, after, kind) if len(metric.kinds) > 1 else compute(before, after)
    return Value(metric.name, value, name, kind, "", True, *rows)


def _from_profiles(metric: metrics.Metric, reference: profiles.ColumnProfile, current: profiles.ColumnProfile) -> Value:
    def value(found: float | None, reason: str = "", exact: bool = True) -> Value:
        why = reason if found is None else ""
        rows = (reference.rows, current.rows)
        return Value(metric.name, found, reference.name, reference.kind, why, exact, *rows)

    if metric.family is metrics.Family.DRIFT:
        if reference.kind not in metric.kinds:
            return value(None, f"it is not defined for a column that is {reference.kind}")
        return value(*approximation.measure(metric.name, reference, current), exact=False)
    if not current.rows:
        return value(None, "the window has no rows")
    rate = getattr(quality, metric.name)(current)
    return value(rate, "the reference sets no bounds for this column")


def _performance(metric: metrics.Metric, truth: Any, predicted: Any, options: Mapping[str, Any]) -> Value:
    compute: Callable[..., float] = getattr(performance, metric.name)
    rows = (len(truth), len(predicted))
    try:
        return Value(metric.name, compute(truth, predicted, **options), "", None, "", True, *rows)
    except performance.TooFewPairs as problem:
        return Value(metric.name, None, "", None, problem.what, True, *rows)
    except TypeError as problem:
        if not options:
            raise
        raise errors.InvalidInput(
            f"{metric.name} does not take the options {', '.join(options)}", cure=str(problem)
        ) from problem
