"""Signals of what runs models and of what they are fed with: endpoints, this machine, jobs, data, use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from doubleloop.base import actors, clock, errors
from doubleloop.cost import model as cost
from doubleloop.cost import queries as costs
from doubleloop.cost import rules as prices
from doubleloop.data import queries as datasets
from doubleloop.db.context import Contexts
from doubleloop.gateway import histogram
from doubleloop.jobs import model as job_model
from doubleloop.jobs import queries as jobs
from doubleloop.monitoring import model, rules, sampling
from doubleloop.monitoring.model import Measured
from doubleloop.specs import documents
from doubleloop.specs.kinds import infrastructure as specs

ACTOR = actors.service("monitor")
# These alert below their threshold, all others above.
BELOW = frozenset({"requests_per_minute_at_least", "ready_share", "requests_at_least"})
# A budget that is used up is: these alert at their threshold as well, as `budget.alert` tells of it.
AT = frozenset({"spent_share", "forecast_share"})
_NO_SAMPLE = "nothing was sampled before: the next run compares"
_NO_REQUESTS = "no request since the run before"
# A burn rate counts when both of its windows have it (Site Reliability Workbook, chapter 5): long, then short.
BURN = {"burn_rate_1h": ("1h", "5m"), "burn_rate_6h": ("6h", "30m"), "burn_rate_3d": ("3d", "6h")}


@dataclass(frozen=True)
class Value:
    """``value`` None: it could not be told, and ``reason`` says why."""

    metric: str
    column: str
    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class Look:
    """What every signal of a run needs; ``before`` is the sample of the run before, if there was one."""

    contexts: Contexts
    monitor: model.Monitor
    run: model.MonitorRun
    now: Mapping[str, Any]
    before: Mapping[str, Any] | None

    @property
    def seconds(self) -> float:
        """Between the two samples."""
        if self.before is None:
            return 0.0
        return (clock.parse(self.now["at"]) - clock.parse(self.before["at"])).total_seconds()


def concerns(monitor: model.Monitor) -> dict[str, Any]:
    """The signals of a monitor that are computed here, by name."""
    written = documents.from_wire(monitor.document).model.create_monitor.monitoring_signals or {}
    return {name: signal for name, signal in written.items() if signal.type in specs.TYPES}


def measure(look: Look, name: str, signal: Any) -> model.SignalResult:
    """One signal. What cannot be told is not_checked with its reason."""
    limits = _limits(signal)
    late = _late(look)
    if late and signal.type not in ("jobs_health", "data_freshness"):
        return model.SignalResult(name, signal.type, "not_checked", late)
    try:
        values = _SIGNALS[signal.type](look, limits, signal)
    except errors.DoubleloopError as error:
        return model.SignalResult(name, signal.type, "not_checked", error.what)
    metrics = tuple(_measured(each, limits[each.metric]) for each in values)
    known = [each for each in metrics if each.value is not None]
    if not known:
        return model.SignalResult(
            name, signal.type, "not_checked", metrics[0].reason if metrics else "there is nothing to measure", 0, 0,
            metrics,
        )  # fmt: skip
    status = "alert" if signal.alert_enabled and any(each.alert for each in known) else "ok"
    return model.SignalResult(name, signal.type, status, "", 0, 0, metrics)


def _limits(signal: Any) -> dict[str, float]:
    written = signal.metric_thresholds
    return specs.DEFAULTS[signal.type] if written is None else written.model_dump(exclude_none=True)


def _late(look: Look) -> str:
    """Counters are read when a run happens; one that looks back further than its window cannot know."""
    trigger = documents.from_wire(look.monitor.document).model.trigger
    if look.run.as_of >= look.run.started_at - rules.default_size(trigger):
        return ""
    return f"counters are read when a run happens: what they were at {look.run.as_of:%Y-%m-%d %H:%M} is not known"


def _measured(found: Value, threshold: float) -> Measured:
    if found.value is None:
        return Measured(found.metric, found.column, None, threshold, False, found.reason)
    crossed = found.value < threshold if found.metric in BELOW else found.value > threshold
    crossed = crossed or (found.metric in AT and found.value == threshold)
    return Measured(found.metric, found.column, found.value, threshold, crossed, found.reason)


def _endpoint(look: Look, limits: Mapping[str, float], _signal: Any) -> list[Value]:
    values: list[Value] = []
    if "silent" in look.now or not look.now["deployments"]:
        why = look.now.get("silent") or f"the gateway serves no such deployment of {look.monitor.endpoint}"
        values = [Value("ready_share", "", 0.0, why)] if "ready_share" in limits else [Value(each, "", None, why)
                                                                                       for each in limits]  # fmt: skip
    for name, now in look.now["deployments"].items():
        before = _same(look, name)
        values += [_of_deployment(metric, name, now, before, look) for metric in limits if metric not in BURN]
    return values + [each for metric in limits if metric in BURN for each in _burn(metric, look)]


def _same(look: Look, name: str) -> Mapping[str, Any] | None:
    """The earlier sample of the same deployment: one that was replaced counts from zero."""
    before: Mapping[str, Any] | None = (look.before or {}).get("deployments", {}).get(name)
    return before if before is not None and before["id"] == look.now["deployments"][name]["id"] else None


def _of_deployment(
    metric: str, name: str, now: Mapping[str, Any], before: Mapping[str, Any] | None, look: Look
) -> Value:  # fmt: skip
    if metric == "ready_share":
        share = now["ready"] / now["instances"] if now["instances"] else float(now["state"] == "ready")
        return Value(metric, name, min(share, 1.0), now["error"])
    if metric == "memory_mb":
        known = now["memory"] > 0
        return Value(metric, name, now["memory"] / 1e6 if known else None, "" if known else "no process is known")
    if look.before is None or look.seconds <= 0:
        return Value(metric, name, None, _NO_SAMPLE)
    return Value(metric, name, *_since(metric, now, before, look.seconds))


def _since(
    metric: str, now: Mapping[str, Any], before: Mapping[str, Any] | None, seconds: float
) -> tuple[float | None, str]:  # fmt: skip
    requests = sampling.grown(now, before, "requests")
    if metric == "restarts":
        return sampling.grown(now, before, "restarts"), ""
    if metric.startswith("requests_per_minute"):
        return requests / seconds * 60, ""
    if metric == "cpu_utilization":
        return sampling.grown(now, before, "cpu_s") / seconds / max(now["instances"], 1), ""
    if metric.startswith("latency_"):
        found = histogram.quantile(
            sampling.grown_counts(now, before, "latency"), {"p50": 0.5, "p99": 0.99}[metric[8:11]]
        )
        return found, "" if found is not None else _NO_REQUESTS
    if metric == "queue_time_p99_ms":
        if not now.get("queue"):
            return None, "the gateway's /metrics tells no time in the queue"
        waited = histogram.quantile(sampling.grown_counts(now, before, "queue"), 0.99)
        return waited, "" if waited is not None else _NO_REQUESTS
    counter = {"throttled_rate": "throttled", "client_error_rate": "client_errors",
               "server_error_rate": "server_errors"}[metric]  # fmt: skip
    return (sampling.grown(now, before, counter) / requests, "") if requests else (None, _NO_REQUESTS)


def _burn(metric: str, look: Look) -> list[Value]:
    """The smaller of the two windows' rates: only when both burn, it burns still."""
    found = []
    for each in look.now.get("objectives", ()):
        rates = [each["burn_rates"].get(window) for window in BURN[metric]]
        known = [rate for rate in rates if rate is not None]
        value = min(known) if len(known) == len(rates) else None
        found.append(
            Value(metric, each["kind"], value, "" if value is not None else "no request in one of its windows")
        )
    return found


