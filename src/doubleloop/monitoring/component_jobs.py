"""Components that a run of a monitor needs: each is one ordinary job over data of a window.

The job runs in the name of who made the monitor: nobody starts work through a monitor that they could not start
themselves. Its id follows from the run and from what it is for, so a repetition finds it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from doubleloop.base import actors, clock, errors, ids
from doubleloop.components import queries as components
from doubleloop.data import commands as data
from doubleloop.db.context import Contexts
from doubleloop.jobs import commands as job_commands
from doubleloop.jobs import model as job_model
from doubleloop.jobs import queries as jobs
from doubleloop.monitoring import model, rules, windows
from doubleloop.specs import documents
from doubleloop.storage import ports as storage

LOOK_S = 60.0
EXPERIMENT = "monitoring"
_TABLE = "type: mltable\npaths:\n  - file: ./data.parquet\ntransformations:\n  - read_parquet\n"


def declared(task: windows.Task, component: str) -> dict[str, Any]:
    """The inputs that the component declares. Raises NotFound."""
    with task.contexts.read(windows.ACTOR, task.monitor.workspace) as ctx:
        found: dict[str, Any] = components.document(components.resolve(ctx, component)).spec().get("inputs", {})
    return found


def submit(
    task: windows.Task, component: str, inputs: Mapping[str, Any], *, step: str, id: str, notify: str, title: str,
    purpose: Mapping[str, str],
) -> str:  # fmt: skip
    """Starts the component as the only step of a job; its id. The same ``id`` again is the same job."""
    monitor = task.monitor
    document = documents.from_model("pipeline_job", {
        "type": "pipeline", "display_name": f"{monitor.name}: {title}", "experiment_name": EXPERIMENT,
        "jobs": {step: {"type": "command", "component": component, "inputs": dict(inputs)}},
    }, file=f"monitor {monitor.name}")  # fmt: skip
    with task.contexts.write(windows.ACTOR, monitor.workspace) as ctx:
        document = components.inlined(ctx, document)  # to watch with a component, nobody has to be able to read it
        ctx = ctx.acting_as(actors.named(monitor.created_by))
        job = job_commands.submit(
            ctx, document, id=id, notify=notify, force_rerun=True,
            purpose={"monitor": monitor.name, "run": task.run.id, **purpose},
        )  # fmt: skip
    return job.id


def id_of(task: windows.Task, use: str, *names: str) -> str:
    return ids.derived(f"{task.run.id[:60]}-{use}", task.run.id, *names)


def told(task: windows.Task, window: model.Window, signal: str) -> dict[str, Any]:
    """What Azure tells a component that asks for it."""
    return {
        "data_window_start": clock.iso(window.start), "data_window_end": clock.iso(window.end), "signal_name": signal,
        "monitor_name": task.monitor.name, "monitor_run_id": task.run.id, "workspace_name": task.monitor.workspace,
    }  # fmt: skip


def look(contexts: Contexts, begun: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """``{"topic", "wait"}`` of a job that has not ended, or nothing when all have."""
    with contexts.read(windows.ACTOR) as ctx:
        for each in begun:
            job = jobs.get(ctx, each["job"]) if "job" in each else None
            if job is not None and job.status not in job_model.ENDED:
                return {"topic": f"job:{job.id}", "wait": LOOK_S}
    return {}


def output(task: windows.Task, id_: str, step: str, names: Sequence[str]) -> str:
    """What the job left in the first of these outputs that the component has. Raises Unavailable, with what became
    of the job."""
    with task.contexts.read(windows.ACTOR, task.monitor.workspace) as ctx:
        job = jobs.get(ctx, id_)
        done = jobs.step(ctx, id_, step) if job is not None else None
    if job is None or done is None:
        raise errors.NotFound(f"job {id_} is gone")
    if job.status is not job_model.Status.COMPLETED:
        raise errors.Conflict(f"job {job.id} is {job.status}: {job.error or 'no reason given'}")
    held = [name for name in names if name in done.outputs]
    if not held:
        has = ", ".join(done.outputs) or "none"
        raise errors.InvalidInput(f"the component has no output {' or '.join(names)}; it has {has}")
    return str(done.outputs[held[0]]["reference"])


def given(task: windows.Task, each: Any, window: model.Window, kind: str) -> dict[str, Any]:
    """Data of a component's input: an asset that the file names, or the window of the endpoint's log as a table
    ``data.parquet``."""
    if each.input_data is not None and rules.is_asset(each):
        return {"type": kind, "path": each.input_data.path}
    rows = windows.log(task, window)
    part = {"model_inputs": windows.inputs, "model_outputs": windows.outputs}.get(each.data_context or "")
    content = io.BytesIO()
    (part(rows) if part else _both(rows)).write_parquet(content)
    blobs = task.contexts.port(storage.Blobs)
    if kind == "uri_file":
        return {"type": kind, "path": data.store_bytes(blobs, "data.parquet", content.getvalue())}
    held = {"data.parquet": content.getvalue(), **({"MLTable": _TABLE.encode()} if kind == "mltable" else {})}
    entries = tuple(storage.Entry(name, blobs.put_bytes(body), len(body)) for name, body in sorted(held.items()))
    return {"type": kind, "path": f"tree:sha256:{blobs.put_entries(entries).sha256}"}


def _both(rows: pl.DataFrame) -> pl.DataFrame:
    """Inputs and answers side by side, with what joins them to true values."""
    sides = windows.inputs(rows), windows.outputs(rows)
    taken = set(sides[0].columns)
    answers = sides[1].rename({name: f"output.{name}" for name in sides[1].columns if name in taken})
    return pl.concat([rows.select("request_id", "row", "time"), sides[0], answers], how="horizontal")
