"""The end of an attempt: outputs stored, registered and linked, log kept, MLflow run ended, the parent told."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from doubleloop.base import actors, errors
from doubleloop.catalog import commands as catalog
from doubleloop.compute import model as compute_model
from doubleloop.compute import ports as compute
from doubleloop.data import commands as data
from doubleloop.data import contracts
from doubleloop.data import queries as data_queries
from doubleloop.db.context import Contexts
from doubleloop.durable import commands as durable
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.jobs import logs, minibatches, places, rules, running, store
from doubleloop.jobs.model import ENDED, Job, Status, Step
from doubleloop.jobs.preparing import ACTOR, find, load, owner
from doubleloop.models import commands as models
from doubleloop.specs.kinds import values
from doubleloop.storage import ports as storage
from doubleloop.tracking import commands as notes
from doubleloop.tracking import ports as tracking

TOPIC = "step"
# Registers the outputs of batch endpoints, whose callers need not be allowed to write data.
BATCH = actors.service("batch")
# Values go into the database and into commands.
_MAX_VALUE = 64 * 1024
_MLFLOW = {Status.COMPLETED: "FINISHED", Status.FAILED: "FAILED", Status.CANCELLED: "KILLED"}


def finish(contexts: Contexts, job_id: str, name: str, attempt: int, outcome: dict[str, Any]) -> str:
    """Keep what a run left and give the step its final status, which is returned."""
    with contexts.read(ACTOR) as ctx:
        job, step = find(ctx, job_id, name)
    if step.attempt != attempt or step.status in ENDED:
        return step.status
    status, reason = judge(outcome)
    if status is Status.CANCELLED and step.stop:
        reason = step.stop
    if status is Status.FAILED and step.task.minibatches and outcome["exit_code"] == 1:
        why = minibatches.why_failed(contexts, step)
        reason = f"{why}\n  {_LOOK}" if why else reason
    note = ""
    outputs: dict[str, dict[str, Any]] = {}
    try:
        if status is Status.COMPLETED:
            outputs = register(contexts, job, step, _store_outputs(contexts, job, step))
    except errors.Unavailable:
        raise
    except errors.DoubleloopError as error:
        status, reason = Status.FAILED, str(error)
    if outcome["reason"] != "disk quota":
        try:
            outputs |= _store_artifacts(contexts, step)
        except errors.InvalidInput as error:
            note = f"./outputs and ./logs are not kept: {error}"
    found = {
        "exit_code": outcome["exit_code"], "lost": outcome["state"] == compute_model.State.LOST,
        "usage": outcome["usage"], "outputs": outputs,
    }  # fmt: skip
    return end(contexts, job_id, name, attempt, status, reason, note=note, **found)


def judge(outcome: Mapping[str, Any]) -> tuple[Status, str]:
    """The step's status and, unless it is completed, why."""
    state = compute_model.State(outcome["state"])
    if state is compute_model.State.SUCCEEDED:
        return Status.COMPLETED, ""
    if state is compute_model.State.CANCELLED:
        return Status.CANCELLED, "cancelled while it ran"
    message = outcome["message"] or outcome["reason"] or "it ended for an unknown reason"
    return Status.FAILED, f"The command failed: {message}\n  {_CURES.get(outcome['reason'], _LOOK)}"


_LOOK = "Its log says more: `doubleloop job stream`."
_CURES = {
    "timeout": "Give it more time (limits.timeout), or less to do.",
    "disk quota": "Write less, or raise DOUBLELOOP_STEP_QUOTA.",
    "killed": "It was not the command's fault; `doubleloop job retry` runs the step again.",
    "terminated": "`doubleloop job retry` runs the step again.",
    "setup": "The machine could not run it; look at free disk space, then retry.",
}


def reuse(contexts: Contexts, job_id: str, name: str, attempt: int, source: str) -> str:
    """End the attempt with the outputs of ``source`` (``job/step``), whose digest is the same."""
    with contexts.read(ACTOR) as ctx:
        job, step = find(ctx, job_id, name)
        earlier = store.step(ctx, *source.split("/"))
    if step.attempt != attempt or step.status in ENDED:
        return step.status
    assert earlier is not None
    outputs = {key: {k: v for k, v in each.items() if k != "asset"} for key, each in earlier.outputs.items()}
    outputs = register(contexts, job, step, outputs)
    with contexts.write(ACTOR, job.workspace) as ctx:
        catalog.link(ctx, earlier.id, "reused", step.id)
    return end(
        contexts, job_id, name, attempt, Status.COMPLETED, "", outputs=outputs, exit_code=earlier.exit_code,
        reused_from=earlier.reused_from or source, run_id=earlier.run_id,
    )  # fmt: skip


def fail(contexts: Contexts, job_id: str, name: str, attempt: int, reason: str) -> str:
    return end(contexts, job_id, name, attempt, Status.FAILED, reason)


