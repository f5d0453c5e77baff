"""Training on what was labelled: what is proposed for a project, and its start by whoever may submit jobs."""

from __future__ import annotations

from dataclasses import dataclass

from doubleloop.base import errors, ids
from doubleloop.catalog import commands as catalog
from doubleloop.db.context import Ctx
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.jobs import commands as jobs
from doubleloop.jobs import model as job_model
from doubleloop.jobs import queries as past_jobs
from doubleloop.labeling import commands, model, proposing


@dataclass(frozen=True)
class Proposal:
    """Training on ``data`` (lineage id). ``command`` is what a person types; ``is_known``: which job it is that trains;
    ``job``: the one that is already started."""

    data: str
    command: str
    is_known: bool
    job: job_model.Job | None


def job_id(project: model.Project) -> str:
    """The one job that trains on a project's newest data version."""
    return ids.derived(f"{project.name[:40]}-train", project.id, project.exported)


def find(ctx: Ctx, project: model.Project) -> Proposal | None:
    """What is proposed for a project's newest version; None before there is one, or where nothing says how to train.

    The job is None as well for who may not see it.
    """
    told = proposing.command(project, project.exported) if project.exported else None
    if told is None:
        return None
    may = identity.decide(ctx, Action.JOB_READ, project.workspace, f"job/{job_id(project)}").allowed
    can = proposing.is_known(project)
    return Proposal(project.exported, told, can, past_jobs.get(ctx, job_id(project)) if may else None)


def start(ctx: Ctx, name: str, input_: str | None = None) -> job_model.Job:
    """Train on a project's newest data version, in the actor's name; the same version again is the same job.

    Raises Conflict before there is a version, InvalidInput where it is not known which job or input, NotPermitted.
    """
    identity.permit(ctx, Action.LABELING_READ, resource=f"labeling/{name}")
    project = commands.find(ctx, name)
    if not project.exported:
        raise errors.Conflict(f"Nothing of {name} is a data version yet", cure=f"`doubleloop labeling export {name}`.")
    spec = commands.spec_of(project)
    job = proposing.job(ctx, project)
    wanted = input_ or (spec.train.input if spec.train is not None else None)
    data = f"azureml:{project.exported.rpartition('/')[2]}"
    made = jobs.submit(
        ctx, job, id=job_id(project), inputs={proposing.input_of(job, wanted, project.output): data},
        purpose={"labeling": project.id, "data": project.exported}, force_rerun=True,
    )  # fmt: skip
    catalog.link(ctx, project.id, "trained", f"job:{made.id}")
    return made
