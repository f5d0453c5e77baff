"""Windows, thresholds and verdicts of signals: pure."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from doubleloop.base import clock, errors
from doubleloop.monitoring.model import AlertKind, AlertPolicy, Measured, Window
from doubleloop.specs.kinds import infrastructure
from doubleloop.statistics import movements, signals

# Azure ML's default length of the production window, by how often the monitor runs.
_DAYS = {"day": 1, "week": 7, "month": 30}
_CRON_DAYS = 7
# How many labels ``statistics.movements`` keeps of a column.
TOP_LABELS = movements.TOP


def default_size(trigger: Any) -> timedelta:
    """The production window when the file gives none: the last period (Azure: cron P7D, minute and hour P1D)."""
    if trigger.type == "cron":
        return timedelta(days=_CRON_DAYS)
    return timedelta(days=_DAYS.get(trigger.frequency, 1) * (trigger.interval if trigger.frequency in _DAYS else 1))


def production_window(data: Any, trigger: Any, as_of: datetime) -> Window:
    """The window of ``production_data``; ``data`` may be None."""
    window = data.data_window if data is not None else None
    if window is not None and window.window_start is not None:
        return _fixed(window, as_of)
    size, offset = _size(data), _span(window, "lookback_window_offset")
    length = size if size is not None else default_size(trigger)
    end = as_of - (offset or timedelta(0))
    return Window(end - length, end)


def reference_window(data: Any, production: Window, trigger: Any, as_of: datetime) -> Window:
    """Of reference data that is earlier production data: by default twice as long, ending where production begins."""
    window = data.data_window if data is not None else None
    if window is not None and window.window_start is not None:
        return _fixed(window, as_of)
    length = production.end - production.start
    size, offset = _size(data), _span(window, "lookback_window_offset")
    end = as_of - offset if offset is not None else production.start
    return Window(end - (size if size is not None else 2 * length), end)


def _fixed(window: Any, as_of: datetime) -> Window:
    start = _moment(window.window_start)
    end = _moment(window.window_end) + timedelta(days=1) if window.window_end is not None else as_of
    return Window(start, end)


def _moment(value: Any) -> datetime:
    return value if isinstance(value, datetime) else clock.parse(str(value))


def _size(data: Any) -> timedelta | None:
    """``data_window.lookback_window_size``, or ``data_window_size`` as older files have it."""
    if data is None:
        return None
    return _span(data.data_window, "lookback_window_size") or _span(data, "data_window_size")


def _span(window: Any, field: str) -> timedelta | None:
    text = getattr(window, field) if window is not None else None
    return None if text in (None, "default") else clock.duration(text)


def thresholds(written: Any, default: Mapping[str, Mapping[str, float | None]]) -> dict[str, dict[str, float | None]]:
    """``{"numerical": {metric: threshold}, "categorical": …}`` as written, or the default when nothing is."""
    if written is None:
        return {kind: dict(values) for kind, values in default.items()}
    found: dict[str, dict[str, float | None]] = {}
    for kind in ("numerical", "categorical", "classification", "regression"):
        group = getattr(written, kind, None)
        if group is not None:
            found[kind] = {name: value for name, value in group.model_dump(exclude_none=True).items()}
    return found


def finite(found: Any) -> Any:
    """What was found, as it can be kept and sent: an infinite number as the largest there is, NaN as None."""
    if isinstance(found, dict):
        return {key: finite(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [finite(value) for value in found]
    if not isinstance(found, float) or math.isfinite(found):
        return found
    return None if math.isnan(found) else math.copysign(sys.float_info.max, found)


def measured(value: signals.Value, threshold: float | None) -> Measured:
    """A value that is no number was not computed; one that is infinite stands as the largest number, and says so."""
    if value.value is not None and not math.isfinite(value.value):
        why = "it is not a number" if math.isnan(value.value) else "it is infinite"
        value = replace(value, value=finite(value.value), reason=value.reason or why)
    alert = value.value is not None and threshold is not None and signals.breached(value.metric, value.value, threshold)
    return Measured(value.metric, value.column, value.value, threshold, alert, value.reason)


def windowed(signal_data: Any) -> bool:
    """Whether the file itself says which time of the data is meant."""
    window = signal_data.data_window
    fixed = window is not None and window.window_start is not None
    offset = _span(window, "lookback_window_offset")
    return fixed or _size(signal_data) is not None or offset is not None


def is_asset(signal_data: Any) -> bool:
    """Azure's files name the collected log itself as an asset (``azureml:endpoint-deployment-model_inputs:1``)."""
    path = signal_data.input_data.path
    return not any(path.split(":")[1:2] and path.split(":")[1].endswith(end) for end in
                   ("-model_inputs", "-model_outputs", "-model_inputs_outputs"))  # fmt: skip


