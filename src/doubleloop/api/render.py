"""Values of the rooms as JSON of docs/http-api.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from doubleloop.automation import model as automation
from doubleloop.automation import rehearsing
from doubleloop.base import clock
from doubleloop.batch import model as batch
from doubleloop.batch import rules as batch_rules
from doubleloop.catalog import model as catalog
from doubleloop.data import model as data
from doubleloop.endpoints import model as endpoints
from doubleloop.events import model as events
from doubleloop.gateway import protocol
from doubleloop.identity import model as identity
from doubleloop.jobs import model as jobs
from doubleloop.labeling import links, training
from doubleloop.labeling import model as labeling
from doubleloop.models import model as models
from doubleloop.monitoring import model as monitoring
from doubleloop.specs import documents
from doubleloop.specs import model as specs
from doubleloop.workspaces import model as workspaces


def plain(value: Any) -> Any:
    """Dataclasses, enums and times as JSON values, all the way down."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, datetime):
        return clock.iso(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if hasattr(value, "items"):
        return {key: plain(each) for key, each in value.items()}
    return value


def fact(value: events.Fact) -> dict[str, Any]:
    """As the record tells it to who may read the record."""
    return {**plain(value), "outcome": value.outcome, "reason": value.reason}


def told(value: events.Fact) -> dict[str, Any]:
    """As a thing's own history tells it: without from where, and by which token, somebody did it."""
    return {key: each for key, each in plain(value).items() if key != "context"}


def user(value: identity.User) -> dict[str, Any]:
    return dict(plain(value))


def workspace(value: workspaces.Workspace) -> dict[str, Any]:
    return dict(plain(value))


def asset(value: catalog.Asset) -> dict[str, Any]:
    spec = value.spec
    return {
        "id": value.id, "kind": value.kind, "name": value.name, "version": value.version,
        "workspace": value.workspace, "digest": value.digest, "labels": list(value.labels),
        "description": spec.get("description") or "", "tags": spec.get("tags") or {}, "type": spec.get("type"),
        "path": spec.get("reference"), "created_by": value.created_by, "created_at": plain(value.created_at),
        "job": value.job, "archived": value.archived, "spec": spec,
    }  # fmt: skip


def model_version(value: models.ModelVersion) -> dict[str, Any]:
    kind = "mlflow_model" if value.flavor == "mlflow" else "custom_model"
    return {
        "id": value.id, "kind": "model", "name": value.name, "version": value.version, "workspace": value.workspace,
        "digest": value.digest, "labels": list(value.labels), "description": value.description, "tags": value.tags,
        "type": kind, "path": value.reference, "created_by": value.created_by, "created_at": plain(value.created_at),
        "job": value.job, "archived": False, "spec": {}, "flavor": value.flavor, "run_id": value.run_id,
        "signature": value.signature, "training_data": list(value.training_data), "authors": list(value.authors),
        "properties": value.properties, "mlflow_version": value.number,
    }  # fmt: skip


def environment(value: catalog.Asset) -> dict[str, Any]:
    return {**asset(value), "image": value.spec.get("image")}


def job(value: jobs.Job, url: str) -> dict[str, Any]:
    body = plain(value)
    page = f"{url}/jobs/{value.workspace}/{value.id}"
    error = {"code": "failed", "message": value.error} if value.error else None
    return {**body, "name": value.id, "experiment_name": value.experiment, "error": error,
            "purpose": body["purpose"] or None, "services": {"Studio": {"endpoint": page}}}  # fmt: skip


def step(value: jobs.Step) -> dict[str, Any]:
    body = plain(value)
    left_out = ("task", "token", "log")
    return {**{key: each for key, each in body.items() if key not in left_out}, "needs": list(value.task.needs)}


def endpoint(value: endpoints.Endpoint, url: str, names: list[str]) -> dict[str, Any]:
    body = plain(value)
    left_out = ("primary_generation", "secondary_generation")
    return {
        **{key: each for key, each in body.items() if key not in left_out},
        "id": value.id, "scoring_uri": url, "openapi_uri": f"{url.removesuffix('/score')}/swagger.json",
        "provisioning_state": "Succeeded", "deployments": names,
    }  # fmt: skip


_PROVISIONING = {
    "preparing": "Creating", "starting": "Creating", "ready": "Succeeded", "failed": "Failed", "deleted": "Deleting",
    "replaced": "Deleting",
}  # fmt: skip


def deployment(
    value: endpoints.Deployment, traffic: int, instances: endpoints.Instances | None = None
) -> dict[str, Any]:
    """``instances``: what runs of it now, where somebody has asked the gateway and it has answered."""
    spec = value.spec.get("spec", {})
    return {
        "id": value.id, "name": value.name, "endpoint_name": value.endpoint, "workspace": value.workspace,
        "status": value.status.value, "provisioning_state": _PROVISIONING[value.status.value], "error": value.error,
        "model": value.model_id, "environment_lock": value.environment_lock,
        "instance_count": spec.get("instance_count", 1), "instances": instances.wanted if instances else None,
        "ready_instances": instances.ready if instances else None,
        "scaled": instances.scaled if instances else None, "plan": instances.plan if instances else None,
        "traffic": traffic, "release": value.release,
        "spec": spec,
        "signed": value.signature is not None, "unchecked": _unchecked(value), "created_by": value.created_by,
        "created_at": plain(value.created_at),
        "ready_at": plain(value.ready_at),
    }  # fmt: skip


def _unchecked(value: endpoints.Deployment) -> str | None:
    """Why requests are not compared with a signature; None while nothing is known, and when they are."""
    if value.signature is not None or value.status not in endpoints.LIVE:
        return None
    return "the model was logged without a signature: names, order and types of columns are not checked"


def batch_endpoint(value: batch.Endpoint, url: str, names: list[str]) -> dict[str, Any]:
    body = plain(value)
    default = body.pop("default_deployment")
    return {
        **body, "id": value.id, "defaults": {"deployment_name": default or None}, "scoring_uri": url,
        "provisioning_state": "Succeeded", "deployments": names,
    }  # fmt: skip


def batch_deployment(value: batch.Deployment) -> dict[str, Any]:
    file = documents.from_wire(value.spec)
    body: dict[str, Any] = {
        "id": value.id, "name": value.name, "endpoint_name": value.endpoint, "workspace": value.workspace,
        "type": value.kind.value, "provisioning_state": "Succeeded", "description": file.model.description or "",
        "tags": dict(file.model.tags), "properties": dict(file.model.properties), "compute": file.model.compute,
        "created_by": value.created_by, "created_at": plain(value.created_at),
    }  # fmt: skip
    if value.kind is batch.Kind.PIPELINE:
        return body
    found = batch_rules.settings(file.model)
    named = f"azureml:{value.model_name}:{value.model_version}"
    return {
        **body, "model": named if value.model_name else value.model_reference, "model_id": value.model_id,
        "no_code": value.no_code, "resources": {"instance_count": found.instance_count},
        "mini_batch_size": found.mini_batch_size, "max_concurrency_per_instance": found.max_concurrency_per_instance,
        "output_action": "append_row" if found.append_row else "summary_only",
        "output_file_name": found.output_file_name, "error_threshold": found.error_threshold,
        "retry_settings": {"max_retries": found.max_retries, "timeout": found.timeout_s or None},
        "logging_level": found.logging_level, "environment_variables": batch_rules.variables(file.model),
    }  # fmt: skip


def metrics(value: endpoints.Metrics) -> dict[str, Any]:
    return {
        "requests": value.requests, "errors_4xx": value.errors_4xx, "errors_5xx": value.errors_5xx,
        "throttled": value.throttled, "state": value.state, "ready_instances": value.ready_instances,
        "latency_ms": {"p50": value.p50_ms, "p95": value.p95_ms, "p99": value.p99_ms},
    }  # fmt: skip


def slo(endpoint_: endpoints.Endpoint, found: Sequence[protocol.Objective]) -> dict[str, Any]:
    """Objectives and how they are met; shares in per cent, budgets in requests."""
    window = (endpoint_.slo or {}).get("window")
    return {
        "endpoint": endpoint_.name, "window": window,
        "objectives": [
            {
                "objective": each.kind, "target": each.target, "threshold_ms": each.threshold_ms,
                "compliance": each.compliance, "met": each.met, "valid_requests": each.valid,
                "error_budget": {
                    "total": each.budget, "consumed": each.consumed, "remaining": each.remaining,
                    "consumed_percent": each.consumed_percent,
                },
                "burn_rates": dict(each.burn_rates),
            }
            for each in found
        ],
    }  # fmt: skip


def monitor(value: monitoring.Monitor, last: monitoring.MonitorRun | None, open_alerts: int) -> dict[str, Any]:
    schedule = specs.plain(documents.from_wire(value.document).model)
    create = schedule.get("create_monitor", {})
    return {
        "name": value.name, "workspace": value.workspace, "endpoint": value.endpoint, "deployment": value.deployment,
        "signals": create.get("monitoring_signals", {}), "enabled": value.enabled, "trigger": schedule["trigger"],
        "next_run_at": plain(value.next_at), "last_run": monitor_run(last) if last else None,
        "open_alerts": open_alerts, "created_by": value.created_by, "created_at": plain(value.created_at),
    }  # fmt: skip


def monitor_run(value: monitoring.MonitorRun) -> dict[str, Any]:
    body = plain(value)
    window = {"start": body.pop("window_start"), "end": body.pop("window_end")}
    return {**body, "window": window, "error": body["error"] or None}


def contract(value: data.Contract) -> dict[str, Any]:
    return {
        "name": value.name, "workspace": value.workspace, "on_break": value.on_break, "hash": value.hash,
        "spec": specs.plain(documents.from_wire(value.document).model), "created_by": value.created_by,
        "created_at": plain(value.created_at),
    }  # fmt: skip


def contract_check(value: data.ContractCheck) -> dict[str, Any]:
    return {"version": value.version, "outcome": "broken" if value.judged.broken else "kept", **plain(value.judged)}


def labeling_project(value: labeling.Project, states: dict[str, int]) -> dict[str, Any]:
    spec = documents.from_wire(value.document).model
    return {
        "name": value.name, "workspace": value.workspace, "task": spec.task, "status": value.status.value,
        "items": value.items, "states": states, "source": value.source, "output": value.output,
        "exported": value.exported or None, "opened_by": value.opened_by, "spec": specs.plain(spec),
        "created_by": value.created_by, "created_at": plain(value.created_at), "closed_at": plain(value.closed_at),
    }  # fmt: skip


def labeling_link(value: links.Link | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"name": "label_studio", "project": value.remote, "last_at": plain(value.last_at),
            "next_at": plain(value.next_at), "problem": value.problem or None, "refused": value.refused}  # fmt: skip


def labeling_proposal(value: training.Proposal | None) -> dict[str, Any] | None:
    if value is None:
        return None
    job = value.job
    started = {"id": job.id, "workspace": job.workspace, "status": job.status.value} if job is not None else None
    return {"data": value.data, "command": value.command, "job": started}


def labeling_item(value: labeling.Item) -> dict[str, Any]:
    """As annotators see it: whether it is a gold question is not told."""
    return {
        "number": value.number, "kind": value.kind, "content": value.content if value.kind == "text" else None,
        "path": value.path or None, "row": value.row, "prelabel": value.prelabel, "score": value.score,
        "state": value.state.value,
    }  # fmt: skip


def labeling_answer(value: labeling.Answer) -> dict[str, Any]:
    return {"user": value.user, "said": value.said.value, "value": value.value, "at": plain(value.at)}


def alert(value: monitoring.Alert) -> dict[str, Any]:
    body = plain(value)
    return {**body, "window": {"start": body.pop("window_start"), "end": body.pop("window_end")}}


def alert_change(value: events.Fact) -> dict[str, Any]:
    """One step of an alert's life."""
    told = {key: value.data[key] for key in ("before", "comment", "why", "until") if value.data.get(key)}
    return {"at": plain(value.at), "type": value.type, "actor": value.actor, **told}


def schedule(value: automation.Schedule) -> dict[str, Any]:
    body = specs.plain(documents.from_wire(value.document).model)
    return {
        "name": value.name, "workspace": value.workspace, "kind": "job", "display_name": body.get("display_name"),
        "description": body.get("description"), "enabled": value.enabled, "trigger": body["trigger"],
        "next_run_at": plain(value.next_at), "last_run_at": plain(value.last_at), "last_run": value.last_run,
        "created_by": value.created_by, "created_at": plain(value.created_at), "spec": body,
    }  # fmt: skip


def monitor_schedule(value: monitoring.Monitor, last: monitoring.MonitorRun | None) -> dict[str, Any]:
    body = specs.plain(documents.from_wire(value.document).model)
    return {
        "name": value.name, "workspace": value.workspace, "kind": "monitor", "display_name": body.get("display_name"),
        "description": body.get("description"), "enabled": value.enabled, "trigger": body["trigger"],
        "next_run_at": plain(value.next_at), "last_run_at": plain(value.last_at), "last_run": last.id if last else None,
        "created_by": value.created_by, "created_at": plain(value.created_at),
    }  # fmt: skip


def rehearsal(value: rehearsing.Rehearsal) -> dict[str, Any]:
    body = plain(value)
    return {**body, "occasions": [{**each, "does": list(each["does"])} for each in body["occasions"]]}


def rule(value: automation.Rule) -> dict[str, Any]:
    body = specs.plain(documents.from_wire(value.document).model)
    return {
        "name": value.name, "workspace": value.workspace, "on": body["on"], "where": body.get("where"),
        "do": body["do"], "enabled": value.enabled, "default": value.is_default,
        "last_fired_at": plain(value.last_fired_at), "created_by": value.created_by,
        "created_at": plain(value.created_at),
    }  # fmt: skip
