"""Entities of files: ``load_job("job.yml")``. What is wrong in a file is told with its line."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

from doubleloop.sdk.entities import assets, batch, files, model, online, schedules
from doubleloop.sdk.steps import commands, components, learning, parallels, pipelines, searching, sparks
from doubleloop.sdk.steps.model import Step
from doubleloop.specs import documents, sources

Source = str | os.PathLike[str] | IO[str]
Overrides = Sequence[Mapping[str, Any]]
E = TypeVar("E", bound=model.Entity)

_CLASSES: Mapping[str, type[model.Entity]] = {
    "data": assets.Data, "model": assets.Model, "environment": assets.Environment,
    "command_job": commands.Command, "pipeline_job": pipelines.PipelineJob, "sweep_job": searching.Sweep,
    "parallel_job": parallels.Parallel, "spark_job": sparks.Spark, "automl_job": learning.AutoML,
    "online_endpoint": online.ManagedOnlineEndpoint, "online_deployment": online.ManagedOnlineDeployment,
    "batch_endpoint": batch.BatchEndpoint, "batch_deployment": batch.BatchDeployment,
}  # fmt: skip


def read(source: Source, kind: str | None, overrides: Overrides | None) -> documents.Document:
    """The document in a file. ``overrides``: ``[{"inputs.rate": 0.5}]``, paths in the file to values."""
    sets = [(str(path), _text(value)) for each in overrides or () for path, value in each.items()]
    if isinstance(source, (str, os.PathLike)):
        return documents.load(os.fspath(source), sets=sets, kind=kind)
    name = str(getattr(source, "name", "<stream>"))
    folder = Path(name).absolute().parent if Path(name).exists() else Path.cwd()
    return documents.parse(source.read(), name, folder, sets=sets, kind=kind)


def _text(value: Any) -> str:
    """A value as ``--set`` takes it: JSON is YAML."""
    return json.dumps(value, default=str)


def entity(document: documents.Document) -> model.Entity:
    """The entity that is written in a document."""
    lines = _lines(document.source)
    spec = document.spec()
    if document.kind.endswith("_component"):
        return components.Component(spec, lines)
    if document.kind == "schedule":
        chosen: type[model.Entity] = schedules.JobSchedule if "create_job" in spec else schedules.MonitorSchedule
        return chosen._read(spec, lines)
    found = _CLASSES.get(document.kind)
    return found._read(spec, lines) if found else files.LoadedFile(document.kind, spec, lines)


def _lines(source: sources.Source) -> model.Lines:
    return {at: (place.file, place.line) for at, place in source.places.items()}


def _load(cls: type[E] | tuple[type[E], ...], kind: str, source: Source, overrides: Overrides | None) -> E:
    found = entity(read(source, kind, overrides))
    assert isinstance(found, cls), kind
    return found


def load(source: Source, params_override: Overrides | None = None) -> model.Entity:
    """Whatever a file holds. Raises InvalidInput or NotSupported with file and line, as do all of these."""
    return entity(read(source, None, params_override))


def load_job(source: Source, *, params_override: Overrides | None = None) -> Step:
    """A command, pipeline, sweep, parallel, Spark or AutoML job. ``params_override``: ``[{"inputs.rate": 0.5}]``."""
    return _load(Step, "job", source, params_override)


def load_component(source: Source, *, params_override: Overrides | None = None) -> components.Component:
    """A component; call it inside a pipeline's function."""
    return _load(components.Component, "component", source, params_override)


def load_data(source: Source, *, params_override: Overrides | None = None) -> assets.Data:
    return _load(assets.Data, "data", source, params_override)


def load_model(source: Source, *, params_override: Overrides | None = None) -> assets.Model:
    return _load(assets.Model, "model", source, params_override)


def load_environment(source: Source, *, params_override: Overrides | None = None) -> assets.Environment:
    return _load(assets.Environment, "environment", source, params_override)


def load_online_endpoint(
    source: Source, *, params_override: Overrides | None = None
) -> online.ManagedOnlineEndpoint:  # fmt: skip
    return _load(online.ManagedOnlineEndpoint, "online_endpoint", source, params_override)


def load_online_deployment(
    source: Source, *, params_override: Overrides | None = None
) -> online.ManagedOnlineDeployment:  # fmt: skip
    return _load(online.ManagedOnlineDeployment, "online_deployment", source, params_override)


def load_batch_endpoint(source: Source, *, params_override: Overrides | None = None) -> batch.BatchEndpoint:
    return _load(batch.BatchEndpoint, "batch_endpoint", source, params_override)


def load_batch_deployment(source: Source, *, params_override: Overrides | None = None) -> batch.BatchDeployment:
    return _load(batch.BatchDeployment, "batch_deployment", source, params_override)


def load_schedule(source: Source, *, params_override: Overrides | None = None) -> schedules.Schedule:
    """A schedule of a job (``JobSchedule``) or of a monitor (``MonitorSchedule``)."""
    return _load(schedules.Schedule, "schedule", source, params_override)


def load_datastore(source: Source, *, params_override: Overrides | None = None) -> files.LoadedFile:
    return _load(files.LoadedFile, "datastore", source, params_override)
