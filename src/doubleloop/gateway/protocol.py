"""The control plane's side of the gateway: write what should run, read what runs, flush the log."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

from doubleloop.base import errors
from doubleloop.gateway import desired as desired_state
from doubleloop.gateway import histogram, objectives, paths, sockets

Collect = desired_state.Collect
Deployment = desired_state.Deployment
Endpoint = desired_state.Endpoint
Scale = desired_state.Scale
Slo = desired_state.Slo
Objective = objectives.Objective
Desired = desired_state.Desired
State = Literal["starting", "ready", "failed", "draining"]


@dataclass(frozen=True)
class Counters:
    """Since this deployment id began. ``latency`` counts answers other than 4xx per ``histogram.BOUNDS_MS``."""

    requests: int = 0
    client_errors: int = 0
    server_errors: int = 0
    throttled: int = 0
    cancelled: int = 0
    in_flight: int = 0
    latency: tuple[int, ...] = ()

    def minus(self, earlier: Counters) -> Counters:
        """What happened between two readings (``in_flight`` is the later one)."""
        before = earlier.latency or (0,) * len(self.latency)
        return Counters(
            requests=self.requests - earlier.requests,
            client_errors=self.client_errors - earlier.client_errors,
            server_errors=self.server_errors - earlier.server_errors,
            throttled=self.throttled - earlier.throttled,
            cancelled=self.cancelled - earlier.cancelled,
            in_flight=self.in_flight,
            latency=tuple(now - then for now, then in zip(self.latency, before, strict=True)),
        )

    def quantile_ms(self, q: float) -> float | None:
        return histogram.quantile(self.latency, q)


@dataclass(frozen=True)
class Scaled:
    """The last time that the number of instances followed the load: when (ISO 8601), from and to which number."""

    at: str
    before: int
    after: int
    why: str


@dataclass(frozen=True)
class DeploymentStatus:
    """One deployment as desired: ``state`` is that of ``id``; ``serving_id`` is the one that answers now (the
    earlier one until a replacement is ready; None when nothing does). ``restarts`` counts crashed scorers.
    ``instances`` are wanted now; ``scaled`` is None while that is the number it started with."""

    id: str
    state: State
    serving_id: str | None = None
    instances: int = 0
    ready_instances: int = 0
    scaled: Scaled | None = None
    restarts: int = 0
    error: str | None = None
    description: Mapping[str, Any] | None = None
    counters: Counters = Counters()
    draining: tuple[str, ...] = ()


@dataclass(frozen=True)
class EndpointStatus:
    """``traffic`` is the split in force: desired shares among deployments that can answer. ``objectives``: how those of
    the endpoint are met. ``access``: of the keys in force (``desired.Endpoint.access``); empty while they change."""

    traffic: Mapping[str, float] = field(default_factory=dict)
    deployments: Mapping[str, DeploymentStatus] = field(default_factory=dict)
    objectives: tuple[Objective, ...] = ()
    access: str = ""


@dataclass(frozen=True)
class Status:
    """``generation`` is the desired state last taken over (-1 before the first); ``converged`` when everything in it
    is ready and nothing drains. ``error``: why the newest desired state could not be read, if so. ``log_errors``:
    segments of the log that could not become Parquet (they are kept), and why. ``address``: ``http://host:port``."""

    generation: int
    converged: bool
    pid: int = 0
    version: str = ""
    address: str = ""
    stopping: bool = False
    error: str | None = None
    log_errors: Mapping[str, str] = field(default_factory=dict)
    endpoints: Mapping[str, EndpointStatus] = field(default_factory=dict)


def write_desired(home: Path | str, desired: Desired) -> None:
    """Atomic and durable: a reader sees the old file or the new one, also after a power loss."""
    target = paths.desired(Path(home))
    target.parent.mkdir(parents=True, exist_ok=True)
    content = desired_state.to_json(desired)
    desired_state.from_json(content)  # refuse here what the gateway would refuse
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def problem(place: str, endpoint: Endpoint) -> str:
    """Why the gateway would refuse an endpoint, or ""."""
    try:
        desired_state.from_json(desired_state.to_json(Desired(0, {place: endpoint})))
    except errors.InvalidInput as error:
        return error.what
    return ""


def read_desired(home: Path | str) -> Desired | None:
    """What was written last; None when nothing was. Raises errors.InvalidInput."""
    try:
        return desired_state.from_json(paths.desired(Path(home)).read_bytes())
    except FileNotFoundError:
        return None


def read_status(home: Path | str, timeout: float = 5.0) -> Status:
    """Raises errors.Unavailable when no gateway answers for this home."""
    return AdminClient(home, timeout).status()


class AdminClient:
    """Asks the running gateway over ``<home>/serving/admin.sock``. ``timeout`` in seconds.

    Every call raises errors.Unavailable when no gateway answers, errors.Failed when it could not do it.
    """

    def __init__(self, home: Path | str, timeout: float = 30.0) -> None:
        self._path = paths.admin_socket(Path(home))
        self._timeout = timeout

    def status(self) -> Status:
        return status_from_dict(self._ask("status"))

    def flush(self) -> int:
        """After it returns, everything answered before the call is readable as Parquet. Returns the segments
        written."""
        return int(self._ask("flush")["segments"])

    def drain(self) -> None:
        """Stop accepting, finish what is in flight, close the log, stop the scorers; then the process ends."""
        self._ask("drain")

    def _ask(self, op: str) -> dict[str, Any]:
        try:
            with sockets.connect(self._path, self._timeout) as connection:
                connection.sendall(orjson.dumps({"op": op}) + b"\n")
                content = _read_all(connection)
        except OSError as error:
            raise errors.Unavailable(
                f"the gateway does not answer at {self._path}: {error}", cure="start it: doubleloop up"
            ) from None
        if not content:
            raise errors.Unavailable(f"the gateway closed the connection during '{op}'")
        answer = orjson.loads(content)
        if "error" in answer:
            raise errors.from_dict(answer)
        result: dict[str, Any] = answer["answer"]
        return result


def status_to_dict(status: Status) -> dict[str, Any]:
    return asdict(status)


def status_from_dict(value: dict[str, Any]) -> Status:
    endpoints = {
        key: EndpointStatus(
            traffic=item["traffic"],
            deployments={name: _deployment_status(entry) for name, entry in item["deployments"].items()},
            objectives=tuple(Objective(**each) for each in item["objectives"]),
            access=item["access"],
        )
        for key, item in value["endpoints"].items()
    }
    return Status(**{**value, "endpoints": endpoints})


def _deployment_status(value: dict[str, Any]) -> DeploymentStatus:
    counters = Counters(**{**value["counters"], "latency": tuple(value["counters"]["latency"])})
    scaled = Scaled(**value["scaled"]) if value["scaled"] else None
    return DeploymentStatus(**{**value, "counters": counters, "draining": tuple(value["draining"]), "scaled": scaled})


def _read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)
