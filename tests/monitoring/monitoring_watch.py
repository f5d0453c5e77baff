"""A production endpoint whose inference log a test writes, and monitors over it that really run."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from doubleloop.base import errors
from doubleloop.data import commands as data
from doubleloop.durable.fake import EagerEngine
from doubleloop.endpoints import ports as endpoints
from doubleloop.endpoints.serving import GatewayServing
from doubleloop.events import queries as events
from doubleloop.gateway import log, paths
from doubleloop.monitoring import commands, model, queries, workflows
from doubleloop.specs import documents
from doubleloop.storage import ports as storage

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MONITOR = """
$schema: https://azuremlschemas.azureedge.net/latest/monitorSchedule.schema.json
name: watch
trigger: {{type: recurrence, frequency: day, interval: 1, schedule: {{hours: 6, minutes: 0}}}}
create_monitor:
  compute: {{instance_type: standard_e4s_v3, runtime_version: "3.4"}}
  monitoring_target: {{ml_task: {task}, endpoint_deployment_id: "azureml:bikes:blue"}}
  monitoring_signals:
{signals}
"""
REFERENCE = """reference_data:
        input_data: {type: uri_file, path: "azureml:training@latest"}
        data_context: training
        data_column_names: {target_column: y}"""


class WrittenLog(GatewayServing):
    """The log's files as they are; there is no process that holds newer answers, unless a test says that it is away."""

    away = False

    def flush(self) -> None:
        if self.away:
            raise errors.Unavailable("The gateway does not answer")


@dataclass
class Watch:
    house: Any
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.house.ports[endpoints.Serving] = self.serving = WrittenLog(self.house.home)

    def answered(
        self, inputs: dict[str, list[Any]], outputs: list[Any], *, start: datetime = NOW - timedelta(hours=12),
        deployment: str = "blue", status: int = 200, mirrored: bool = False, more: dict[str, list[Any]] | None = None,
    ) -> list[str]:  # fmt: skip
        """Write answered rows, one a second from ``start``; returns their request ids."""
        rows = len(outputs)
        ids = [f"request-{next(self.numbers)}" for _ in range(rows)]
        times = [start + timedelta(seconds=second) for second in range(rows)]
        frame = pl.DataFrame(
            {
                "request_id": ids, "row": [0] * rows, "time": times, "received_at": times, "deployment": deployment,
                "deployment_id": f"{deployment}-id", "model": "m", "model_version": "1", "status": status,
                "latency_ms": 1.0, "mirrored": mirrored, "error": None,
                **{f"in.{name}": values for name, values in inputs.items()}, "out.prediction": outputs, **(more or {}),
            },
            schema_overrides={**log.COLUMNS},
        )  # fmt: skip
        self._write(paths.deployment_log(self.house.home, "prod", "bikes", deployment), frame)
        return ids

    def told(self, truth: dict[str, Any], received: datetime = NOW) -> None:
        """True values by request id, as they come in later."""
        value = pl.Float64 if all(isinstance(each, int | float) for each in truth.values()) else pl.String
        frame = pl.DataFrame(
            {"request_id": list(truth), "row": [0] * len(truth), "value": list(truth.values()),
             "time": [received] * len(truth), "received_at": [received] * len(truth)},
            schema_overrides={**log.LABEL_COLUMNS, "value": value},
        )  # fmt: skip
        self._write(paths.label_log(self.house.home, "prod", "bikes"), frame)

    def _write(self, folder: Path, frame: pl.DataFrame) -> None:
        place = folder / "2026" / "03" / "01" / "00"
        place.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(place / f"{next(self.numbers):06d}.parquet")

    def training(self, frame: pl.DataFrame, name: str = "training") -> None:
        """A new version of the training data, in the registry."""
        blobs = self.house.contexts.port(storage.Blobs)
        reference = data.store_bytes(blobs, "training.csv", frame.write_csv().encode())
        with self.house.write("ada", "registry") as ctx:
            data.add_version(ctx, name, reference, "uri_file")

    def put(self, signals: str, *, task: str = "regression", by: str = "linus") -> model.Monitor:
        text = MONITOR.format(task=task, signals="\n".join(f"    {line}" for line in signals.strip("\n").split("\n")))
        document = documents.parse(text, "monitor.yml", self.house.home)
        with self.house.write(by, "prod") as ctx:
            return commands.put(ctx, document)

    def run(self, as_of: datetime = NOW, id_: str | None = None) -> model.MonitorRun:
        """One run, from its start to its end."""
        with self.house.write("linus", "prod") as ctx:
            started = commands.run_now(ctx, "watch", as_of, id_)
        self.work()
        with self.house.read("linus", "prod") as ctx:
            return queries.run(ctx, started.id)

    def work(self) -> EagerEngine:
        engine = EagerEngine(self.house.contexts, workflows.WORKFLOWS)
        engine.run()
        return engine

    def signal(self, run: model.MonitorRun, name: str) -> dict[str, Any]:
        (found,) = (each for each in run.signals if each["signal"] == name)
        return dict(found)

    def value(self, run: model.MonitorRun, name: str, metric: str, column: str = "") -> Any:
        for each in self.signal(run, name)["metrics"]:
            if each["metric"] == metric and each["column"] == column:
                return each["value"]
        raise AssertionError(f"{metric} of {column} is not among {self.signal(run, name)}")

    def alerts(self, only_open: bool = False) -> list[model.Alert]:
        with self.house.read("linus", "prod") as ctx:
            return queries.alerts(ctx, "watch", only_open)

    def facts(self, *types: str) -> list[Any]:
        with self.house.read("linus", "prod") as ctx:
            return events.facts(ctx, types=types)