def _compute(look: Look, limits: Mapping[str, float], _signal: Any) -> list[Value]:
    now, before = look.now["machine"], (look.before or {}).get("machine")
    found = []
    for metric in limits:
        if metric == "cpu_utilization":
            value, why = _busy(now, before)
        else:
            value = now.get(metric.removesuffix("_utilization"))
            why = "" if value is not None else "this system does not tell it"
        found.append(Value(metric, "", value, why))
    return found


def _busy(now: Mapping[str, float], before: Mapping[str, float] | None) -> tuple[float | None, str]:
    if "cpu_all" not in now:
        return None, "this system does not tell it"
    if not before or "cpu_all" not in before:
        return None, _NO_SAMPLE
    total = sampling.grown(now, before, "cpu_all")
    return (sampling.grown(now, before, "cpu_busy") / total, "") if total else (None, _NO_SAMPLE)


def _jobs(look: Look, limits: Mapping[str, float], _signal: Any) -> list[Value]:
    with look.contexts.read(ACTOR, look.monitor.workspace) as ctx:
        found = jobs.within(ctx, look.run.window_start, look.run.window_end)
    ended = [each for each in found if each.ended_at and each.ended_at < look.run.window_end]
    failed = [each for each in ended if each.status is job_model.Status.FAILED]
    waits = [(each.started_at - each.created_at).total_seconds() for each in found if each.started_at]
    values = {
        "failed_jobs": (float(len(failed)), ""),
        "failure_rate": (len(failed) / len(ended), "") if ended else (None, "no job ended in the window"),
        "queue_time_p95_s": (float(np.quantile(waits, 0.95)), "") if waits else (None, "no job started in the window"),
    }
    return [Value(metric, "", *values[metric]) for metric in limits]


