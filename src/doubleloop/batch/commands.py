"""Making batch endpoints and deployments, and invoking them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from doubleloop.base import errors, ids
from doubleloop.batch import mapping, model, queries, rules, store
from doubleloop.catalog import commands as catalog
from doubleloop.components import queries as components
from doubleloop.data import queries as data
from doubleloop.db.context import Ctx
from doubleloop.environments import queries as environments
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.jobs import commands as jobs
from doubleloop.jobs import model as job_model
from doubleloop.jobs import queries as past_jobs
from doubleloop.models import queries as models
from doubleloop.specs import documents
from doubleloop.storage import ports as storage
from doubleloop.vault import queries as vault

_DATASTORES = "azureml://datastores/"
_CONDA, _REQUIREMENTS, _MLMODEL = "conda.yaml", "requirements.txt", "MLmodel"


def put_endpoint(ctx: Ctx, document: documents.Document) -> model.Endpoint:
    """Create an endpoint, or change what the file says of one. Raises NotFound for a default that is not there."""
    spec = document.model
    identity.permit(ctx, Action.ENDPOINT_WRITE, resource=queries.thing(spec.name))
    assert ctx.workspace is not None
    rules.check_auth(document)
    before = store.endpoint(ctx, ctx.workspace, spec.name)
    values: dict[str, Any] = {}
    if spec.defaults is not None:
        values["default_deployment"] = _default(ctx, spec.name, spec.defaults.deployment_name, before is not None)
    if spec.description is not None:
        values["description"] = spec.description
    if spec.tags:
        values["tags"] = {**(before.tags if before else {}), **spec.tags}
    if spec.auth_mode is not None:
        values["auth_mode"] = spec.auth_mode
    if before is None:
        fresh: dict[str, Any] = {"auth_mode": "aad_token", "default_deployment": "", "description": "", "tags": {}}
        made = model.Endpoint(
            ctx.workspace, spec.name, **{**fresh, **values}, created_by=ctx.actor.id, created_at=ctx.now
        )
        store.insert_endpoint(ctx, made)
        events.record(ctx, "batch_endpoint.created", made.id)
        return made
    after = replace(before, **values)
    if after != before:
        store.update_endpoint(ctx, ctx.workspace, spec.name, **values)
        events.record(ctx, "batch_endpoint.changed", before.id, **values)
    return after


def _default(ctx: Ctx, endpoint: str, deployment: str, there: bool) -> str:
    """A new endpoint's file may name the deployment that comes next; of one that is there it must exist."""
    name = deployment.rpartition("/")[2]
    return queries.chosen(ctx, endpoint, name).name if there else name


def delete_endpoint(ctx: Ctx, name: str) -> None:
    """The endpoint and its deployments; jobs and what they left stay. Raises NotFound."""
    identity.permit(ctx, Action.ENDPOINT_WRITE, resource=queries.thing(name))
    found = queries.find(ctx, name)
    store.delete_endpoint(ctx, found.workspace, name)
    events.record(ctx, "batch_endpoint.deleted", found.id)


