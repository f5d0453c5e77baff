"""Azure's signals about what language models generate: tokens are counted, and quality needs a judge."""

from __future__ import annotations

from typing import Any

import polars as pl

from doubleloop.base import errors
from doubleloop.monitoring import model, rules, windows

TOTAL, PROMPT, COMPLETION = "total_tokens", "prompt_tokens", "completion_tokens"  # as OpenAI's API names usage
_TOLD = {TOTAL: "token", PROMPT: "prompt", COMPLETION: "completion"}


def tokens(task: windows.Task, name: str, signal: Any) -> model.SignalResult:
    """How many tokens the answers of the window say that they took: in all and by version of the model, which are
    judged, and prompts, completions and means, which are shown. Raises InvalidInput when the answers do not say it."""
    first = (signal.production_data or [None])[0]
    rows = windows.log(task, rules.production_window(first, task.schedule.trigger, task.run.as_of))
    if rows.is_empty():
        return model.SignalResult(name, signal.type, "not_checked", "the production window has no rows")
    counts = _counts(windows.outputs(rows))
    limits = getattr(signal.metric_thresholds, "totaltoken", None)
    found = [_measured("total_token_count", "", counts[TOTAL].sum(), getattr(limits, "total_token_count", None))]
    group = pl.format("{}:{}", rows["model"].fill_null(""), rows["model_version"].fill_null("")).alias("group")
    sums = counts.select(TOTAL, group).group_by("group").sum().sort("group")
    most = getattr(limits, "total_token_count_per_group", None)
    found += [_measured("total_token_count_per_group", each, value, most) for each, value in sums.iter_rows()]
    for column in counts.columns:
        if column != TOTAL:
            found.append(_measured(f"total_{_TOLD[column]}_count", "", counts[column].sum(), None))
        found.append(_measured(f"avg_{_TOLD[column]}_count", "", counts[column].mean(), None))
    return windows.result(name, signal.type, signal, tuple(found), 0, rows.height, ())


def quality(task: windows.Task, name: str, signal: Any) -> model.SignalResult:
    """Raises NotSupported, with the way that there is."""
    raise errors.NotSupported(
        "Groundedness, relevance, coherence, fluency and similarity need a judge, and Doubleloop has none: a signal of "
        "type custom runs a component that asks one (its metrics may have these names)"
    )


def _counts(outputs: pl.DataFrame) -> pl.DataFrame:
    """Tokens of each answer: the total, and prompt and completion where they are told."""
    told = [each for each in _TOLD if each in outputs.columns]
    wrong = [each for each in told if not (outputs[each].dtype.is_numeric() or outputs[each].dtype == pl.Null)]
    if wrong:
        raise errors.InvalidInput(f"The answers' column '{wrong[0]}' holds no numbers")
    if TOTAL not in told:
        if not {PROMPT, COMPLETION} <= set(told):
            raise errors.InvalidInput(
                f"The answers do not say how many tokens they took: they have neither '{TOTAL}' nor both '{PROMPT}' "
                f"and '{COMPLETION}'; let the model answer them beside its text"
            )
        outputs = outputs.with_columns((pl.col(PROMPT) + pl.col(COMPLETION)).alias(TOTAL))
    return outputs.select(pl.col(each).cast(pl.Float64) for each in _TOLD if each in outputs.columns)


def _measured(metric: str, column: str, value: Any, threshold: float | None) -> model.Measured:
    found = None if value is None else float(value)
    alert = found is not None and threshold is not None and found > threshold
    return model.Measured(metric, column, found, threshold, alert, "" if found is not None else "no answer has a count")
