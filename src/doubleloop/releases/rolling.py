"""Moving traffic to a candidate step by step, watching its answers, and making it the champion."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

from doubleloop.base import clock, errors
from doubleloop.db.context import Contexts, Ctx
from doubleloop.endpoints import commands as endpoints
from doubleloop.endpoints import model as endpoint_model
from doubleloop.endpoints import queries as endpoint_queries
from doubleloop.endpoints import rules as endpoint_rules
from doubleloop.gates import queries as gates
from doubleloop.models import commands as model_commands
from doubleloop.models import queries as models
from doubleloop.releases import definitions, model, monitors, rules, stages, store

LOG = logging.getLogger("doubleloop.releases")
TOPIC = "rollout"
# How long a gateway may be away at the end of a bake before the candidate, which cannot be judged, goes back.
PATIENCE_LOOKS = 12


def champion_workspace(definition: model.Definition) -> str:
    """Whose champion candidates are compared with: that of the last stage, which is what users meet."""
    return definition.workspaces[-1]


def champion(ctx: Ctx, release: model.Release, workspace: str) -> str:
    """The number of the model version that is champion there, or empty."""
    found = models.champion(ctx, release.model, workspace)
    return found.version if found else ""


def take_turn(contexts: Contexts, id_: str) -> dict[str, Any]:
    """{"end"}, {"wait": seconds}, or {"go": {"steps": [per cents], "bake": seconds, "abort": {…}}}.

    Everything that decides between releases of one definition is looked at and written in this one transaction.
    """
    with contexts.write(stages.ACTOR) as ctx:
        release, definition = stages.load(ctx, id_, lock=True)
        store.lock_definitions(ctx)
        end = stages.wanted_end(release)
        if end:
            return {"end": end}
        stage = definitions.stage_of(definition, release.position)
        if release.status is not model.Status.ROLLING_OUT:
            moving = store.select(ctx, statuses=(model.Status.ROLLING_OUT,))
            said, why = rules.turn(release, [*store.select(ctx, definition_=release.definition), *moving])
            if said == "superseded":
                return {"end": {"status": model.Status.SUPERSEDED.value, "reasons": [why]}}
            if said == "wait":
                store.note(ctx, store.note_stage(ctx, release, phase=f"in line: {why}"[:40]), topic=TOPIC)
                return {"end": None, "wait": 10.0}
            moved = _approval_void(ctx, release) or _champion_moved(ctx, release, definition)
            if moved:
                return {"end": stages.failed(moved)}
            release = _begin(ctx, release)
        return {"end": None, "go": _plan(stage.rollout, release.stage.traffic_before or {})}


def _approval_void(ctx: Ctx, release: model.Release) -> str:
    if not release.stage.approval:
        return ""
    return stages.void(ctx, release, gates.approval(ctx.in_workspace(release.workspace), release.stage.approval))


def _champion_moved(ctx: Ctx, release: model.Release, definition: model.Definition) -> str:
    judged = [stage.champion_judged for stage in release.stages if stage.champion_judged is not None]
    if not judged:
        return ""
    return rules.champion_moved(judged[-1], champion(ctx, release, champion_workspace(definition)))


def _begin(ctx: Ctx, release: model.Release) -> model.Release:
    stages.overtake(ctx, release)
    place = endpoint_queries.get(ctx.in_workspace(release.workspace), release.stage.endpoint)
    before = {name: share for name, share in place.traffic.items() if share > 0}
    release = store.note_stage(
        ctx, release, traffic_before=before, champion_before=champion(ctx, release, release.workspace),
        phase="rolling out",
    )  # fmt: skip
    release = store.note(ctx, release, topic=TOPIC)
    store.switch_status(
        ctx, release, model.Status.ROLLING_OUT, "release.rolling_out", endpoint=release.stage.endpoint,
        deployment=release.stage.deployment_name, traffic_before=before,
    )  # fmt: skip
    return release


def _plan(rollout: Any, before: dict[str, int]) -> dict[str, Any]:
    if rollout is None:
        return {"steps": [100], "looks": [0.0], "abort": {}}
    abort = rollout.abort
    limits = {"error_rate": abort.error_rate, "p99_ms": abort.p99_ms} if abort else {}
    return {
        "steps": rules.rollout_steps(rollout.steps, before),
        "looks": rules.looks(clock.duration(rollout.bake).total_seconds()),
        "abort": {name: limit for name, limit in limits.items() if limit is not None},
    }


def shift(contexts: Contexts, id_: str, percent: int) -> dict[str, Any]:
    """Give the candidate ``percent`` of the traffic: {"end"} or {"metrics"}, what it had answered until then."""
    try:
        with contexts.write(stages.ACTOR) as ctx:
            release, _ = stages.load(ctx, id_, lock=True)
            end = stages.wanted_end(release)
            if end:
                return {"end": end}
            stage = release.stage
            traffic = rules.shares(stage.traffic_before or {}, stage.deployment_name, percent)
            where = ctx.in_workspace(release.workspace)
            if endpoint_queries.get(where, stage.endpoint).traffic != traffic:
                endpoints.set_traffic(
                    where, stage.endpoint, traffic,
                    reason=f"release {release.number}: {percent} % to {stage.deployment_name}",
                )  # fmt: skip
                store.note_stage(ctx, release, phase=f"at {percent} %")
                store.tell(ctx, release, "release.traffic", percent=percent, traffic=traffic)
    except errors.DoubleloopError as error:
        return {"end": _back(f"traffic could not be moved: {error.what}")}
    return {"end": None, "metrics": _metrics(contexts, release)}


def _back(*reasons: str) -> stages.Ending:
    return {"status": model.Status.ROLLED_BACK.value, "reasons": list(reasons)}


def _metrics(contexts: Contexts, release: model.Release) -> dict[str, Any] | None:
    """None when the gateway does not answer, or does not know the deployment (yet)."""
    try:
        found = endpoint_queries.metrics(contexts, release.workspace, release.stage.endpoint)
    except errors.Unavailable as error:
        LOG.warning("no metrics of %s: %s", release.stage.endpoint, error)
        return None
    seen = found.get(release.stage.deployment_name)
    return {**asdict(seen), "description": {}} if seen else None


def _as_metrics(seen: dict[str, Any] | None) -> endpoint_model.Metrics:
    if seen is None:
        return endpoint_model.Metrics()
    return endpoint_model.Metrics(**{**seen, "latency": tuple(seen["latency"])})


def look(
    contexts: Contexts, id_: str, percent: int, before: dict[str, Any] | None, abort: dict[str, float], last: bool
) -> dict[str, Any]:
    """{"end"}, {"again": True} when the gateway gave no answer, or {"said": what was seen}."""
    with contexts.read(stages.ACTOR) as ctx:
        release, _ = stages.load(ctx, id_)
    end = stages.wanted_end(release)
    if end:
        return {"end": end}
    seen = _metrics(contexts, release)
    # Starting: the gateway, or a process of the candidate's, is just being started again. It will be judged by what it
    # answers then; one that does not come back runs out of patience.
    if seen is None or seen["state"] == "starting":
        return {"end": None, "again": True}
    verdict = endpoint_rules.judge_rollout(_as_metrics(before), _as_metrics(seen), abort)
    if not verdict.passed:
        return {"end": _back(*[f"at {percent} % of the traffic: {reason}" for reason in verdict.reasons])}
    if last:
        with contexts.write(stages.ACTOR) as ctx:
            store.tell_once(ctx, release, "release.baked", ("percent",), percent=percent, said=list(verdict.reasons))
    return {"end": None, "said": list(verdict.reasons)}


def out_of_patience(percent: int) -> stages.Ending:
    return _back(f"at {percent} % of the traffic: the gateway did not answer, so the candidate could not be judged")


def promote(contexts: Contexts, id_: str, served: bool) -> dict[str, Any]:
    """The stage is passed. Once it serves, the candidate is its workspace's champion, what served before stays at
    0 % to go back to at once, what older releases left is removed, and the monitor is put in place."""
    with contexts.write(stages.ACTOR) as ctx:
        release, definition = stages.load(ctx, id_, lock=True)
        end = stages.wanted_end(release)
        if end:
            return {"end": end}
        stage = release.stage
        if served and not stage.rolled_out:
            where = ctx.in_workspace(release.workspace)
            model_commands.set_champion(where, release.model, release.candidate)
            if stage.deployment:
                _tidy(where, release)
            release = store.note_stage(ctx, release, rolled_out=True)
            store.tell(
                ctx, release, "release.promoted", model=release.model, version=release.candidate,
                champion_before=stage.champion_before, deployment=stage.deployment_name, workspace=release.workspace,
            )  # fmt: skip
        store.switch_status(ctx, release, model.Status.RUNNING, "release.stage_served")
        store.note_stage(ctx, release, phase="passed", passed_at=ctx.now)
        wanted = definitions.stage_of(definition, release.position).monitor is not None
    return {"end": None, "monitor": wanted}


def _tidy(ctx: Ctx, release: model.Release) -> None:
    """Deployments that releases made here and that neither serve, nor served just before, nor are being checked."""
    stage = release.stage
    before = stage.traffic_before or {}
    kept = {stage.deployment_name, max(before, key=lambda name: before[name], default="")}
    busy = {each.id for each in store.select(ctx, statuses=store.ACTIVE)}
    serving = endpoint_queries.get(ctx, stage.endpoint).traffic
    for each in endpoint_queries.deployments(ctx, stage.endpoint):
        if each.release and each.release not in busy and each.name not in kept and not serving.get(each.name):
            try:
                endpoints.delete_deployment(ctx, stage.endpoint, each.name)
            except errors.DoubleloopError as error:  # what serves is in place; tidying must not undo it
                LOG.warning("%s stays: %s", each.name, error)


def watch(contexts: Contexts, id_: str) -> str:
    """Put the stage's monitor in place; returns what went wrong. The release has done its work either way."""
    try:
        with contexts.write(stages.ACTOR) as ctx:
            release, definition = stages.load(ctx, id_)
            document = definitions.nested(definition, f"stages.{release.position}.monitor")
            monitors.chosen(contexts).put(ctx.in_workspace(release.workspace), document)
    except errors.DoubleloopError as error:
        return f"the monitor of {release.workspace} could not be put in place: {error.what}"
    return ""