def put_deployment(ctx: Ctx, document: documents.Document, *, set_default: bool = False) -> model.Deployment:
    """Create a deployment, or replace the one of its name. The first one of an endpoint is its default.

    Everything that it names is looked up now. Raises NotFound, InvalidInput, NotSupported, with the line.
    """
    spec = document.model
    identity.permit(ctx, Action.ENDPOINT_WRITE, resource=queries.thing(spec.endpoint_name))
    endpoint = queries.find(ctx, spec.endpoint_name)
    document = components.inlined(ctx, _with_past_job(ctx, document))
    spec = document.model
    kind = model.Kind.PIPELINE if spec.component or spec.job_definition else model.Kind.MODEL
    if spec.type is not None and spec.type != kind:
        raise errors.InvalidInput(
            f"It is of type {spec.type} and {'names no component' if spec.type == 'pipeline' else 'runs a pipeline'}",
            where=document.where("type"), cure="Correct the type, or name what it runs.",
        )  # fmt: skip
    for name, text in rules.variables(spec).items():
        vault.check(ctx, text, document.where(f"environment_variables.{name}"))
    values = _of_model(ctx, document) if kind is model.Kind.MODEL else _of_pipeline(document)
    made = model.Deployment(
        ids.new_id("deployment"), endpoint.workspace, endpoint.name, spec.name, kind, document.to_wire(), **values,
        created_by=ctx.actor.id, created_at=ctx.now,
    )  # fmt: skip
    store.put_deployment(ctx, made)
    if made.model_id:
        catalog.link(ctx, made.model_id, "deployed", f"deployment:{made.id}")
    events.record(
        ctx, "batch_deployment.created", f"deployment:{made.id}", endpoint=endpoint.name, name=made.name,
        kind=kind.value, model=made.model_id,
    )  # fmt: skip
    if set_default or not endpoint.default_deployment:
        store.update_endpoint(ctx, endpoint.workspace, endpoint.name, default_deployment=made.name)
        events.record(ctx, "batch_endpoint.changed", endpoint.id, default_deployment=made.name)
    return made


def _with_past_job(ctx: Ctx, document: documents.Document) -> documents.Document:
    """``job_definition: azureml:JOB`` is what was submitted as that job. Raises NotFound, NotSupported."""
    at = "job_definition"
    written = getattr(document.model, at)
    if not isinstance(written, str):
        return document
    try:
        job = past_jobs.document(ctx, written)
    except errors.NotFound as error:
        raise errors.NotFound(error.what, where=document.where(at), cure=error.cure) from error
    if job.kind != "pipeline_job":
        raise errors.NotSupported(
            f"{written} is no pipeline job", where=document.where(at), cure="Name a pipeline job, or a component."
        )
    return documents.with_parts(document, {at: job})


def _of_pipeline(document: documents.Document) -> dict[str, Any]:
    at = "component" if document.model.component else "job_definition"
    body = getattr(document.model, at)
    if isinstance(body, str):
        raise errors.NotSupported(
            f"'{body}' cannot be deployed from its name", where=document.where(at),
            cure="Name the pipeline's file: `component: pipeline.yml`, or `job_definition: pipeline-job.yml`.",
        )  # fmt: skip
    return {"model_name": "", "model_version": "", "model_id": "", "model_reference": "", "no_code": False}


def _of_model(ctx: Ctx, document: documents.Document) -> dict[str, Any]:
    spec = document.model
    if spec.model is None:
        raise errors.InvalidInput(
            f"Deployment {spec.name} names no model", where=document.where(), cure="Add `model: azureml:NAME:VERSION`."
        )
    written = spec.model if isinstance(spec.model, str) else spec.model.path
    with _placed(document.where("model")):
        version = None if written.startswith(("tree:", "blob:")) else models.resolve(ctx, written)
    reference = version.reference if version else written
    files = _files(ctx, reference)
    if spec.code_configuration is None and _MLMODEL not in files:
        raise errors.InvalidInput(
            "The model is not an MLflow model (it has no MLmodel file) and the deployment names no scoring script",
            where=document.where("model"),
            cure="Add code_configuration (code, scoring_script) and environment, or log the model with MLflow.",
        )  # fmt: skip
    if spec.code_configuration is not None:
        _check_script(ctx, document)
    if spec.environment is not None:
        with _placed(document.where("environment")):
            environments.resolve(ctx, _plain(spec.environment))
    elif not {_CONDA, _REQUIREMENTS} & set(files):
        raise errors.InvalidInput(
            "Neither the deployment nor the model says what it needs", where=document.where(), cure="Add `environment`."
        )
    rules.check_file_name(rules.settings(spec).output_file_name, document.where())
    return {
        "model_name": version.name if version else "", "model_version": version.version if version else "",
        "model_id": version.id if version else "", "model_reference": reference,
        "no_code": spec.code_configuration is None,
    }  # fmt: skip


