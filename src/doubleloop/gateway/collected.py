"""What scoring scripts collect by themselves, as rows of the inference log and as lines of CloudEvents.

``model_inputs`` and ``model_outputs`` of one correlation id become rows of the inference log, under that id: the script
knows better than the request's body what the model was given. Every other collection is kept as Azure ML keeps it, a
file of JSON lines per hour.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from doubleloop.gateway import desired, records, request_ids

logger = logging.getLogger(__name__)

INPUTS, OUTPUTS = "model_inputs", "model_outputs"
# Seconds that one half waits for the other, and halves that may wait.
PATIENCE_S, MOST = 30.0, 10_000

Append = Callable[[records.Record], None]


@dataclass
class _Half:
    since: float
    event_us: int
    rows: int
    inputs: bytes | None = None
    outputs: bytes | None = None


class Collected:
    """Of one deployment. ``append`` writes a record; ``folder`` is where other collections are kept."""

    def __init__(self, deployment: desired.Deployment, folder: Path, append: Append) -> None:
        self._deployment, self._folder, self._append = deployment, folder, append
        self._waiting: OrderedDict[str, _Half] = OrderedDict()
        wanted = deployment.collect.collections
        both = wanted is None or (wanted.get(INPUTS) and wanted.get(OUTPUTS))
        self._halves = 2 if both else 1

    def take(self, header: Mapping[str, Any], body: bytes) -> None:
        """One post of a script's collector."""
        name = str(header["collection"])
        correlation = str(header["correlation"])
        if not request_ids.SANE.match(correlation.encode()):
            correlation = uuid.uuid5(uuid.NAMESPACE_OID, correlation).hex
        moment = _moment(header.get("time"))
        if name not in (INPUTS, OUTPUTS):
            self._line(name, correlation, moment, header, body)
            return
        half = self._waiting.setdefault(
            correlation, _Half(time.monotonic(), int(moment.timestamp() * 1e6), int(header["rows"]))
        )
        if name == INPUTS:
            half.inputs, half.rows = body, int(header["rows"])
        else:
            half.outputs = body
        if self._halves == 1 or (half.inputs is not None and half.outputs is not None):
            self._write(correlation)
        self.look()

    def look(self, everything: bool = False) -> None:
        """Write the halves that have waited long enough."""
        now = time.monotonic()
        while self._waiting:
            correlation, half = next(iter(self._waiting.items()))
            if not everything and len(self._waiting) <= MOST and now - half.since < PATIENCE_S:
                return
            self._write(correlation)

    def _write(self, correlation: str) -> None:
        half = self._waiting.pop(correlation)
        self._append(
            records.Record(
                request_id=correlation, event_us=half.event_us, received_us=time.time_ns() // 1000, status=200,
                latency_ms=0.0, rows=half.rows, inputs=half.inputs, output=half.outputs,
            )
        )  # fmt: skip

    def _line(
        self, name: str, correlation: str, moment: datetime, header: Mapping[str, Any], body: bytes
    ) -> None:  # fmt: skip
        """A CloudEvent, as Azure ML's collector writes them."""
        place = self._folder / name / f"{moment:%Y/%m/%d/%H}" / f"{self._deployment.id}.jsonl"
        event = {
            "specversion": "1.0", "id": uuid.uuid4().hex, "source": self._deployment.id,
            "type": f"azureml.inference.{name}", "datacontenttype": "application/json", "time": moment.isoformat(),
            "data": orjson.loads(body), "correlationid": correlation, "xrequestid": correlation,
            "modelversion": self._deployment.model_version, "collectdatatype": "pandas.core.frame.DataFrame",
            "agent": "doubleloop",
        }  # fmt: skip
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("ab") as file:
                file.write(orjson.dumps(event) + b"\n")
        except OSError as error:
            logger.error("what %s collected as %s cannot be kept: %s", self._deployment.id, name, error)


def _moment(text: Any) -> datetime:
    """``ce-time`` of the collector is in whole seconds since 1970; now when it is not."""
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return datetime.now(UTC)
