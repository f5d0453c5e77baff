"""Signals about models beside the four basic ones: attributions, estimated performance, segments, fairness, residuals,
texts, vectors. Each takes a task, the signal's name and what the file says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from doubleloop.base import errors
from doubleloop.monitoring import examples, image_signals, model, rules, truths, windows
from doubleloop.specs.kinds import model_signals as specs
from doubleloop.statistics import (
    attribution,
    columns,
    embeddings,
    estimation,
    fairness,
    residuals,
    schema,
    signals,
    texts,
)

Compute = Callable[[windows.Task, str, Any], model.SignalResult]
Values = list[signals.Value]
LABEL = "label"
_DEFAULT_PERFORMANCE: dict[str, dict[str, float | None]] = {
    "regression": {"mae": None}, "classification": {"accuracy": None},
}  # fmt: skip
_DEFAULT_TEXT: dict[str, dict[str, float | None]] = {
    "numerical": {"normalized_wasserstein_distance": 0.1}, "categorical": {"jensen_shannon_distance": 0.1},
}  # fmt: skip


def attributions(task: windows.Task, name: str, signal: Any) -> model.SignalResult:
    """How the features' order by what they explain of the target (reference) and of the answers (production) differ."""
    first = _naming_answers(signal.production_data)
    window = rules.production_window(first, task.schedule.trigger, task.run.as_of)
    brought = [each for each in signal.production_data or [] if rules.names_asset(each)]
    current = truths.joined(task, brought) if brought else windows.log(task, window)
    reference, target = signal.reference_data, ""
    if rules.names_asset(reference):
        before = windows.table(task, reference)
        names = reference.data_column_names
        target = (names and (names.prediction or names.target_column)) or reference.target_column_name or ""
        if target not in before.columns:
            raise errors.InvalidInput("The reference data has no target", cure="Name data_column_names.target_column.")
    else:
        earlier = windows.log(task, rules.reference_window(reference, window, task.schedule.trigger, task.run.as_of))
        if _empty(earlier, current):
            return _nothing(name, signal, earlier, current)
        target = windows.PREDICTION
        before = with_answers(earlier, first)
    if _empty(before, current):
        return _nothing(name, signal, before, current)
    if brought:
        after = current.with_columns(truths.named(current, brought, "prediction").alias(windows.PREDICTION))
    else:
        after = with_answers(current, first)
    features = [each for each in before.columns if each in after.columns and each not in (target, windows.PREDICTION)]
    one = attribution.importances(before, features, target)
    two = attribution.importances(after, features, windows.PREDICTION)
    value = signals.Value(
        "normalized_discounted_cumulative_gain",
        attribution.normalized_discounted_cumulative_gain(one, two),
        reference_rows=before.height, current_rows=after.height,
    )  # fmt: skip
    moved = sorted(features, key=lambda each: (-abs(two[each] - one[each]), each))[:5]
    said = tuple(
        {"column": each, "distance": abs(two[each] - one[each]), "before": {"importance": one[each]},
         "after": {"importance": two[each]}, "sentence": f"{each}: importance {one[each]:.3g} -> {two[each]:.3g}"}
        for each in moved
    )  # fmt: skip
    return _judged(name, signal, [value], before.height, after.height, said)


def estimated(task: windows.Task, name: str, signal: Any) -> model.SignalResult:
    """Performance of a window without truth, from a reference whose truth is known: a data asset with the columns
    ``target_column`` and ``prediction`` (classifiers also ``prediction_probability``), or earlier labelled answers."""
    window = rules.production_window(signal.production_data, task.schedule.trigger, task.run.as_of)
    current = windows.segment(windows.log(task, window), signal, "in.")
    before, truth, said, scores = _known(task, signal, window)
    if _empty(before, current):
        return _nothing(name, signal, before, current)
    kind = windows.ml_task(task, signal)
    limits = windows.limits(task, signal, _DEFAULT_PERFORMANCE)
    column = windows.answers(current, signal.production_data)
    if kind == "classification":
        found = _by_confidence(signal, current, before, column, truth, scores)
    else:
        found = _by_losses(current, before, column, truth, said)
    values = [
        signals.Value(metric, found.get(metric), reason="" if metric in found else "nobody was given that answer",
                      reference_rows=before.height, current_rows=current.height)
        for metric in limits
    ]  # fmt: skip
    return _judged(name, signal, values, before.height, current.height, limits=limits)


