"""A project that people work on in Label Studio: its items go there once, what is said of them comes back as labels.

The server is asked again and again (``every``, or when it calls): a look that repeats another changes nothing, and one
that was missed is made up for by the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from doubleloop.base import actors, clock, errors, masking
from doubleloop.db.context import Contexts, Ctx
from doubleloop.durable import commands as durable
from doubleloop.durable import ports as flows
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.labeling import commands, importing, labelstudio, links, model, rules, store, tasks
from doubleloop.specs.kinds.labeling import Labeling
from doubleloop.storage import ports as storage
from doubleloop.vault import commands as vault
from doubleloop.workspaces import queries as workspaces

ACTOR = actors.service("automation")
# Whoever labels there is an annotator of this name here, which no user can have by chance.
PREFIX = "labelstudio-"
ATTEMPTS = 5
PAUSE_SECONDS = 5.0
MOST_REFUSED = 20


def fire_due(ctx: Ctx) -> list[str]:
    """Start a look at each server whose time has come."""
    started = []
    for link in links.due(ctx, ctx.now):
        project = store.project(ctx, link.workspace, link.project)
        tool = commands.spec_of(project).label_studio if project is not None else None
        if project is None or tool is None or project.status is model.Status.CLOSED:
            links.note(ctx, link, next_at=None)
            continue
        assert link.next_at is not None
        id_ = f"sync-{project.id}-{clock.iso(link.next_at)}"
        place = ctx.in_workspace(link.workspace)
        durable.start(place, "labeling.sync", id_, {"workspace": link.workspace, "project": link.project})
        links.note(ctx, link, next_at=ctx.now + clock.duration(tool.every))
        started.append(id_)
    return started


def due(ctx: Ctx) -> bool:
    return bool(links.due(ctx, ctx.now))


def next_at(ctx: Ctx) -> datetime | None:
    return links.next_at(ctx)


def ask(ctx: Ctx, name: str) -> links.Link:
    """Look at the server as soon as possible. Raises NotFound for a project that is not worked on elsewhere."""
    identity.permit(ctx, Action.LABELING_LABEL, resource=f"labeling/{name}")
    project = commands.find(ctx, name)
    commands.refuse_closed(project)
    link = links.get(ctx, project.workspace, name)
    if link is None:
        raise errors.NotFound(f"{name} is not worked on elsewhere", cure="Its file has no `label_studio`.")
    links.note(ctx, link, next_at=ctx.now)
    return link


def find(ctx: Ctx, project: model.Project) -> links.Link | None:
    return links.get(ctx, project.workspace, project.name)


async def sync(flow: flows.Flow, argument: dict[str, Any]) -> Any:
    result: dict[str, Any] = {}
    for attempt in range(1, ATTEMPTS + 1):
        result = await flow.step(f"look {attempt}", look, flow.contexts, argument["workspace"], argument["project"])
        if not result.get("again"):
            break
        await flow.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
    return result


WORKFLOWS: dict[str, flows.Body] = {"labeling.sync": sync}


def look(contexts: Contexts, workspace: str, name: str) -> dict[str, Any]:
    """``{"labels": new ones, "refused": n}``, or ``{"error": why, "again": whether trying again may help}``."""
    with contexts.read(ACTOR, workspace) as ctx:
        project = store.project(ctx, workspace, name)
        link = links.get(ctx, workspace, name)
        allowed = workspaces.reach(ctx)
    if project is None or link is None or project.status is model.Status.CLOSED:
        return {"labels": 0}
    spec, values = commands.spec_of(project), list[str]()
    try:
        assert spec.label_studio is not None
        texts = {"token": spec.label_studio.token, "call": spec.label_studio.webhook_token or ""}
        filled, values = vault.fill(contexts, ACTOR, project.created_by, workspace, texts, project.id)
        server = labelstudio.Server(spec.label_studio.url, filled["token"], allowed)
        link = _push(contexts, project, spec, link, server, filled["call"])
        assert link.remote is not None
        found, people = server.annotated(link.remote), server.people()
        with contexts.write(ACTOR, workspace) as ctx:
            return _apply(ctx, project, spec, link, found, people)
    except errors.DoubleloopError as error:
        told = _masked(str(error), values)
        _fail(contexts, link, told)
        return {"error": told, "again": isinstance(error, errors.Unavailable)}


def _masked(text: str, values: list[str]) -> str:
    masker = masking.Masker(values)
    return (masker.feed(text.encode()) + masker.end()).decode(errors="replace")


def _push(
    contexts: Contexts, project: model.Project, spec: Labeling, link: links.Link, server: labelstudio.Server, call: str
) -> links.Link:
    """The project and its tasks are there: what an earlier try has brought there is left as it is."""
    if link.remote is not None:
        return link
    remote = server.project(project.name, f"[doubleloop {project.id}]", spec)
    with contexts.read(ACTOR, project.workspace) as ctx:
        items = store.items(ctx, project)
    there, blobs = server.items(remote), contexts.port(storage.Blobs)
    missing = [each for each in items if each.number not in there]
    for part in (missing[at : at + labelstudio.BATCH] for at in range(0, len(missing), labelstudio.BATCH)):
        contents = [blobs.read(each.content) if each.kind == "image" else None for each in part]
        server.add(
            remote, [labelstudio.task(spec, item, content) for item, content in zip(part, contents, strict=True)]
        )
    tool = spec.label_studio
    if tool is not None and tool.webhook_url and call:
        place = f"api/v1/workspaces/{project.workspace}/labeling-projects/{project.name}/sync"
        server.call_back(remote, f"{tool.webhook_url.rstrip('/')}/{place}", call)
    with contexts.write(ACTOR, project.workspace) as ctx:
        links.note(ctx, link, remote=remote)
        events.record(ctx, "labeling.pushed", project.id, items=len(items), tool="label_studio", remote=remote)
        kept = links.get(ctx, link.workspace, link.project)
    assert kept is not None
    return kept


@dataclass(frozen=True)
class _There:
    """What somebody says of an item now. ``value`` None: it was skipped."""

    said: model.Said
    value: Any


def _apply(
    ctx: Ctx, project: model.Project, spec: Labeling, link: links.Link, found: Sequence[Mapping[str, Any]],
    people: Mapping[int, str],
) -> dict[str, Any]:  # fmt: skip
    store.lock(ctx, project)
    items = {each.number: each for each in store.items(ctx, project)}
    there, refused = _there(ctx, spec, items, found, people)
    answers, fresh = store.answers(ctx, project), 0
    for number, item in items.items():
        if item.state is model.State.REVIEWED:
            continue
        known = rules.standing(answers.get(number, []))
        now = there.get(number, {})
        for user, each in now.items():
            before = known.get(user)
            if before is None or (before.said, before.value) != (each.said, each.value):
                _say(ctx, project, item, user, each.said, each.value)
                fresh += 1
        for user in {each for each in known if each.startswith(PREFIX)} - set(now):
            _say(ctx, project, item, user, model.Said.UNDO, None)
            fresh += 1
    if fresh:
        for number, said in store.answers(ctx, project).items():
            if items[number].gold is None:
                store.set_state(ctx, project, number, rules.state(spec, said))
        commands.settle(ctx, project, spec)
        events.record(ctx, "labeling.synced", project.id, labels=fresh, refused=len(refused), tool="label_studio")
    links.note(ctx, link, last_at=ctx.now, problem="", refused=refused[:MOST_REFUSED])
    return {"labels": fresh, "refused": len(refused)}


def _say(ctx: Ctx, project: model.Project, item: model.Item, user: str, said: model.Said, value: Any) -> None:
    store.say(ctx, project, item.number, said, value, user)
    store.hold(ctx, project, item.number, user, ctx.now, done=said is not model.Said.UNDO)


def _there(
    ctx: Ctx, spec: Labeling, items: Mapping[int, model.Item], found: Iterable[Mapping[str, Any]],
    people: Mapping[int, str],
) -> tuple[dict[int, dict[str, _There]], list[str]]:  # fmt: skip
    """By item and annotator, the newest that each said; and what was said that is no label of the project."""
    kept: dict[int, dict[str, _There]] = {}
    refused = []
    for task in found:
        number = int(task.get("data", {}).get(tasks.ITEM) or 0)
        where = errors.Where("Label Studio", 0, f"task {task.get('id')}")
        for each in sorted(task.get("annotations", ()), key=lambda each: str(each.get("updated_at") or "")):
            user = annotator(each.get("completed_by"), people)
            try:
                if number not in items:
                    raise errors.InvalidInput(f"The project has no item {number}", where=where)
                said = _said(ctx, spec, items[number], each, where)
            except errors.InvalidInput as error:
                refused.append(f"{user}: {error}")
                continue
            kept.setdefault(number, {})[user] = said
    return kept, refused


def _said(ctx: Ctx, spec: Labeling, item: model.Item, each: Mapping[str, Any], where: errors.Where) -> _There:
    if each.get("was_cancelled"):
        return _There(model.Said.SKIP, None)
    incoming = tasks.annotation(spec, each, where, "item", str(item.number))
    return _There(model.Said.LABEL, importing.value(ctx.port(storage.Blobs), spec, item, incoming))


def annotator(by: Any, people: Mapping[int, str]) -> str:
    """Who said it, as a name here: by the address there, or its number."""
    number = by.get("id") if isinstance(by, dict) else by
    address = (by.get("email") if isinstance(by, dict) else None) or people.get(int(number or 0)) or str(number)
    return PREFIX + (re.sub(r"[^A-Za-z0-9._-]+", ".", address.replace("@", "-at-")).strip(".") or "unknown")


def _fail(contexts: Contexts, link: links.Link, problem: str) -> None:
    """A failure is a fact when it begins, not each time that it is still there."""
    with contexts.write(ACTOR, link.workspace) as ctx:
        before = links.get(ctx, link.workspace, link.project)
        if before is None:
            return
        links.note(ctx, link, last_at=ctx.now, problem=problem)
        if before.problem != problem:
            events.record(
                ctx, "labeling.not_synced", f"labeling:{link.workspace}/{link.project}", error=problem,
                tool="label_studio", tell=["data_scientist"],
            )  # fmt: skip
