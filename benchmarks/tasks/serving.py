"""What a request of one row takes of a model behind the gateway, with key, check and log, down one connection."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.serving import ours
from doubleloop.gateway import protocol

REQUESTS, WARM = 200, 20
START_S = 180.0


class NotServed(Exception):
    """What the gateway, or the model, said."""


def latency(python: Path, model: Path, folder: Path) -> float:
    """The median in milliseconds, of the model's own input example. Raises NotServed."""
    body = _body(model)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    served = protocol.Deployment(
        id="served-1", python=str(python), model_dir=str(model), model="served", model_version="1",
        request_timeout_ms=60_000,
    )  # fmt: skip
    ours.want(folder, served)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(folder / "gateway.log", "w") as log:
        process = subprocess.Popen(ours.gateway(folder, port), stdout=log, stderr=log)
    try:
        return _asked(port, body)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _body(model: Path) -> bytes:
    """One row of the example that the model was logged with."""
    told: dict[str, Any] = json.loads((model / "serving_input_example.json").read_text())
    if "dataframe_split" in told:
        told["dataframe_split"]["data"] = told["dataframe_split"]["data"][:1]
        told["dataframe_split"].pop("index", None)
    elif "inputs" in told and isinstance(told["inputs"], list):
        told["inputs"] = told["inputs"][:1]
    return json.dumps(told).encode()


def _asked(port: int, body: bytes) -> float:
    headers = {**dict(ours.HEADERS), "content-type": "application/json"}
    began = time.monotonic()
    took: list[float] = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        while len(took) < WARM + REQUESTS:
            before = time.perf_counter()
            status, answer = _once(connection, body, headers)
            if status == 200:
                took.append((time.perf_counter() - before) * 1000)
            elif status not in (0, 404, 503) or time.monotonic() - began > START_S:
                raise NotServed(answer[:500])
            else:
                time.sleep(0.2)
    return statistics.median(took[WARM:])


def _once(connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    try:
        connection.request("POST", ours.PATH, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except OSError as error:  # not there yet
        connection.close()
        return 0, str(error)


if __name__ == "__main__":
    print(f"{latency(*map(Path, sys.argv[1:4])):.2f} ms")
