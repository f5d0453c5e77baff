"""From a deployment and an invocation to the job that carries it out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from doubleloop.base import errors
from doubleloop.batch import model, rules
from doubleloop.jobs.model import Task
from doubleloop.specs import documents
from doubleloop.specs import model as specs

STEP = "batchscoring"
MODEL = "model"


def task(
    deployment: model.Deployment, file: specs.Document, invocation: specs.Document, environment: str | Mapping[str, Any]
) -> Task:
    """The one step of a model deployment. Raises InvalidInput, with the line."""
    wanted = rules.settings(file.model, invocation.model)
    rules.check_file_name(wanted.output_file_name, invocation.where("output_file_name"))
    data = rules.data_inputs(invocation)
    code = file.model.code_configuration
    entry = (
        {"kind": "mlflow", "compile": file.model.compile}
        if code is None
        else {"kind": "script", "script": code.scoring_script, "arguments": []}
    )
    score = {
        "type": "uri_folder", "asset": f"{deployment.endpoint}-score", "version": None, "service": "batch",
        "path": rules.output_path(invocation), "job_outputs": ["score"],
        "description": f"What deployment {deployment.name} of batch endpoint {deployment.endpoint} scored",
    }  # fmt: skip
    return Task(
        name=STEP, command="", environment=environment, code=code.code if code else None,
        inputs={**data, MODEL: {"type": "custom_model", "reference": deployment.model_reference}},
        outputs={"score": score}, environment_variables=rules.variables(file.model), is_deterministic=False,
        display_name=deployment.name,
        minibatches={
            "entry": entry, "over": list(data), "model": MODEL, "size": wanted.mini_batch_size,
            "workers": wanted.max_concurrency_per_instance, "max_retries": wanted.max_retries,
            "timeout_s": wanted.timeout_s,
            "error_threshold": wanted.error_threshold, "level": wanted.logging_level, "folder": "score",
            "append_to": {"output": "score", "file": wanted.output_file_name} if wanted.append_row else None,
        },
    )  # fmt: skip


def pipeline(deployment: model.Deployment, file: specs.Document, invocation: specs.Document) -> specs.Document:
    """The pipeline job of a pipeline deployment. Raises InvalidInput, with the line."""
    written = file.spec()
    at = "component" if "component" in written else "job_definition"
    body = written[at]
    if isinstance(body, str):
        raise errors.NotSupported(
            f"'{body}' is a reference that was not settled", where=file.where(at), cure="Name the component's file."
        )
    declared = body.get("inputs", {})
    given = {**_defaults(declared), **rules.pipeline_inputs(invocation, declared)}
    _check_known(invocation, given, declared)
    settings = {
        key: value
        for key, value in {**body.get("settings", {}), **written.get("settings", {})}.items()
        if key in ("continue_on_step_failure", "force_rerun")
    }
    spec = {
        "type": "pipeline", "jobs": body["jobs"], "inputs": given,
        "outputs": {**body.get("outputs", {}), **rules.pipeline_outputs(invocation, body.get("outputs", {}))},
        "display_name": invocation.model.display_name or deployment.name,
        "experiment_name": invocation.model.experiment_name or deployment.endpoint,
        "tags": {**file.model.tags, **invocation.model.tags}, **({"settings": settings} if settings else {}),
    }  # fmt: skip
    return documents.from_wire(
        {"doubleloop": specs.WIRE_VERSION, "kind": "pipeline_job", "spec": json.loads(json.dumps(spec)),
         "source": file.source.part((at,)).to_wire()}
    )  # fmt: skip


def _defaults(declared: Mapping[str, Any]) -> dict[str, Any]:
    """What the pipeline takes for inputs that nobody gives: values of a job, defaults of a component."""
    found = {}
    for name, each in declared.items():
        if not isinstance(each, Mapping):
            found[name] = each
        elif "path" in each or "value" in each:
            found[name] = dict(each)
        elif "default" in each:
            found[name] = each["default"]
    return found


def _check_known(invocation: specs.Document, given: Mapping[str, Any], declared: Mapping[str, Any]) -> None:
    for name in given:
        if name not in declared:
            raise errors.InvalidInput(
                f"The pipeline has no input '{name}'", where=invocation.where(f"inputs.{name}"),
                cure=f"Its inputs: {', '.join(declared) or 'none'}.",
            )  # fmt: skip
        rules.check_kind(name, given[name], declared[name], invocation.where(f"inputs.{name}"))
    for name, each in declared.items():
        if name not in given and not (isinstance(each, Mapping) and each.get("optional")):
            raise errors.InvalidInput(
                f"The pipeline's input '{name}' is missing",
                where=invocation.where(),
                cure=f"Give --inputs {name}=... .",
            )