def _freshness(look: Look, _limits: Mapping[str, float], signal: Any) -> list[Value]:
    return [_age(look, reference) for reference in signal.data]


def _age(look: Look, reference: str) -> Value:
    try:
        with look.contexts.read(ACTOR, look.monitor.workspace) as ctx:
            if reference.startswith("azureml://"):
                newest = _newest_file(datasets.datastore_path(ctx, reference))
            else:
                name = reference.removeprefix("azureml:").partition(":")[0].partition("@")[0]
                datasets.resolve(ctx, name)
                made = [
                    each.asset.created_at for each in datasets.versions(ctx.in_workspace(look.monitor.workspace), name)
                ]
                newest = max((at for at in made if at <= look.run.as_of), default=None)
    except errors.DoubleloopError as error:
        return Value("age_hours", reference, None, error.what)
    if newest is None:
        return Value("age_hours", reference, None, "there is nothing of that time")
    return Value("age_hours", reference, (look.run.as_of - newest).total_seconds() / 3600)


def _newest_file(path: Any) -> datetime | None:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    times = [each.stat().st_mtime for each in files]
    return datetime.fromtimestamp(max(times), clock.now().tzinfo) if times else None


def _usage(look: Look, limits: Mapping[str, float], _signal: Any) -> list[Value]:
    if "silent" in look.now:
        return [Value("requests_at_least", "", None, look.now["silent"])]
    if look.before is None:
        return [Value("requests_at_least", "", None, _NO_SAMPLE)]
    return [
        Value("requests_at_least", name, sampling.grown(now, _same(look, name), "requests"))
        for name, now in look.now["deployments"].items()
    ]


def _budgets(look: Look, limits: Mapping[str, float], signal: Any) -> list[Value]:
    with look.contexts.read(ACTOR, look.monitor.workspace) as ctx:
        every = {each.name: each for each in costs.budgets(ctx) if each.workspace == look.monitor.workspace}
        chosen = signal.budgets or list(every)
        standings = {
            each.budget.name: each for each in costs.look(ctx, [every[name] for name in chosen if name in every])
        }
    return [Value(metric, name, *_spent(metric, standings.get(name))) for name in chosen for metric in limits]


def _spent(metric: str, found: cost.Standing | None) -> tuple[float | None, str]:
    if found is None:
        return None, "the workspace has no such budget"
    value = found.spent if metric == "spent_share" else found.forecast
    return (
        (None, "too little is recorded to expect anything")
        if value is None
        else (prices.share(value, found.budget), "")
    )


_SIGNALS: Mapping[str, Callable[[Look, Mapping[str, float], Any], list[Value]]] = {
    "endpoint_health": _endpoint,
    "compute_health": _compute,
    "jobs_health": _jobs,
    "data_freshness": _freshness,
    "model_usage": _usage,
    "budgets": _budgets,
}
