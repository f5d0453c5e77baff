"""Noting who stands behind runs and registrations."""

from __future__ import annotations

from doubleloop.db.context import Ctx
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.tracking import store
from doubleloop.tracking.store import Origin


def note_run(ctx: Ctx, run_id: str, origin: Origin | None = None) -> None:
    """Who made this run: ``origin``, or the context's actor and the job of its token. The first note stays."""
    identity.permit(ctx, Action.TRACKING_WRITE)
    store.put_run(ctx, run_id, origin or _origin(ctx))


def note_registration(ctx: Ctx, name: str, version: str) -> None:
    """The context's actor registered this version, from a job's code when its token is a job's."""
    identity.permit(ctx, Action.MODEL_WRITE)
    store.put_registration(ctx, name, version, _origin(ctx))


def _origin(ctx: Ctx) -> Origin:
    job, step = ctx.actor.job()
    return Origin(ctx.actor.id, ctx.workspace, job, step)
