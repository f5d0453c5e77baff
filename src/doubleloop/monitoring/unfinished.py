"""Runs of monitors that only their workflow ends, for the engine's look at workflows that died."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from doubleloop.db.context import Contexts, Ctx
from doubleloop.durable import ports
from doubleloop.monitoring import store, workflows


def search(ctx: Ctx) -> Iterator[ports.Unfinished]:
    for run in store.running(ctx):
        argument = {"run": run.id}
        yield ports.Unfinished(f"monitor-run-{run.id}", "monitoring.run", argument, partial(_give_up, run.id))


def _give_up(run: str, contexts: Contexts, reason: str) -> None:
    workflows.record(contexts, run, {"error": reason})
