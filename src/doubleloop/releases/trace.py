"""Explaining a prediction, a deployment, a model version or a release to the end: what it came from, what was checked,
who decided, and where all of it stands in the sealed log."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from doubleloop.base import actors, clock, errors
from doubleloop.catalog import model as catalog
from doubleloop.catalog import queries as assets
from doubleloop.db.context import Contexts, Ctx
from doubleloop.endpoints import model as endpoints
from doubleloop.endpoints import ports as endpoint_ports
from doubleloop.environments import queries as environments
from doubleloop.events import commands as recording
from doubleloop.events import model as events_model
from doubleloop.events import queries as events
from doubleloop.gates import queries as gates
from doubleloop.gates import rules as gate_rules
from doubleloop.gateway import paths
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.jobs import model as jobs_model
from doubleloop.jobs import queries as jobs
from doubleloop.models import model as models_model
from doubleloop.models import queries as models
from doubleloop.releases import model, naming, queries, store
from doubleloop.settings.model import Settings
from doubleloop.workspaces import queries as workspaces

Explanation = dict[str, Any]
SHOWN_VALUES = 100


def explain(contexts: Contexts, actor: actors.Actor, id_: str) -> Explanation:
    """Everything about what ``id_`` names, as plain JSON.

    ``id_``: a request id, a deployment's id or name, a release's id or number, an approval's id (the decision), a
    job's id, a model version (``bikes:3``, ``model:registry/bikes:3``, ``azureml:bikes:3``), or a data version
    (``rides:3``, ``data:prod/rides:3``). Keys: ``id``, ``kind``, ``request``, ``deployment``, ``model``, ``job``,
    ``data``, ``led_to`` (what was made of data), ``environments``, ``release``, ``checks``, ``approvals``, ``audit``;
    None or empty where there is nothing. Raises NotFound, NotPermitted, InvalidInput for a name that several have.
    """
    wanted = id_.strip()
    for prefix in ("release:", "deployment:", "request:", "job:"):
        wanted = wanted.removeprefix(prefix)
    with contexts.read(actor) as ctx:
        known = _named(ctx, id_, wanted)
    if known is not None:
        return known
    request = find_request(contexts, actor, wanted)
    if request is not None:
        _note_look(contexts, actor, request)
    with contexts.read(actor) as ctx:
        if request is not None:
            served = naming.deployment(ctx, request["deployment_id"])
            return _explain(ctx, id_, "request", request=request, deployment=served)
        deployment = naming.deployment_named(ctx, wanted)
        if deployment:
            return _explain(ctx, id_, "deployment", deployment=deployment)
    raise errors.NotFound(
        f"Nothing is known under '{id_}'",
        cure="Give a request id (header x-request-id of an answer), a deployment's id or name, a release's id or "
        "number, an approval's or a job's id, or a version of a model or of data such as bikes:3.",
    )


def _note_look(contexts: Contexts, actor: actors.Actor, request: dict[str, Any]) -> None:
    """Somebody sees what was asked of a model and what it answered: that stands on record first."""
    with contexts.write(actor, request["workspace"]) as ctx:
        place = f"endpoint:{request['workspace']}/{request['endpoint']}"
        recording.record(ctx, "inference.read", f"request:{request['request_id']}", endpoint=place)


def _named(ctx: Ctx, id_: str, wanted: str) -> Explanation | None:
    """The explanation of whatever has this id in the tables."""
    release = naming.release(ctx, wanted)
    if release:
        return _explain(ctx, id_, "release", release=queries.get(ctx, release.id))
    decided = naming.decided(ctx, wanted)
    if decided:
        return _explain(ctx, id_, "decision", release=queries.get(ctx, decided.id))
    deployment = naming.deployment(ctx, wanted)
    if deployment:
        return _explain(ctx, id_, "deployment", deployment=deployment)
    job = naming.job(ctx, wanted)
    if job:
        made = models.of_job(ctx, job.id)
        return _explain(ctx, id_, "job", version=made[0] if made else None, job=job)
    version = None if wanted.startswith("data:") else naming.version(ctx, wanted)
    if version:
        return _explain(ctx, id_, "model", version=version)
    data = naming.data(ctx, wanted)
    return _explain(ctx, id_, "data", data=[each.id for each in data]) if data else None


def find_request(contexts: Contexts, actor: actors.Actor, id_: str) -> dict[str, Any] | None:
    """The first row of a logged request, with its inputs and outputs, from the endpoints that the actor may read."""
    home = contexts.port(Settings).home
    with contexts.read(actor) as ctx:
        seen = [workspace.name for workspace in workspaces.visible(ctx)]
    with contextlib.suppress(errors.Unavailable):  # what was written before is there all the same
        contexts.port(endpoint_ports.Serving).flush()
    for file in _log_files(home, seen):
        rows = pl.scan_parquet(file).filter(pl.col("request_id") == id_).collect()
        if rows.height:
            return _request(file.relative_to(paths.inference(home)), rows)
    return None


def _log_files(home: Path, workspaces_: Sequence[str]) -> Iterable[Path]:
    """Newest first: people ask about what just happened."""
    for workspace in workspaces_:
        found = [
            file
            for file in (paths.inference(home) / workspace).glob("*/*/[0-9][0-9][0-9][0-9]/*/*/*/*.parquet")
            if not file.name.startswith(".") and file.relative_to(paths.inference(home)).parts[2] != paths.LABELS
        ]
        yield from sorted(found, key=lambda file: (file.parts[-5:-1], file.name), reverse=True)


def _request(place: Path, rows: pl.DataFrame) -> dict[str, Any]:
    first = rows.sort("row").row(0, named=True)
    values = {
        part: {name.removeprefix(f"{part}."): first[name] for name in rows.columns if name.startswith(f"{part}.")}
        for part in ("in", "out")
    }
    plain = {name: value for name, value in first.items() if not name.startswith(("in.", "out."))}
    return {
        **{name: _plain(value) for name, value in plain.items()},
        "workspace": place.parts[0],
        "endpoint": place.parts[1],
        "rows": rows.height,
        "inputs": {name: _plain(value) for name, value in list(values["in"].items())[:SHOWN_VALUES]},
        "outputs": {name: _plain(value) for name, value in list(values["out"].items())[:SHOWN_VALUES]},
    }


def _plain(value: Any) -> Any:
    return clock.iso(value) if isinstance(value, datetime) else value


def _explain(
    ctx: Ctx,
    id_: str,
    kind: str,
    *,
    request: dict[str, Any] | None = None,
    deployment: endpoints.Deployment | None = None,
    version: models_model.ModelVersion | None = None,
    release: model.Release | None = None,
    job: jobs_model.Job | None = None,
    data: Sequence[str] = (),
) -> Explanation:
    job = job or _maker_of(ctx, data)
    if version is None and job is not None:
        version = _scored_with(ctx, job)
    if release is None and deployment is not None and deployment.release:
        release = queries.get(ctx, deployment.release)
    if version is None and deployment is not None and deployment.model_name:
        version = models.get(ctx, deployment.model_name, deployment.model_version)
    if version is None and release is not None:
        version = models.get(ctx, release.model, release.candidate)
    if release is None and version is not None:
        release = _release_of(ctx, version)
    if deployment is None and release is not None:
        deployment = _deployment_of(ctx, release)
    job = job or _job_of(ctx, version)
    return {
        "id": id_,
        "kind": kind,
        "request": request,
        "deployment": _tell_deployment(deployment) if deployment else None,
        "model": _tell_model(version) if version else None,
        "job": _tell_job(ctx, job) if job else None,
        "data": _tell_data(ctx, version, job, data),
        "led_to": naming.led_to(ctx, list(data)),
        "environments": _tell_environments(ctx, deployment, job),
        "release": _tell_release(ctx, release) if release else None,
        "checks": _tell_checks(ctx, release) if release else [],
        "approvals": _tell_approvals(ctx, release) if release else [],
        "audit": _tell_audit(ctx, release, deployment, version, job, data),
    }


def _release_of(ctx: Ctx, version: models_model.ModelVersion) -> model.Release | None:
    """The newest release of which the version was the candidate."""
    found = [each for each in store.select(ctx, model_=version.name) if each.candidate == version.version]
    return queries.get(ctx, found[0].id) if found else None


def _deployment_of(ctx: Ctx, release: model.Release) -> endpoints.Deployment | None:
    """Left out for who may read releases there and not endpoints."""
    made = [stage.deployment for stage in release.stages if stage.deployment]
    with contextlib.suppress(errors.NotPermitted):
        return naming.deployment(ctx, made[-1]) if made else None
    return None


def _job_of(ctx: Ctx, version: models_model.ModelVersion | None) -> jobs_model.Job | None:
    """Left out for who may read the model and not the workspace where it was trained."""
    with contextlib.suppress(errors.NotPermitted):
        return jobs.get(ctx, version.job) if version and version.job else None
    return None


def _maker_of(ctx: Ctx, data: Sequence[str]) -> jobs_model.Job | None:
    """The job that left a data version; left out for who may read the data and not the workspace of the job."""
    made = [asset.job for asset in (_asset(ctx, each) for each in data) if asset is not None and asset.job]
    with contextlib.suppress(errors.NotPermitted, errors.NotFound):
        return jobs.get(ctx, made[0]) if made else None
    return None


def _scored_with(ctx: Ctx, job: jobs_model.Job) -> models_model.ModelVersion | None:
    """The model version of a batch endpoint's job."""
    if job.purpose.get("reason") != "batch":
        return None
    edges = [edge for end in _steps_of(ctx, job) for edge in assets.upstream(ctx, end)]
    for name, _, number in (
        edge.source.rpartition("/")[2].rpartition(":") for edge in edges if edge.source.startswith("model:")
    ):
        with contextlib.suppress(errors.NotPermitted, errors.NotFound):
            return models.get(ctx, name, number)
    return None


