"""Releases that only their workflow ends, for the engine's look at workflows that died."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from doubleloop.db.context import Contexts, Ctx
from doubleloop.durable import ports
from doubleloop.releases import stages, store


def search(ctx: Ctx) -> Iterator[ports.Unfinished]:
    for release in store.unended(ctx):
        give_up = partial(_give_up, release.id)
        yield ports.Unfinished(release.workflow, "releases.end", {"release": release.id}, give_up)


def _give_up(release: str, contexts: Contexts, reason: str) -> None:
    stages.finish(contexts, release, stages.failed(reason, "what it had begun may not have been taken away"))
