"""What the tests of this folder share: a real gateway process, a client, load, deployments."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy
import pandas

from doubleloop.base import canonical, errors
from doubleloop.gateway import protocol

KEY = "a-key-of-this-endpoint"
# A bound, not a time to wait: on a busy machine five models may take minutes to load.
WAIT = 280.0
# All of these tests may be run on a gateway of several processes: ``GATEWAY_PROCESSES=3 pytest tests/gateway``.
PROCESSES = os.environ.get("GATEWAY_PROCESSES", "")

SCRIPT = """
import json, os, time

def init():
    global offset
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "offset.json")) as file:
        offset = json.load(file)
    print("init done")

def run(raw_data):
    body = json.loads(raw_data)
    if "sleep" in body:
        time.sleep(body["sleep"])
    if "die" in body:
        os._exit(7)
    if "raise" in body:
        raise ValueError(body["raise"])
    return [sum(row) + offset for row in body["data"]]
"""


def wait_for(condition: Callable[[], Any], what: str, timeout: float = WAIT) -> Any:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {timeout} s in vain for {what}")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]

    @property
    def request_id(self) -> str:
        return self.headers["x-request-id"]


class Client:
    """One keep-alive connection; connects again when it was closed between two requests."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def send(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            self._connection.request(method, path, body=body, headers=headers or {})
            response = self._connection.getresponse()
            answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        except BaseException:
            self.close()
            raise
        if answer.headers.get("connection") == "close":
            self.close()
        return answer

    def score(self, endpoint: str, value: Any, key: str | None = KEY, **headers: str) -> Answer:
        sent = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.send("POST", f"/{endpoint}/score", body, sent)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass
class Gateway:
    """A gateway process on a home folder. ``options`` as on its command line; more variables of its environment."""

    home: Path
    options: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    generation: int = 0

    def start(self) -> Gateway:
        options = {**self.options, "processes": PROCESSES} if PROCESSES else self.options
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "serving" / "address.json").unlink(missing_ok=True)
        with open(self.home / "gateway.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "doubleloop.gateway", "--home", str(self.home), *arguments],
                stdout=log, stderr=log, env={**os.environ, **self.environment},
            )  # fmt: skip
        wait_for(lambda: self._address() or self.process.poll() is not None, "the gateway's address")
        assert self.process.poll() is None, self.log()
        return self

    def _address(self) -> dict[str, Any] | None:
        try:
            return json.loads((self.home / "serving" / "address.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    @property
    def port(self) -> int:
        address = self._address()
        assert address is not None
        return int(address["port"])

    def client(self) -> Client:
        return Client(self.port)

    def admin(self) -> protocol.AdminClient:
        return protocol.AdminClient(self.home)

    def status(self) -> protocol.Status:
        return protocol.read_status(self.home)

    def want(self, endpoints: dict[str, protocol.Endpoint], converge: bool = True) -> protocol.Status | None:
        self.generation += 1
        protocol.write_desired(self.home, protocol.Desired(self.generation, endpoints))
        return self.converged() if converge else None

    def applied(self) -> protocol.Status:
        return wait_for(lambda: self._when(lambda status: True), "the desired state to be taken over")

    def converged(self) -> protocol.Status:
        try:
            return wait_for(lambda: self._when(lambda status: status.converged), "the gateway to converge")
        except AssertionError:
            raise AssertionError(f"{self.status()}\n{self.log()}") from None

    def _when(self, condition: Callable[[protocol.Status], bool]) -> protocol.Status | None:
        try:
            status = self.status()
        except errors.Unavailable:
            return None
        return status if status.generation == self.generation and condition(status) else None

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)

    def log(self) -> str:
        return (self.home / "gateway.log").read_text()[-6000:]

    def scorers(self) -> list[int]:
        """Process ids of this gateway's scorers."""
        return [pid for pid, arguments in processes() if "serve.py" in arguments and str(self.home) in arguments]


def processes() -> list[tuple[int, str]]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                arguments = Path("/proc", entry, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append((int(entry), arguments))
            except OSError:
                continue
    return found


class Load:
    """Threads that send one request after the other until told to stop. ``answers`` holds (status, request id,
    body); ``broken`` the connections that ended without an answer."""

    def __init__(self, gateway: Gateway, endpoint: str, body: Any, threads: int = 4) -> None:
        self.answers: list[Answer] = []
        self.broken: list[BaseException] = []
        self._stop = threading.Event()
        self._gateway, self._endpoint, self._body = gateway, endpoint, body
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        client = self._gateway.client()
        while not self._stop.is_set():
            try:
                self.answers.append(client.score(self._endpoint, self._body))
            except (OSError, http.client.HTTPException) as error:
                self.broken.append(error)
                return

    def more(self, count: int) -> None:
        """Waits until ``count`` more answers have come."""
        target = len(self.answers) + count
        wait_for(lambda: len(self.answers) >= target or len(self.broken) == len(self._threads), f"{count} answers")

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def ended(self) -> None:
        for thread in self._threads:
            thread.join(60)


@dataclass(frozen=True)
class Models:
    """Folders of saved models, and the data they were trained on."""

    folder: Path
    frame: pandas.DataFrame
    target: numpy.ndarray

    def path(self, name: str) -> Path:
        return self.folder / name


def endpoint(
    deployments: dict[str, protocol.Deployment], traffic: dict[str, float] | None = None, **more: Any
) -> protocol.Endpoint:
    if traffic is None:
        traffic = {next(iter(deployments)): 100}
    return protocol.Endpoint(deployments, traffic, keys_sha256=(canonical.sha256(KEY),), **more)


def deployment(identity: str, model: Path, **more: Any) -> protocol.Deployment:
    base = protocol.Deployment(
        id=identity, python=sys.executable, model_dir=str(model), model="bikes", model_version="3"
    )
    return replace(base, **more)