def _check_script(ctx: Ctx, document: documents.Document) -> None:
    code = document.model.code_configuration
    if not code.code.startswith(("tree:", "blob:")):
        raise errors.InvalidInput(
            f"'{code.code}' has not been uploaded", where=document.where("code_configuration.code"),
            cure="Create it with `doubleloop batch-deployment create`, which uploads local folders.",
        )  # fmt: skip
    if code.scoring_script not in _files(ctx, code.code):
        raise errors.InvalidInput(
            f"The code folder holds no {code.scoring_script}", where=document.where("code_configuration.scoring_script")
        )


def _files(ctx: Ctx, reference: str) -> dict[str, str]:
    """Paths below a stored folder (or the name of a stored file), and their hashes. Raises NotFound."""
    kind, _, rest = reference.partition(":sha256:")
    sha256, _, below = rest.partition("/")
    if kind == "blob":
        return {"": sha256}
    entries = ctx.port(storage.Blobs).tree(sha256).entries
    inside = f"{below.rstrip('/')}/" if below else ""
    found = {entry.path.removeprefix(inside): entry.sha256 for entry in entries if entry.path.startswith(inside)}
    return found or {below.rpartition("/")[2]: entry.sha256 for entry in entries if entry.path == below}


def _plain(environment: Any) -> Any:
    return environment if isinstance(environment, str) else documents.model.plain(environment)


def delete_deployment(ctx: Ctx, endpoint: str, name: str) -> None:
    """Raises NotFound, and Conflict for the default while there are others."""
    identity.permit(ctx, Action.ENDPOINT_WRITE, resource=queries.thing(endpoint))
    place, found = queries.find(ctx, endpoint), queries.chosen(ctx, endpoint, name)
    others = [each.name for each in store.deployments(ctx, place.workspace, endpoint) if each.name != name]
    if place.default_deployment == name and others:
        raise errors.Conflict(
            f"Deployment {name} is the endpoint's default",
            cure=f"First: `doubleloop batch-endpoint update -n {endpoint} --set defaults.deployment_name={others[0]}`.",
        )
    store.delete_deployment(ctx, place.workspace, endpoint, name)
    if place.default_deployment == name:
        store.update_endpoint(ctx, place.workspace, endpoint, default_deployment="")
    events.record(ctx, "batch_deployment.deleted", f"deployment:{found.id}", endpoint=endpoint, name=name)


def invoke(ctx: Ctx, endpoint: str, document: documents.Document, *, id: str | None = None) -> job_model.Job:
    """Start the job that scores (or runs the pipeline over) what the invocation names, once per ``id``.

    Who may invoke the endpoint may do this without being allowed to submit jobs; the data is read with the caller's own
    rights. Raises NotFound, InvalidInput, NotSupported, with the line.
    """
    identity.permit(ctx, Action.ENDPOINT_INVOKE, resource=queries.thing(endpoint))
    place = queries.find(ctx, endpoint)
    known = store.invocation(ctx, id) if id else None
    if known and (known.workspace, known.endpoint) == (place.workspace, endpoint):
        return queries.job_of(ctx, endpoint, known.job)
    wanted = document.model.deployment_name or place.default_deployment
    if not wanted:
        raise errors.Conflict(
            f"Batch endpoint {endpoint} has no default deployment",
            cure="Name one with --deployment-name, or create a deployment with --set-default.",
        )
    deployment = queries.chosen(ctx, endpoint, wanted)
    file = documents.from_wire(deployment.spec)
    start = _score if deployment.kind is model.Kind.MODEL else _run_pipeline
    job = start(ctx, deployment, file, document, id)
    store.insert_invocation(
        ctx, model.Invocation(
            job.id, place.workspace, endpoint, deployment.name, deployment.id, ctx.actor.id, ctx.now
        ),
    )  # fmt: skip
    catalog.link(ctx, f"deployment:{deployment.id}", "invoked", f"job:{job.id}")
    events.record(
        ctx, "batch_endpoint.invoked", place.id, endpoint=endpoint, deployment=deployment.name, job=job.id,
        model=deployment.model_id,
    )  # fmt: skip
    return job