def end(
    contexts: Contexts,
    job_id: str,
    name: str,
    attempt: int,
    status: Status,
    reason: str,
    *,
    note: str = "",
    **found: Any,
) -> str:
    """The one place where a begun attempt ends: status, fact, token, signal to the job, all in one transaction.

    ``note`` is for the log alone.
    """
    with contexts.read(ACTOR) as ctx:
        _, step = find(ctx, job_id, name)
    if step.attempt != attempt or step.status in ENDED:
        return step.status
    log = logs.close(contexts, step, reason or note)
    with contexts.write(ACTOR) as anywhere:
        job, step = load(anywhere, job_id, name)
        if step.attempt != attempt or step.status in ENDED:
            return step.status
        ctx = anywhere.in_workspace(job.workspace)
        running.revoke(ctx, step)
        store.end_step(ctx, job, step, status, reason=reason, log=log, **found)
        around = store.step(ctx, job_id, step.task.parent) if step.task.parent else None
        told = {"step": name, "status": status}
        durable.signal(ctx, around.workflow if around else job.workflow, TOPIC, told, key=f"{job_id}/{name}/{attempt}")
    return status


def clear(contexts: Contexts, job_id: str, name: str, attempt: int) -> None:
    """Remove the attempt's files; of one that was cancelled before it ran, the log is put away here."""
    with contexts.read(ACTOR) as ctx:
        job, now = find(ctx, job_id, name)
    step = replace(now, attempt=attempt)
    if now.attempt == attempt and now.status in (Status.PREPARING, Status.RUNNING):
        return  # its end could not be told: the files are all there is
    if now.attempt == attempt and now.status in ENDED and now.log is None:
        log = logs.close(contexts, step, step.reason)
        with contexts.write(ACTOR, job.workspace) as ctx:
            store.note_step(ctx, step, log=log)
    if now.attempt == attempt and now.status is Status.COMPLETED:
        _remove_code(contexts, step)
    if step.task.minibatches and now.status in (Status.COMPLETED, Status.CANCELLED):
        shutil.rmtree(places.kept(contexts, step), ignore_errors=True)
    places.clear(contexts, step)


def close_run(contexts: Contexts, job_id: str, name: str, attempt: int) -> None:
    """End the MLflow run of an attempt that made one. The command may have ended it before; that is no matter.

    Raises Unavailable.
    """
    with contexts.read(ACTOR) as ctx:
        found = store.end_of(ctx, job_id, name, attempt)
        job = store.get(ctx, job_id)
    if job is not None and found is not None and found.run_id and not found.reused_from and found.status in _MLFLOW:
        contexts.port(tracking.Tracking).of(job.workspace).end_run(found.run_id, _MLFLOW[found.status])


# -- outputs ----------------------------------------------------------------------------------------------------------


def _store_outputs(contexts: Contexts, job: Job, step: Step) -> dict[str, dict[str, Any]]:
    root = places.folder(contexts, step)
    blobs = contexts.port(storage.Blobs)
    stored = {}
    for name, output in running.outputs_of(root, job, step).items():
        if name == rules.ARTIFACTS and not rules.names_output(step.task, name):
            tree = _artifacts(contexts, step) or blobs.put_entries(())
            stored[name] = {"type": "uri_folder", "reference": f"tree:sha256:{tree.sha256}"}
            continue
        if not _is_written(output):
            raise errors.Failed(
                f"Output '{name}' ({output.type}) is missing: the command ended well and wrote nothing there",
                cure=f"Write to ${{{{outputs.{name}}}}} in the command, or take the output out of the file.",
            )
        _check_inside(contexts, step, output.path, f"Output '{name}'")
        kind = rules.output_type(step.task.outputs[name])
        stored[name] = {"type": kind, "reference": data.store_path(blobs, output.path)}
        if kind in values.PRIMITIVES:
            stored[name]["value"] = _value(name, kind, output.path)
    return stored


def _check_inside(contexts: Contexts, step: Step, path: Path, what: str) -> None:
    """Raise InvalidInput for a link that the command laid in the output's place and that leads out of its run: what is
    there is read by the server, which may read more than the job's owner."""
    own = [places.folder(contexts, step).resolve()]
    with contextlib.suppress(errors.NotFound):
        own.append(contexts.port(compute.Compute).code(step.run, step.attempt).resolve())
    real = path.resolve()
    if not any(real != each and real.is_relative_to(each) for each in own):
        raise errors.InvalidInput(f"{what} is a link to a place outside of the run", cure="Copy the files there.")


def _value(name: str, kind: str, path: Path) -> Any:
    with path.open("rb") as file:
        written = file.read(_MAX_VALUE + 1)
    try:
        if len(written) > _MAX_VALUE:
            raise errors.InvalidInput(f"it is longer than {_MAX_VALUE} bytes")
        return rules.value(kind, written.decode("utf-8", "replace"))
    except errors.InvalidInput as error:
        raise errors.Failed(
            f"Output '{name}' ({kind}): {error.what}",
            cure=f"Write the value, and nothing else, to the file ${{{{outputs.{name}}}}}.",
        ) from None


