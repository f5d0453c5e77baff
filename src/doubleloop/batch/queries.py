"""Looking at batch endpoints, deployments and what was invoked."""

from __future__ import annotations

from doubleloop.base import errors
from doubleloop.batch import model, store
from doubleloop.db.context import Ctx
from doubleloop.identity import commands as identity
from doubleloop.identity import things
from doubleloop.identity.actions import Action
from doubleloop.jobs import model as jobs
from doubleloop.jobs import queries as job_queries
from doubleloop.settings.model import Settings


def thing(name: str) -> str:
    """The resource that roles for one endpoint name."""
    return f"endpoint/{name}"


def endpoint(ctx: Ctx, name: str) -> model.Endpoint:
    """Raises NotFound, with the names there are."""
    identity.permit(ctx, Action.ENDPOINT_READ, resource=thing(name))
    return find(ctx, name)


def find(ctx: Ctx, name: str) -> model.Endpoint:
    """The endpoint, for a command that has asked for its own right. Raises NotFound."""
    assert ctx.workspace is not None
    found = store.endpoint(ctx, ctx.workspace, name)
    if found is None:
        names = [each.name for each in store.endpoints(ctx, ctx.workspace)]
        cure = things.known(ctx, Action.ENDPOINT_READ, "endpoint", names)
        raise errors.NotFound(f"No batch endpoint is named '{name}' in {ctx.workspace}", cure=cure)
    return found


def endpoints(ctx: Ctx) -> list[model.Endpoint]:
    sees = things.seen(ctx, Action.ENDPOINT_READ, "endpoint")
    assert ctx.workspace is not None
    return [each for each in store.endpoints(ctx, ctx.workspace) if sees(each.name)]


def deployments(ctx: Ctx, name: str) -> list[model.Deployment]:
    endpoint(ctx, name)
    return store.deployments(ctx, str(ctx.workspace), name)


def deployment(ctx: Ctx, name: str, deployment_: str) -> model.Deployment:
    """Raises NotFound."""
    endpoint(ctx, name)
    return chosen(ctx, name, deployment_)


def chosen(ctx: Ctx, name: str, deployment_: str) -> model.Deployment:
    there = store.deployments(ctx, str(ctx.workspace), name)
    for each in there:
        if each.name == deployment_:
            return each
    names = ", ".join(each.name for each in there) or "none yet"
    raise errors.NotFound(f"Batch endpoint {name} has no deployment '{deployment_}'", cure=f"There are: {names}.")


def jobs_of(ctx: Ctx, name: str, deployment_: str | None = None) -> list[jobs.Job]:
    """The jobs that invocations started, newest first. Raises NotFound."""
    endpoint(ctx, name)
    if deployment_ is not None:
        chosen(ctx, name, deployment_)
    found = store.invocations(ctx, str(ctx.workspace), name, deployment_)
    return [job_queries.show(ctx, each.job) for each in found]


def job_of(ctx: Ctx, name: str, job: str) -> jobs.Job:
    """One of those jobs, for whoever may invoke the endpoint. Raises NotFound."""
    identity.permit(ctx, Action.ENDPOINT_INVOKE, resource=thing(name))
    invoked = store.invocation(ctx, job)
    if invoked is None or (invoked.workspace, invoked.endpoint) != (ctx.workspace, name):
        raise errors.NotFound(f"Batch endpoint {name} was not invoked by a job {job}")
    return job_queries.show(ctx, job, Action.ENDPOINT_INVOKE, thing(name))


def scoring_uri(ctx: Ctx, name: str) -> str:
    settings = ctx.port(Settings)
    return f"http://{settings.host}:{settings.port}/api/v1/workspaces/{ctx.workspace}/batch-endpoints/{name}/jobs"
