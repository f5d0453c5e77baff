"""Data that a component makes ready before a signal looks at it (Azure's ``pre_processing_component``).

The component is given ``input_data`` (what the file names, or the window of the endpoint's log) and, where it declares
them, ``data_window_start`` and ``data_window_end``. What it leaves in ``preprocessed_data`` stands in the place of the
data from then on. Signals that ask for the same are served by one job.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from doubleloop.base import clock, errors
from doubleloop.monitoring import component_jobs, model, rules, windows
from doubleloop.specs.kinds import signal_data as specs

STEP, INPUT = "prepare", "input_data"
_WINDOW = ("data_window_start", "data_window_end")
# The name that Azure documents, and that of the component in its examples.
OUTPUTS = ("preprocessed_data", "preprocessed_input_data")
Begun = dict[str, dict[str, dict[str, str]]]
Ready = dict[str, dict[str, str]]


def waiting(schedule: Any) -> dict[str, dict[str, Any]]:
    """``{signal: {place: data}}`` of all data that a component makes ready."""
    written = schedule.create_monitor.monitoring_signals or {}
    found = {
        name: {place: data for place, data in _places(signal) if data.pre_processing_component}
        for name, signal in written.items()
    }
    return {name: places for name, places in found.items() if places}


def begin(task: windows.Task, notify: str) -> Begun:
    """Starts the jobs: ``{signal: {place: {"job"} or {"reason"}}}``."""
    asked: dict[tuple[str, ...], dict[str, str]] = {}
    return {
        name: {place: _begin(task, signal, place, data, notify, asked) for place, data in places.items()}
        for name, places in waiting(task.schedule).items()
        for signal in [task.schedule.create_monitor.monitoring_signals[name]]
    }


def results(task: windows.Task, begun: Mapping[str, Mapping[str, Mapping[str, str]]]) -> dict[str, Any]:
    """``{"data": {signal: {place: reference}}, "failed": {signal: why}}``; one that failed has no data."""
    ready: Ready = {}
    failed: dict[str, str] = {}
    for name, places in begun.items():
        try:
            ready[name] = {place: _made(task, each) for place, each in places.items()}
        except errors.DoubleloopError as error:
            failed[name] = f"its data could not be prepared: {error.what}"
    return {"data": ready, "failed": failed}


def replace(task: windows.Task, ready: Mapping[str, Mapping[str, str]]) -> None:
    """Puts what was made in the place of the data that the signals name."""
    signals = task.schedule.create_monitor.monitoring_signals or {}
    for name, places in ready.items():
        signals[name] = _replaced(signals[name], places)


def _places(signal: Any) -> Iterator[tuple[str, Any]]:
    for field in ("production_data", "reference_data", "input_data"):
        held = getattr(signal, field, None)
        parts = held if isinstance(held, dict) else dict(enumerate(held)) if isinstance(held, list) else {"": held}
        yield from ((f"{field}.{key}", data) for key, data in parts.items() if data is not None)


def _begin(
    task: windows.Task, signal: Any, place: str, data: Any, notify: str, asked: dict[tuple[str, ...], dict[str, str]]
) -> dict[str, str]:
    window = _window(task, signal, place, data)
    path = data.input_data.path if data.input_data is not None else ""
    component = data.pre_processing_component
    key = (component, path, data.data_context or "", clock.iso(window.start), clock.iso(window.end))
    if key not in asked:
        try:
            asked[key] = {"job": _submit(task, data, window, notify, key)}
        except errors.DoubleloopError as error:
            asked[key] = {"reason": f"{component} could not be started: {error.what}"}
    return asked[key]


def _window(task: windows.Task, signal: Any, place: str, data: Any) -> model.Window:
    if not place.startswith("reference_data"):
        return rules.production_window(data, task.schedule.trigger, task.run.as_of)
    parts = getattr(signal, "production_data", None)
    first = next(iter(parts), None) if isinstance(parts, list) else parts
    production = rules.production_window(first, task.schedule.trigger, task.run.as_of)
    return rules.reference_window(data, production, task.schedule.trigger, task.run.as_of)


def _submit(task: windows.Task, data: Any, window: model.Window, notify: str, key: tuple[str, ...]) -> str:
    component = data.pre_processing_component
    declared = component_jobs.declared(task, component)
    if INPUT not in declared:
        raise errors.InvalidInput(f"it declares no input {INPUT}", cure="Declare it with type: uri_folder.")
    told = component_jobs.told(task, window, "")
    inputs: dict[str, Any] = {name: told[name] for name in _WINDOW if name in declared}
    inputs[INPUT] = component_jobs.given(task, data, window, str(declared[INPUT].get("type") or "uri_folder"))
    return component_jobs.submit(
        task, component, inputs, step=STEP, id=component_jobs.id_of(task, STEP, *key), notify=notify,
        title=f"{STEP} {component}", purpose={STEP: component},
    )  # fmt: skip


def _made(task: windows.Task, begun: Mapping[str, str]) -> str:
    if "job" not in begun:
        raise errors.Failed(begun["reason"])
    return component_jobs.output(task, begun["job"], STEP, OUTPUTS)


def _replaced(signal: Any, places: Mapping[str, str]) -> Any:
    changed: dict[str, Any] = {}
    for place, data in _places(signal):
        if place not in places:
            continue
        field, _, key = place.partition(".")
        made = data.model_copy(update={"input_data": _input(places[place]), "pre_processing_component": None})
        held = changed.get(field, getattr(signal, field))
        if isinstance(held, dict):
            changed[field] = {**held, key: made}
        elif isinstance(held, list):
            changed[field] = [made if str(at) == key else each for at, each in enumerate(held)]
        else:
            changed[field] = made
    return signal.model_copy(update=changed)


def _input(reference: str) -> specs.MonitorInput:
    return specs.MonitorInput.model_validate({"path": reference})
