"""Registering environments, and making them be there."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from doubleloop.base import actors, canonical, errors
from doubleloop.catalog import commands as catalog
from doubleloop.catalog import model as assets
from doubleloop.db.context import Contexts, Ctx
from doubleloop.environments import builder, conda, curated, kits, locks, model, queries, rules, store
from doubleloop.environments.sources import EnvironmentSource, Prepared
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.settings.model import Settings
from doubleloop.storage import ports as storage
from doubleloop.workspaces import queries as workspaces

ACTOR = actors.service("jobs")


def _silent(_text: str) -> None:
    return None


def create(ctx: Ctx, name: str, version: str | None, spec: Mapping[str, Any]) -> assets.Asset:
    """Register an environment as its file says; the same content again is the same version.

    Raises InvalidInput for pins that cannot be read, Conflict for a version with other content.
    """
    identity.permit(ctx, Action.ENVIRONMENT_WRITE, resource=f"environment/{name}")
    queries.inline(ctx, spec)
    content = {key: spec.get(key) for key in ("image", "conda_file", "build") if spec.get(key)}
    return catalog.add(ctx, "environment", name, version, canonical.sha256(content), dict(spec))


def set_label(ctx: Ctx, reference: str, label: str) -> assets.Asset:
    """Point a label at a version. Raises NotFound, InvalidInput."""
    asset = queries.show(ctx, reference)
    identity.permit(ctx, Action.ENVIRONMENT_WRITE, asset.workspace)
    catalog.label(ctx.in_workspace(asset.workspace), asset, label)
    return queries.show(ctx, f"{asset.name}:{asset.version}")


def archive(ctx: Ctx, reference: str, archived: bool = True) -> assets.Asset:
    """Leave a version out of listings, or put it back; what uses it goes on. Raises NotFound."""
    asset = queries.show(ctx, reference)
    identity.permit(ctx, Action.ENVIRONMENT_WRITE, asset.workspace)
    catalog.archive(ctx.in_workspace(asset.workspace), asset, archived)
    return queries.show(ctx, f"{asset.name}:{asset.version}")


def permit_build(ctx: Ctx) -> None:
    """Raise unless the actor may have environments built in the context's workspace."""
    identity.permit(ctx, Action.ENVIRONMENT_WRITE)


def source_of_model(model_dir: Path) -> EnvironmentSource:
    """What an MLflow model says it needs: its ``conda.yaml``, else ``requirements.txt``. Raises InvalidInput."""
    conda_file, plain = model_dir / "conda.yaml", model_dir / "requirements.txt"
    if conda_file.exists():
        return EnvironmentSource(conda.parse(conda_file.read_text(), "conda.yaml", conda.beside(model_dir)))
    if plain.exists():
        return EnvironmentSource(conda.requirements(plain.read_text(), "requirements.txt", conda.beside(model_dir)))
    raise errors.InvalidInput(
        "The model does not say what it needs (no conda.yaml and no requirements.txt)",
        cure="Log it with MLflow, or name an `environment` in the deployment.",
    )


def prepare(
    contexts: Contexts, workspace: str, source: EnvironmentSource, progress: Callable[[str], None] = _silent
) -> Prepared:
    """Resolve the pins to a lock, build it if it is not there, keep the lock on record.

    Takes as long as a build does (never inside a transaction); equal pins find the built one. Raises InvalidInput,
    Unavailable, Failed with the line of the file that asked for what could not be had.
    """
    settings = contexts.port(Settings)
    with contexts.read(ACTOR, workspace) as ctx:
        place = workspaces.get(ctx, workspace)
    substitutes = rules.substitutions(place.settings.get("package_substitutions", ()))
    wanted = rules.prepare(source.spec, substitutes)
    for notice in wanted.notices:
        progress(f"note: {notice}")
    cache = Path(settings.uv_cache) if settings.uv_cache else None
    lock = locks.resolve(wanted, settings.home / "environments" / "locks", uv_cache=cache, progress=progress)
    built = builder.build(lock, settings.home, progress, uv_cache=cache)
    with contexts.write(ACTOR, workspace) as ctx:
        if store.put_lock(ctx, lock):
            events.record(
                ctx, "environment.built", f"environment:{lock.digest}", python=lock.python,
                packages=len(lock.requirements), seconds=round(built.seconds, 2), asset=source.asset,
            )  # fmt: skip
        if source.asset:
            catalog.link(ctx, source.asset, "locked", f"environment:{lock.digest}")
    return Prepared(lock, built.python, built.reused, built.seconds)


def prepare_lock(
    contexts: Contexts, workspace: str, digest: str, progress: Callable[[str], None] = _silent
) -> Prepared:
    """Build the very packages of a lock that is on record: what was tested is what runs. Raises as ``prepare``."""
    settings = contexts.port(Settings)
    with contexts.read(ACTOR, workspace) as ctx:
        lock = queries.lock(ctx, digest)
    cache = Path(settings.uv_cache) if settings.uv_cache else None
    built = builder.build(lock, settings.home, progress, uv_cache=cache)
    return Prepared(lock, built.python, built.reused, built.seconds)


def serving_kit(contexts: Contexts, prepared: Prepared, progress: Callable[[str], None] = _silent) -> None:
    """Have what speeds serving up beside the environment (``kits``), if it can be had: nothing is raised if not."""
    settings = contexts.port(Settings)
    cache = Path(settings.uv_cache) if settings.uv_cache else None
    kits.ensure(settings.home, prepared.lock.python, prepared.python, progress, cache)
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    if own != prepared.lock.python:  # the gateway answers by plans of trees itself
        kits.ensure(settings.home, own, Path(sys.executable), progress, cache)


def keep_lock(ctx: Ctx, lock: model.Lock, bundle: str) -> None:
    """Put a lock that came with a promotion bundle on record."""
    identity.permit(ctx, Action.MODEL_WRITE)
    if store.put_lock(ctx, lock):
        events.record(
            ctx, "environment.imported", f"environment:{lock.digest}", python=lock.python,
            packages=len(lock.requirements), bundle=bundle,
        )  # fmt: skip


def remember(contexts: Contexts, reference: str, lock: model.Lock) -> None:
    """Answer what a model's own files ask for with the lock that it was tested with. Nothing happens for a model that
    does not say what it needs."""
    with tempfile.TemporaryDirectory(prefix="doubleloop-model-") as scratch:
        laid = contexts.port(storage.Blobs).materialise(reference, Path(scratch) / "model")
        try:
            wanted = rules.prepare(source_of_model(laid).spec, ())
        except errors.DoubleloopError:
            return
        locks.remember(wanted, contexts.port(Settings).home / "environments" / "locks", lock)


def curated_names() -> tuple[str, ...]:
    return curated.names()
