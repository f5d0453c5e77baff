"""Putting a candidate beside what serves, without traffic; and taking it away again."""

from __future__ import annotations

from typing import Any

from doubleloop.base import errors
from doubleloop.catalog import commands as catalog
from doubleloop.db.context import Contexts, Ctx
from doubleloop.endpoints import commands as endpoints
from doubleloop.endpoints import model as endpoint_model
from doubleloop.endpoints import queries as endpoint_queries
from doubleloop.gates import queries as gates
from doubleloop.identity.model import WorkspaceKind
from doubleloop.jobs import commands as job_commands
from doubleloop.jobs import model as job_model
from doubleloop.jobs import queries as jobs
from doubleloop.models import queries as models
from doubleloop.releases import bundling, definitions, measuring, model, rules, stages, store
from doubleloop.workspaces import queries as workspaces

_STARTING = (endpoint_model.Status.PREPARING, endpoint_model.Status.STARTING)
_GONE = (endpoint_model.Status.DELETED, endpoint_model.Status.REPLACED)


def sign(contexts: Contexts, id_: str) -> stages.Ending | None:
    """See that requests can be checked: the model has a signature, or its hold-out tells one, which is recorded.

    A scoring script reads its requests itself and needs none.
    """
    with contexts.read(stages.ACTOR) as ctx:
        release, definition = stages.load(ctx, id_)
        version = models.get(ctx, release.model, release.candidate)
    spec = definitions.document_of(definition).model
    wanted = next((stage.deployment for stage in spec.stages[release.position :] if stage.deployment), None)
    if wanted is None or wanted.code_configuration is not None or version.signature or release.stage.signature:
        return None
    told = next((stage.signature for stage in release.stages[: release.position] if stage.signature), None)
    if told:
        with contexts.write(stages.ACTOR) as ctx:
            release, _ = stages.load(ctx, id_, lock=True)
            store.note_stage(ctx, release, signature=told)
        return None
    # What a production workspace needs to know is found before the way leads there: it reads no other's hold-out.
    here = spec.stages[release.position]
    with contexts.read(stages.ACTOR) as ctx:
        is_production = workspaces.get(ctx, release.workspace).kind is WorkspaceKind.PRODUCTION
    searched = [here] if is_production else [here, *spec.stages]
    known = next((stage for stage in searched for check in stage.checks if check.type == "model_quality"), None)
    if known is None and here.deployment is None:
        return None
    if known is None:
        return stages.failed(
            f"{release.model}:{release.candidate} has no signature, so requests could not be checked; log it with one "
            "(mlflow.models.infer_signature), or add a model_quality check to this stage or one before it, whose "
            "hold-out names the columns"
        )
    check = next(check for check in known.checks if check.type == "model_quality")
    try:
        signature = measuring.chosen(contexts).infer_signature(
            contexts, known.workspace, check.data, check.target, check.features
        )
    except errors.DoubleloopError as error:
        return stages.failed(f"no signature can be told from the hold-out {check.data}: {error}")
    with contexts.write(stages.ACTOR) as ctx:
        release, _ = stages.load(ctx, id_, lock=True)
        release = store.note_stage(ctx, release, signature=signature)
        store.tell(
            ctx, release, "release.signature_inferred", model=release.model, version=release.candidate,
            data=check.data, inputs=signature["inputs"],
        )  # fmt: skip
    return None


def deploy(contexts: Contexts, id_: str) -> dict[str, Any]:
    """{"end"} or {"topic"}. The deployment's id follows from release and stage, so a repetition finds it."""
    try:
        with contexts.write(stages.ACTOR) as ctx:
            release, definition = stages.load(ctx, id_, lock=True)
            end = stages.wanted_end(release)
            if end:
                return {"end": end}
            ctx = ctx.in_workspace(release.workspace)
            at = f"stages.{release.position}"
            document = definitions.nested(definition, f"{at}.deployment")
            _ensure_endpoint(ctx, definition, at, document.model.endpoint_name)
            made = endpoints.create_deployment(
                ctx, document, id_=f"{release.id}-deploy{release.position}",
                name=rules.deployment_name(document.model.name, release.number),
                model_reference=f"azureml:{release.model}:{release.candidate}", signature=release.stage.signature,
                lock=bundling.lock(ctx, release), release=release.id, notify=release.workflow,
                compiles=_compiles(ctx, release),
            )  # fmt: skip
            topic = f"deployment:{made.id}"
            release = store.note_stage(
                ctx, release, endpoint=made.endpoint, deployment=made.id, deployment_name=made.name, phase="deploying"
            )
            store.note(ctx, release, topic=topic)
            catalog.link(ctx, release.subject, "deployed", f"deployment:{made.id}")
            return {"end": None, "topic": topic}
    except errors.DoubleloopError as error:
        return {"end": stages.failed(f"the deployment could not be started: {error}")}


