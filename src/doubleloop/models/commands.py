"""Recording model versions from MLflow's registry, registering folders, naming champions."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from doubleloop.base import actors, errors, ids
from doubleloop.catalog import commands as catalog
from doubleloop.catalog import queries as assets
from doubleloop.db.context import Contexts, Ctx
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.models import model, queries, rules
from doubleloop.storage import ports as storage
from doubleloop.tracking import commands as notes
from doubleloop.tracking import ports as tracking
from doubleloop.tracking import queries as origins
from doubleloop.workspaces.model import REGISTRY

LOG = logging.getLogger("doubleloop.models")
SYNC = actors.service("tracking")
SETTLE_MS = 5_000


def record(contexts: Contexts, name: str, number: str) -> model.ModelVersion:
    """Keep a version that MLflow's registry holds: copy its files, read its signature, find who made it.

    Idempotent; the fact ``model.registered`` is written exactly once. Raises NotFound, Unavailable.
    """
    with contexts.read(SYNC, REGISTRY) as ctx:
        known = queries.numbered(ctx, name, number)
    if known:
        return known
    server = contexts.port(tracking.Tracking)
    registered = server.registered_version(name, number)
    if registered is None:
        raise errors.NotFound(f"MLflow's registry has no {name}:{number}")
    folder = server.files_of(name, number)
    reference, digest = _store(contexts.port(storage.Blobs), folder)
    mlmodel_file = folder / "MLmodel"
    mlmodel = rules.read_mlmodel(mlmodel_file.read_text(), "MLmodel") if mlmodel_file.exists() else {}
    with contexts.write(SYNC, REGISTRY) as ctx:
        return _record(ctx, registered, reference, digest, mlmodel)


def _store(blobs: storage.Blobs, place: Path) -> tuple[str, str]:
    """Keep model files; their reference, and the hash of their content.

    A scoring script finds a file, or a folder that is no MLflow model, under its own name in ``$AZUREML_MODEL_DIR``, so
    the reference carries the name.
    """
    if place.is_file():
        digest = blobs.put_file(place)
        entries: tuple[storage.Entry, ...] = (storage.Entry(place.name, digest, place.stat().st_size),)
    else:
        tree = blobs.put_tree(place)
        digest = tree.sha256
        if (place / "MLmodel").exists():
            return f"tree:sha256:{digest}", digest
        entries = tuple(replace(entry, path=f"{place.name}/{entry.path}") for entry in tree.entries)
    return f"tree:sha256:{blobs.put_entries(entries).sha256}/{place.name}", digest


def _record(
    ctx: Ctx, registered: tracking.Registered, reference: str, digest: str, mlmodel: dict[str, Any]
) -> model.ModelVersion:
    known = queries.numbered(ctx, registered.name, registered.number)
    if known:
        return known
    run = origins.origin_of_run(ctx, registered.run_id) if registered.run_id else None
    registrant = origins.registrant(ctx, registered.name, registered.number)
    # The token that registered says whose version it is; the run says so only when a crash lost that word. Else anybody
    # could put a version of their own under a job's name, by naming its run.
    origin = registrant or run
    # What the run's job has read has led to the version, whoever registered it.
    made_by = next((each for each in (registrant, run) if each and each.job), None)
    author = registrant.actor if registrant else run.actor if run else "unknown"
    authors = sorted({each.actor for each in (run, registrant) if each} or {"unknown"})
    step = f"step:{made_by.job}/{made_by.step}" if made_by else None
    spec = {
        "reference": reference,
        "flavor": "mlflow" if mlmodel else "custom",
        "run_id": registered.run_id,
        "step": origin.step if origin else None,
        "workspace": origin.workspace if origin else None,
        "signature": rules.signature(mlmodel),
        "authors": authors,
        "source": registered.source,
        "mlflow_version": mlmodel.get("mlflow_version"),
        "flavors": sorted(mlmodel.get("flavors", {})),
        "training_data": _training_data(ctx, step),
        "number": registered.number,
        "description": registered.description,
        "tags": dict(registered.tags),
        "properties": dict(registered.properties),
    }
    actor_ctx = ctx.acting_as(replace(ctx.actor, id=author))
    asset = catalog.add(
        actor_ctx, "model", registered.name, registered.version, digest, spec, job=origin.job if origin else None
    )
    if step:
        catalog.link(ctx, step, "registered", asset.id)
    if registered.run_id:
        catalog.link(ctx, f"run:{registered.run_id}", "registered", asset.id)
    events.record(
        actor_ctx, "model.registered", asset.id, name=registered.name, version=registered.version,
        run_id=registered.run_id, job=asset.job, created_by=author, authors=authors, digest=digest,
        signed=spec["signature"] is not None,
    )  # fmt: skip
    return queries.from_asset(asset)


def _training_data(ctx: Ctx, step: str | None) -> list[str]:
    if step is None:
        return []
    return sorted({edge.source for edge in assets.ancestry(ctx, step) if edge.source.startswith("data:")})


def sync(contexts: Contexts, *, ended_job: str | None = None) -> list[model.ModelVersion]:
    """Record every version that MLflow's registry has and we have not: what a crash, or a missed call, left over.

    Those of ``ended_job`` are recorded however new they are: nobody is about to note more of them.
    """
    server = contexts.port(tracking.Tracking)
    with contexts.read(SYNC, REGISTRY) as ctx:
        known = {(asset.name, asset.number) for asset in queries.all_versions(ctx)}
    # The proxy notes who registered a version right after MLflow answered; give it the time to.
    settled_ms = int(contexts.now().timestamp() * 1000) - SETTLE_MS
    made = []
    for registered in server.registered():
        if (registered.name, registered.number) in known or registered.status != "READY":
            continue
        if registered.created_ms > settled_ms and not (ended_job and _job_of(contexts, registered) == ended_job):
            continue
        try:
            made.append(record(contexts, registered.name, registered.number))
        except (errors.NotFound, errors.NotSupported, errors.InvalidInput) as error:
            LOG.warning("model %s:%s is left out: %s", registered.name, registered.version, error)
    return made


def _job_of(contexts: Contexts, registered: tracking.Registered) -> str | None:
    with contexts.read(SYNC, REGISTRY) as ctx:
        origin = origins.origin_of_run(ctx, registered.run_id) if registered.run_id else None
    return origin.job if origin else None


def create(
    contexts: Contexts,
    actor: actors.Actor,
    workspace: str,
    name: str,
    reference: str,
    about: tracking.About = tracking.NOTHING,
) -> model.ModelVersion:
    """Register uploaded files (``tree:`` or ``blob:`` reference) as a model version, in MLflow's registry too.

    Without a version, equal files under the same name are one version. A version may be called anything that is a
    name; MLflow knows it by that number, where it is one that MLflow can count with and that is free, else by the next.
    Raises InvalidInput, Conflict.
    """
    actor = replace(actor, about=f"model/{name}")
    if about.version is not None and not ids.is_name(about.version):
        raise errors.InvalidInput(
            f"'{about.version[:80]}' cannot be the version of a model",
            cure="Use letters, digits, '.', '_', '-', or leave it out.",
        )
    with contexts.read(actor, workspace) as ctx:
        identity.permit(ctx, Action.MODEL_WRITE)
        known = queries.find(ctx, name, about.version) if about.version else None
    blobs = contexts.port(storage.Blobs)
    own_name = PurePosixPath(reference.partition("/")[2]).name or "model"
    with tempfile.TemporaryDirectory(prefix="doubleloop-model-") as scratch:
        laid = blobs.materialise(reference, Path(scratch) / own_name, writable=True)
        _, digest = _store(blobs, laid)
        if known:
            return _same(known, digest)
        key = f"{digest}:{about.version}" if about.version else digest
        number = contexts.port(tracking.Tracking).of(workspace).register(name, laid, None, key, about)
    with contexts.write(actor, workspace) as ctx:
        notes.note_registration(ctx, name, number)
    return record(contexts, name, number)


def _same(known: model.ModelVersion, digest: str) -> model.ModelVersion:
    if known.digest != digest:
        raise errors.Conflict(
            f"model {known.name}:{known.version} exists with other content, and a version never changes",
            cure="Leave `version` out, or choose another.",
        )
    return known


def set_champion(ctx: Ctx, name: str, version: str) -> None:
    """Name the version that serves in the context's workspace; the next challenger is judged against it."""
    identity.permit(ctx, Action.MODEL_WRITE)
    assert ctx.workspace is not None
    registry = ctx.in_workspace(REGISTRY)
    asset = assets.get(ctx, "model", REGISTRY, name, version)
    if asset is None:
        raise errors.NotFound(f"There is no model {name}:{version}")
    catalog.label(registry, asset, rules.champion_label(ctx.workspace))


def follow_alias(contexts: Contexts, actor: actors.Actor, name: str, alias: str, number: str | None) -> None:
    """What MLflow's registry calls ``alias`` is a label here, too; ``number`` None: it was taken away. MLflow has
    permitted it. Raises InvalidInput for an alias that cannot be a label."""
    if not rules.is_free(alias):
        return
    version = record(contexts, name, str(number)) if number is not None else None
    with contexts.write(actor, REGISTRY) as ctx:
        for asset in assets.versions(ctx, "model", name):
            if version is not None and asset.version == version.version:
                catalog.label(ctx, asset, alias)
            elif version is None:
                catalog.unlabel(ctx, asset, alias)


def archive(ctx: Ctx, name: str, version: str, archived: bool = True) -> None:
    identity.permit(ctx, Action.MODEL_WRITE)
    asset = assets.get(ctx, "model", REGISTRY, name, version)
    if asset is None:
        raise errors.NotFound(f"There is no model {name}:{version}")
    catalog.archive(ctx.in_workspace(REGISTRY), asset, archived)
