"""Sending a deployment the load that its check asks for, in requests made from real rows."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from doubleloop.base import actors, clock, errors
from doubleloop.db.context import Contexts
from doubleloop.endpoints import commands as endpoints
from doubleloop.endpoints import ports as endpoint_ports
from doubleloop.endpoints import queries as endpoint_queries
from doubleloop.models import queries as models
from doubleloop.releases import load, model, scoring, tables
from doubleloop.settings.model import Settings
from doubleloop.storage import ports as storage

ACTOR = actors.service("releases")
BODIES = 200
SEED = 7
TIMEOUT_S = 30.0
# For the generator to start, warm up and write its answer.
MARGIN_S = 60.0


def measure(contexts: Contexts, question: model.Question) -> model.Measured:
    """Measurements of ``load.run`` against the candidate's deployment, whatever its share of the traffic is."""
    check = question.check
    with contexts.read(ACTOR, question.workspace) as ctx:
        url = endpoint_queries.score_url(ctx, question.endpoint)
        key, _ = endpoints.keys(ctx, question.endpoint)
        signature = endpoint_queries.deployment(ctx, question.deployment).signature
    bodies, source = _bodies(contexts, question, signature)
    plan = load.Plan(
        url, bodies, float(check["rate"]), clock.duration(check["duration"]).total_seconds(),
        headers={"Authorization": f"Bearer {key}", "azureml-model-deployment": question.deployment_name},
        timeout_s=TIMEOUT_S,
    )  # fmt: skip
    gateway = _gateway(contexts)
    measured = run(plan)
    if _gateway(contexts) != gateway:
        raise errors.Unavailable("the gateway was started again during the load, which says nothing about the model")
    timeline = contexts.port(storage.Blobs).put_bytes(json.dumps(measured.pop("timeline")).encode())
    measured |= {"requests_from": source, "deployment": question.deployment_name, "endpoint": question.endpoint}
    return model.Measured(measured, {"timeline": f"blob:sha256:{timeline}"})


def _gateway(contexts: Contexts) -> int:
    """The process that serves now. Raises Unavailable when there is none."""
    return contexts.port(endpoint_ports.Serving).status().pid


def run(plan: load.Plan) -> dict[str, Any]:
    """The load in a process of its own: nothing this process does can delay a request. Raises Failed."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "doubleloop.releases.load"], input=json.dumps(asdict(plan)), text=True,
            capture_output=True, check=False, timeout=plan.duration_s + plan.timeout_s * (plan.warmup + 1) + MARGIN_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise errors.Failed("the load did not come to its end") from error
    if done.returncode != 0:
        raise errors.Failed(f"the load could not be sent: {done.stderr.strip()[-1000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _bodies(contexts: Contexts, question: model.Question, signature: dict[str, Any] | None) -> tuple[list[str], str]:
    """Requests of one row each, and what they were made from: the check's data, else the hold-out, else the model's
    own example. Raises InvalidInput when there is none of them."""
    named = question.check.get("data") or next(iter(question.holdouts), None)
    if named:
        table = tables.read(contexts, question.workspace, named)
        rows = table.rows.sample(min(BODIES, table.rows.height), seed=SEED)
        return request_bodies(rows, signature, question.target), table.id
    example = _example(contexts, question)
    if example is None:
        raise errors.InvalidInput(
            "there are no rows to send: the check names no data, the stage no hold-out, the model no input example",
            cure="Add `data: azureml:NAME:VERSION` to the endpoint_performance check.",
        )
    return [example], "the model's input example"


def request_bodies(rows: pl.DataFrame, signature: dict[str, Any] | None, target: str | None) -> list[str]:
    """Azure ML's request form, with the signature's columns in its order and its types (a whole number that a missing
    value turned into a float is written whole again). Raises InvalidInput for a missing column."""
    inputs = (signature or {}).get("inputs") or []
    names = [each["name"] for each in inputs if each.get("name") is not None]
    kinds = {each["name"]: each.get("type") for each in inputs if each.get("name") is not None}
    if not names:
        names = [name for name in rows.columns if name != target]
    absent = [each["name"] for each in inputs if each.get("name") not in rows.columns and each.get("required", True)]
    if absent:
        raise errors.InvalidInput(f"the data has no column '{absent[0]}', which the model's signature names")
    names = [name for name in names if name in rows.columns]
    data = scoring.wire(rows.select(names), None)["data"]
    typed = [[_typed(value, kinds.get(name)) for name, value in zip(names, row, strict=True)] for row in data]
    return [json.dumps({"input_data": {"columns": names, "index": [0], "data": [row]}}) for row in typed]


def _typed(value: Any, kind: str | None) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if kind in ("long", "integer") and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind == "string" and not isinstance(value, str):
        return str(value)
    return float(value) if kind in ("double", "float") and isinstance(value, int) else value


def _example(contexts: Contexts, question: model.Question) -> str | None:
    """MLflow keeps an example as ``serving_input_example.json`` (2.13 and newer) or ``input_example.json``."""
    with contexts.read(ACTOR, question.workspace) as ctx:
        version = models.get(ctx, *question.candidate)
    folder: Path = contexts.port(Settings).home / "releases" / "models" / version.digest / "model"
    if not folder.exists():
        contexts.port(storage.Blobs).materialise(version.reference, folder)
    serving, plain = folder / "serving_input_example.json", folder / "input_example.json"
    if serving.is_file():
        return serving.read_text()
    if plain.is_file():
        value = json.loads(plain.read_text())
        form = "dataframe_split" if isinstance(value, dict) and {"columns", "data"} <= set(value) else "inputs"
        return json.dumps({form: value})
    return None
