"""What counters say at one moment. A run keeps its sample; the difference to the one before is the window of the next.

Counters of a deployment and of processes begin again with a new process: where the later one is smaller, it counts from
there, so that a window after a restart tells what happened since.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from doubleloop.base import clock, errors
from doubleloop.db.context import Contexts
from doubleloop.endpoints import ports as endpoints
from doubleloop.gateway import paths, protocol, usage
from doubleloop.monitoring import model, rules
from doubleloop.settings.model import Settings

_PROC = Path("/proc")
_QUEUE = "doubleloop_queue_seconds_bucket"
# Names of workspaces, endpoints and deployments need no escapes.
_LABEL = re.compile(r'(\w+)="([^"]*)"')
TIMEOUT_S = 5.0


def take(contexts: Contexts, monitor: model.Monitor) -> dict[str, Any]:
    """``{"at", "deployments": {name: …}, "objectives": […], "machine": {…}, "silent": why no gateway answers}``."""
    home = contexts.port(Settings).home
    found: dict[str, Any] = {"at": clock.iso(contexts.now()), "machine": machine(home)}
    if not monitor.endpoint:
        return found
    try:
        status = contexts.port(endpoints.Serving).status()
    except errors.Unavailable as error:
        return {**found, "deployments": {}, "objectives": [], "silent": error.what}
    here = status.endpoints.get(f"{monitor.workspace}/{monitor.endpoint}") or protocol.EndpointStatus()
    used, queued = scorers(home), queues(status.address)
    return {
        **found,
        "deployments": {
            name: {
                **_deployment(each, used.get(each.serving_id or each.id, [])),
                "queue": queued.get((f"{monitor.workspace}/{monitor.endpoint}", name), []),
            }
            for name, each in here.deployments.items() if rules.watches(monitor.deployment, name)
        },
        "objectives": [{"kind": each.kind, "burn_rates": dict(each.burn_rates)} for each in here.objectives],
    }  # fmt: skip


def _deployment(status: protocol.DeploymentStatus, used: list[usage.Usage]) -> dict[str, Any]:
    counters = status.counters
    return {
        "id": status.id, "state": status.state, "error": status.error or "", "instances": status.instances,
        "ready": status.ready_instances, "restarts": status.restarts, "requests": counters.requests,
        "client_errors": counters.client_errors, "server_errors": counters.server_errors,
        "throttled": counters.throttled, "latency": list(counters.latency),
        "cpu_s": sum(each.cpu for each in used), "memory": sum(each.memory for each in used),
    }  # fmt: skip


def queues(address: str) -> dict[tuple[str, str], list[int]]:
    """How many requests of each endpoint and deployment waited how long for a scorer, per bucket of
    ``gateway.histogram``, from the gateway's Prometheus text. Empty when it cannot be had."""
    if not address:
        return {}
    try:
        answer = httpx.get(f"{address}/metrics", timeout=TIMEOUT_S)
        answer.raise_for_status()
    except httpx.HTTPError:
        return {}
    cumulated: dict[tuple[str, str], list[int]] = {}
    for line in answer.text.splitlines():
        if line.startswith(f"{_QUEUE}{{"):
            labels, _, value = line.removeprefix(_QUEUE).rpartition(" ")
            found = dict(_LABEL.findall(labels))
            cumulated.setdefault((found["endpoint"], found["deployment"]), []).append(int(float(value)))
    return {
        key: [now - before for before, now in zip([0, *counts], counts, strict=False)]
        for key, counts in cumulated.items()
    }


def scorers(home: Path) -> dict[str, list[usage.Usage]]:
    """What the scoring processes of each deployment use, by its id, from ``/proc``."""
    folder = f"{paths.scorer_folder(home, '')}/"
    found: dict[str, list[usage.Usage]] = {}
    for entry in _PROC.iterdir() if _PROC.exists() else ():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            spec = next((word for word in words if word.startswith(folder)), "")
            if spec:
                id_ = spec.removeprefix(folder).partition("/")[0]
                found.setdefault(id_, []).append(usage.of(int(entry.name)))
    return found


def machine(home: Path) -> dict[str, float]:
    """Processor time (busy and all, in ticks), and the shares of memory and of the home's disk in use."""
    disk = shutil.disk_usage(home)
    found = {"disk": disk.used / (disk.used + disk.free)}  # of what may be used, as `df` has it
    with contextlib.suppress(OSError, ValueError, KeyError):
        ticks = [int(word) for word in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
        found |= {"cpu_all": float(sum(ticks)), "cpu_busy": float(sum(ticks) - ticks[3] - ticks[4])}  # idle, iowait
        rows = dict(line.split(":", 1) for line in (_PROC / "meminfo").read_text().splitlines())
        known = {name: float(rows[name].split()[0]) for name in ("MemTotal", "MemAvailable")}
        found["memory"] = 1 - known["MemAvailable"] / known["MemTotal"]
    return found


def grown(now: Mapping[str, Any], before: Mapping[str, Any] | None, name: str) -> float:
    """How much a counter has grown since."""
    later, earlier = float(now[name]), float((before or {}).get(name, 0.0))
    return later - earlier if later >= earlier else later


def grown_counts(now: Mapping[str, Any], before: Mapping[str, Any] | None, name: str) -> list[int]:
    """The same of a histogram's buckets."""
    later = list(now[name])
    earlier = list((before or {}).get(name) or [0] * len(later))
    if len(earlier) != len(later) or any(one < two for one, two in zip(later, earlier, strict=True)):
        return later
    return [one - two for one, two in zip(later, earlier, strict=True)]
