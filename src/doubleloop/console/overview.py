"""The first page: each model's life cycle in one row, what waits for a decision, what happened lately."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from doubleloop.base import errors
from doubleloop.console import charts, rendering, requests, telling
from doubleloop.console.requests import needs
from doubleloop.db.context import Ctx
from doubleloop.endpoints import model as endpoint_model
from doubleloop.endpoints import queries as endpoints
from doubleloop.events import model as event_model
from doubleloop.events import queries as events
from doubleloop.gates import queries as gates
from doubleloop.identity import activations
from doubleloop.identity import model as identity_model
from doubleloop.identity.actions import Action
from doubleloop.jobs import model as job_model
from doubleloop.jobs import queries as jobs
from doubleloop.labeling import model as labeling_model
from doubleloop.labeling import queries as labeling
from doubleloop.labeling import training
from doubleloop.models import model as model_model
from doubleloop.models import queries as models
from doubleloop.monitoring import model as monitoring_model
from doubleloop.monitoring import queries as monitoring
from doubleloop.releases import model as release_model
from doubleloop.releases import queries as releases
from doubleloop.workspaces import queries as workspaces
from doubleloop.workspaces.model import REGISTRY

router = APIRouter()

RECENT = 14


@dataclass(frozen=True)
class Served:
    """A deployment of a model, and its share of the endpoint's traffic in per cent."""

    endpoint: endpoint_model.Endpoint
    deployment: endpoint_model.Deployment
    percent: int
    is_production: bool


@dataclass(frozen=True)
class Watched:
    monitor: monitoring_model.Monitor
    last: monitoring_model.MonitorRun | None
    open_alerts: int
    sparks: list[charts.Spark]

    @property
    def state(self) -> str:
        if self.open_alerts:
            return "alert"
        return self.last.status.value if self.last else "not run yet"


@dataclass(frozen=True)
class Life:
    """One model's way round the loop. ``hidden`` names what the reader may not see of it."""

    name: str
    versions: list[model_model.ModelVersion]
    job: job_model.Job | None
    releases: list[release_model.Release]
    served: list[Served]
    watched: list[Watched]
    hidden: list[str]

    @property
    def newest(self) -> model_model.ModelVersion:
        return self.versions[0]


@router.get("/", openapi_extra=needs(Action.MODEL_READ))
def show(request: Request) -> Response:
    with requests.reading(request) as ctx:
        values: dict[str, Any] = {
            "lives": lives(ctx) if REGISTRY in requests.places(ctx, Action.MODEL_READ, registries=True) else [],
            "asked": activations.waiting(ctx),
            "waiting": [(each, *gates.may_decide(ctx, each.approval)) for each in releases.waiting(ctx)],
            "proposed": list(_proposed(ctx)),
            "facts": recent(ctx),
        }
        return rendering.page(request, "overview.html", now=ctx.now, **values)


def _proposed(ctx: Ctx) -> Iterable[tuple[labeling_model.Project, training.Proposal]]:
    """Training that was proposed and that nobody has started, in workspaces where the actor may start it."""
    for workspace in requests.places(ctx, Action.JOB_SUBMIT):
        if not requests.allowed(ctx, Action.LABELING_READ, workspace):
            continue
        place = ctx.in_workspace(workspace)
        for project in labeling.projects(place):
            found = training.find(place, project) if project.status is labeling_model.Status.EXPORTED else None
            if found is not None and found.job is None:
                yield project, found


def lives(ctx: Ctx) -> list[Life]:
    """Every model that the actor may see, with those that something happened to last on top."""
    served = list(_served(ctx))
    watched = list(_watched(ctx))
    return [_life(ctx, newest.name, served, watched) for newest in models.names(ctx)]


def _life(ctx: Ctx, name: str, served: list[Served], watched: list[Watched]) -> Life:
    versions = models.versions(ctx, name)
    here = [each for each in served if each.deployment.model_name == name]
    targets = {(each.endpoint.workspace, each.endpoint.name) for each in here}
    found = releases.list(ctx, model_name=name, limit=3).items
    targets |= {(stage.workspace, stage.endpoint) for each in found for stage in each.stages if stage.endpoint}
    seen = [each for each in watched if (each.monitor.workspace, each.monitor.endpoint) in targets]
    return Life(name, versions, _job(ctx, versions[0]), found, here, seen, _hidden(ctx, found))


def _job(ctx: Ctx, version: model_model.ModelVersion) -> job_model.Job | None:
    with contextlib.suppress(errors.NotPermitted):
        return jobs.get(ctx, version.job) if version.job else None
    return None


def _hidden(ctx: Ctx, found: Iterable[release_model.Release]) -> list[str]:
    stages = dict.fromkeys(stage.workspace for each in found for stage in each.stages)
    return [name for name in stages if not requests.allowed(ctx, Action.ENDPOINT_READ, name)]


def _served(ctx: Ctx) -> Iterable[Served]:
    for workspace in requests.places(ctx, Action.ENDPOINT_READ):
        place = ctx.in_workspace(workspace)
        production = workspaces.get(ctx, workspace).kind is identity_model.WorkspaceKind.PRODUCTION
        for endpoint in endpoints.endpoints(place):
            for deployment in endpoints.deployments(place, endpoint.name):
                yield Served(endpoint, deployment, endpoint.traffic.get(deployment.name, 0), production)


def _watched(ctx: Ctx) -> Iterable[Watched]:
    for workspace in requests.places(ctx, Action.MONITOR_READ):
        yield from watched_in(ctx.in_workspace(workspace))


def watched_in(ctx: Ctx) -> list[Watched]:
    """The monitors of the context's workspace, each with its last run, open alerts and small lines."""
    found = []
    for each in monitoring.monitors(ctx):
        runs = monitoring.runs(ctx, each.name, 1)
        alerts = monitoring.alerts(ctx, each.name, only_open=True, limit=1000)
        lines = charts.sparks(monitoring.series(ctx, each.name))
        found.append(Watched(each, runs[0] if runs else None, len(alerts), lines))
    return found


def recent(ctx: Ctx) -> list[tuple[event_model.Fact, int]]:
    """The newest facts that the actor may know of: all for who may read the audit, else those about models in
    workspaces that they may read."""
    found = events.facts(ctx, newest_first=True, limit=RECENT * 12)
    if not requests.allowed(ctx, Action.AUDIT_READ):
        visible = {each.name for each in workspaces.visible(ctx)}
        found = [each for each in found if each.workspace in visible]
    return folded(each for each in found if telling.is_news(each.type))[:RECENT]


def folded(facts: Iterable[event_model.Fact]) -> list[tuple[event_model.Fact, int]]:
    """Facts that follow each other and say the same of the same thing, as the newest of them and how many there are."""
    found: list[tuple[event_model.Fact, int]] = []
    for fact in facts:
        if found and _said(found[-1][0]) == _said(fact):
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((fact, 1))
    return found


def _said(fact: event_model.Fact) -> tuple[str, str, str, str]:
    return fact.type, fact.subject, fact.actor, telling.sentence(fact.type, fact.subject, fact.data)