def _known(task: windows.Task, signal: Any, window: model.Window) -> tuple[pl.DataFrame, str, str, str]:
    """Reference rows whose truth is known, and their columns of truth, prediction and probability ("" for none)."""
    reference = signal.reference_data
    if rules.names_asset(reference):
        names = reference.data_column_names
        if names is None or not names.target_column or not names.prediction:
            raise errors.InvalidInput(
                "Estimating needs a reference with truth and predictions",
                cure="Name data_column_names.target_column and .prediction of the reference data.",
            )
        frame = windows.table(task, reference)
        wanted = [names.target_column, names.prediction, names.prediction_probability or ""]
        missing = [each for each in wanted if each and each not in frame.columns]
        if missing:
            raise errors.InvalidInput(f"The reference data has no column {', '.join(map(repr, missing))}")
        return windows.segment(frame, signal), wanted[0], wanted[1], wanted[2]
    earlier = rules.reference_window(reference, window, task.schedule.trigger, task.run.as_of)
    rows = windows.segment(windows.labelled(task, earlier), signal, "in.")
    probability = _probability(signal.production_data)
    if rows.is_empty():
        return rows, LABEL, "", ""
    told = windows.truth(rows, windows.answers(rows, signal.production_data))
    frame = with_answers(rows, signal.production_data).with_columns(told)
    if probability and f"out.{probability}" in rows.columns:
        frame = frame.with_columns(rows[f"out.{probability}"].alias(probability))
    return frame, LABEL, windows.PREDICTION, probability


def _by_confidence(
    signal: Any, current: pl.DataFrame, before: pl.DataFrame, column: str, truth: str, scores: str
) -> Mapping[str, float]:
    probability = _probability(signal.production_data) or scores
    if not scores or f"out.{probability}" not in current.columns or scores not in before.columns:
        raise errors.InvalidInput(
            "Estimating a classifier needs its probabilities",
            cure="Let the model answer them, and name data_column_names.prediction_probability on both sides.",
        )
    confidence = estimation.confidence(_whole(before[truth]), before[scores])
    return confidence.estimate(_whole(current[column]), current[f"out.{probability}"])


def _by_losses(current: pl.DataFrame, before: pl.DataFrame, column: str, truth: str, said: str) -> Mapping[str, float]:
    now = windows.inputs(current).with_columns(current[column].cast(pl.Float64).alias(windows.PREDICTION))
    then = before.with_columns(before[said].cast(pl.Float64).alias(windows.PREDICTION))
    shared = [each for each in then.columns if each in now.columns and each != truth]
    return estimation.losses(then.select(shared), before[truth], before[said]).estimate(now.select(shared))


def segments(task: windows.Task, name: str, signal: Any) -> model.SignalResult:
    """Performance of each label of the chosen columns; ``column`` of a value is ``feature=label``."""
    window = rules.production_window(signal.production_data, task.schedule.trigger, task.run.as_of)
    rows = windows.labelled(task, window)
    if rows.is_empty():
        return model.SignalResult(name, signal.type, "not_checked", "no row of the window has its true value yet")
    answers = windows.answers(rows, signal.production_data)
    limits = windows.limits(task, signal, _DEFAULT_PERFORMANCE)
    values = []
    for feature in signal.segment_by:
        groups = columns.as_labels(_column(rows, feature)).fill_null(fairness.MISSING)
        for label, count in sorted(columns.counts(groups).items()):
            if count >= signal.min_rows:
                part = rows.filter(groups == label)
                values += [_of_segment(metric, part, answers, f"{feature}={label}") for metric in limits]
    if not values:
        return model.SignalResult(name, signal.type, "not_checked", f"no segment has {signal.min_rows} rows", 0,
                                  rows.height)  # fmt: skip
    return _judged(name, signal, values, rows.height, rows.height, limits=limits)


