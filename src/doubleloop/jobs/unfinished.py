"""Jobs and steps that only their workflow ends, for the engine's look at workflows that died."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

from doubleloop.base import errors
from doubleloop.compute import ports as compute
from doubleloop.db.context import Contexts, Ctx
from doubleloop.durable import ports
from doubleloop.jobs import finishing, groups, store, workflows
from doubleloop.jobs.model import Step


def search(ctx: Ctx) -> Iterator[ports.Unfinished]:
    for job in store.unended(ctx):
        give_up = partial(_give_up_job, job.id)
        yield ports.Unfinished(job.workflow, "jobs.run", {"job": job.id}, give_up)
    for step in store.begun_steps(ctx):
        argument = {"job": step.job, "step": step.name, "attempt": step.attempt}
        yield ports.Unfinished(step.workflow, groups.workflow_of(step), argument, partial(_give_up_step, step))


def _give_up_job(job: str, contexts: Contexts, reason: str) -> None:
    workflows.give_up(contexts, job, reason)
    workflows.close_job(contexts, job)


def _give_up_step(step: Step, contexts: Contexts, reason: str) -> None:
    """What still runs of it is stopped, since nobody would look at its end."""
    with contextlib.suppress(errors.NotFound):
        contexts.port(compute.Compute).cancel(step.run, step.attempt)
    key = (step.job, step.name, step.attempt)
    finishing.fail(contexts, *key, reason)
    finishing.close_run(contexts, *key)
