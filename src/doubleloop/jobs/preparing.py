"""From a task to something that can run: inputs pinned to content, the environment built, the digest, reuse."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from doubleloop.base import actors, errors
from doubleloop.catalog import commands as catalog
from doubleloop.data import commands as data
from doubleloop.data import contracts
from doubleloop.data import queries as data_queries
from doubleloop.db.context import Contexts, Ctx
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.jobs import environments, logs, rules, store
from doubleloop.jobs.model import Job, Status, Step
from doubleloop.models import queries as models
from doubleloop.specs import references
from doubleloop.storage import ports as storage
from doubleloop.vault import queries as vault

ACTOR = actors.service("jobs")


def prepare(contexts: Contexts, job_id: str, name: str, attempt: int) -> dict[str, Any]:
    """Make an attempt ready; what was found out is kept on the step.

    Returns ``{"python": path}`` of the interpreter to run it with, ``{"reuse": "job/step"}``, or nothing when there
    is nothing to run (it was cancelled meanwhile). Doing it twice finds the same.
    """
    with contexts.read(ACTOR) as ctx:
        job, step = find(ctx, job_id, name)
    if step.attempt != attempt or step.status not in (Status.PREPARING, Status.RUNNING):
        return {}
    note = logs.Prelude(contexts, step)
    inputs = resolve_inputs(contexts, job, step, note)
    note(f"environment: {_name_of(step.task.environment)}")
    built = environments.chosen(contexts).prepare(
        contexts, owner(job, step), job.workspace, step.task.environment, note
    )
    if rules.compiles(step.task):
        environments.with_kit(contexts, built, note)
    if step.status is Status.RUNNING:
        return {"python": str(built.python)}  # its first flow is gone, its command may well be at work
    with contexts.write(ACTOR, job.workspace) as ctx:
        # Another version of a secret is another variable: what an earlier one led to is not used again.
        variables = step.task.environment_variables
        task = dataclasses.replace(
            step.task, environment_variables={**variables, **vault.pinned(ctx, variables)}
        )  # fmt: skip
        digest = rules.digest(task, built.lock_digest, inputs)
        store.note_step(ctx, step, inputs=inputs, digest=digest, environment_lock=built.lock_digest)
        _draw_lineage(ctx, job, step, inputs, built.lock_digest)
        found = _earlier(ctx, job, step, digest)
    if found:
        note(f"unchanged since {found.job}/{found.name}: its outputs are reused")
        return {"reuse": f"{found.job}/{found.name}"}
    return {"python": str(built.python)}


def load(ctx: Ctx, job_id: str, name: str) -> tuple[Job, Step]:
    """The job and its step, for writing: the job's row is locked until the transaction ends."""
    return find(ctx, job_id, name, lock=True)


def find(ctx: Ctx, job_id: str, name: str, *, lock: bool = False) -> tuple[Job, Step]:
    job, step = store.get(ctx, job_id, lock=lock), store.step(ctx, job_id, name)
    if job is None or step is None:
        raise errors.NotFound(f"There is no step {name} of a job {job_id}")
    return job, step


def owner(job: Job, step: Step) -> actors.Actor:
    """On whose behalf inputs are read and outputs are registered: who submitted the job, through this step."""
    kind = actors.ActorKind.SERVICE if job.created_by.startswith("service:") else actors.ActorKind.PERSON
    return actors.Actor(job.created_by, kind, f"job:{job.id}/{step.name}")


def _name_of(environment: str | Mapping[str, Any]) -> str:
    return environment if isinstance(environment, str) else str(environment.get("name") or "inline")


def _earlier(ctx: Ctx, job: Job, step: Step, digest: str) -> Step | None:
    if not rules.may_reuse(job, step.task):
        return None
    blobs = ctx.port(storage.Blobs)
    for found in store.reusable(ctx, job.workspace, digest):
        if (found.job, found.name) != (job.id, step.name) and all(
            blobs.has(str(output["reference"]).split(":")[2].partition("/")[0]) for output in found.outputs.values()
        ):
            return found
    return None


# -- inputs ---------------------------------------------------------------------------------------------------------


