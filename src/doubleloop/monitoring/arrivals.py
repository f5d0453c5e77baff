"""Profiles made when data arrives, before a monitor asks: of closed files of the inference log, and of the data assets
that monitors compare with."""

from __future__ import annotations

import logging
from typing import Any

from doubleloop.base import errors
from doubleloop.db.context import Contexts
from doubleloop.monitoring import model, profile_signals, store, window_profiles, windows

LOG = logging.getLogger("doubleloop.monitoring")
_DRIFTS = ("data_drift", "prediction_drift")


def profile(contexts: Contexts) -> int:
    """Profile what the monitors' next runs will look at, as far as it is there; how many files were new.

    Only references that are versions of data assets: what lies elsewhere would be fetched each time.
    """
    with contexts.read(windows.ACTOR) as ctx:
        now, monitors = ctx.now, [each for each in store.monitors(ctx) if each.enabled and each.endpoint]
    made = 0
    for monitor in monitors:
        task = windows.of_run(contexts, monitor, _next(monitor, now))
        for signal in (task.schedule.create_monitor.monitoring_signals or {}).values():
            try:
                made += _profile(task, signal)
            except errors.DoubleloopError as error:  # the run will say so
                LOG.debug("%s cannot be profiled yet: %s", monitor.id, error.what)
    return made


def _profile(task: windows.Task, signal: Any) -> int:
    drifts = signal.type in _DRIFTS
    if not (drifts or signal.type == "data_quality") or not profile_signals.serve(signal):
        return 0
    path = signal.reference_data.input_data.path
    if not path.startswith("azureml:") or path.startswith("azureml://"):
        return 0
    if drifts and not profile_signals.serve_drift(task, signal, newest=False):
        return 0
    kinds = windows.kinds_of_answers(task) if signal.type == "prediction_drift" else {}
    known = profile_signals.reference(task, signal, kinds)
    return window_profiles.ahead(task, profile_signals.window(task, signal), known, profile_signals.part(signal))


def _next(monitor: model.Monitor, now: Any) -> model.MonitorRun:
    """A run that would begin now."""
    return model.MonitorRun(
        "", monitor.workspace, monitor.name, model.RunStatus.RUNNING, now, now, now, [], "", now, None, ""
    )