def _of_segment(metric: str, rows: pl.DataFrame, answers: str, column: str) -> signals.Value:
    if metric == "roc_auc":
        return signals.Value(metric, None, column, reason="it needs scores, not answers")
    found = signals.evaluate(metric, _whole(windows.truth(rows, answers)), _whole(rows[answers]))
    return signals.Value(metric, found.value, column, reason=found.reason, current_rows=rows.height)


def groups(task: windows.Task, name: str, signal: Any) -> model.SignalResult:
    """Fairness over the labels of each sensitive column; rows with their true value where a metric needs it."""
    window = rules.production_window(signal.production_data, task.schedule.trigger, task.run.as_of)
    limits = _limits(signal)
    every = windows.log(task, window)
    told = windows.labelled(task, window) if set(limits) & set(fairness.OF_TRUTH) else every.clear()
    if every.is_empty():
        return _nothing(name, signal, every, every)
    answers, values, moved = windows.answers(every, signal.production_data), [], []
    for feature in signal.sensitive_features:
        found = fairness.of_classes(
            _column(every, feature), _whole(every[answers]), None, signal.positive_label, signal.min_group_size
        )
        known, reason = dict(found.values), found.reason
        if not told.is_empty():
            group, said, truth = _column(told, feature), _whole(told[answers]), _whole(windows.truth(told, answers))
            later = fairness.of_classes(group, said, truth, signal.positive_label, signal.min_group_size)
            known |= {metric: value for metric, value in later.values.items() if metric in fairness.OF_TRUTH}
            if said.dtype.is_numeric() and truth.dtype.is_numeric():
                known |= fairness.of_numbers(group, said, truth, signal.min_group_size).values
        values += [
            signals.Value(metric, known.get(metric), feature, reason="" if metric in known else
                          reason or "no group has enough rows with their true values", current_rows=every.height)
            for metric in limits
        ]  # fmt: skip
        moved.append(_rates(feature, found))
    return _judged(name, signal, values, every.height, every.height, tuple(moved), limits)


def _rates(feature: str, found: fairness.Groups) -> dict[str, Any]:
    rates = found.of_groups.get("selection_rate", {})
    said = ", ".join(f"{group} {rate:.1%}" for group, rate in sorted(rates.items()))
    return {
        "column": feature, "distance": found.values.get("selection_rate_difference", 0.0), "before": {},
        "after": {"selection_rate": dict(rates), "rows": dict(found.sizes)},
        "sentence": f"{feature}: selected {said or 'nobody counted'}",
    }  # fmt: skip


def forecast_residuals(task: windows.Task, name: str, signal: Any) -> model.SignalResult:
    """Residuals of the window, in the order of time, against those of an earlier one."""
    window = rules.production_window(signal.production_data, task.schedule.trigger, task.run.as_of)
    earlier = rules.reference_window(signal.reference_data, window, task.schedule.trigger, task.run.as_of)
    limits = _limits(signal)
    now, then = (_residuals(windows.labelled(task, each), signal.production_data) for each in (window, earlier))
    values = []
    for metric in limits:
        one_sided = metric in ("residual_autocorrelation", "residual_normality")
        try:
            value = getattr(residuals, metric)(*((now,) if one_sided else (then, now)))
            values.append(signals.Value(metric, value, reference_rows=len(then), current_rows=len(now)))
        except errors.InvalidInput as error:
            values.append(signals.Value(metric, None, reason=error.what))
    return _judged(name, signal, values, len(then), len(now))


def _residuals(rows: pl.DataFrame, production: Any) -> columns.Floats:
    if rows.is_empty():
        return residuals.of([], [])
    rows = rows.sort("time", "request_id", "row")
    return residuals.of(rows[LABEL], rows[windows.answers(rows, production)])