def _is_written(output: compute_model.Output) -> bool:
    if not output.path.exists():
        return False
    return output.type not in rules.FILLED_TYPES or any(output.path.iterdir())


def _store_artifacts(contexts: Contexts, step: Step) -> dict[str, dict[str, Any]]:
    """What the command left in ./outputs and ./logs: the output ``artifacts`` that every job has."""
    tree = None if rules.ARTIFACTS in step.task.outputs else _artifacts(contexts, step)
    return {rules.ARTIFACTS: {"type": "uri_folder", "reference": f"tree:sha256:{tree.sha256}"}} if tree else {}


def _artifacts(contexts: Contexts, step: Step) -> storage.Tree | None:
    try:
        code = contexts.port(compute.Compute).code(step.run, step.attempt)
    except errors.NotFound:
        return None
    blobs = contexts.port(storage.Blobs)
    for name in ("outputs", "logs"):
        if (code / name).is_dir():
            _check_inside(contexts, step, code / name, f"./{name}")
    entries = [
        storage.Entry(f"{name}/{entry.path}", entry.sha256, entry.size, entry.executable)
        for name in ("outputs", "logs")
        if (code / name).is_dir()
        for entry in blobs.put_tree(code / name).entries
    ]
    return blobs.put_entries(tuple(entries)) if entries else None


def register(contexts: Contexts, job: Job, step: Step, outputs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Copy outputs to the datastore paths they name, register those with an asset name; adds ``asset`` to them."""
    done = {}
    for name, output in outputs.items():
        asked = step.task.outputs.get(name, {})
        address = rules.output_address(asked, job.id)
        if address and address.startswith("azureml://datastores/"):
            _copy_to_datastore(contexts, job, step, output["reference"], address)
        if asked.get("asset"):
            output = {**output, "asset": _register_asset(contexts, job, step, output, asked)}
        done[name] = output
    return done


def _register_asset(
    contexts: Contexts, job: Job, step: Step, output: Mapping[str, Any], asked: Mapping[str, Any]
) -> str:
    name, version = str(asked["asset"]), asked.get("version")
    if output["type"] in rules.MODEL_TYPES:
        return _register_model(contexts, job, step, name, output["reference"])
    author = BATCH if asked.get("service") == "batch" else owner(job, step)
    judged = contracts.look(contexts, author, job.workspace, name, output["reference"])
    with contexts.write(author, job.workspace) as ctx:
        asset = data.add_version(
            ctx, name, output["reference"], output["type"], version=version, job=job.id,
            description=str(asked.get("description") or ""), judged=judged,
        )  # fmt: skip
        catalog.link(ctx, step.id, "output", asset.id)
    return asset.id


def _register_model(contexts: Contexts, job: Job, step: Step, name: str, reference: str) -> str:
    """Through MLflow's registry, under the step's run, so that the version is traced to this step."""
    with contexts.read(owner(job, step), job.workspace) as ctx:
        identity.permit(ctx, Action.MODEL_WRITE)
    key = data.content_digest(contexts.port(storage.Blobs), reference)
    with tempfile.TemporaryDirectory(prefix="doubleloop-model-") as scratch:
        laid = data.materialise(contexts, reference, Path(scratch) / rules.file_name("model", reference), writable=True)
        number = contexts.port(tracking.Tracking).of(job.workspace).register(name, laid, step.run_id, key)
    with contexts.write(owner(job, step), job.workspace) as ctx:
        notes.note_registration(ctx, name, number)
    return models.record(contexts, name, number).id


def _copy_to_datastore(contexts: Contexts, job: Job, step: Step, reference: str, address: str) -> None:
    """Lay the files over what is there, file by file: other steps may write into the same folder."""
    with contexts.read(owner(job, step), job.workspace) as ctx:
        identity.permit(ctx, Action.DATA_WRITE)
        target = data_queries.datastore_path(ctx, address)
    blobs = contexts.port(storage.Blobs)
    sha256, _, below = reference.split(":")[2].partition("/")
    if reference.startswith("blob:") or below:
        place = target / rules.file_name("content", reference) if address.endswith("/") else target
        blobs.materialise(reference, place, writable=True)
        return
    for entry in blobs.tree(sha256).entries:
        blobs.materialise(f"blob:sha256:{entry.sha256}", target / entry.path, writable=True)


def _remove_code(contexts: Contexts, step: Step) -> None:
    """The copy of the code of a run that went well is not looked at again."""
    with contextlib.suppress(errors.NotFound):
        shutil.rmtree(contexts.port(compute.Compute).code(step.run, step.attempt), ignore_errors=True)
