"""Sending the worst examples of an alert to people who label, because somebody says so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from doubleloop.base import actors, errors, ids
from doubleloop.db.context import Contexts
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.labeling import model, opening
from doubleloop.monitoring import queries as monitoring


def label_examples(
    contexts: Contexts, actor: actors.Actor, workspace: str, alert: str, project: str, *, task: str | None = None,
    to: str | None = None,
) -> model.Project:  # fmt: skip
    """A labelling project on the examples that the alert kept, in the workspace ``to`` (default: the alert's own). It
    is like ``project`` there, or of ``task`` with the labels that were answered in the window. Once for each alert.

    Raises NotFound, NotPermitted, and InvalidInput for an alert that kept none.
    """
    with contexts.read(actor, workspace) as ctx:
        found = monitoring.alert(ctx, alert)
        endpoint = str(found.details.get("endpoint") or "")
        identity.permit(ctx, Action.ENDPOINT_READ, resource=f"endpoint/{endpoint}")
        for needed in (Action.LABELING_WRITE, Action.DATA_WRITE):
            identity.permit(ctx, needed, to or workspace)
    if not ids.is_name(project):
        raise errors.InvalidInput(f"'{project[:80]}' is no name of a labelling project", cure="Name one that there is.")
    rows = _rows(found.details)
    if not rows:
        raise errors.InvalidInput(
            f"Alert {alert} kept no examples of the inference log",
            cure="text_drift, image_drift and embedding_drift keep them; a rule with `open_labeling` draws its own.",
        )
    like = opening.template(contexts, actor, to or workspace, project, task)
    until = found.window_end + timedelta(microseconds=1)
    wanted = opening.Wanted(workspace, endpoint, found.window_start, until, len(rows), (), rows=rows)
    opened_by = {"alert": found.id, "author": actor.id, "monitor": found.monitor}
    name = f"{like.name[:180]}-{found.id.rpartition('-')[2]}"
    return opening.open_project(contexts, actor, to or workspace, like, wanted, name, opened_by)


def _rows(details: dict[str, Any]) -> tuple[tuple[str, int], ...]:
    kept = details.get("examples") or ()
    return tuple(dict.fromkeys((str(each["request"]), int(each["row"])) for each in kept if each["request"]))
