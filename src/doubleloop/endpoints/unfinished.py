"""Deployments that only their workflow brings to rest, for the engine's look at workflows that died."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from doubleloop.db.context import Contexts, Ctx
from doubleloop.durable import ports
from doubleloop.endpoints import model, store, workflows

_STARTING = (model.Status.PREPARING, model.Status.STARTING)


def search(ctx: Ctx) -> Iterator[ports.Unfinished]:
    for each in store.deployments(ctx, statuses=_STARTING):
        argument = {"deployment": each.id}
        yield ports.Unfinished(f"deploy-{each.id}", "endpoints.deploy", argument, partial(_give_up, each.id))


def _give_up(deployment: str, contexts: Contexts, reason: str) -> None:
    workflows.finish(contexts, deployment, reason)
    workflows.publish(contexts)
