"""What a deployment's file and an invocation say, brought together: pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from doubleloop.base import errors
from doubleloop.batch import model
from doubleloop.specs import model as specs
from doubleloop.specs.kinds import values

_PLAIN = (
    "mini_batch_size", "max_concurrency_per_instance", "instance_count", "output_file_name", "error_threshold",
    "logging_level",
)  # fmt: skip
DATA_TYPES = ("uri_file", "uri_folder", "mltable")
# The name of the data that `--input` gives, and of the output that `--output-path` places.
UNNAMED, SCORE = "job_data_path", "score"
_MODEL_TYPES = ("mlflow_model", "custom_model", "triton_model")
_VALUES = ("string", "number", "integer", "boolean")
_REFERENCES = ("azureml:", "tree:", "blob:", "http://", "https://")


def settings(deployment: Any, invocation: Any = None) -> model.Settings:
    """The newest word counts: the invocation's, then ``settings:`` of the file, then its older top level."""
    found: dict[str, Any] = {}
    for source in (deployment, deployment.settings, invocation):
        if source is None:
            continue
        for name in _PLAIN:
            if getattr(source, name, None) is not None:
                found[name] = getattr(source, name)
        if getattr(source, "output_action", None) is not None:
            found["append_row"] = source.output_action == "append_row"
        retry = getattr(source, "retry_settings", None)
        if retry is not None and retry.max_retries is not None:
            found["max_retries"] = retry.max_retries
        if retry is not None and retry.timeout is not None:
            found["timeout_s"] = retry.timeout
    resources = getattr(deployment, "resources", None)
    count = getattr(resources, "instance_count", None)
    if count is not None and "instance_count" not in found:
        found["instance_count"] = int(count)
    return model.Settings(**found)


def variables(deployment: Any) -> dict[str, str]:
    inner = deployment.settings.environment_variables if deployment.settings else {}
    return {**deployment.environment_variables, **inner}


def check_auth(document: specs.Document) -> None:
    """Raises NotSupported: jobs are somebody's, and a key says nobody."""
    if document.model.auth_mode not in (None, "aad_token"):
        raise errors.NotSupported(
            f"A batch endpoint has no {document.model.auth_mode}", where=document.where("auth_mode"),
            cure="Write `auth_mode: aad_token`, or leave it out: callers show a token of this installation.",
        )  # fmt: skip


def check_file_name(name: str, where: errors.Where | None) -> None:
    """It is one name in the output's folder. Raises InvalidInput."""
    if PurePosixPath(name).name != name or name in (".", ".."):
        raise errors.InvalidInput(
            f"'{name}' is not a file name", where=where, cure="Write a name such as predictions.csv."
        )


def data_inputs(document: specs.Document) -> dict[str, dict[str, Any]]:
    """The data that a model deployment is to score: name → ``{"type", "reference"}``. Raises InvalidInput."""
    found = {}
    for name, given in document.model.inputs.items():
        where = document.where(f"inputs.{name}")
        if not isinstance(given, values.Input):
            found[name] = {"type": "uri_folder", "reference": str(given)}
            continue
        if given.path is None or (given.type or "uri_folder") not in DATA_TYPES:
            raise errors.InvalidInput(
                f"Input '{name}' is no data, and the model of this deployment takes nothing else",
                where=where, cure="Give `type: uri_folder` (uri_file, mltable) and `path: ...`.",
            )  # fmt: skip
        found[name] = {"type": given.type or "uri_folder", "reference": given.path}
    if not found:
        raise errors.InvalidInput(
            "There is nothing to score", where=document.where(), cure="Name the data: --input PATH_OR_ASSET."
        )
    return found


def pipeline_inputs(document: specs.Document, declared: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of an invocation as those of a pipeline job.

    An input that the caller gave without saying its name (``--input``) is the only data that the pipeline declares.
    """
    given: dict[str, Any] = dict(document.spec().get("inputs", {}))
    if UNNAMED in given and UNNAMED not in declared:
        data = [name for name, each in declared.items() if _type_of(each) in DATA_TYPES]
        if len(data) != 1:
            raise errors.InvalidInput(
                "The pipeline does not take exactly one data input" + (f" but {', '.join(data)}" if data else ""),
                where=document.where(), cure="Name the inputs: --inputs NAME=PATH, or --file inputs.yml.",
            )  # fmt: skip
        given[data[0]] = given.pop(UNNAMED)
    return {name: _value(each) for name, each in given.items()}


def check_kind(name: str, given: Any, declared: Any, where: errors.Where | None) -> None:
    """Data where the pipeline takes data, a value where it takes a value. Raises InvalidInput."""
    wanted = _type_of(declared)
    is_data = isinstance(given, Mapping)
    if not is_data and wanted in (*DATA_TYPES, *_MODEL_TYPES) and not str(given).startswith(_REFERENCES):
        raise errors.InvalidInput(
            f"The pipeline's input '{name}' is {wanted}, and {given!r} is no data that is here", where=where,
            cure="Name a file or folder that is there, azureml:NAME:VERSION, or an address.",
        )  # fmt: skip
    if is_data and wanted in _VALUES:
        raise errors.InvalidInput(
            f"The pipeline's input '{name}' is of type {wanted}, and data was given", where=where,
            cure=f"Give a value that is not the name of a file or folder, or `--file` with `{name}: VALUE`.",
        )  # fmt: skip


def pipeline_outputs(invocation: specs.Document, declared: Mapping[str, Any]) -> dict[str, Any]:
    """Where outputs go, as those of a pipeline job; ``--output-path`` is for its only output. Raises InvalidInput."""
    given = dict(invocation.spec().get("outputs", {}))
    if SCORE in given and SCORE not in declared and len(declared) == 1:
        given[next(iter(declared))] = given.pop(SCORE)
    for name in given:
        if name not in declared:
            raise errors.InvalidInput(
                f"The pipeline has no output '{name}'", where=invocation.where(f"outputs.{name}"),
                cure=f"Its outputs: {', '.join(declared) or 'none'}. Write --outputs NAME=PATH.",
            )  # fmt: skip
    return given


def _type_of(declared: Any) -> str:
    return str(declared.get("type") or "") if isinstance(declared, Mapping) else ""


def _value(given: Any) -> Any:
    """``{type: string, default: append}`` is the value ``append``, as in Azure ML's inputs files."""
    if isinstance(given, Mapping) and "default" in given and "path" not in given and "value" not in given:
        return given["default"]
    if isinstance(given, Mapping) and "value" in given:
        return given["value"]
    return given


def output_path(document: specs.Document) -> str | None:
    """Where a model deployment's ``score`` is to be copied. Raises InvalidInput for other outputs."""
    outputs = document.spec().get("outputs", {})
    for name in outputs:
        if name != "score" and len(outputs) > 1:
            raise errors.InvalidInput(
                f"The deployment has no output '{name}'", where=document.where(f"outputs.{name}"), cure="It has: score."
            )
    for name, each in outputs.items():
        path = each.get("path") if isinstance(each, Mapping) else each
        if path and not str(path).startswith("azureml://datastores/"):
            raise errors.NotSupported(
                f"The output cannot be placed at {path}", where=document.where(f"outputs.{name}"),
                cure="Leave it out, or write azureml://datastores/STORE/paths/PATH.",
            )  # fmt: skip
        return str(path) if path else None
    return None