def _steps_of(ctx: Ctx, job: jobs_model.Job) -> list[str]:
    return [f"step:{job.id}/{step.name}" for step in jobs.steps(ctx.in_workspace(job.workspace), job.id)]


def _tell_deployment(deployment: endpoints.Deployment) -> dict[str, Any]:
    return {
        "id": deployment.id, "name": deployment.name, "endpoint": deployment.endpoint,
        "workspace": deployment.workspace, "status": deployment.status.value, "model": deployment.model_id,
        "environment_lock": deployment.environment_lock, "release": deployment.release,
        "created_by": deployment.created_by, "created_at": clock.iso(deployment.created_at),
        "ready_at": clock.iso(deployment.ready_at) if deployment.ready_at else None,
    }  # fmt: skip


def _tell_model(version: models_model.ModelVersion) -> dict[str, Any]:
    return {
        "id": version.id, "name": version.name, "version": version.version, "digest": version.digest,
        "flavor": version.flavor, "run": version.run_id, "job": version.job, "step": version.step,
        "created_by": version.created_by, "authors": list(version.authors),
        "created_at": clock.iso(version.created_at), "signature": version.signature, "labels": list(version.labels),
    }  # fmt: skip


def _tell_job(ctx: Ctx, job: jobs_model.Job) -> dict[str, Any]:
    steps = jobs.steps(ctx.in_workspace(job.workspace), job.id)
    return {
        "id": job.id, "workspace": job.workspace, "kind": job.kind, "experiment": job.experiment,
        "status": str(job.status), "created_by": job.created_by, "created_at": clock.iso(job.created_at),
        "purpose": dict(job.purpose), "run": job.run_id, "steps": [_tell_step(step) for step in steps],
    }  # fmt: skip


