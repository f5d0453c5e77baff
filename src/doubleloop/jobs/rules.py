"""What makes two runs of a step the same, what its command sees, and what counts as a written output: pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from doubleloop.base import canonical, errors
from doubleloop.jobs.model import Job, Step, Task
from doubleloop.specs import expressions
from doubleloop.specs.kinds import values

# Part of every digest: raise it when the same task would leave other outputs, so that nothing older is reused.
DIGEST_VERSION = 1
FOLDER_TYPES = frozenset({"uri_folder", "mltable", "mlflow_model", "triton_model"})
MODEL_TYPES = frozenset({"mlflow_model", "custom_model", "triton_model"})
# Types whose folder says nothing when it is empty; an empty uri_folder may be meant (a mere order between steps).
FILLED_TYPES = frozenset({"mltable", "mlflow_model", "triton_model"})
DEFAULT_DATASTORE = "workspaceblobstore"
# The output that every Azure ML job has by itself: what it left in ./outputs and ./logs.
ARTIFACTS = "artifacts"
_MAX_TAG = 5000  # MLflow's limit for the value of a tag


def digest(task: Task, environment_lock: str, inputs: Mapping[str, Mapping[str, Any]]) -> str:
    """Everything that may change what a step writes. ``inputs`` are resolved: each has ``digest`` or ``value``."""
    seen = {
        name: {"type": each["type"], "digest": each["digest"], "file": file_name(name, str(each["reference"]))}
        if "reference" in each
        else {"type": each.get("type"), "value": each["value"]}
        for name, each in inputs.items()
    }
    return canonical.sha256(
        {
            "version": DIGEST_VERSION,
            "command": task.command,
            "code": task.code,
            "environment": environment_lock,
            "environment_variables": dict(task.environment_variables),
            "inputs": seen,
            "outputs": {name: output_type(each) for name, each in task.outputs.items()},
            **({"minibatches": dict(task.minibatches)} if task.minibatches else {}),
            **({"launcher": dict(task.launcher)} if task.launcher else {}),
        }
    )


def compiles(task: Task) -> bool:
    """Whether a model's plan may score in it."""
    entry = (task.minibatches or {}).get("entry", {})
    return bool(entry.get("kind") == "mlflow" and entry.get("compile", True))


def may_reuse(job: Job, task: Task) -> bool:
    return task.is_deterministic and not job.force_rerun


def output_type(output: Mapping[str, Any]) -> str:
    return str(output.get("type") or "uri_folder")


def is_file(type_: str) -> bool:
    """Whether an output of this type is one file: data of one file, or a value that is written as text."""
    return type_ == "uri_file" or type_ in values.PRIMITIVES


def value(type_: str, written: str) -> Any:
    """The value that a command wrote to an output of a primitive type. Raises InvalidInput."""
    text = written.strip()
    try:
        if type_ == "boolean":
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
        if type_ == "integer":
            return int(text)
        return float(text) if type_ == "number" else written.rstrip("\n")
    except (KeyError, ValueError):
        shown = text if len(text) <= 60 else text[:57] + "..."
        raise errors.InvalidInput(f"'{shown}' is not a value of type {type_}") from None


def with_job(text: str, job: str) -> str:
    """A path in which the job's name may stand. Raises InvalidInput."""
    return expressions.render(text, _of_job(job)) if "${{" in text else text


def file_name(name: str, reference: str) -> str:
    """The name a single file is laid under: its own, where the reference tells it, else the input's."""
    _, _, below = reference.partition("sha256:")
    return PurePosixPath(below).name if "/" in below else name


def output_place(root: Path, name: str, output: Mapping[str, Any], address: str | None) -> Path:
    """Where the command finds ``${{outputs.name}}``: a folder, or a file in a folder of its own.

    A file that has an ``address`` in a datastore is written under the name it will have there.
    """
    if not is_file(output_type(output)):
        return root / name
    there = PurePosixPath(address).name if address and not address.endswith("/") else ""
    return root / name / (there or name)


def text(value: Any) -> str | None:
    """A literal as it stands in a command: booleans as Python writes them, as Azure ML does."""
    return None if value is None else str(value)


def render(task: Task, job: str, inputs: Mapping[str, str | None], outputs: Mapping[str, str]) -> str:
    """The command with the paths and values of this run. Raises InvalidInput."""
    return render_text(task.command, job, inputs, outputs)


def names_output(task: Task, name: str) -> bool:
    """Whether the command is told where this output is. One named ``artifacts`` that it does not ask for is the folder
    of what it leaves in ./outputs and ./logs, as in Azure ML."""
    if task.minibatches:
        return True
    texts = (task.command, str(task.launcher.get("arguments", "")))
    return any(
        each.scope == "outputs" and each.name == name for text in texts for each in expressions.references(text)
    ) or name == task.launcher.get("rows")


def render_text(written: str, job: str, inputs: Mapping[str, str | None], outputs: Mapping[str, str]) -> str:
    """Any text of a task, with the paths and values of this run. Raises InvalidInput."""
    known = {f"inputs.{name}": value for name, value in inputs.items()}
    known |= {f"outputs.{name}": path for name, path in outputs.items()}
    return expressions.render(written, {**known, **_of_job(job)})


def output_address(output: Mapping[str, Any], job: str) -> str | None:
    """The datastore address an output is to be copied to, or None."""
    path = output.get("path")
    return expressions.render(str(path), _of_job(job)) if path else None


def _of_job(job: str) -> dict[str, str | None]:
    return {"name": job, "parent.name": job, "default_datastore": DEFAULT_DATASTORE}


def environment_variables(job: Job, step: Step, task: Task, tracking: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of the command; the file's own variables win."""
    return {
        # One thread each: two OpenMP threads on a busy small machine are several times slower than one.
        "OMP_NUM_THREADS": "1",
        "DOUBLELOOP_JOB": job.id,
        "DOUBLELOOP_STEP": step.name,
        "DOUBLELOOP_WORKSPACE": job.workspace,
        "AZUREML_ROOT_RUN_ID": job.id,
        **tracking,
        **task.environment_variables,
    }


def run_tags(
    job: Job, step: str | None, key: str, parent: str | None, trial: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Tags of an MLflow run, by which a model registered in it is traced to its job. ``key`` is unique to the run;
    ``trial`` are the values of a search that it tries."""
    tags = {
        **job.tags,  # what a file says never stands for what the system knows
        "doubleloop.job": job.id,
        "doubleloop.key": key,
        "doubleloop.workspace": job.workspace,
        "doubleloop.user": job.created_by,
    }
    purpose = canonical.dumps(job.purpose)
    if job.purpose and len(purpose) <= _MAX_TAG:
        tags["doubleloop.purpose"] = purpose
    if step:
        tags["doubleloop.step"] = step
    if trial:
        tags["hyperparameters"] = canonical.dumps(trial)
    if parent:
        tags["mlflow.parentRunId"] = parent
    return tags
