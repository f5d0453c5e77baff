"""Looking at endpoints and deployments, and at what they answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from doubleloop.base import actors, errors
from doubleloop.db.context import Contexts, Ctx
from doubleloop.endpoints import commands, mirrors, model, ports, store
from doubleloop.gateway import log as inference_log
from doubleloop.gateway import protocol
from doubleloop.identity import commands as identity
from doubleloop.identity import things
from doubleloop.identity.actions import Action
from doubleloop.settings.model import Settings

# The worker writes what the gateway reads; both look at once, and take a tenth of a second or two.
TRAFFIC_SECONDS = 5.0
TRAFFIC_LOOK_SECONDS = 0.03


def get(ctx: Ctx, name: str) -> model.Endpoint:
    identity.permit(ctx, Action.ENDPOINT_READ, resource=f"endpoint/{name}")
    return commands.get_endpoint(ctx, name)


def endpoints(ctx: Ctx) -> list[model.Endpoint]:
    sees = things.seen(ctx, Action.ENDPOINT_READ, "endpoint")
    return [each for each in store.endpoints(ctx, ctx.workspace) if sees(each.name)]


def deployments(ctx: Ctx, endpoint: str) -> list[model.Deployment]:
    """The deployments there are now: for each name the newest that is not deleted or replaced."""
    identity.permit(ctx, Action.ENDPOINT_READ, resource=f"endpoint/{endpoint}")
    return _there(ctx, endpoint)


def served(ctx: Ctx, since: datetime, until: datetime) -> list[model.Deployment]:
    """The deployments of every workspace that answered in that time. The caller permits it."""
    return store.served(ctx, since, until)


def _there(ctx: Ctx, endpoint: str) -> list[model.Deployment]:
    newest: dict[str, model.Deployment] = {}
    for each in store.deployments(ctx, ctx.workspace, endpoint):
        if each.status not in (model.Status.DELETED, model.Status.REPLACED):
            newest[each.name] = each
    return list(newest.values())


def deployment(ctx: Ctx, id_: str) -> model.Deployment:
    """Any deployment there ever was, by id. Raises NotFound."""
    found = store.deployment(ctx, id_)
    if found is None:
        raise errors.NotFound(f"There is no deployment {id_}")
    identity.permit(ctx, Action.ENDPOINT_READ, found.workspace, f"endpoint/{found.endpoint}")
    return found


def deployment_named(ctx: Ctx, endpoint: str, name: str) -> model.Deployment:
    """Raises NotFound."""
    return _named(endpoint, name, deployments(ctx, endpoint))


def _named(endpoint: str, name: str, there: list[model.Deployment]) -> model.Deployment:
    for each in there:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in there) or "none yet"
    raise errors.NotFound(f"Endpoint {endpoint} has no deployment '{name}'", cure=f"There are: {names}.")


def score_url(ctx: Ctx, endpoint: str) -> str:
    settings = ctx.port(Settings)
    return f"http://{settings.host}:{settings.gateway}/{ctx.workspace}/{endpoint}/score"


def metrics(contexts: Contexts, workspace: str, endpoint: str) -> dict[str, model.Metrics]:
    """What each deployment has answered, by name. Raises Unavailable when no gateway answers."""
    status = contexts.port(ports.Serving).status()
    found = status.endpoints.get(f"{workspace}/{endpoint}")
    return {name: _metrics(each) for name, each in found.deployments.items()} if found else {}


def await_traffic(contexts: Contexts, endpoint: model.Endpoint) -> None:
    """Until the gateway shares requests as ``endpoint.traffic`` says, so that who asks next is answered by it. Not for
    long, when a deployment cannot answer, and not at all when no gateway does."""
    place = f"{endpoint.workspace}/{endpoint.name}"
    _await(contexts, place, lambda found: dict(found.traffic) == dict(endpoint.traffic))


def await_access(contexts: Contexts, workspace: str, endpoint: str, wanted: str) -> None:
    """Until the gateway knows the endpoint's newest keys, and the older ones no more; as ``await_traffic``. ``wanted``
    as ``commands.access`` has it."""
    _await(contexts, f"{workspace}/{endpoint}", lambda found: found.access == wanted)


def _await(contexts: Contexts, place: str, there: Callable[[protocol.EndpointStatus], bool]) -> None:
    serving = contexts.port(ports.Serving)
    over = time.monotonic() + TRAFFIC_SECONDS
    while time.monotonic() < over:
        try:
            found = serving.status().endpoints.get(place)
        except errors.Unavailable:
            return
        if found and there(found):
            return
        time.sleep(TRAFFIC_LOOK_SECONDS)


def objectives(contexts: Contexts, workspace: str, endpoint: str) -> list[protocol.Objective]:
    """How an endpoint meets its objectives now. Raises Unavailable when no gateway answers."""
    found = contexts.port(ports.Serving).status().endpoints.get(f"{workspace}/{endpoint}")
    return list(found.objectives) if found else []


def instances(contexts: Contexts, workspace: str, endpoint: str) -> dict[str, model.Instances]:
    """What runs of each deployment, by id; empty when no gateway answers."""
    try:
        status = contexts.port(ports.Serving).status()
    except errors.Unavailable:
        return {}
    found = status.endpoints.get(f"{workspace}/{endpoint}")
    return {
        each.id: model.Instances(
            each.instances, each.ready_instances, vars(each.scaled) if each.scaled else None, _plan(each)
        )
        for each in (found.deployments.values() if found else ())
    }


def _plan(status: protocol.DeploymentStatus) -> dict[str, Any] | None:
    """Without the file that it lies in, which is the server's own."""
    plan = (status.description or {}).get("plan")
    if plan is None:
        return None
    portable = {key: value for key, value in (plan.get("portable") or {}).items() if key != "file"}
    return {**{key: value for key, value in plan.items() if key != "portable"}, "portable": portable}