def _tell_step(step: jobs_model.Step) -> dict[str, Any]:
    return {
        "name": step.name, "status": str(step.status), "command": step.task.command, "code": step.task.code,
        "digest": step.digest, "reused_from": step.reused_from, "run": step.run_id,
        "environment_lock": step.environment_lock, "inputs": dict(step.inputs), "outputs": dict(step.outputs),
        "exit_code": step.exit_code,
    }  # fmt: skip


def _tell_data(
    ctx: Ctx, version: models_model.ModelVersion | None, job: jobs_model.Job | None, asked: Sequence[str]
) -> list[dict[str, Any]]:
    """What was asked about, and all data that led to it, the model, or the job that did not make it."""
    ends = list(asked)
    if version is not None:
        ends.append(version.id)
    if job is not None and (version is None or version.job != job.id):
        ends += _steps_of(ctx, job)
    led = [edge.source for end in ends for edge in assets.ancestry(ctx, end) if edge.source.startswith("data:")]
    known = version.training_data if version is not None else ()
    return [_tell_asset(ctx, each) for each in dict.fromkeys([*asked, *led, *known])]


def _asset(ctx: Ctx, id_: str) -> catalog.Asset | None:
    workspace, _, rest = id_.removeprefix("data:").partition("/")
    name, _, number = rest.rpartition(":")
    return assets.get(ctx, "data", workspace, name, number)


def _tell_asset(ctx: Ctx, id_: str) -> dict[str, Any]:
    asset = _asset(ctx, id_)
    if asset is None:
        return {"id": id_, "digest": None}
    # By its hash content is fetched: that is told to those alone who may read it.
    seen = identity.decide(ctx, Action.DATA_READ, asset.workspace, f"data/{asset.name}").allowed
    return {
        "id": id_, "digest": asset.digest if seen else None, "fingerprint": catalog.fingerprint(asset.digest),
        "reference": asset.spec.get("reference") if seen else None, "created_by": asset.created_by,
        "created_at": clock.iso(asset.created_at), "job": asset.job, "labels": list(asset.labels),
    }  # fmt: skip


