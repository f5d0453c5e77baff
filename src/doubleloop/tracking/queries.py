"""Asking who stands behind a run or a registration."""

from __future__ import annotations

from doubleloop.db.context import Ctx
from doubleloop.tracking import store
from doubleloop.tracking.store import Origin


def origin_of_run(ctx: Ctx, run_id: str) -> Origin | None:
    return store.run_origin(ctx, run_id)


def registrant(ctx: Ctx, name: str, version: str) -> Origin | None:
    return store.registrant(ctx, name, version)
