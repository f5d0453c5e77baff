"""Looking at definitions, releases, and what waits for a decision."""

from __future__ import annotations

from dataclasses import dataclass, replace

from doubleloop.base import errors, ids, paging
from doubleloop.db.context import Ctx
from doubleloop.gates import model as gate_model
from doubleloop.gates import queries as gates
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.jobs import queries as jobs
from doubleloop.releases import model, rules, store
from doubleloop.workspaces import queries as workspaces


@dataclass(frozen=True)
class Waiting:
    """A release that waits for people: what is asked, and the evidence that a decision will be pinned to."""

    release: model.Release
    approval: gate_model.Approval
    evidence: tuple[gate_model.Evidence, ...]


def find_definition(ctx: Ctx, name: str, version: int | None = None) -> model.Definition:
    """Raises NotFound, with the names that the actor may read."""
    found = store.definition(ctx, name, version)
    if found is None:
        names = ", ".join(each.name for each in definitions(ctx)) or "none yet"
        what = f"version {version} of the release definition '{name}'" if version else f"release definition '{name}'"
        raise errors.NotFound(f"There is no {what}", cure=f"There are: {names}.")
    return found


def first_workspaces(ctx: Ctx, name: str) -> tuple[str, ...]:
    """Where a release of this definition begins; nothing when there is no such definition."""
    found = store.definition(ctx, name, None)
    return found.workspaces[:1] if found else ()


def definition(ctx: Ctx, name: str, version: int | None = None) -> model.Definition:
    found = find_definition(ctx, name, version)
    identity.permit(ctx, Action.RELEASE_READ, found.workspaces[0], rules.thing(name))
    return found


def definitions(ctx: Ctx) -> tuple[model.Definition, ...]:
    """The newest version of each definition that the actor may read."""
    return tuple(each for each in store.definitions(ctx) if _may_read(ctx, each.workspaces[0], rules.thing(each.name)))


def _may_read(ctx: Ctx, workspace: str, thing: str) -> bool:
    """A release goes on being what it was when a workspace on its way is gone: nobody reads it from there."""
    there = workspace in workspaces.names(ctx)
    return there and identity.decide(ctx, Action.RELEASE_READ, workspace, thing).allowed


def definition_versions(ctx: Ctx, name: str) -> tuple[model.Definition, ...]:
    """Newest first. Raises NotFound."""
    definition(ctx, name)
    return tuple(store.definition_versions(ctx, name))


def find(ctx: Ctx, id_: str, *, lock: bool = False) -> model.Release:
    """A release by id or number. Raises NotFound."""
    found = store.get(ctx, id_, lock=lock)
    if found is None and id_.isdigit():
        found = store.by_number(ctx, int(id_))
    if found is None:
        raise errors.NotFound(f"There is no release {id_}", cure="`doubleloop release list` shows those there are.")
    return found


def seen_from(ctx: Ctx, release: model.Release) -> str | None:
    """A workspace on the release's way whose deliveries the actor may read.

    A release is one thing on its whole way: who develops it in a preproduction workspace reads how it goes on.
    """
    places = dict.fromkeys([release.workspace, *(stage.workspace for stage in release.stages)])
    thing = rules.thing(release.definition)
    return next((place for place in places if _may_read(ctx, place, thing)), None)


def _held(ctx: Ctx, release: model.Release) -> Ctx:
    """Where what was deposited about the release may be looked at, by who may look at the release."""
    asking = replace(ctx.actor, about=rules.thing(release.definition))
    return ctx.acting_as(asking).in_workspace(seen_from(ctx, release))


def get(ctx: Ctx, id_: str) -> model.Release:
    found = find(ctx, id_)
    if seen_from(ctx, found) is None:
        identity.permit(ctx, Action.RELEASE_READ, found.workspace, rules.thing(found.definition))
    return found


def list(
    ctx: Ctx,
    *,
    definition: str | None = None,
    model_name: str | None = None,
    statuses: tuple[str, ...] = (),
    cursor: str | None = None,
    limit: int = paging.DEFAULT_LIMIT,
) -> paging.Page[model.Release]:
    """Releases that the actor may read, newest first. Raises InvalidInput for a status or cursor that is none."""
    if cursor is not None and not cursor.isdigit():
        raise errors.InvalidInput(f"'{cursor}' is not a cursor", cure="Use the one that came with the page before.")
    try:
        wanted = tuple(model.Status(status) for status in statuses)
    except ValueError as error:
        raise errors.InvalidInput(str(error), cure=f"One of {', '.join(model.Status)}.") from None
    limit = min(max(limit, 1), paging.MAX_LIMIT)

    def page(cursor: str | None, limit: int) -> paging.Page[model.Release]:
        found = store.select(
            ctx, definition_=definition, model_=model_name, statuses=wanted, before=int(cursor) if cursor else None,
            limit=limit + 1,
        )  # fmt: skip
        return paging.Page(found[:limit], str(found[limit - 1].number) if len(found) > limit else None)

    return paging.filled(page, lambda release: seen_from(ctx, release) is not None, cursor, limit)


def evidence(ctx: Ctx, id_: str, position: int | None = None) -> tuple[gate_model.Evidence, ...]:
    """What was deposited about a release, up to a stage if one is named."""
    release = get(ctx, id_)
    held = gates.evidence(_held(ctx, release), release.subject)
    return tuple(held if position is None else rules.of_stages(held, position))


def approvals(ctx: Ctx, id_: str) -> tuple[gate_model.Approval, ...]:
    """Everything that people were asked about a release, and what they said."""
    release = get(ctx, id_)
    return tuple(gates.approvals(_held(ctx, release), release.subject))


def waiting(ctx: Ctx) -> tuple[Waiting, ...]:
    """Releases that wait for a decision, oldest question first."""
    found = []
    for release in store.select(ctx, statuses=(model.Status.WAITING,), limit=paging.MAX_LIMIT):
        place = seen_from(ctx, release)
        if place is None:
            continue
        here = _held(ctx, release)
        held = tuple(rules.of_stages(gates.evidence(here, release.subject), release.position))
        asked = (
            each for each in gates.approvals(here, release.subject) if each.status is gate_model.ApprovalStatus.OPEN
        )
        found += [Waiting(release, approval, held) for approval in asked]
    return tuple(sorted(found, key=lambda each: each.approval.opened_at))


def id_for(ctx: Ctx, definition: str, model_: str, version: str) -> str:
    """The id of the release that a registered version starts: the three names, marked when that would be too long or
    already means a release of something else (names may hold dashes)."""
    plain = f"{definition}-{model_}-{version}"
    known = store.get(ctx, plain)
    is_same = known is None or (known.definition, known.model, known.version) == (definition, model_, version)
    return plain if is_same and len(plain) <= model.MAX_ID else ids.derived(plain, definition, model_, version)


def starts_on(ctx: Ctx, name: str, job: str | None) -> tuple[str, ...]:
    """The definitions that a new version of model ``name`` starts. A version that a release's own retraining has
    registered starts none: it is that release's candidate already."""
    if job is not None:
        known = jobs.get(ctx, job)
        if known is not None and known.purpose.get("release"):
            return ()
    return tuple(each.name for each in store.definitions(ctx) if each.model == name and each.trigger == "on_register")