def _tell_environments(
    ctx: Ctx, deployment: endpoints.Deployment | None, job: jobs_model.Job | None
) -> list[dict[str, Any]]:
    used: dict[str, list[str]] = {}
    if deployment is not None and deployment.environment_lock:
        used.setdefault(deployment.environment_lock, []).append(f"deployment {deployment.name}")
    if job is not None:
        for step in jobs.steps(ctx.in_workspace(job.workspace), job.id):
            if step.environment_lock:
                used.setdefault(step.environment_lock, []).append(f"step {step.name}")
    return [_tell_lock(ctx, digest, by) for digest, by in used.items()]


def _tell_lock(ctx: Ctx, digest: str, used_by: list[str]) -> dict[str, Any]:
    try:
        lock = environments.lock(ctx, digest)
    except errors.NotFound:
        return {"lock": digest, "used_by": used_by, "python": None, "packages": []}
    return {"lock": digest, "used_by": used_by, "python": lock.python, "packages": list(lock.requirements)}


def _tell_release(ctx: Ctx, release: model.Release) -> dict[str, Any]:
    definition = store.definition(ctx, release.definition, release.definition_version)
    stages = [
        {
            "workspace": stage.workspace, "phase": stage.phase, "candidate": stage.candidate, "job": stage.job,
            "endpoint": stage.endpoint, "deployment": stage.deployment_name, "champion_before": stage.champion_before,
            "entered_at": clock.iso(stage.entered_at) if stage.entered_at else None,
            "passed_at": clock.iso(stage.passed_at) if stage.passed_at else None,
        }
        for stage in release.stages
    ]  # fmt: skip
    return {
        "id": release.id, "number": release.number, "definition": release.definition,
        "definition_version": release.definition_version, "definition_hash": definition.hash if definition else None,
        "definition_by": definition.created_by if definition else None, "model": release.model,
        "version": release.version, "candidate": release.candidate, "status": release.status.value,
        "reasons": list(release.reasons), "trigger": release.trigger, "created_by": release.created_by,
        "created_at": clock.iso(release.created_at),
        "ended_at": clock.iso(release.ended_at) if release.ended_at else None, "stages": stages,
    }  # fmt: skip


def _tell_checks(ctx: Ctx, release: model.Release) -> list[dict[str, Any]]:
    """``intact`` tells whether the evidence still is what was hashed."""
    return [
        {
            "check": each.check, "type": each.type, "outcome": each.outcome.value, "reasons": list(each.reasons),
            "hash": each.hash, "intact": not gate_rules.altered(each), "at": clock.iso(each.created_at),
            "attachments": each.attachments,
        }
        for each in gates.evidence(ctx.in_workspace(queries.seen_from(ctx, release)), release.subject)
    ]  # fmt: skip


def _tell_approvals(ctx: Ctx, release: model.Release) -> list[dict[str, Any]]:
    return [
        {
            "workspace": each.workspace, "status": each.status.value, "personas": list(each.personas),
            "count": each.count, "not_allowed": each.authors, "evidence_digest": each.evidence_digest,
            "opened_at": clock.iso(each.opened_at),
            "decisions": [
                {"actor": said.actor, "decision": said.decision, "comment": said.comment, "at": clock.iso(said.at)}
                for said in each.decisions
            ],
        }
        for each in gates.approvals(ctx.in_workspace(queries.seen_from(ctx, release)), release.subject)
    ]  # fmt: skip


def _tell_audit(
    ctx: Ctx,
    release: model.Release | None,
    deployment: endpoints.Deployment | None,
    version: models_model.ModelVersion | None,
    job: jobs_model.Job | None,
    data: Sequence[str],
) -> list[dict[str, Any]]:
    subjects = [
        *data,
        release.subject if release else None,
        f"deployment:{deployment.id}" if deployment else None,
        version.id if version else None,
        f"job:{job.id}" if job else None,
    ]
    found: dict[int, events_model.Fact] = {}
    for subject in filter(None, subjects):
        found |= {fact.seq: fact for fact in events.facts(ctx, subject=subject)}
    return [
        {"seq": seq, "type": fact.type, "actor": fact.actor, "at": clock.iso(fact.at), "hash": fact.hash,
         "subject": fact.subject}
        for seq, fact in sorted(found.items())
    ]  # fmt: skip