def resolve_inputs(contexts: Contexts, job: Job, step: Step, note: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Every input as a value, or as content with its digest and, where it has one, its asset version."""
    found: dict[str, dict[str, Any]] = {}
    for name, source in step.task.inputs.items():
        if "step" in source:
            found[name] = _from_step(contexts, job, source)
        elif "reference" in source:
            written = rules.with_job(str(source["reference"]), job.id)
            found[name] = pin(contexts, job, owner(job, step), written, str(source.get("type") or "uri_folder"))
            found[name] |= {"mode": source["mode"]} if source.get("mode") else {}
            note(f"input {name}: {found[name].get('asset') or source['reference']}")
        else:
            found[name] = {"type": source.get("type"), "value": source.get("value")}
    return found


def _from_step(contexts: Contexts, job: Job, source: Mapping[str, Any]) -> dict[str, Any]:
    with contexts.read(ACTOR, job.workspace) as ctx:
        before = store.step(ctx, job.id, str(source["step"]))
    if before is None or source["output"] not in before.outputs:
        raise errors.NotFound(
            f"Step {source['step']} left no output named '{source['output']}'",
            cure=f"It left: {', '.join(before.outputs) if before and before.outputs else 'nothing'}.",
        )
    output = before.outputs[str(source["output"])]
    if "value" in output:
        return {"type": output["type"], "value": output["value"], "from": before.id}
    reference = str(output["reference"])
    return {
        "type": source.get("type") or output["type"],
        "reference": reference,
        "digest": data.content_digest(contexts.port(storage.Blobs), reference),
        "from": before.id,
        **({"asset": output["asset"]} if output.get("asset") else {}),
    }


def pin(contexts: Contexts, job: Job, reader: actors.Actor, reference: str, type_: str) -> dict[str, Any]:
    """What ``reference`` means now, kept with the job, so that all its steps (and retries) mean the same by it.

    Raises NotFound, InvalidInput, NotSupported, Unavailable, NotPermitted.
    """
    key = f"{type_} {reference}"
    with contexts.read(ACTOR, job.workspace) as ctx:
        current = store.get(ctx, job.id)
    if current and key in current.pins and _lasts(reference):
        return dict(current.pins[key])
    found = _look_up(contexts, job.workspace, reader, reference, type_)
    with contexts.write(ACTOR, job.workspace) as ctx:
        current = store.get(ctx, job.id, lock=True)
        assert current is not None
        if key in current.pins and _lasts(reference):
            return dict(current.pins[key])
        store.note_job(ctx, job.id, pins={**current.pins, key: found})
    return found


def _lasts(reference: str) -> bool:
    """A datastore path may be written by one step of the job and read by the next: it is looked at each time."""
    return not reference.startswith("azureml://datastores/")


def _look_up(contexts: Contexts, workspace: str, reader: actors.Actor, reference: str, type_: str) -> dict[str, Any]:
    content, asset, real_type = _content(contexts, workspace, reader, reference, type_)
    found = {
        "type": real_type,
        "reference": content,
        "digest": data.content_digest(contexts.port(storage.Blobs), content),
        "from": reference,
    }
    return {**found, "asset": asset} if asset else found


def _content(
    contexts: Contexts, workspace: str, reader: actors.Actor, written: str, type_: str
) -> tuple[str, str | None, str]:
    """Content address, asset id, type."""
    reference = references.parse(written)
    if isinstance(reference, references.JobOutput):
        with contexts.read(reader, workspace) as ctx:
            return *output_of_job(ctx, reference), type_
    if isinstance(reference, references.Asset | references.RegistryAsset):
        with contexts.read(reader, workspace) as ctx:
            if reference.kind == "models" or (reference.kind is None and type_ in rules.MODEL_TYPES):
                version = models.resolve(ctx, str(reference))
                return version.reference, version.id, type_
            asset = data_queries.resolve(ctx, str(reference))
        contracts.before_use(contexts, ACTOR, asset.asset)
        return asset.reference, asset.id, asset.type
    if isinstance(reference, references.RunArtifact):
        raise errors.NotSupported(
            f"'{written}' cannot be an input yet",
            cure="Register what the run logged as a model, or write it to an output of the step.",
        )
    try:
        return data.keep(contexts, reader, workspace, str(reference)), None, type_
    except errors.Unavailable as error:
        # An address was tried several times already: what waits longer for it would wait without a word.
        raise errors.Failed(error.what, cure=error.cure) from error


def output_of_job(ctx: Ctx, reference: references.JobOutput) -> tuple[str, str | None]:
    """The content, and the asset if it was registered, of another job's output. Raises NotFound."""
    identity.permit(ctx, Action.JOB_READ)
    job = store.get(ctx, reference.job)
    if job is None or job.workspace != ctx.workspace:
        raise errors.NotFound(
            f"There is no job {reference.job} in {ctx.workspace}", cure="Look with `doubleloop job list`."
        )
    steps = [step for step in store.steps(ctx, job.id) if not step.task.parent]
    outputs = {**(steps[0].outputs if len(steps) == 1 else {}), **job.outputs}
    if reference.output not in outputs:
        raise errors.NotFound(
            f"Job {job.id} ({job.status}) has no output named '{reference.output}'",
            cure=f"It has: {', '.join(outputs) or 'none'}.",
        )
    content, below = str(outputs[reference.output]["reference"]), reference.path.strip("/")
    return f"{content}/{below}" if below else content, outputs[reference.output].get("asset")


# -- lineage --------------------------------------------------------------------------------------------------------


def _draw_lineage(ctx: Ctx, job: Job, step: Step, inputs: Mapping[str, Mapping[str, Any]], lock: str) -> None:
    """Drawn before the command starts, because a model that it registers asks what data it came from."""
    catalog.link(ctx, step.id, "part", f"job:{job.id}")
    catalog.link(ctx, f"environment:{lock}", "environment", step.id)
    if step.task.code:
        catalog.link(ctx, f"code:{step.task.code.rpartition(':')[2]}", "code", step.id)
    for each in inputs.values():
        if each.get("asset"):
            catalog.link(ctx, str(each["asset"]), "input", step.id)
        if str(each.get("from", "")).startswith("step:"):
            catalog.link(ctx, str(each["from"]), "input", step.id)
        elif "reference" in each and not each.get("asset"):
            catalog.link(ctx, f"content:{each['digest']}", "input", step.id)
