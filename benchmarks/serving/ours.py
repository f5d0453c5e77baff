"""Doubleloop as ``doubleloop up`` starts it: the gateway's own process over a desired state, scorers below it.

Everything is on that is on by itself: the endpoint's key is checked, each request is checked against the signature, and
is in the inference log before it is answered.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.serving import catalog
from benchmarks.serving.environments import PYTHON, ROOT
from doubleloop.base import canonical
from doubleloop.environments import kits
from doubleloop.gateway import protocol

KEY = "the-key-of-the-benchmark"
ENDPOINT = "bench/served"
PATH = f"/{ENDPOINT}/score"
HEADERS = (("authorization", f"Bearer {KEY}"),)
# What a scorer may have before it has answered, for scripts; models that can be scored together get as many.
AHEAD = 32


def deployment(bin: Path, model: Path, compiled: bool = True) -> protocol.Deployment:
    return protocol.Deployment(
        id="served-1", python=str(bin / "python"), model_dir=str(model / "mlflow"), model="served", model_version="1",
        compile=compiled, request_timeout_ms=60_000, max_queue_wait_ms=30_000,
    )  # fmt: skip


def noop(bin: Path, model: Path) -> protocol.Deployment:
    """A script that returns a constant. The gateway authenticates, reads the JSON, logs it and the answer, and passes
    the body on to a scorer, as for a model; only the columns' check and what a model does are left out."""
    return replace(
        deployment(bin, model), kind="script", code_dir=str(catalog.HERE), scoring_script="noop_score.py",
        max_concurrent_requests_per_instance=AHEAD,
    )  # fmt: skip


def want(home: Path, served: protocol.Deployment | None, generation: int = 1) -> None:
    endpoint = protocol.Endpoint(
        {"blue": served} if served else {}, {"blue": 100} if served else {}, keys_sha256=(canonical.sha256(KEY),)
    )
    protocol.write_desired(home, protocol.Desired(generation, {ENDPOINT: endpoint}))


def gateway(home: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "doubleloop.gateway", "--home", str(home), "--host", "127.0.0.1", "--port", str(port)]


def _served(make: Callable[[Path, Path], protocol.Deployment]) -> Callable[[catalog.Place], list[str]]:
    def command(place: catalog.Place) -> list[str]:
        why = kits.ensure(ROOT, PYTHON, place.bin / "python")
        if why:
            print(f"  no serving kit: {why}", flush=True)
        # One kit for every start, as an installation has it from its first deployment on.
        kits.folder(place.folder).parent.mkdir(parents=True, exist_ok=True)
        kits.folder(place.folder).symlink_to(kits.folder(ROOT))
        want(place.folder, make(place.bin, place.model))
        return gateway(place.folder, place.port)

    return command


def _entry(
    name: str, title: str, make: Callable[[Path, Path], protocol.Deployment], kind: str = "ours"
) -> catalog.Entry:
    return catalog.Entry(name, title, "doubleloop", _served(make), PATH, catalog.SPLIT, (), kind, headers=HEADERS)


PLAN, NATIVE, CEILING = "doubleloop", "doubleloop-native", "noop"
ENTRIES = (
    _entry(PLAN, "Doubleloop", deployment),
    _entry(NATIVE, "Doubleloop, compile: off", lambda bin, model: deployment(bin, model, compiled=False)),
    _entry(CEILING, "Doubleloop, no model", noop, "ceiling"),
)
