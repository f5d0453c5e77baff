"""From a job's document to the tasks of its steps: every binding followed to its source, nothing looked up."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from doubleloop.base import errors
from doubleloop.jobs import growing, launching, learning, spaces
from doubleloop.jobs.model import Kind, Task
from doubleloop.specs import bindings, documents, pipelines
from doubleloop.specs import model as specs
from doubleloop.specs.kinds import automl, graphs, sweeps, values

KINDS = {
    "command_job": "command", "pipeline_job": "pipeline", "sweep_job": "sweep", "parallel_job": "parallel",
    "spark_job": "spark", "automl_job": "automl",
}  # fmt: skip
DEFAULT_EXPERIMENT = "Default"
_STORED = ("blob:sha256:", "tree:sha256:")
_DATA = (*_STORED, "azureml:", "runs:/")


def with_inputs(document: specs.Document, inputs: Mapping[str, Any]) -> specs.Document:
    """The document with inputs replaced; a bare value keeps the type the file declares.

    Raises InvalidInput for an input that the job does not have.
    """
    written = inputs_of(document)
    changes: dict[str, Any] = {}
    for name, value in inputs.items():
        if name not in written:
            near = difflib.get_close_matches(name, written, 1)
            known = f"Its inputs: {', '.join(written) or 'none'}."
            raise errors.InvalidInput(
                f"The job has no input '{name}'",
                where=document.where("inputs"),
                cure=f"Did you mean '{near[0]}'?" if near else known,
            )
        changes[name] = _like(written[name], value)
    if not changes:
        return document
    return documents.with_changes(document, changes if document.kind == "automl_job" else {"inputs": changes})


def inputs_of(document: specs.Document) -> dict[str, Any]:
    """The inputs of a job as they are written; of an AutoML job, its tables."""
    spec = document.spec()
    if document.kind == "automl_job":
        return {name: spec[name] for name in automl.DATA if name in spec}
    return dict(spec.get("inputs", {}))


def _like(declared: Any, value: Any) -> Any:
    if not isinstance(declared, dict) or isinstance(value, Mapping):
        return value
    kept = {key: each for key, each in declared.items() if key not in ("path", "value")}
    is_value = "value" in declared or declared.get("type") in values.PRIMITIVES
    return {**kept, "value" if is_value else "path": value}


def tasks(document: specs.Document, component: graphs.Components | None = None) -> list[Task]:
    """The steps of a job, in an order in which they can run. ``component`` gives registered components.

    Raises InvalidInput for what cannot work (a cycle, a missing input, a local path that was not uploaded) and
    NotSupported for what cannot be had here, with file and line.
    """
    if document.kind not in KINDS:
        raise errors.InvalidInput(
            f"A {document.kind.replace('_', ' ')} is not a job", where=document.where(), cure="Submit a job file."
        )
    is_pipeline = document.kind == "pipeline_job"
    outputs = pipelines.outputs(document, component=component)
    maker = _Maker(document, outputs if is_pipeline else None)
    given = pipelines.inputs(document, component=component) if is_pipeline else {}
    inputs = {name: _source(document, f"inputs.{name}", each) for name, each in given.items()}
    return [
        growing.placed(maker.task(step), "", inputs) for step in pipelines.steps(document, component=component)
    ]  # fmt: skip


class _Maker:
    """Turns steps into tasks. ``outer`` are the outputs of the job's pipeline; None inside a group, whose outputs are
    its own affair, and for a job that is one step, whose outputs are the step's."""

    def __init__(self, document: specs.Document, outer: Mapping[str, pipelines.OutputDef] | None) -> None:
        self._document = document
        self._outer = outer
        self._inside = False

    def task(self, step: pipelines.Step) -> Task:
        where = step.pointer
        if step.code is not None and not step.code.startswith(_STORED):
            raise _not_uploaded(self._document, _join(where, "code"), step.code)
        kind, settings = self._body(step)
        environment = step.environment if isinstance(step.environment, str) else specs.plain(step.environment)
        if kind is Kind.SPARK and not environment:
            environment = launching.SPARK_ENVIRONMENT
        inputs = {name: self._input(step, name, binding) for name, binding in step.inputs.items()}
        inputs |= {name: {"type": None, "value": None} for name in sorted(step.unset)}
        when = tuple({"source": self._input(step, "", each.binding), "is": each.wanted} for each in step.when)
        return Task(
            name=step.name,
            command=launching.spark_command(step.body.settings)
            if isinstance(step.body, bindings.Spark)
            else step.command,
            environment=environment,
            code=step.code,
            inputs=inputs,
            outputs={name: self._output(step, output) for name, output in step.outputs.items()},
            environment_variables=dict(step.environment_variables),
            needs=step.depends_on,
            timeout=float(step.limits.timeout) if step.limits and step.limits.timeout else 0.0,
            is_deterministic=step.reusable,
            display_name=step.display_name,
            tags=dict(step.tags),
            kind=kind,
            settings=settings,
            launcher=launching.launcher(step),
            when=when,
            last=step.last,
            compute=step.compute or "",
        )

    def _inner(self, step: pipelines.Step) -> dict[str, Any]:
        """A step inside a group as JSON."""
        maker = _Maker(self._document, None)
        maker._inside = True
        return asdict(maker.task(step))

    def _body(self, step: pipelines.Step) -> tuple[Kind, dict[str, Any]]:
        body = step.body
        if isinstance(body, bindings.Pipeline):
            outputs = {
                output.pipeline_output: {"step": inner.name, "output": name}
                for inner in body.steps
                for name, output in inner.outputs.items()
                if output.pipeline_output
            }
            steps = [self._inner(inner) for inner in body.steps]
            return Kind.PIPELINE, {"steps": steps, "outputs": outputs, "go_on": body.go_on}
        if isinstance(body, bindings.Loop):
            mapping = {output: list(names) for output, names in body.mapping.items()}
            return Kind.DO_WHILE, {
                "body": self._inner(body.step), "condition": body.condition, "mapping": mapping, "limit": body.limit,
            }  # fmt: skip
        if isinstance(body, bindings.ForEach):
            items = {
                label: {name: self._input(step, name, binding) for name, binding in each.items()}
                for label, each in body.items.items()
            }
            return Kind.PARALLEL_FOR, {"body": self._inner(body.step), "items": items, "at_once": body.at_once}
        if isinstance(body, bindings.Search):
            return Kind.SWEEP, {"trial": self._inner(body.trial), **self._search(step, body.settings)}
        if isinstance(body, bindings.Learning):
            return Kind.AUTOML, learning.settings(body.settings)
        if isinstance(body, bindings.Batches):
            return Kind.PARALLEL, {}
        return (Kind.SPARK if isinstance(body, bindings.Spark) else Kind.COMMAND), {}

    def _search(self, step: pipelines.Step, wanted: sweeps.Sweeps) -> dict[str, Any]:
        """What a sweep must know, as JSON."""
        algorithm, policy = wanted.sampling_algorithm, wanted.early_termination
        space = {name: specs.plain(each) for name, each in wanted.search_space.items()}
        sampling = {"type": algorithm} if isinstance(algorithm, str) else specs.plain(algorithm)
        try:
            spaces.check(space, sampling)
        except errors.InvalidInput as error:
            where = self._document.where(_join(step.pointer, "sampling_algorithm"))
            raise errors.InvalidInput(error.what, where=where, cure=error.cure) from None
        return {
            "space": space,
            "sampling": sampling,
            "goal": wanted.objective.goal,
            "metric": wanted.objective.primary_metric,
            "termination": specs.plain(policy) if policy else None,
            "limits": specs.plain(wanted.limits),
        }

    def _input(self, step: pipelines.Step, name: str, binding: pipelines.Binding) -> dict[str, Any]:
        if isinstance(binding, pipelines.StepOutput):
            return {"type": None, "step": binding.step, "output": binding.output}
        place = _join(step.pointer, name if isinstance(step.body, bindings.Learning) else f"inputs.{name}")
        if isinstance(binding, pipelines.PipelineInput):
            default = _source(self._document, place, binding.default) if binding.default else None
            return {
                "input": binding.name,
                **({"mode": binding.mode} if binding.mode else {}),
                **({"default": default} if default else {}),
            }
        return _source(self._document, place, binding)

    def _output(self, step: pipelines.Step, output: pipelines.OutputDef) -> dict[str, Any]:
        outer = (self._outer or {}).get(output.pipeline_output or "")
        asset, version = output.asset_name, output.asset_version
        if asset is None and outer:
            asset, version = outer.asset_name, outer.asset_version
        if output.path and not output.path.startswith(("azureml://datastores/", "${{")):
            raise errors.NotSupported(
                f"Output '{output.name}' cannot be placed at {output.path}",
                where=self._document.where(_join(step.pointer, f"outputs.{output.name}")),
                cure="Leave the path out, or write azureml://datastores/STORE/paths/PATH.",
            )
        is_single = self._outer is None and not self._inside
        return {
            "type": output.type,
            "asset": asset,
            "version": version,
            "path": output.path,
            "job_outputs": [output.name] if is_single else [outer.name] if outer else [],
        }


def _source(document: specs.Document, place: str, source: pipelines.Literal | pipelines.Asset) -> dict[str, Any]:
    if isinstance(source, pipelines.Literal):
        is_data = source.type is None and isinstance(source.value, str) and source.value.startswith(_DATA)
        if not is_data:
            return {"type": source.type, "value": source.value}
        return {"type": "uri_folder", "reference": str(source.value)}
    if not source.path.startswith((*_DATA, "http://", "https://")):
        raise _not_uploaded(document, place, source.path)
    return {"type": source.type, "reference": source.path, "mode": source.mode}


def _not_uploaded(document: specs.Document, place: str, path: str) -> errors.DoubleloopError:
    where = document.where(place)
    if "://" in path or path.startswith("git"):
        return errors.NotSupported(
            f"'{path}' cannot be reached from here",
            where=where,
            cure="Use a local path, an https:// address, azureml:NAME:VERSION or azureml://datastores/….",
        )
    return errors.InvalidInput(
        f"'{path}' is a path of another machine, and its content was not sent along",
        where=where,
        cure="Submit with `doubleloop job create`, which uploads local files.",
    )


def _join(pointer: str, place: str) -> str:
    return f"{pointer}.{place}" if pointer else place
