"""Start, signal and cancel workflows from inside a transaction: it happens if, and only if, the change commits."""

from __future__ import annotations

from typing import Any

from doubleloop.base import ids
from doubleloop.db.context import Ctx
from doubleloop.durable import store


def start(ctx: Ctx, workflow: str, workflow_id: str, argument: dict[str, Any]) -> None:
    """Start ``workflow`` once under ``workflow_id``; a second start with the same id does nothing."""
    store.add(ctx, "start", workflow_id, workflow, argument)


def signal(ctx: Ctx, workflow_id: str, topic: str, payload: Any = None, key: str | None = None) -> None:
    """Send ``payload`` to a workflow's ``wait(topic)``; equal keys are delivered once."""
    store.add(ctx, "signal", workflow_id, topic, payload, key or ids.new_id("signal"))


def cancel(ctx: Ctx, workflow_id: str) -> None:
    """Stop the workflow at its next step; what a step has started outside must be stopped by its room."""
    store.add(ctx, "cancel", workflow_id, "", None)