def text(task: windows.Task, name: str, signal: Any) -> model.SignalResult:
    """Drift of what each text column is like; ``column`` of a value is ``feature.what`` (``question.words``)."""
    before, after, _ = windows.pair(task, signal, examples.identified(windows.inputs))
    if _empty(before, after):
        return _nothing(name, signal, before, after)
    limits = rules.thresholds(signal.metric_thresholds, _DEFAULT_TEXT)
    worst: list[dict[str, Any]] = []
    new = getattr(signal.metric_thresholds, "out_of_vocabulary_rate", None)
    wanted: dict[schema.Kind | str, list[str]] = {group: list(metrics) for group, metrics in limits.items()}
    values: Values = []
    for feature in signal.features:
        one, two = _column(before, feature, ""), _column(after, feature, "")
        words = texts.Vocabulary.of(one)
        known, current = _described(feature, one, words.without_own()), _described(feature, two, words)
        kinds = {each: "categorical" if each.endswith(".script") else "numerical" for each in known.columns}
        values += signals.evaluate_table(wanted, known, current, None, kinds)
        worst += _worst_texts(feature, known, current, after)
        if new is not None:
            rate = texts.out_of_vocabulary_rate(two, words)
            some = rate == rate
            values.append(
                signals.Value(
                    "out_of_vocabulary_rate", rate if some else None, feature, reason="" if some else "no words"
                )
            )
    measured = tuple(
        rules.measured(each, limits.get(each.kind.value, {}).get(each.metric) if each.kind else new) for each in values
    )
    found = windows.result(name, signal.type, signal, measured, before.height, after.height, ())
    return replace(found, examples=_farthest_first(worst))


