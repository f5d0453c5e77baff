"""Training again in a stage's workspace: submit the definition's job, wait for its end, find what it registered."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from doubleloop.base import errors
from doubleloop.catalog import commands as catalog
from doubleloop.db.context import Contexts
from doubleloop.jobs import commands as job_commands
from doubleloop.jobs import model as job_model
from doubleloop.jobs import queries as jobs
from doubleloop.models import commands as model_commands
from doubleloop.models import model as models_model
from doubleloop.models import queries as models
from doubleloop.releases import definitions, model, stages, store
from doubleloop.specs import documents
from doubleloop.specs import model as specs

LOG = logging.getLogger("doubleloop.releases")
# How long after the job's end a registry that is away is waited for.
REGISTRY_PATIENCE = timedelta(minutes=10)


def submit(contexts: Contexts, id_: str) -> dict[str, Any]:
    """{"end"} or {"topic"}. The job's id follows from the release and stage, so a repetition finds it."""
    try:
        with contexts.write(stages.ACTOR) as ctx:
            release, definition = stages.load(ctx, id_, lock=True)
            end = stages.wanted_end(release)
            if end:
                return {"end": end}
            at = f"stages.{release.position}.retrain"
            retrain = definitions.stage_of(definition, release.position).retrain
            document = definitions.nested(definition, f"{at}.job")
            if retrain.experiment_name:
                document = documents.with_changes(document, {"experiment_name": retrain.experiment_name})
            # What started the release (a rule) may say which data to train on.
            given = {**specs.plain(retrain).get("inputs", {}), **release.trigger.get("inputs", {})}
            job = job_commands.submit(
                ctx.in_workspace(release.workspace), document, id=f"{release.id}-train{release.position}",
                inputs=given, purpose={"release": release.id, "stage": release.position, "why": "retrain"},
                notify=release.workflow, force_rerun=True,
            )  # fmt: skip
            topic = f"job:{job.id}"
            release = store.note_stage(ctx, release, job=job.id, phase="retraining")
            store.note(ctx, release, topic=topic)
            catalog.link(ctx, release.subject, "retrained", f"job:{job.id}")
            return {"end": None, "topic": topic}
    except errors.DoubleloopError as error:
        return {"end": stages.failed(f"the retraining could not be started: {error}")}


def look(contexts: Contexts, id_: str) -> dict[str, Any]:
    """{"end"}, {"go": True} with the candidate noted, or {"wait": seconds}."""
    with contexts.read(stages.ACTOR) as ctx:
        release, _ = stages.load(ctx, id_)
        job = jobs.get(ctx, release.stage.job)
        end = stages.wanted_end(release)
    if end:
        return {"end": end}
    if job is None or job.status not in job_model.ENDED:
        return {"end": None, "wait": 60.0}
    if job.status is not job_model.Status.COMPLETED:
        return {"end": stages.failed(f"the retraining job {job.id} is {job.status}: {job.error or 'no reason given'}")}
    try:
        version = _registered(contexts, job.id, release.model)
    except errors.Unavailable as error:
        if job.ended_at and contexts.now() < job.ended_at + REGISTRY_PATIENCE:
            LOG.warning("the model registry could not be asked, and will be again: %s", error)
            return {"end": None, "wait": 5.0}
        return {"end": stages.failed(f"what job {job.id} registered cannot be told: {error}")}
    if version is None:
        return {
            "end": stages.failed(
                f"the retrain job registered no version of {release.model} (job {job.id}); "
                f"its script must call register_model with the name {release.model}"
            )
        }
    return _take(contexts, release, version)


def _registered(contexts: Contexts, job: str, name: str) -> models_model.ModelVersion | None:
    """The newest version of ``name`` that the job registered. The registry itself is asked when we know of none: the
    word of a registration may have been lost in a crash. Raises Unavailable."""
    for attempt in range(2):
        with contexts.read(stages.ACTOR) as ctx:
            found = models.of_job(ctx, job, name)
        if found:
            return max(found, key=lambda each: each.created_at)
        if attempt == 0:
            model_commands.sync(contexts, ended_job=job)
    return None


def _take(contexts: Contexts, release: model.Release, version: models_model.ModelVersion) -> dict[str, Any]:
    with contexts.write(stages.ACTOR) as ctx:
        release, _ = stages.load(ctx, release.id, lock=True)
        if release.candidate != version.version or release.stage.candidate != version.version:
            release = store.note(ctx, release, candidate=version.version)
            release = store.note_stage(ctx, release, candidate=version.version)
            store.tell(
                ctx, release, "release.candidate", model=release.model, version=version.version,
                digest=version.digest, job=version.job,
            )  # fmt: skip
            catalog.link(ctx, version.id, "released", release.subject)
        return {"end": None, "go": True}