def render_text(explanation: Explanation) -> str:
    """The explanation for a terminal: one paragraph for each part, hashes cut to twelve characters."""
    told = explanation
    lines: list[str] = []
    for part in (
        _text_request,
        _text_deployment,
        _text_model,
        _text_job,
        _text_data,
        _text_environments,
        _text_release,
    ):
        lines += part(told)
    return "\n".join(lines)


def _cut(digest: str | None) -> str:
    text = str(digest or "")
    return text[: text.rfind(":") + 13] if len(text) > 20 else text


def _text_request(told: Explanation) -> list[str]:
    request = told["request"]
    if not request:
        return []
    values = ", ".join(f"{name}={value}" for name, value in request["inputs"].items())
    answer = ", ".join(f"{name}={value}" for name, value in request["outputs"].items())
    latency = request.get("latency_ms")
    took = f", {latency:.1f} ms" if isinstance(latency, float) else ""
    first = request.get("time_to_first_piece_ms")
    took += f", {request['pieces']} pieces, the first after {first:.1f} ms" if isinstance(first, float) else ""
    return [
        f"Request {request['request_id']} at {request['time']}",
        f"  {request['workspace']}/{request['endpoint']} answered {request['status']}{took}",
        f"  inputs   {values or '(not logged)'}",
        f"  outputs  {answer or '(not logged)'}",
    ]


def _text_deployment(told: Explanation) -> list[str]:
    each = told["deployment"]
    if not each:
        return []
    by = f"release {told['release']['number']}" if told["release"] else each["created_by"]
    return [
        f"Deployment {each['name']} of {each['workspace']}/{each['endpoint']} ({each['status']})",
        f"  id       {each['id']}",
        f"  made by  {by} at {each['created_at']}",
    ]


def _text_model(told: Explanation) -> list[str]:
    each = told["model"]
    if not each:
        return []
    return [
        f"Model {each['name']}:{each['version']}",
        f"  files    {_cut(each['digest'])}",
        f"  run      {each['run'] or '(none)'}",
        f"  made by  {', '.join(each['authors']) or each['created_by']} at {each['created_at']}",
    ]


def _text_job(told: Explanation) -> list[str]:
    job = told["job"]
    if not job:
        return ["No job of this installation made the model."] if told["model"] else []
    lines = [f"Job {job['id']} in {job['workspace']} ({job['status']}), started by {job['created_by']}"]
    for step in job["steps"]:
        reused = f", reused from {step['reused_from']}" if step["reused_from"] else ""
        code = f" code {_cut(step['code'])}" if step["code"] else ""
        lines.append(f"  step     {step['name']} ({step['status']}{reused}){code}")
    return lines


def _text_data(told: Explanation) -> list[str]:
    lines = [f"Data {each['id'].removeprefix('data:')}  {_cut(each['digest'])}" for each in told["data"]]
    return [*lines, *(f"  led to   {each}" for each in told["led_to"])]


def _text_environments(told: Explanation) -> list[str]:
    return [
        f"Environment {_cut(each['lock'])} (Python {each['python']}, {len(each['packages'])} packages): "
        + ", ".join(each["used_by"])
        for each in told["environments"]
    ]


def _text_release(told: Explanation) -> list[str]:
    release = told["release"]
    if not release:
        return []
    lines = [
        f"Release {release['number']} ({release['id']}) by definition {release['definition']} "
        f"version {release['definition_version']}: {release['status']}",
        *[f"  because  {reason}" for reason in release["reasons"]],
        f"  started  by {release['created_by']} at {release['created_at']} ({release['trigger'].get('type', '')})",
    ]
    for check in told["checks"]:
        altered = "" if check["intact"] else "  CHANGED AFTERWARDS"
        lines.append(f"  check    {check['check']} {check['outcome']}  evidence {_cut(check['hash'])}{altered}")
        lines += [f"             {reason}" for reason in check["reasons"]]
    for approval in told["approvals"]:
        pinned = _cut(approval["evidence_digest"])
        lines.append(f"  approval for {approval['workspace']}: {approval['status']}, on evidence {pinned}")
        for said in approval["decisions"]:
            comment = f": {said['comment']}" if said["comment"] else ""
            lines.append(f"             {said['decision']} by {said['actor']} at {said['at']}{comment}")
    audit = told["audit"]
    if audit:
        last = f"{audit[0]['seq']} to {audit[-1]['seq']}, last {_cut(audit[-1]['hash'])}"
        lines.append(f"Sealed log: {len(audit)} facts, {last}")
    return lines
