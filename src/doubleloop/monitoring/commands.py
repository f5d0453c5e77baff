"""Putting monitors in place, running them, and making data of what production saw."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from doubleloop.base import actors, clock, errors, ids
from doubleloop.catalog import model as catalog
from doubleloop.data import commands as data
from doubleloop.data import contracts
from doubleloop.data import queries as datasets
from doubleloop.db.context import Contexts, Ctx
from doubleloop.durable import commands as durable
from doubleloop.endpoints import queries as endpoints
from doubleloop.events import commands as events
from doubleloop.frames import reading as frames
from doubleloop.identity import commands as identity
from doubleloop.identity import things
from doubleloop.identity.actions import Action
from doubleloop.monitoring import alerts, model, rules, store
from doubleloop.specs import documents, triggers
from doubleloop.specs import model as specs
from doubleloop.specs.kinds import infrastructure as specs_of_own
from doubleloop.specs.kinds import monitors
from doubleloop.storage import ports as storage


def put(ctx: Ctx, document: documents.Document) -> model.Monitor:
    """Create or replace a monitor from its schedule file. Raises InvalidInput when it watches no endpoint."""
    identity.permit(ctx, Action.MONITOR_WRITE, resource=f"monitor/{document.model.name}")
    assert ctx.workspace is not None
    spec = document.model
    if spec.create_monitor is None:
        raise errors.InvalidInput("The schedule has no create_monitor", where=document.source.where("create_monitor"))
    target = spec.create_monitor.monitoring_target
    named = target.endpoint_deployment_id if target is not None else None
    if not named and _needs_endpoint(spec.create_monitor):
        raise errors.InvalidInput(
            "The monitor names no endpoint", where=document.source.where("create_monitor.monitoring_target"),
            cure="Add monitoring_target: {endpoint_deployment_id: azureml:ENDPOINT:DEPLOYMENT}.",
        )  # fmt: skip
    endpoint, _, deployment = (named or "").removeprefix("azureml:").partition(":")
    before = store.monitor(ctx, ctx.workspace, spec.name)
    made = model.Monitor(
        ctx.workspace, spec.name, document.to_wire(), endpoint, deployment, True,
        triggers.first_fire(spec.trigger, ctx.now, document.source.where("trigger")),
        before.last_at if before else None, ctx.actor.id,
        before.created_at if before else ctx.now,
    )  # fmt: skip
    if before and (before.document, before.enabled) == (made.document, made.enabled):
        return before
    store.put_monitor(ctx, made)
    if before is not None and (before.endpoint, before.deployment) == (endpoint, deployment):
        alerts.let_go(ctx, made, _signals(spec.create_monitor), "its monitor looks at it no more")
    else:
        alerts.let_go(ctx, made, (), "its monitor looks at something else")
    told = {"before": _said(before), "after": _said(made)}
    events.record(ctx, "monitor.changed" if before else "monitor.created", made.id, endpoint=endpoint, **told)
    return made


def _signals(monitor: Any) -> Collection[str]:
    return list(monitor.monitoring_signals or monitors.DEFAULT_SIGNALS)


def _needs_endpoint(monitor: Any) -> bool:
    """Whether any signal is about what an endpoint answers; the default ones are."""
    signals = list((monitor.monitoring_signals or {}).values())
    return not signals or any(not _of_assets(each) and _of_endpoint(each.type) for each in signals)


def _of_endpoint(kind: str) -> bool:
    return kind not in specs_of_own.TYPES or kind in specs_of_own.OF_ENDPOINT


def _of_assets(signal: Any) -> bool:
    """Whether all that the signal looks at are data assets, as of a model that answers elsewhere."""
    parts = list((getattr(signal, "input_data", None) or {}).values())
    for field in ("production_data", "reference_data"):
        if hasattr(signal, field):
            held = getattr(signal, field)
            parts += held if isinstance(held, list) else [held]
    return bool(parts) and all(rules.names_asset(each) for each in parts)


def _said(kept: model.Monitor | None) -> Any:
    """What a file said, as facts tell it."""
    return None if kept is None else specs.plain(documents.from_wire(kept.document).model)


def delete(ctx: Ctx, name: str) -> None:
    """The monitor goes; what it found stays. Raises NotFound."""
    identity.permit(ctx, Action.MONITOR_WRITE)
    found = get(ctx, name)
    alerts.let_go(ctx, found, (), "its monitor was deleted")
    store.delete_monitor(ctx, found.workspace, name)
    store.delete_sample(ctx, found.workspace, name)
    events.record(ctx, "monitor.deleted", found.id, before=_said(found))


def enable(ctx: Ctx, name: str, enabled: bool) -> model.Monitor:
    identity.permit(ctx, Action.MONITOR_WRITE)
    found = get(ctx, name)
    if found.enabled != enabled:
        spec = documents.from_wire(found.document).model
        next_at = triggers.next_fire(spec.trigger, ctx.now) if enabled else None
        store.update_monitor(ctx, found.workspace, name, enabled=enabled, next_at=next_at)
        events.record(ctx, f"monitor.{'enabled' if enabled else 'disabled'}", found.id)
    return get(ctx, name)


def get(ctx: Ctx, name: str) -> model.Monitor:
    assert ctx.workspace is not None
    found = store.monitor(ctx, ctx.workspace, name)
    if found is None:
        names = [each.name for each in store.monitors(ctx, ctx.workspace)]
        cure = things.known(ctx, Action.MONITOR_READ, "monitor", names)
        raise errors.NotFound(f"No monitor is named '{name}' in {ctx.workspace}", cure=cure)
    return found


def run_now(ctx: Ctx, name: str, as_of: datetime | None = None, id_: str | None = None) -> model.MonitorRun:
    """Start a run that looks back from ``as_of`` (default: now). The same ``id_`` again is the same run."""
    identity.permit(ctx, Action.MONITOR_RUN)
    monitor = get(ctx, name)
    id_ = id_ or ids.new_id("monitor")
    known = store.run(ctx, id_)
    if known and (known.workspace, known.monitor) != (monitor.workspace, name):
        raise errors.Conflict(f"There is a run {id_} of another monitor already", cure="Use another id.")
    if known:
        return known
    moment = as_of or ctx.now
    spec = documents.from_wire(monitor.document).model
    window = rules.production_window(None, spec.trigger, moment)
    run = model.MonitorRun(
        id_, monitor.workspace, name, model.RunStatus.RUNNING, moment, window.start, window.end, [], "", ctx.now, None,
        ctx.actor.id,
    )  # fmt: skip
    store.insert_run(ctx, run)
    events.record(ctx, "monitor.requested", monitor.id, run=id_, as_of=clock.iso(moment))
    durable.start(ctx, "monitoring.run", f"monitor-run-{id_}", {"run": id_})
    return run


def fire_due(ctx: Ctx) -> list[model.MonitorRun]:
    """Start every monitor whose time has come; its next time is set in the same transaction.

    What was missed while the system was down is one run, not many, and it looks back from the last time that was
    missed: what production does now is what people want to know.
    """
    started = []
    for monitor in store.due(ctx, ctx.now):
        assert monitor.next_at is not None
        place = ctx.in_workspace(monitor.workspace)
        spec = documents.from_wire(monitor.document).model
        fired = triggers.last_fire(spec.trigger, monitor.next_at, ctx.now)
        id_ = ids.derived(f"{monitor.name[:40]}-{fired:%Y%m%dT%H%M%S}", monitor.id)
        try:
            with ctx.tx.begin_nested():
                started.append(run_now(place, monitor.name, fired, id_))
        except errors.DoubleloopError as error:  # one that cannot start must not keep the others from starting
            events.record(place, "monitor.failed", monitor.id, run="", error=str(error), signals={})
        store.update_monitor(
            ctx, monitor.workspace, monitor.name, last_at=fired, next_at=triggers.next_fire(spec.trigger, ctx.now)
        )
    return started


@dataclass(frozen=True)
class Collected:
    """``rows`` labelled rows were added to what the version before held."""

    asset: catalog.Asset
    rows: int


def collect(
    contexts: Contexts,
    actor: actors.Actor,
    workspace: str,
    endpoint: str,
    reference: str,
    *,
    target: str | None,
    since: datetime,
    until: datetime,
    label: str | None = None,
) -> Collected:
    """A new version of a data asset: its rows and, behind them, what ``endpoint`` was asked with the true values.

    Only rows whose true value has come are taken. Equal rows are kept once, so that collecting twice is harmless.
    Raises InvalidInput when a column of the asset was neither asked nor is the target, or when nothing is labelled.
    """
    with contexts.read(actor, workspace) as ctx:
        before = datasets.resolve(ctx, reference)
    labelled = labelled_rows(contexts, workspace, endpoint, since, until)
    if labelled.is_empty():
        raise errors.InvalidInput(
            f"Endpoint {endpoint} has no labelled rows between {since:%Y-%m-%d} and {until:%Y-%m-%d}",
            cure="Send true values to the endpoint's /labels address.",
        )
    blobs = contexts.port(storage.Blobs)
    name = PurePosixPath(before.reference.partition("/")[2] or "data.parquet").name
    with tempfile.TemporaryDirectory(prefix="doubleloop-collect-") as scratch:
        old = frames.read(blobs.materialise(before.reference, Path(scratch) / name))
    new = _in_shape(labelled, old, target, reference)
    both = pl.concat([old, new], how="vertical_relaxed").unique(maintain_order=True)
    suffix = PurePosixPath(name).suffix.lower()
    content = frames.to_csv(both) if suffix == ".csv" else frames.to_parquet(both)
    kept = data.store_bytes(blobs, name if suffix in (".csv", ".parquet") else "data.parquet", content)
    judged = contracts.look(contexts, actor, before.asset.workspace, before.asset.name, kept)
    with contexts.write(actor, before.asset.workspace) as ctx:
        asset = data.add_version(
            ctx, before.asset.name, kept, "uri_file",
            description=f"version {before.asset.version} and what {workspace}/{endpoint} saw until {until:%Y-%m-%d}",
            sources=(before.id, f"endpoint:{workspace}/{endpoint}"), label=label, rows=both.height, judged=judged,
        )  # fmt: skip
    return Collected(asset, both.height - old.height)


def labelled_rows(
    contexts: Contexts, workspace: str, endpoint: str, since: datetime, until: datetime, deployment: str = ""
) -> pl.DataFrame:
    """Answered rows of the window joined with their true values (column ``label``), whenever those came."""
    rows = endpoints.inferences(contexts, workspace, endpoint, since=since, until=until)
    rows = rows.filter(pl.col("status") == 200)
    if deployment:
        names = [name for name in rows["deployment"].unique().to_list() if rules.watches(deployment, name)]
        rows = rows.filter(pl.col("deployment").is_in(names))
    labels = endpoints.labels(contexts, workspace, endpoint).select("request_id", "row", pl.col("value").alias("label"))
    return rows.join(labels, on=["request_id", "row"], how="inner")


def _in_shape(labelled: pl.DataFrame, old: pl.DataFrame, target: str | None, reference: str) -> pl.DataFrame:
    """The labelled rows with the asset's columns in its order and types."""
    chosen = []
    for name, kind in old.schema.items():
        if name == target:
            chosen.append(pl.col("label").cast(kind, strict=False).alias(name))
        elif f"in.{name}" in labelled.columns:
            chosen.append(_cast(labelled, f"in.{name}", kind).alias(name))
        else:
            raise errors.InvalidInput(
                f"Column '{name}' of {reference} is not among the endpoint's inputs, so that new rows cannot have it",
                cure="Give the model that input, name the target column, or prepare the asset without the column.",
            )
    return labelled.select(chosen)


def _cast(frame: pl.DataFrame, name: str, kind: pl.DataType) -> pl.Expr:
    if frame.schema[name] == pl.String and kind in (pl.Datetime, pl.Date):
        return pl.col(name).str.to_datetime(strict=False).cast(kind, strict=False)
    if isinstance(kind, pl.Datetime) and isinstance(frame.schema[name], pl.Datetime) and kind.time_zone is None:
        return pl.col(name).dt.replace_time_zone(None).cast(kind)
    return pl.col(name).cast(kind, strict=False)