def _compiles(ctx: Ctx, release: model.Release) -> bool:
    """Whether a plan may answer for the candidate: not if it answered otherwise on a hold-out of this release."""
    candidate = f"{release.model}:{release.candidate}"
    measured = [each.body.get("candidate", {}) for each in gates.evidence(ctx, release.subject)
                if each.type == "model_quality"]  # fmt: skip
    return not any(
        each.get("model") == candidate and (each.get("plan") or {}).get("agrees") is False for each in measured
    )


def _ensure_endpoint(ctx: Ctx, definition: model.Definition, at: str, name: str) -> None:
    if name in {each.name for each in endpoint_queries.endpoints(ctx)}:
        return
    try:
        endpoints.put_endpoint(ctx, definitions.nested(definition, f"{at}.endpoint"))
    except errors.NotFound:
        endpoints.ensure_endpoint(ctx, name)


def look(contexts: Contexts, id_: str) -> dict[str, Any]:
    """{"end"}, {"go": True}, or {"wait": seconds}. Even a release that is to end waits until its deployment has come
    to rest, so that nothing starts behind its back."""
    with contexts.read(stages.ACTOR) as ctx:
        release, _ = stages.load(ctx, id_)
        made = endpoint_queries.deployment(ctx, release.stage.deployment)
    if made.status in _STARTING:
        return {"end": None, "wait": 30.0}
    end = stages.wanted_end(release)
    if end:
        return {"end": end}
    if made.status is not endpoint_model.Status.READY:
        return {"end": stages.failed(f"the deployment {made.name} is {made.status}: {made.error or 'no reason given'}")}
    return {"end": None, "go": True}


def clean(contexts: Contexts, id_: str, completed: bool) -> dict[str, Any]:
    """Stop and take away what the release has put somewhere and that must not stay: a running job, traffic that has
    begun to move, deployments that do not serve. {"wait": seconds} while something of it is still starting."""
    with contexts.write(stages.ACTOR) as ctx:
        release, _ = stages.load(ctx, id_, lock=True)
        problems = []
        for stage in release.stages:
            where = ctx.in_workspace(stage.workspace)
            if not completed:
                _stop_job(where, stage)
            if not stage.deployment or stage.rolled_out:
                continue
            if endpoint_queries.deployment(where, stage.deployment).status in _STARTING:
                return {"wait": 15.0, "topic": f"deployment:{stage.deployment}"}
            problems += _take_away(where, release, stage)
        return {"wait": None, "problems": problems}


def _stop_job(ctx: Ctx, stage: model.Stage) -> None:
    job = jobs.get(ctx, stage.job) if stage.job else None
    if job is not None and job.status not in job_model.ENDED and job.cancelled_by is None:
        job_commands.cancel(ctx, job.id)


def _take_away(ctx: Ctx, release: model.Release, stage: model.Stage) -> list[str]:
    try:
        restore(ctx, release, stage)
        if endpoint_queries.deployment(ctx, stage.deployment).status not in _GONE:
            endpoints.delete_deployment(ctx, stage.endpoint, stage.deployment_name)
    except errors.DoubleloopError as error:
        return [f"{stage.deployment_name} in {stage.workspace} could not be taken away: {error.what}"]
    return []


def restore(ctx: Ctx, release: model.Release, stage: model.Stage) -> None:
    """Traffic as it was before the rollout began. If somebody has already moved it off the candidate, it stays."""
    if stage.traffic_before is None:
        return
    current = endpoint_queries.get(ctx, stage.endpoint).traffic
    if current.get(stage.deployment_name, 0) == 0:
        return
    ready = {
        each.name
        for each in endpoint_queries.deployments(ctx, stage.endpoint)
        if each.status is endpoint_model.Status.READY
    }
    before = {name: share for name, share in stage.traffic_before.items() if share > 0 and name in ready}
    back = before if sum(before.values()) == 100 else rules.rescaled(before)
    endpoints.set_traffic(ctx, stage.endpoint, back, reason=f"release {release.number} goes back")
