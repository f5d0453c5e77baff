"""How a step's process is started: as one command, as several, over mini-batches, by spark-submit."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from doubleloop.jobs import rules, tables
from doubleloop.jobs.model import Step
from doubleloop.specs import bindings
from doubleloop.specs.kinds import distribution, parallel, spark

SPARK_ENVIRONMENT = "azureml://registries/azureml/environments/spark-3.5/labels/latest"


def launcher(step: bindings.Step) -> dict[str, Any]:
    """What the runner is told beside the command: ``{"program": ...}`` with its settings, or nothing."""
    instances = _instances(step)
    if isinstance(step.body, bindings.Batches):
        return _batches(step.body, instances)
    if step.distribution is not None:
        return _distributed(step.distribution, instances)
    return {}


def told(step: Step, job: str, inputs: Mapping[str, str | None], outputs: Mapping[str, str]) -> dict[str, Any]:
    """The launcher of a run, with its paths and values. Raises InvalidInput."""
    found = dict(step.task.launcher)
    if found.get("program") != "parallel":
        return found
    found["arguments"] = rules.render_text(found["arguments"], job, inputs, outputs)
    found["inputs"] = [
        {"name": name, "path": inputs[name], "table": tables.described(inputs[name], step.inputs[name].get("type"))}
        for name in found["data"]
    ]
    found["rows_path"] = outputs[found["rows"]] if found["rows"] else None
    return found


def _instances(step: bindings.Step) -> int:
    return (step.resources.instance_count if step.resources else None) or 1


def _distributed(wanted: distribution.Distribution, instances: int) -> dict[str, Any]:
    found: dict[str, Any] = {"program": "distributed", "kind": wanted.type, "nodes": instances}
    if isinstance(wanted, distribution.TensorFlow):
        return {**found, "workers": wanted.worker_count or instances, "servers": wanted.parameter_server_count or 0}
    if isinstance(wanted, distribution.Ray):
        return {
            **found, "port": wanted.port or 0, "address": wanted.address or "",
            "dashboard": bool(wanted.include_dashboard), "dashboard_port": wanted.dashboard_port or 0,
            "head_arguments": wanted.head_node_additional_args or "",
            "worker_arguments": wanted.worker_node_additional_args or "",
        }  # fmt: skip
    return {**found, "processes": wanted.process_count_per_instance or 1}


def _batches(body: bindings.Batches, instances: int) -> dict[str, Any]:
    settings = body.settings
    retry = settings.retry_settings or parallel.Retry.model_validate({})
    return {
        "program": "parallel",
        "script": body.script,
        "arguments": body.arguments,
        "data": list(body.data),
        "rows": body.rows,
        "workers": (settings.max_concurrency_per_instance or 1) * instances,
        "size": settings.mini_batch_size or "",
        "keys": list(settings.partition_keys or ()),
        "retries": retry.max_retries if retry.max_retries is not None else 3,
        "timeout_s": retry.timeout or 60,
        "error_threshold": -1 if settings.error_threshold is None else settings.error_threshold,
        "batch_error_threshold": (
            -1 if settings.mini_batch_error_threshold is None else settings.mini_batch_error_threshold
        ),
        "logging_level": (settings.logging_level or "info").upper(),
    }


def spark_command(settings: spark.Sparks) -> str:
    """The call of spark-submit on this machine's cores. Spark itself must be in the environment."""
    entry = settings.entry or spark.Entry.model_validate({"file": "-"})
    words = ["spark-submit", "--master", "local[*]"]
    for name, value in settings.conf.items():
        words += ["--conf", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    lists = (
        ("--py-files", settings.py_files), ("--jars", settings.jars), ("--files", settings.files),
        ("--archives", settings.archives),
    )  # fmt: skip
    for option, each in lists:
        words += [option, ",".join(each)] if each else []
    words += ["--class", entry.class_name] if entry.class_name else []
    words.append(entry.file or (settings.jars or [""])[0])
    return f"{_NEEDS_SPARK}\n{shlex.join(words)} {settings.args or ''}".strip()


_NEEDS_SPARK = """\
command -v java >/dev/null || { echo "Spark needs Java: install a Java runtime (17) on this machine" >&2; exit 69; }
python -c 'import pyspark' || { echo "pyspark is not in the step's environment: add it there" >&2; exit 69; }"""
