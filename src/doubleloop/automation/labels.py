"""What people labelled becomes a data version as soon as nothing waits, where the project's file says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from doubleloop.automation import commands
from doubleloop.base import actors, errors
from doubleloop.db.context import Contexts, Ctx
from doubleloop.durable import commands as durable
from doubleloop.durable import ports as flows
from doubleloop.events import commands as events
from doubleloop.events.model import Fact
from doubleloop.labeling import commands as labeling
from doubleloop.labeling import model
from doubleloop.labeling import queries as projects

ACTOR = actors.service("automation")
ATTEMPTS = 5
PAUSE_SECONDS = 10.0


def spread(ctx: Ctx, fact: Fact) -> None:
    """Start the export of a project all of whose items are labelled and reviewed, once per fact."""
    found = _project(ctx, fact)
    if found is not None and labeling.spec_of(found).export is not None:
        argument = {"workspace": found.workspace, "project": found.name, "fact": fact.seq}
        durable.start(ctx, "automation.export_labels", f"export-{found.id}-{fact.seq}", argument)


def _project(ctx: Ctx, fact: Fact) -> model.Project | None:
    if fact.workspace is None:
        return None
    try:
        return projects.get(ctx.in_workspace(fact.workspace), fact.subject.rpartition("/")[2])
    except errors.NotFound:
        return None


async def export_labels(flow: flows.Flow, argument: dict[str, Any]) -> Any:
    result: dict[str, Any] = {}
    for attempt in range(1, ATTEMPTS + 1):
        result = await flow.step(f"export {attempt}", _export, flow.contexts, argument)
        if not result.get("again"):
            break
        await flow.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
    if "error" in result:
        await flow.step("record", _record, flow.contexts, argument, result["error"])
    return result


WORKFLOWS: dict[str, flows.Body] = {"automation.export_labels": export_labels}


def _export(contexts: Contexts, argument: dict[str, Any]) -> dict[str, Any]:
    """``{"data"}``, ``{"left": why}`` or ``{"error": why, "again": whether trying again may help}``."""
    workspace, name = argument["workspace"], argument["project"]
    try:
        with contexts.read(ACTOR, workspace) as ctx:
            project = projects.get(ctx, name)
        if project.status is not model.Status.REVIEWED:
            return {"left": f"{name} is {project.status}"}
        author = commands.author(project.opened_by.get("author") or project.created_by)
        acting = replace(author, origin=actors.Origin("rule", "", cause=argument["fact"]))
        form = labeling.spec_of(project).export
        return {"data": labeling.export(contexts, acting, workspace, name, str(form)).id}
    except errors.Unavailable as error:
        return {"error": str(error), "again": True}
    except errors.DoubleloopError as error:
        return {"error": str(error)}


def _record(contexts: Contexts, argument: dict[str, Any], problem: str) -> None:
    with contexts.write(ACTOR, argument["workspace"]) as ctx:
        events.record(
            ctx, "labeling.not_exported", f"labeling:{argument['workspace']}/{argument['project']}", error=problem,
            tell=["data_scientist"],
        )  # fmt: skip
