"""What the gateway finds out by itself, as facts."""

from __future__ import annotations

from doubleloop.base import errors
from doubleloop.db.context import Contexts
from doubleloop.endpoints import ports, store
from doubleloop.endpoints.workflows import ACTOR
from doubleloop.events import commands as events
from doubleloop.events import queries as facts

DISAGREED = "deployment.plan_disagreed"


def note(contexts: Contexts) -> list[str]:
    """Record each deployment whose plan gave another answer than its model, once. The ids that were recorded now.

    The gateway has gone back to the model by itself; nothing is to be done but to know. Raises Unavailable when no
    gateway answers.
    """
    status = contexts.port(ports.Serving).status()
    found = {
        each.id: each.description["plan"]["disagreed"]
        for place in status.endpoints.values()
        for each in place.deployments.values()
        if each.description and "disagreed" in each.description.get("plan", {})
    }
    with contexts.read(ACTOR) as ctx:  # it is looked every few seconds: what was recorded takes no write lock again
        new = [id_ for id_ in found if not facts.facts(ctx, types=[DISAGREED], subject=f"deployment:{id_}", limit=1)]
    return [id_ for id_ in new if _note(contexts, id_, found[id_])]


def _note(contexts: Contexts, id_: str, record: dict[str, object]) -> bool:
    with contexts.write(ACTOR) as ctx:
        deployment = store.deployment(ctx, id_)
        subject = f"deployment:{id_}"
        if deployment is None:
            return False
        events.record(
            ctx.in_workspace(deployment.workspace), DISAGREED, subject, endpoint=deployment.endpoint,
            name=deployment.name, model=f"{deployment.model_name}:{deployment.model_version}", **record,
        )  # fmt: skip
        return True


def note_quietly(contexts: Contexts) -> None:
    """As ``note``, where the gateway may be starting."""
    try:
        note(contexts)
    except errors.Unavailable:
        return