def _worst_texts(feature: str, known: pl.DataFrame, current: pl.DataFrame, rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Texts that are there, by all that is told of them but their script."""
    numbers = [each for each in known.columns if not each.endswith(".script")]
    there = pl.col(f"{feature}.characters").is_not_null()
    held, kept = current.filter(there), rows.filter(current.select(there).to_series())
    one, two = examples.scaled(known.filter(there).select(numbers), held.select(numbers))
    return list(examples.worst(feature, one, two, kept)) if len(one) and len(two) else []


def _farthest_first(found: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    return tuple(sorted(found, key=lambda each: -each["distance"])[: examples.KEPT])


def _described(feature: str, column: pl.Series, words: texts.Vocabulary) -> pl.DataFrame:
    frame = texts.describe(column, words)
    return frame.select(pl.col(each).alias(f"{feature}.{each}") for each in frame.columns)


def vectors(task: windows.Task, name: str, signal: Any) -> model.SignalResult:
    """Drift of vectors: of one column of lists, or of columns of numbers together."""
    part = examples.identified(windows.outputs if signal.of_outputs else windows.inputs)
    before, after, _ = windows.pair(task, signal, part)
    if _empty(before, after):
        return _nothing(name, signal, before, after)
    limits = _limits(signal)
    chosen = _chosen(signal, before, after)
    (one, _), (two, kept) = (_vectors(chosen, side) for side in (before, after))
    found: dict[str, float] = {}
    if {"maximum_mean_discrepancy", "maximum_mean_discrepancy_test"} & set(limits):
        drift = embeddings.maximum_mean_discrepancy(one, two)
        found |= {"maximum_mean_discrepancy": drift.value, "maximum_mean_discrepancy_test": drift.p_value}
    if {"classifier_two_sample", "classifier_two_sample_test"} & set(limits):
        drift = embeddings.classifier_two_sample_test(one, two)
        found |= {"classifier_two_sample": drift.value, "classifier_two_sample_test": drift.p_value}
    worst = examples.worst(chosen[0] if len(chosen) == 1 else "", one, two, kept, "away")
    moved = tuple(
        {"column": f"{each['request']} row {each['row']}".strip(), "distance": each["distance"], "before": {},
         "after": {}, "sentence": each["sentence"]}
        for each in worst[:5]
    )  # fmt: skip
    values = [signals.Value(metric, found[metric]) for metric in limits]
    judged = _judged(name, signal, values, before.height, after.height, moved)
    return replace(judged, examples=worst)


def _chosen(signal: Any, before: pl.DataFrame, after: pl.DataFrame) -> list[str]:
    """The columns of numbers or vectors to look at."""
    if isinstance(signal.features, list):
        return list(signal.features)
    both = [each for each in before.columns if each in after.columns and each != examples.ROW]
    chosen = [each for each in both if before[each].dtype.is_numeric()]
    if not chosen:
        raise errors.InvalidInput("No column of numbers is on both sides", cure="Name a column of vectors in features.")
    return chosen


def _vectors(chosen: Sequence[str], side: pl.DataFrame) -> tuple[Any, pl.DataFrame]:
    """The vectors that are whole, and the rows that they are of."""
    held = [_of_numbers(_column(side, each, "")) for each in chosen]
    if len(held) == 1 and held[0].dtype.is_nested():
        return held[0].drop_nulls(), side.filter(held[0].is_not_null())
    frame = pl.DataFrame(held).select(pl.all().cast(pl.Float64)).fill_nan(None)
    whole = frame.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
    return frame.filter(whole), side.filter(whole)


def _of_numbers(column: pl.Series) -> pl.Series:
    """Numbers, or vectors, which the log holds as JSON. Raises InvalidInput for other texts, and what else is none."""
    try:
        if column.dtype == pl.String:
            return column.str.json_decode(pl.List(pl.Float64))
        return column if column.dtype.is_nested() else column.cast(pl.Float64)
    except pl.exceptions.PolarsError as error:
        raise errors.InvalidInput(
            f"Column '{column.name}' holds {column.dtype}, neither numbers nor vectors"
        ) from error


SIGNALS: Mapping[str, Compute] = {
    "feature_attribution_drift": attributions, "estimated_performance": estimated, "segment_performance": segments,
    "fairness": groups, "residual_drift": forecast_residuals, "text_drift": text, "embedding_drift": vectors,
    "image_drift": image_signals.drift,
}  # fmt: skip


def _limits(signal: Any) -> dict[str, float | None]:
    written = signal.metric_thresholds
    found = written.model_dump(exclude_none=True) if written is not None else {}
    return found or dict(specs.DEFAULTS[signal.type])


def _judged(
    name: str, signal: Any, values: Sequence[signals.Value], reference: int, current: int,
    moved: tuple[dict[str, Any], ...] = (), limits: Mapping[str, float | None] | None = None,
) -> model.SignalResult:  # fmt: skip
    known = _limits(signal) if limits is None else limits
    metrics = tuple(rules.measured(value, known.get(value.metric)) for value in values)
    return windows.result(name, signal.type, signal, metrics, reference, current, moved)


def _empty(*sides: pl.DataFrame) -> bool:
    return any(side.is_empty() for side in sides)


def _nothing(name: str, signal: Any, reference: pl.DataFrame, current: pl.DataFrame) -> model.SignalResult:
    side = "production" if current.is_empty() else "reference"
    return model.SignalResult(
        name, signal.type, "not_checked", f"the {side} window has no rows", reference.height, current.height
    )


def _naming_answers(production: Any) -> Any:
    """Of inputs and outputs, which Azure's files list apart, the part that says which column is the answer."""
    parts = production or [None]
    named = [each for each in parts if each and each.data_column_names and each.data_column_names.prediction]
    return (named or parts)[0]


def _probability(production: Any) -> str:
    names = production.data_column_names if production is not None else None
    return (names and names.prediction_probability) or ""


def with_answers(rows: pl.DataFrame, production: Any) -> pl.DataFrame:
    """The inputs of logged rows, and what was answered as ``prediction``."""
    return windows.inputs(rows).with_columns(rows[windows.answers(rows, production)].alias(windows.PREDICTION))


def _column(rows: pl.DataFrame, feature: str, prefix: str = "in.") -> pl.Series:
    if prefix + feature not in rows.columns:
        raise errors.InvalidInput(f"Column '{feature}' is not in the data")
    return rows[prefix + feature]


def _whole(column: pl.Series) -> pl.Series:
    """Labels hold true and false as 1 and 0."""
    return column.cast(pl.Int64) if column.dtype == pl.Boolean else column
