"""The inner loop, proposed: which job would train on what was labelled, and which of its inputs gets it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doubleloop.base import errors
from doubleloop.db.context import Ctx
from doubleloop.endpoints import queries as endpoints
from doubleloop.jobs import mapping
from doubleloop.jobs import queries as past_jobs
from doubleloop.labeling import model
from doubleloop.models import queries as models
from doubleloop.specs import documents
from doubleloop.specs.kinds.labeling import Labeling

# Inputs of these types are no data.
PLAIN = ("string", "integer", "number", "boolean", "mlflow_model", "custom_model", "triton_model")


def _spec(project: model.Project) -> Labeling:
    found: Labeling = documents.from_wire(project.document).model
    return found


def is_known(project: model.Project) -> bool:
    """Whether it is known which job trains: the one of its file, or the one that trained what is served."""
    return _spec(project).train is not None or bool(project.opened_by.get("job"))


def command(project: model.Project, data: str) -> str | None:
    """What a person types to start training on ``data``; None where nothing is to be proposed."""
    if is_known(project):
        return f"doubleloop labeling train {project.name} -w {project.workspace}"
    if not project.opened_by.get("endpoint"):
        return None
    version = data.rpartition("/")[2]
    return f"doubleloop job create -f TRAINING.yml --set inputs.DATA.path=azureml:{version} -w {project.workspace}"


def trained_by(ctx: Ctx, endpoint: str) -> dict[str, Any]:
    """The model that most of an endpoint's traffic goes to, and the job that trained it: ``model``, ``job``, ``job_in``
    (its workspace). What is not known, or not the actor's to know, is left out."""
    try:
        traffic = endpoints.get(ctx, endpoint).traffic
        serving = [each for each in endpoints.deployments(ctx, endpoint) if traffic.get(each.name)]
        most = max(serving, key=lambda each: traffic[each.name], default=None)
        version = models.find(ctx, most.model_name, most.model_version) if most is not None else None
        job = past_jobs.get(ctx, version.job) if version is not None and version.job else None
    except (errors.NotFound, errors.NotPermitted):
        return {}
    found = {} if version is None else {"model": version.id}
    return found if job is None else {**found, "job": job.id, "job_in": job.workspace}


def check(ctx: Ctx, document: documents.Document) -> None:
    """Raises InvalidInput, NotFound, with the line, for a ``train`` whose job is not there or has no such input."""
    spec: Labeling = document.model
    if spec.train is None:
        return
    try:
        found = _written(ctx, document)
    except errors.NotFound as error:
        error.where = document.source.where("train.job")
        raise
    try:
        input_of(found, spec.train.input, spec.output)
    except errors.InvalidInput as error:
        error.where = document.source.where("train.input" if spec.train.input else "train")
        raise


def _written(ctx: Ctx, document: documents.Document) -> documents.Document:
    train = document.model.train
    if isinstance(train.job, str):
        return past_jobs.document(ctx, train.job)
    return documents.nested(document, "train.job")


def input_of(job: documents.Document, wanted: str | None, output: str) -> str:
    """The input that gets the labelled data: the one that is named, that took this asset before, or the only one."""
    data = {name: each for name, each in mapping.inputs_of(job).items() if _is_data(each)}
    if wanted is not None:
        if wanted not in mapping.inputs_of(job):
            raise errors.InvalidInput(f"The job has no input '{wanted}'", cure=f"Its inputs: {', '.join(data)}.")
        return wanted
    same = [name for name, each in data.items() if _asset(each) == output]
    found = same or list(data)
    if len(found) != 1:
        raise errors.InvalidInput(
            f"The job has {len(found)} inputs that could get the labels ({', '.join(found) or 'none of data'})",
            cure="Name one: `--input NAME`, or `input` of `train` in the project's file.",
        )
    return found[0]


def _is_data(given: Any) -> bool:
    if isinstance(given, str):
        return given.startswith("azureml:")
    return isinstance(given, Mapping) and "value" not in given and given.get("type") not in PLAIN


def _asset(given: Any) -> str:
    path = given if isinstance(given, str) else str(given.get("path") or "")
    return path.removeprefix("azureml:").partition("@")[0].partition(":")[0]


def job(ctx: Ctx, project: model.Project) -> documents.Document:
    """What is to be submitted. Raises InvalidInput where nothing says what, NotFound, NotPermitted."""
    if _spec(project).train is not None:
        return _written(ctx, documents.from_wire(project.document))
    if not project.opened_by.get("job"):
        raise errors.InvalidInput(
            f"It is not known which job trains on what {project.name} labelled",
            cure=command(project, project.exported) or "Write `train: {job: job.yml}` into the project's file.",
        )
    return past_jobs.document(ctx.in_workspace(project.opened_by["job_in"]), project.opened_by["job"])