def _metrics(status: protocol.DeploymentStatus) -> model.Metrics:
    counters = status.counters
    return model.Metrics(
        counters.requests, counters.client_errors, counters.server_errors, counters.throttled, counters.latency,
        counters.quantile_ms(0.5), counters.quantile_ms(0.95), counters.quantile_ms(0.99), status.state,
        status.error or "", status.ready_instances, dict(status.description or {}),
    )  # fmt: skip


def inferences(
    contexts: Contexts,
    workspace: str,
    endpoint: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    deployment: str | None = None,
) -> pl.DataFrame:
    """One row per scored row, by event time; what was answered before the call is in it. Raises Unavailable."""
    serving = contexts.port(ports.Serving)
    serving.flush()
    return serving.inferences(workspace, endpoint, since=since, until=until, deployment=deployment)


def log_files(
    contexts: Contexts, workspace: str, endpoint: str, *, since: datetime | None = None, until: datetime | None = None,
    newest: bool = True,
) -> list[inference_log.File]:  # fmt: skip
    """What ``inferences`` reads, file by file: for windows that are longer than memory. Without the ``newest`` the
    gateway is not asked to close the file it writes. Raises Unavailable."""
    serving = contexts.port(ports.Serving)
    if newest:
        serving.flush()
    return serving.log_files(workspace, endpoint, since=since, until=until)


def profile_folder(contexts: Contexts) -> Path:
    """Where profiles of data versions are kept."""
    return contexts.port(ports.Serving).folder("profiles")


def mirrored(
    contexts: Contexts, workspace: str, endpoint: str, deployment: str | None = None
) -> dict[str, mirrors.Comparison]:
    """For each deployment that was sent copies, how its answers compare with those that callers got."""
    serving = contexts.port(ports.Serving)
    serving.flush()
    served = serving.inferences(workspace, endpoint, mirrored=False)
    copies = serving.inferences(workspace, endpoint, mirrored=True)
    found = mirrors.compare(served, copies)
    return {name: each for name, each in found.items() if deployment in (None, name)}


def labels(
    contexts: Contexts, workspace: str, endpoint: str, *, since: datetime | None = None, until: datetime | None = None
) -> pl.DataFrame:
    """True values that came later: request_id, row, value, time, received_at."""
    return contexts.port(ports.Serving).labels(workspace, endpoint, since=since, until=until)


def log(contexts: Contexts, actor: actors.Actor, workspace: str, endpoint: str, name: str, lines: int) -> str:
    """The newest lines that a deployment's scoring processes printed. Raises NotFound."""
    with contexts.read(actor, workspace) as ctx:
        identity.permit(ctx, Action.LOG_READ, resource=f"endpoint/{endpoint}")
        found = _named(endpoint, name, _there(ctx, endpoint))
    return contexts.port(ports.Serving).log(found.id, lines)
