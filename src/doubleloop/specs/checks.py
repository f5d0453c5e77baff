"""What a kind of document must hold beyond the types of its fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from doubleloop.base import clock, errors
from doubleloop.specs import expressions, fields, parts, pipelines, problems, references
from doubleloop.specs.model import Document

_PASSWORD = re.compile(r"://[^/@:]*:[^/@]+@")


def references_known(document: Document) -> None:
    """Every path field must hold a reference of a known form."""
    for visit in fields.walk(document.model):
        if visit.path_role and isinstance(visit.value, str) and "${{" not in visit.value:
            references.parse(visit.value, document.source.where(visit.pointer))


def _check_release(document: Document) -> None:
    where = document.source.where("model")
    reference = references.parse(document.model.model, where)
    if not isinstance(reference, references.Asset):
        raise errors.InvalidInput(
            f"'{document.model.model}' is not the name of a model", where=where, cure="write azureml:NAME"
        )
    if reference.version is not None:
        raise errors.InvalidInput(
            "a release is of every new version of a model, not of one",
            where=where,
            cure=f"write azureml:{reference.name}; start one version by hand with 'release start'",
        )
    workspaces = [stage.workspace for stage in document.model.stages]
    for index, name in enumerate(workspaces):
        if name in workspaces[:index]:
            raise errors.InvalidInput(
                f"two stages are in the workspace '{name}'", where=document.source.where(f"stages.{index}.workspace")
            )
    for index, stage in enumerate(document.model.stages):
        retrain = stage.retrain
        if retrain and not isinstance(retrain.job, str):
            _check_known(document, f"stages.{index}.retrain.inputs", retrain.inputs, retrain.job.inputs)
            job = parts.nested(document, f"stages.{index}.retrain.job")
            pipelines.check(job)


def _check_known(document: Document, path: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in given:
        if name not in known:
            raise errors.InvalidInput(
                f"the job has no input '{name}'",
                where=document.source.where(f"{path}.{name}"),
                cure=problems.nearest(name, list(known)),
            )


# Signals that need what the endpoint's log alone has: request ids, true values that come later, versions.
_OF_THE_LOG = (
    "estimated_performance", "segment_performance", "fairness", "residual_drift", "generation_token_statistics",
    "generation_safety_quality",
)  # fmt: skip


def _check_prepared(document: Document) -> None:
    """Data that a component makes ready must be data that the signal looks at."""
    for name, signal in (document.model.create_monitor.monitoring_signals or {}).items():
        place = f"create_monitor.monitoring_signals.{name}"
        held = getattr(signal, "production_data", None)
        parts = {f".{at}": each for at, each in enumerate(held)} if isinstance(held, list) else {"": held}
        wrong = [f"production_data{at}" for at, each in parts.items() if each and each.pre_processing_component]
        reference = getattr(signal, "reference_data", None)
        if signal.type == "residual_drift" and reference and reference.pre_processing_component:
            wrong.append("reference_data")
        if wrong and signal.type in _OF_THE_LOG:
            raise errors.InvalidInput(
                f"{signal.type} reads the endpoint's log, not data that a component made ready",
                where=document.source.where(f"{place}.{wrong[0]}.pre_processing_component"),
                cure="remove pre_processing_component, or compute the metric in a signal of type custom",
            )


def _moment(text: str | None) -> datetime | None:
    """A bound of a trigger, in UTC as if written there: good enough to tell which comes first."""
    return clock.parse(text) if text else None


def _check_schedule(document: Document) -> None:
    schedule = document.model
    start, end = _moment(schedule.trigger.start_time), _moment(schedule.trigger.end_time)
    if start and end and end < start:
        raise errors.InvalidInput(
            "end_time lies before start_time", where=document.source.where("trigger.end_time"), cure="exchange them"
        )
    if (schedule.create_job is None) == (schedule.create_monitor is None):
        raise errors.InvalidInput(
            "a schedule starts one thing: 'create_job' or 'create_monitor'", where=document.source.where()
        )
    if schedule.create_monitor is not None:
        _check_prepared(document)
    create = schedule.create_job
    if create is None or isinstance(create, str) or isinstance(create.job, str):
        return
    _check_known(document, "create_job.inputs", create.inputs, create.job.inputs)


def _check_setup(document: Document) -> None:
    setup = document.model
    known = [workspace.name for workspace in setup.workspaces]
    groups = [group.name for group in setup.groups]
    for index, group in enumerate(setup.groups):
        for position, name in enumerate(group.workspaces or ()):
            _check_listed(document, f"groups.{index}.workspaces.{position}", name, known, "workspace")
    for index, assignment in enumerate(setup.assignments):
        if assignment.group:
            _check_listed(document, f"assignments.{index}.group", assignment.group, groups, "group")
    for section in ("computes", "datastores", "notifications", "rules"):
        for index, each in enumerate(getattr(setup, section)):
            for position, name in enumerate(each.workspaces or ()):
                _check_listed(document, f"{section}.{index}.workspaces.{position}", name, known, "workspace")
    targets = [target.name for target in setup.notifications]
    for index, budget in enumerate(setup.budgets):
        for position, name in enumerate(budget.notify):
            _check_listed(document, f"budgets.{index}.notify.{position}", name, targets, "notification target")
    _check_addresses(document)
    for index, _ in enumerate(setup.rules):
        for visit in fields.walk(setup.rules[index]):
            if isinstance(visit.value, str):
                expressions.check(visit.value, document.source.where(("rules", str(index), *visit.pointer)))


def _check_addresses(document: Document) -> None:
    """A password in a file that is kept in a repository is no secret any more."""
    for index, target in enumerate(document.model.notifications):
        if target.url and "${{" not in target.url and _PASSWORD.search(target.url):
            raise errors.InvalidInput(
                f"the address of '{target.name}' holds a password",
                where=document.source.where(f"notifications.{index}.url"),
                cure="keep the address as a secret, and write 'url: ${{secrets.NAME}}'",
            )


def _check_listed(document: Document, path: str, name: str, known: list[str], what: str) -> None:
    if known and name not in known:
        raise errors.InvalidInput(
            f"'{name}' is not a {what} of this file",
            where=document.source.where(path),
            cure=problems.nearest(name, known),
        )


def _check_slo(document: Document) -> None:
    slo = document.model.slo
    if slo is not None and slo.availability is None and slo.latency is None:
        raise errors.InvalidInput(
            "'slo' names no objective",
            where=document.source.where("slo"),
            cure="add 'availability: {target: 99.9}' or 'latency: {threshold_ms: 250, target: 99}'",
        )


_SCALED_BY = ("min_instances", "max_instances", "polling_interval", "target_utilization_percentage")


def _check_scale(document: Document) -> None:
    scale = document.model.scale_settings
    if scale is None:
        return
    given = [name for name in _SCALED_BY if getattr(scale, name) is not None]
    if scale.type == "default" and given:
        raise errors.InvalidInput(
            f"with 'type: default' the number of instances stays as it is, and '{given[0]}' says nothing",
            where=document.source.where(f"scale_settings.{given[0]}"),
            cure="write 'type: target_utilization', or leave it out",
        )
    fewest, most = scale.min_instances or 1, scale.max_instances or 1
    if fewest > most:
        by_default = "" if scale.max_instances else ", which is 1 when it is left out"
        raise errors.InvalidInput(
            f"min_instances ({fewest}) is above max_instances ({most}{by_default})",
            where=document.source.where("scale_settings.min_instances"),
            cure=f"write 'max_instances: {fewest}' or more",
        )


def _check_rule(document: Document) -> None:
    for visit in fields.walk(document.model):
        if isinstance(visit.value, str):
            expressions.check(visit.value, document.source.where(visit.pointer))


CHECKS: dict[str, tuple[Callable[[Document], None], ...]] = {
    "command_job": (pipelines.check,),
    "pipeline_job": (pipelines.check,),
    "sweep_job": (pipelines.check,),
    "parallel_job": (pipelines.check,),
    "spark_job": (pipelines.check,),
    "automl_job": (pipelines.check,),
    "command_component": (pipelines.check,),
    "pipeline_component": (pipelines.check,),
    "parallel_component": (pipelines.check,),
    "spark_component": (pipelines.check,),
    "schedule": (_check_schedule,),
    "setup": (_check_setup,),
    "online_endpoint": (_check_slo,),
    "online_deployment": (_check_scale,),
    "release": (_check_release,),
    "rule": (_check_rule,),
}
