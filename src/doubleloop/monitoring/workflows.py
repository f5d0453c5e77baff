"""One run of a monitor: measure, then record values, alerts and facts in one transaction."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from typing import Any

from doubleloop.base import clock, errors
from doubleloop.db.context import Contexts
from doubleloop.durable import ports as flows
from doubleloop.events import commands as events
from doubleloop.monitoring import (
    alerts,
    component_jobs,
    custom,
    infrastructure,
    model,
    preparing,
    rules,
    sampling,
    signals,
    store,
    windows,
)

ACTOR = signals.ACTOR
ATTEMPTS = 5
PAUSE_SECONDS = 3.0


async def run(flow: flows.Flow, argument: dict[str, Any]) -> Any:
    id_ = argument["run"]
    for attempt in range(1, ATTEMPTS + 1):
        found = await flow.step(f"measure {attempt}", _measure, flow.contexts, id_)
        if not found.get("again") or attempt == ATTEMPTS:
            break
        await flow.sleep(PAUSE_SECONDS)
    ready: dict[str, Any] = {}
    if found.get("prepare") and not found.get("error"):
        ready = await _prepared(flow, id_)
        found = _with(found, await flow.step("prepare: measure", _measure_prepared, flow.contexts, id_, ready))
    if found.get("custom") and not found.get("error"):
        found = _with(found, await _custom(flow, id_, ready))
    # Data that could not be prepared fails the run, which keeps what the other signals found.
    why = "; ".join(f"{name}: {reason}" for name, reason in ready.get("failed", {}).items())
    found = {**found, "error": found.get("error") or why}
    await flow.step("record", record, flow.contexts, id_, found)
    return {"run": id_, "error": found.get("error", "")}


def _with(found: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, Any]:
    """What was found, with what is known now of signals that waited for jobs."""
    said = {each["signal"]: each for each in results}
    return {**found, "signals": [said.get(each["signal"], each) for each in found["signals"]]}


async def _prepared(flow: flows.Flow, id_: str) -> dict[str, Any]:
    """As ``preparing.results``, when the jobs that make data ready have ended."""
    begun = await flow.step("prepare: begin", _begin_prepare, flow.contexts, id_, flow.id)
    await _ended(flow, "prepare", [each for places in begun.values() for each in places.values()])
    found: dict[str, Any] = await flow.step("prepare: read", _read_prepared, flow.contexts, id_, begun)
    return found


async def _custom(flow: flows.Flow, id_: str, ready: dict[str, Any]) -> list[dict[str, Any]]:
    begun = await flow.step("custom: begin", _begin_custom, flow.contexts, id_, flow.id, ready)
    await _ended(flow, "custom", list(begun.values()))
    found: list[dict[str, Any]] = await flow.step("custom: read", _read_custom, flow.contexts, id_, begun)
    return found


async def _ended(flow: flows.Flow, what: str, begun: list[dict[str, str]]) -> None:
    for turn in itertools.count(1):
        seen = await flow.step(f"{what}: look {turn}", component_jobs.look, flow.contexts, begun)
        if not seen:
            return
        await flow.wait(seen["topic"], seen["wait"])


WORKFLOWS: dict[str, flows.Body] = {"monitoring.run": run}


def _measure(contexts: Contexts, id_: str) -> dict[str, Any]:
    """``{"signals": [...]}``, with ``{"error": why, "again": whether trying again may help}`` when it is not all."""
    with contexts.read(ACTOR) as ctx:
        found = store.run(ctx, id_)
        assert found is not None
        monitor = store.monitor(ctx, found.workspace, found.monitor)
    if monitor is None:
        return {"error": f"monitor {found.monitor} is gone"}
    own = _measure_infrastructure(contexts, monitor, found)
    try:
        results = signals.measure(contexts, monitor, found)
    except errors.Unavailable as error:  # what is wrong with the gateway may be what the others found
        return {**own, "error": error.what, "again": True}
    except errors.DoubleloopError as error:
        return {**own, "error": str(error)}
    known = {each["signal"]: each for each in own["signals"]}
    task = windows.of_run(contexts, monitor, found)
    return {
        **own, "signals": [known.get(each.signal, asdict(each)) for each in results], "custom": custom.names(task),
        "prepare": list(preparing.waiting(task.schedule)),
    }  # fmt: skip


def _begin_prepare(contexts: Contexts, id_: str, notify: str) -> preparing.Begun:
    task = _task(contexts, id_)
    return preparing.begin(task, notify) if task is not None else {}


def _read_prepared(contexts: Contexts, id_: str, begun: preparing.Begun) -> dict[str, Any]:
    task = _task(contexts, id_)
    return preparing.results(task, begun) if task is not None else {}


def _measure_prepared(contexts: Contexts, id_: str, ready: dict[str, Any]) -> list[dict[str, Any]]:
    task = _task(contexts, id_)
    return [asdict(each) for each in signals.prepared(task, ready)] if task is not None and ready else []


def _begin_custom(contexts: Contexts, id_: str, notify: str, ready: dict[str, Any]) -> dict[str, dict[str, str]]:
    task = _task(contexts, id_)
    if task is None:
        return {}
    preparing.replace(task, ready.get("data", {}))
    return custom.begin(task, notify, ready.get("failed", {}))


def _read_custom(contexts: Contexts, id_: str, begun: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    task = _task(contexts, id_)
    return [asdict(each) for each in custom.results(task, begun)] if task is not None else []


def _task(contexts: Contexts, id_: str) -> windows.Task | None:
    """None when the monitor is gone."""
    with contexts.read(ACTOR) as ctx:
        run_ = store.run(ctx, id_)
        assert run_ is not None
        monitor = store.monitor(ctx, run_.workspace, run_.monitor)
    return windows.of_run(contexts, monitor, run_) if monitor is not None else None


def _measure_infrastructure(contexts: Contexts, monitor: model.Monitor, run_: model.MonitorRun) -> dict[str, Any]:
    """``{"signals"}``, and the ``sample`` to keep for the next run when counters were read."""
    wanted = infrastructure.concerns(monitor)
    if not wanted:
        return {"signals": []}
    with contexts.read(ACTOR, monitor.workspace) as ctx:
        before = store.sample(ctx, monitor.workspace, monitor.name)
    now = sampling.take(contexts, monitor)
    look = infrastructure.Look(contexts, monitor, run_, now, before)
    return {
        "signals": [asdict(infrastructure.measure(look, name, signal)) for name, signal in wanted.items()],
        "sample": now,
    }


def record(contexts: Contexts, id_: str, found: dict[str, Any]) -> None:
    with contexts.write(ACTOR) as ctx:
        run_ = store.run(ctx, id_)
        assert run_ is not None
        ctx = ctx.in_workspace(run_.workspace)
        error = found.get("error", "")
        status = model.RunStatus.FAILED if error else model.RunStatus.COMPLETED
        results: list[dict[str, Any]] = rules.finite(found.get("signals", []))
        if not store.end_run(ctx, id_, status, results, error):
            return
        store.insert_values(ctx, [row for result in results for row in _rows(run_, result)])
        # Two runs that end at once come one after the other, so that a metric has one alert.
        monitor = store.monitor(ctx, run_.workspace, run_.monitor, lock=True)
        if monitor is not None and found.get("sample"):
            store.put_sample(ctx, run_.workspace, run_.monitor, found["sample"])
        for result in results:
            if monitor is not None:  # one that is gone raises nothing
                alerts.follow(ctx, run_, monitor, result, results)
        events.record(
            ctx, f"monitor.{status.value}", f"monitor:{run_.workspace}/{run_.monitor}", run=id_, error=error,
            as_of=clock.iso(run_.as_of), signals={each["signal"]: each["status"] for each in results},
        )  # fmt: skip


def _rows(run_: model.MonitorRun, result: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "run": run_.id, "signal": result["signal"], "metric": each["metric"], "column": each["column"],
            "workspace": run_.workspace, "monitor": run_.monitor, "at": run_.as_of, "value": each["value"],
            "threshold": each["threshold"], "alert": each["alert"],
        }
        for each in result["metrics"]
    ]  # fmt: skip