def _purpose(deployment: model.Deployment) -> dict[str, str]:
    return {
        "reason": "batch", "endpoint": deployment.endpoint, "deployment": deployment.name,
        "deployment_id": deployment.id,
    }  # fmt: skip


def _score(
    ctx: Ctx, deployment: model.Deployment, file: documents.Document, document: documents.Document, id_: str | None
) -> job_model.Job:
    task = mapping.task(deployment, file, document, _environment(ctx, deployment, file))
    for name, each in task.inputs.items():
        if name != mapping.MODEL:
            _check_data(ctx, document, name, str(each["reference"]))
    if task.outputs["score"]["path"]:
        _check_datastore(ctx, document.where("outputs"), str(task.outputs["score"]["path"]))
    job = jobs.submit_task(
        ctx, task, id=id_, inputs=document.spec().get("inputs", {}), purpose=_purpose(deployment),
        display_name=document.model.display_name or "", tags=document.model.tags,
        experiment=document.model.experiment_name or deployment.endpoint, permission=Action.ENDPOINT_INVOKE,
        resource=queries.thing(deployment.endpoint),
    )  # fmt: skip
    if deployment.model_id:
        catalog.link(ctx, deployment.model_id, "model", f"step:{job.id}/{task.name}")
    return job


def _check_data(ctx: Ctx, document: documents.Document, name: str, reference: str) -> None:
    """An asset or a datastore that is not there is told now, with its line; addresses and files are looked at later."""
    if reference.startswith(_DATASTORES):
        _check_datastore(ctx, document.where(f"inputs.{name}"), reference)
    elif reference.startswith("azureml:") and "://" not in reference:
        with _placed(document.where(f"inputs.{name}")):
            data.resolve(ctx, reference)
    elif not reference.startswith(("tree:", "blob:", "azureml:", "http://", "https://")):
        raise errors.InvalidInput(
            f"Input '{name}' is no data that is here: '{reference}' is neither an asset nor an address",
            where=document.where(f"inputs.{name}"),
            cure="Name the data: --input PATH_OR_ASSET; `batch-endpoint invoke` sends files of this machine.",
        )  # fmt: skip


def _check_datastore(ctx: Ctx, where: errors.Where | None, address: str) -> None:
    """Raises NotFound before everything is scored in vain; whether it may be read or written is looked at later."""
    with _placed(where), contextlib.suppress(errors.NotPermitted):
        data.datastore_path(ctx, address)


@contextlib.contextmanager
def _placed(where: errors.Where | None) -> Iterator[None]:
    """What is not found is told with the place that names it."""
    try:
        yield
    except errors.NotFound as error:
        raise errors.NotFound(error.what, where=error.where or where, cure=error.cure) from error


def _run_pipeline(
    ctx: Ctx, deployment: model.Deployment, file: documents.Document, document: documents.Document, id_: str | None
) -> job_model.Job:
    return jobs.submit(
        ctx, mapping.pipeline(deployment, file, document), id=id_, purpose=_purpose(deployment),
        permission=Action.ENDPOINT_INVOKE, resource=queries.thing(deployment.endpoint),
    )  # fmt: skip


def _environment(ctx: Ctx, deployment: model.Deployment, file: documents.Document) -> str | Mapping[str, Any]:
    """The file's own, else what the MLflow model says it needs."""
    if file.model.environment is not None:
        written: str | Mapping[str, Any] = _plain(file.model.environment)
        return written
    files = _files(ctx, deployment.model_reference)
    name = _CONDA if _CONDA in files else _REQUIREMENTS
    text = ctx.port(storage.Blobs).read(files[name]).decode()
    if name == _REQUIREMENTS:
        lines = "".join(f"    - {line.strip()}\n" for line in text.splitlines() if line.strip()[:1] not in ("", "#"))
        text = f"dependencies:\n- pip\n- pip:\n{lines}"
    return {"conda_file": {"$file": name, "text": text}}
