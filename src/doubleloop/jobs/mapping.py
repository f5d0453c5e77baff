"""From a job's document to the tasks of its steps: every binding followed to its source, nothing looked up."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from doubleloop.base import errors
from doubleloop.jobs.model import Task
from doubleloop.specs import documents, pipelines
from doubleloop.specs import model as specs
from doubleloop.specs.kinds import values

KINDS = {"command_job": "command", "pipeline_job": "pipeline"}
DEFAULT_EXPERIMENT = "Default"
_STORED = ("blob:sha256:", "tree:sha256:")
_DATA = (*_STORED, "azureml:", "runs:/")


def with_inputs(document: specs.Document, inputs: Mapping[str, Any]) -> specs.Document:
    """The document with inputs replaced; a bare value keeps the type the file declares.

    Raises InvalidInput for an input that the job does not have.
    """
    written = document.spec().get("inputs", {})
    changes = {}
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
    return documents.with_changes(document, {"inputs": changes}) if changes else document


def _like(declared: Any, value: Any) -> Any:
    if not isinstance(declared, dict) or isinstance(value, Mapping):
        return value
    kept = {key: each for key, each in declared.items() if key not in ("path", "value")}
    is_value = "value" in declared or declared.get("type") in values.PRIMITIVES
    return {**kept, "value" if is_value else "path": value}


def tasks(document: specs.Document) -> list[Task]:
    """The steps of a job, in an order in which they can run.

    Raises InvalidInput for what cannot work (a cycle, a missing input, a local path that was not uploaded) and
    NotSupported for what cannot be had here, with file and line.
    """
    if document.kind not in KINDS:
        raise errors.InvalidInput(
            f"A {document.kind.replace('_', ' ')} is not a job", where=document.where(), cure="Submit a job file."
        )
    job_inputs = pipelines.inputs(document) if document.kind == "pipeline_job" else {}
    job_outputs = pipelines.outputs(document)
    return [_task(document, step, job_inputs, job_outputs) for step in pipelines.steps(document)]


def _task(
    document: specs.Document,
    step: pipelines.Step,
    job_inputs: Mapping[str, pipelines.Literal | pipelines.Asset],
    job_outputs: Mapping[str, pipelines.OutputDef],
) -> Task:
    inputs = {name: _input(document, step, name, binding, job_inputs) for name, binding in step.inputs.items()}
    inputs |= {name: {"type": None, "value": None} for name in sorted(step.unset)}
    outputs = {name: _output(document, step, output, job_outputs) for name, output in step.outputs.items()}
    if step.code is not None and not step.code.startswith(_STORED):
        raise _not_uploaded(document, step, "code", step.code)
    environment = step.environment if isinstance(step.environment, str) else specs.plain(step.environment)
    return Task(
        name=step.name,
        command=step.command,
        environment=environment,
        code=step.code,
        inputs=inputs,
        outputs=outputs,
        environment_variables=dict(step.environment_variables),
        needs=step.depends_on,
        timeout=float(step.limits.timeout) if step.limits and step.limits.timeout else 0.0,
        is_deterministic=step.reusable,
        display_name=step.display_name,
        tags=dict(step.tags),
    )


def _input(
    document: specs.Document,
    step: pipelines.Step,
    name: str,
    binding: pipelines.Binding,
    job_inputs: Mapping[str, pipelines.Literal | pipelines.Asset],
) -> dict[str, Any]:
    if isinstance(binding, pipelines.StepOutput):
        return {"type": None, "step": binding.step, "output": binding.output}
    if isinstance(binding, pipelines.PipelineInput):
        if binding.name not in job_inputs:  # optional, and nobody gave it
            return {"type": None, "value": None}
        return _source(document, step, name, job_inputs[binding.name])
    return _source(document, step, name, binding)


def _source(
    document: specs.Document, step: pipelines.Step, name: str, source: pipelines.Literal | pipelines.Asset
) -> dict[str, Any]:
    if isinstance(source, pipelines.Literal):
        is_data = source.type is None and isinstance(source.value, str) and source.value.startswith(_DATA)
        if not is_data:
            return {"type": source.type, "value": source.value}
        return {"type": "uri_folder", "reference": str(source.value)}
    if not source.path.startswith((*_DATA, "http://", "https://")):
        raise _not_uploaded(document, step, f"inputs.{name}", source.path)
    return {"type": source.type, "reference": source.path, "mode": source.mode}


def _output(
    document: specs.Document,
    step: pipelines.Step,
    output: pipelines.OutputDef,
    job_outputs: Mapping[str, pipelines.OutputDef],
) -> dict[str, Any]:
    is_single = document.kind == "command_job"
    outer = None if is_single else job_outputs.get(output.pipeline_output or "")
    asset, version = output.asset_name, output.asset_version
    if asset is None and outer:
        asset, version = outer.asset_name, outer.asset_version
    if output.path and not output.path.startswith("azureml://datastores/"):
        raise errors.NotSupported(
            f"Output '{output.name}' cannot be placed at {output.path}",
            where=document.where(_join(step.pointer, f"outputs.{output.name}")),
            cure="Leave the path out, or write azureml://datastores/STORE/paths/PATH.",
        )
    return {
        "type": output.type,
        "asset": asset,
        "version": version,
        "path": output.path,
        "job_outputs": [output.name] if is_single else [outer.name] if outer else [],
    }


def _not_uploaded(document: specs.Document, step: pipelines.Step, place: str, path: str) -> errors.DoubleloopError:
    where = document.where(_join(step.pointer, place))
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
