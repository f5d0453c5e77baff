"""One deployment id as the request path sees it: what it checks, who scores, what is counted and logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.gateway import checkers, counting, desired, masks, near, paths, pool, records, signatures, wal
from doubleloop.gateway import limits as limit

logger = logging.getLogger(__name__)

# Requests that a scorer is sent before it has answered, if it can score them together.
AHEAD = 32


@dataclass(frozen=True)
class Place:
    """Where a process keeps what it logs. ``closed_segment`` is told of each part of a log that is to be Parquet."""

    home: Path
    limits: limit.Limits
    closed_segment: Callable[[Path], None]


class Answering:
    """``contract``, ``description`` and ``log`` are there once a scorer has said what its model is."""

    def __init__(self, workspace: str, endpoint: str, name: str, deployment: desired.Deployment, place: Place) -> None:
        self.workspace, self.endpoint, self.name = workspace, endpoint, name
        self.deployment = deployment
        self.description: Mapping[str, Any] | None = None
        self.contract: checkers.Contract | None = None
        self.counts = counting.Counts()
        self.log: wal.Log | None = None
        self.near: near.Near | None = None
        self._nearing: asyncio.Task[None] | None = None
        self._near_told: dict[str, Any] | None = None
        self._place = place
        self._masker = masks.Masker(place.home, deployment.collect)
        self.pool = pool.Pool(
            deployment.max_concurrent_requests_per_instance,
            place.limits.queue_per_instance,
            deployment.max_queue_wait_ms / 1000,
            place.limits.stuck_after,
            self.counts.waited,
        )

    def learn(self, description: Mapping[str, Any]) -> None:
        """What the model is, as its scorer says. Raises errors.InvalidInput when nothing could be checked."""
        if self.contract is None:
            self.contract = checkers.contract(self.deployment, description)
            self.log = self._new_log()
        self._described(description)
        self.pool.ahead = AHEAD if description.get("together") else 1
        plan = description.get("plan") or {}
        file = (plan.get("portable") or {}).get("file")
        if description.get("together") and plan.get("used") and file and self._nearing is None:
            self._nearing = asyncio.create_task(self._come_near(file))

    def _described(self, description: Mapping[str, Any]) -> None:
        """``plan.near`` says how many rows are answered by the plan in the gateway itself, or why none are."""
        plan = description.get("plan")
        if plan and plan.get("used") and self._near_told is not None:
            description = {**description, "plan": {**plan, "near": self._near_told}}
        self.description = description

    async def _come_near(self, file: str) -> None:
        try:
            self.near = await asyncio.to_thread(near.load, self._place.home, file)
            self.near.batched = self.counts.batched
            self._near_told = {"rows": self.near.rows}
        except errors.DoubleloopError as error:
            logger.info("%s/%s %s: scorers answer: %s", self.workspace, self.endpoint, self.name, error)
            self._near_told = {"rows": 0, "why": str(error)}
        assert self.description is not None
        self._described(self.description)
        self.changed()

    def changed(self) -> None:
        """Something that is told of it is another than before."""

    def give_up_near(self) -> None:
        """The plan was wrong: scorers answer everything from now on."""
        if self._nearing is not None:
            self._nearing.cancel()
        self.near = None

    async def nearby(self, checked: signatures.Checked) -> bytes | None:
        """The answer of the plan, if it is at hand and covers these rows; now and then a scorer is asked whether its
        model says the same."""
        plan = self.near
        if plan is None or checked.rows > plan.rows or "params" in checked.header:
            return None
        found = await plan.answer(checked.value, checked.rows, "missing" in checked.header)
        if found is None:
            return None
        self.counts.waited(0.0)
        if plan.review_due():
            self.pool.ask_review({"rows": checked.rows, "input": checked.value}, found)
        return found

    def adjust(self, deployment: desired.Deployment) -> None:
        """Takes over settings that need no new process: times, queue, collecting, names."""
        self.deployment = deployment
        self._masker = masks.Masker(self._place.home, deployment.collect)
        self.pool.depth = deployment.max_concurrent_requests_per_instance
        self.pool.queue_wait = deployment.max_queue_wait_ms / 1000
        if self.log is not None:
            self.log.rotate()  # the header of the next segment says the new names
            self.log = self._new_log()

    def answered(self, number: int, header: dict[str, Any], body: bytes) -> None:
        """A scorer's answer to request ``number``, or a piece of it."""
        if header["op"] == "piece":
            self.pool.piece(number, body)
            return
        if "batch" in header:
            self.counts.batched(header["batch"])
        self.pool.answered(number, header, body)

    def append(self, record: records.Record) -> None:
        """One record into the log, masked and sampled as the deployment says. Raises OSError."""
        assert self.log is not None
        collect = self.deployment.collect
        if record.error is None and not masks.sampled(record.request_id, collect.sampling_rate):
            return
        if self._masker.masks:
            assert self.contract is not None
            inputs = (self.contract.signature or {}).get("inputs", [])
            names = [str(each.get("name", index)) for index, each in enumerate(inputs)]
            record = self._masker.record(record, self.contract.layout, names)
        self.log.append(records.encode(record))

    @property
    def collects(self) -> bool:
        """Whether the script says by itself what its model was given and answered."""
        return bool(self.description and self.description.get("collects"))

    @property
    def raw(self) -> bool:
        """Whether it is a script that takes the whole HTTP request, whatever it holds."""
        return bool(self.description and self.description.get("raw"))

    @property
    def streams(self) -> bool:
        """Whether its model answers piece by piece when it is asked to."""
        return bool(self.description and self.description.get("streams"))

    def _new_log(self) -> wal.Log:
        assert self.contract is not None
        signature = self.contract.signature or {"inputs": [], "outputs": []}
        header = records.Header(
            workspace=self.workspace, endpoint=self.endpoint, deployment=self.name,
            deployment_id=self.deployment.id, model=self.deployment.model,
            model_version=self.deployment.model_version, layout=self.contract.layout,
            inputs=tuple(signature["inputs"]), outputs=tuple(signature["outputs"]),
        )  # fmt: skip
        folder = paths.deployment_log(self._place.home, self.workspace, self.endpoint, self.name) / "wal"
        return wal.Log(folder, records.encode_header(header), self._place.limits, self._place.closed_segment)
