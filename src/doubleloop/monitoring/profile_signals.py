"""Signals that add up profiles instead of reading rows: data quality always, drift of windows too large to read.

A drift signal reads rows up to ``ROWS`` of them, which gives Azure's very numbers. Beyond that it compares with its
reference what profiles keep, in memory that does not grow: a missing value counts in its own column only, bins are
the reference's, and Wasserstein is that of quantile sketches (docs/statistics.md). Kolmogorov-Smirnov needs rows: a
signal that asks for it reads them, however many there are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from doubleloop.base import errors
from doubleloop.monitoring import model, rules, window_profiles, windows
from doubleloop.statistics import movements, profiles, signals

ROWS = 2_000_000
_OF_ROWS = "two_sample_kolmogorov_smirnov_test"
Limits = dict[str, dict[str, float | None]]


def serve(signal: Any) -> bool:
    """Whether a signal compares the log with a data asset, column by column."""
    reference, production = signal.reference_data, signal.production_data
    waits = any(each is not None and each.pre_processing_component for each in (reference, production))
    if waits or not rules.names_asset(reference) or rules.names_asset(production):
        return False
    return not hasattr(signal.features, "top_n_feature_importance")


def serve_drift(task: windows.Task, signal: Any, newest: bool = True) -> bool:
    """Whether a drift signal is to be read off profiles: its window is too large, and all it asks for can be had."""
    asked = getattr(signal.metric_thresholds, "numerical", None)
    if not serve(signal) or getattr(signal, "data_segment", None) or getattr(asked, _OF_ROWS, None) is not None:
        return False
    return window_profiles.rows(task, window(task, signal), newest) > ROWS


def quality(task: windows.Task, name: str, signal: Any, default: Limits) -> model.SignalResult:
    """Rates are counts, which profiles keep: no row of a file that was profiled before is read again."""
    known, found, wanted = _sides(task, signal, {})
    return _judged(name, signal, known, found, wanted, default)


def drift(
    task: windows.Task, name: str, signal: Any, default: Limits, kinds: Mapping[str, str] | None = None
) -> model.SignalResult:
    """Says in its reason that it looked at profiles."""
    known, found, wanted = _sides(task, signal, kinds or {})
    judged = _judged(name, signal, known, found, wanted, default)
    if not judged.metrics:
        return judged
    one, two = (
        profiles.TableProfile(side.rows, {each: side.columns[each] for each in wanted}) for side in (known, found)
    )
    moved = tuple(each.to_dict() for each in movements.most_moved_profiles(one, two))
    said = judged.reason or f"read off profiles: the window holds more than {ROWS:,} rows"
    return dataclasses.replace(judged, moved=moved, reason=said)


def answers(columns: Any) -> str:
    """The reference's column that stands for predictions; "" when none is named."""
    return str((columns and (columns.prediction or columns.target_column)) or "")


def window(task: windows.Task, signal: Any) -> model.Window:
    return rules.production_window(signal.production_data, task.schedule.trigger, task.run.as_of)


def part(signal: Any) -> window_profiles.Part:
    return windows.outputs if signal.type == "prediction_drift" else windows.inputs


def reference(task: windows.Task, signal: Any, kinds: Mapping[str, str]) -> profiles.TableProfile:
    """Of what the file names, kept by its content."""
    overrides = {**kinds, **signal.feature_type_override}
    predicted = signal.type == "prediction_drift"
    source = (answers(signal.reference_data.data_column_names) or windows.PREDICTION) if predicted else ""
    return window_profiles.reference(task, signal.reference_data, overrides, source)


def _sides(
    task: windows.Task, signal: Any, kinds: Mapping[str, str]
) -> tuple[profiles.TableProfile, profiles.TableProfile, list[str]]:
    """Reference, window, and the columns to look at. Raises InvalidInput for features that the data does not have."""
    known = reference(task, signal, kinds)
    found, shared = window_profiles.of_log(task, window(task, signal), known, part(signal))
    wanted = signal.features if isinstance(signal.features, list) else shared
    unknown = [each for each in wanted if each not in known.columns]
    if unknown and found.rows and known.rows:
        raise errors.InvalidInput(f"features names {', '.join(map(repr, unknown))}, which the data does not have")
    return known, found, wanted


def _judged(
    name: str, signal: Any, known: profiles.TableProfile, found: profiles.TableProfile, wanted: list[str],
    default: Limits,
) -> model.SignalResult:  # fmt: skip
    if not found.rows or not known.rows:
        side = "reference" if found.rows else "production"
        return model.SignalResult(name, signal.type, "not_checked", f"the {side} window has no rows", known.rows,
                                  found.rows)  # fmt: skip
    limits = rules.thresholds(signal.metric_thresholds, default)
    metrics = tuple(
        rules.measured(signals.evaluate(metric, known.columns[each], found.columns[each]), threshold)
        for each in wanted
        for metric, threshold in limits.get(known.columns[each].kind.value, {}).items()
    )
    return windows.result(name, signal.type, signal, metrics, known.rows, found.rows, ())