def names_asset(signal_data: Any) -> bool:
    return signal_data is not None and signal_data.input_data is not None and is_asset(signal_data)


def watches(deployment: str, name: str) -> bool:
    """Whether a logged deployment is one that a monitor of ``deployment`` means.

    A release names its deployments after the file's, with its number behind: ``blue`` means ``blue-7`` too.
    """
    return not deployment or name == deployment or name.startswith(f"{deployment}-")


# Signals that are not about a model's data and answers.
KINDS: Mapping[str, AlertKind] = {
    **dict.fromkeys(infrastructure.TYPES, AlertKind.INFRASTRUCTURE), "budgets": AlertKind.COST
}  # fmt: skip
# Who is told when a monitor does not say it: data scientists of models, the platform team of what runs them, owners of
# money. What is critical is told to the lead as well.
AUDIENCE: Mapping[AlertKind, tuple[str, ...]] = {
    AlertKind.MODEL: ("data_scientist",),
    AlertKind.INFRASTRUCTURE: ("platform_support",),
    AlertKind.COST: ("product_owner",),
}
CRITICAL = "critical"
# Signals that see what moved, in the order in which others ask them.
DRIFTS = ("data_drift", "feature_attribution_drift", "text_drift", "prediction_drift")
LONGEST_SILENCE = timedelta(days=366)


def kind_of(signal_type: str) -> AlertKind:
    return KINDS.get(signal_type, AlertKind.MODEL)


def policy(written: Any) -> AlertPolicy:
    """``alert_policy`` of a monitor's file, or the default: each window that crosses is an alert."""
    if written is None:
        return AlertPolicy()
    return AlertPolicy(written.windows, written.of or written.windows, written.severity, tuple(written.tell))


def audience(kind: AlertKind, chosen: AlertPolicy) -> tuple[str, ...]:
    """The personas that are told of an alert."""
    if chosen.tell:
        return chosen.tell
    return AUDIENCE[kind] + (("project_lead",) if chosen.severity == CRITICAL else ())


def mailboxes(notification: Any) -> list[str]:
    """The ``emails`` of ``alert_notification``, each once; none for Azure's word ``azmonitoring``."""
    return list(dict.fromkeys(getattr(notification, "emails", ())))


def stands(crossings: Sequence[bool], chosen: AlertPolicy) -> bool:
    """Whether so many of the newest windows crossed that the metric is in alert (CloudWatch's "M out of N")."""
    return sum(crossings[: chosen.of]) >= chosen.windows


def segments(moved: Iterable[Mapping[str, Any]], count: int = 5) -> list[dict[str, Any]]:
    """The labels of categorical columns whose share of the rows changed most, largest change first.

    Items are {column, segment, before, after}, shares of 0 to 1. ``moved`` holds the most frequent labels of each side
    alone: one that is among them on one side only, where there may be more, is left out, as its other share is unknown.
    """
    found = []
    for each in moved:
        before, after = (each.get(side, {}).get("top") for side in ("before", "after"))
        if before is None or after is None:
            continue
        one, two = dict(before), dict(after)
        for label in dict.fromkeys([*one, *two]):
            shares = [side.get(label, 0.0 if len(side) < TOP_LABELS else None) for side in (one, two)]
            if None not in shares:
                found.append({"column": each["column"], "segment": label, "before": shares[0], "after": shares[1]})
    return sorted(found, key=lambda item: -abs(item["after"] - item["before"]))[:count]


def silence_end(until: datetime | None, length: timedelta | None, now: datetime) -> datetime:
    """When a silence is over. Raises InvalidInput unless one of both is given, and it ends within a year from now."""
    if (until is None) == (length is None):
        raise errors.InvalidInput("A silence needs an end", cure="Say until when, or for how long: one of both.")
    end = until if until is not None else now + min(length or timedelta(0), 2 * LONGEST_SILENCE)
    if end <= now:
        raise errors.InvalidInput(f"The silence would be over already at {clock.iso(end)}", cure="Name a later time.")
    if end > now + LONGEST_SILENCE:
        raise errors.InvalidInput(
            "A silence lasts a year at most", cure="Disable the monitor's signal with alert_enabled: false."
        )
    return end
