"""Finding assets by reference, and walking lineage. Rooms that know the kind permit before they call."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from doubleloop.base import errors
from doubleloop.catalog import model, rules, store
from doubleloop.db.context import Ctx
from doubleloop.identity import things
from doubleloop.identity.actions import Action
from doubleloop.workspaces import queries as workspaces

# What looking at a kind needs; environments and components share theirs.
_LOOKING = {"data": Action.DATA_READ, "model": Action.MODEL_READ}


def places(ctx: Ctx) -> list[str]:
    """Where a name is looked up, in order: the context's workspace, then the registries."""
    registries = workspaces.registries(ctx)
    return ([ctx.workspace] if ctx.workspace and ctx.workspace not in registries else []) + registries


def resolve(ctx: Ctx, kind: str, reference: str) -> model.Asset:
    """The asset version behind ``name:version``, ``name@label`` or ``name`` (newest). Raises NotFound, with names
    that are near."""
    wanted = rules.parse(reference)
    searched = places(ctx)
    if wanted.registry:
        registries = workspaces.registries(ctx)
        if wanted.registry not in registries:
            raise errors.NotFound(
                f"No registry is named '{wanted.registry}'", cure=f"There are: {', '.join(registries) or 'none yet'}."
            )
        searched = [wanted.registry]
    for workspace in searched:
        found = _in_place(ctx, kind, workspace, wanted)
        if found:
            return found
    known = sorted({name for workspace in searched for name in _seen(ctx, kind, workspace)})
    there = [asset for workspace in searched for asset in store.versions(ctx, kind, workspace, wanted.name)]
    if there:
        have = ", ".join(sorted({a.version for a in there} | {f"@{mark}" for a in there for mark in a.labels}))
        cure = f"{wanted.name} has: {have}."
    else:
        near = difflib.get_close_matches(wanted.name, known, 3)
        cure = f"Did you mean {', '.join(near)}?" if near else f"Known: {', '.join(known[:20]) or 'none yet'}."
    raise errors.NotFound(f"There is no {kind} {reference} in {' or '.join(searched) or 'any workspace'}", cure=cure)


def _seen(ctx: Ctx, kind: str, workspace: str) -> list[str]:
    """Names in a workspace that the actor may see: what is near to a name that is not there may be another's."""
    try:
        sees = things.seen(ctx.in_workspace(workspace), _LOOKING.get(kind, Action.ENVIRONMENT_READ), kind)
    except errors.NotPermitted:
        return []
    return [asset.name for asset in store.newest(ctx, kind, [workspace]) if sees(asset.name)]


def _in_place(ctx: Ctx, kind: str, workspace: str, wanted: rules.Reference) -> model.Asset | None:
    if wanted.version is not None:
        return store.get(ctx, kind, workspace, wanted.name, wanted.version)
    if wanted.label not in (None, "latest"):
        version = store.labels(ctx, kind, workspace, wanted.name).get(wanted.label or "")
        return store.get(ctx, kind, workspace, wanted.name, version) if version else None
    return next((a for a in store.versions(ctx, kind, workspace, wanted.name) if not a.archived), None)


def get(ctx: Ctx, kind: str, workspace: str, name: str, version: str) -> model.Asset | None:
    return store.get(ctx, kind, workspace, name, version)


def versions(ctx: Ctx, kind: str, name: str) -> list[model.Asset]:
    return [asset for workspace in places(ctx) for asset in store.versions(ctx, kind, workspace, name)]


def names(ctx: Ctx, kind: str, archived: bool = False) -> list[model.Asset]:
    """The newest version of each name that can be seen from the context's workspace; archived ones when asked for."""
    return store.newest(ctx, kind, places(ctx), archived)


def of_content(ctx: Ctx, digest: str) -> list[model.Asset]:
    """The versions, in whatever workspace, that stand for content of this hash."""
    return store.of_digest(ctx, digest)


def upstream(ctx: Ctx, id_: str) -> list[model.Edge]:
    return store.edges(ctx, target=id_)


def downstream(ctx: Ctx, id_: str) -> list[model.Edge]:
    return store.edges(ctx, source=id_)


def ancestry(ctx: Ctx, id_: str, limit: int = 500) -> list[model.Edge]:
    """Every edge that leads to ``id_``, nearest first; stops at ``limit`` edges."""
    return _walk(id_, lambda each: [(edge, edge.source) for edge in store.edges(ctx, target=each)], limit)


def descent(ctx: Ctx, id_: str, limit: int = 500) -> list[model.Edge]:
    """Every edge that leads away from ``id_``, nearest first; stops at ``limit`` edges."""
    return _walk(id_, lambda each: [(edge, edge.target) for edge in store.edges(ctx, source=each)], limit)


def _walk(id_: str, next_: Callable[[str], list[tuple[model.Edge, str]]], limit: int) -> list[model.Edge]:
    found: list[model.Edge] = []
    seen, wave = {id_}, [id_]
    while wave and len(found) < limit:
        edges = [pair for each in wave for pair in next_(each)]
        found += [edge for edge, _ in edges]
        wave = list(dict.fromkeys(other for _, other in edges if other not in seen))
        seen.update(wave)
    return found[:limit]
