"""One server: started, asked until it answers right, checked on all rows, held while others are measured, ended."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.serving import bodies, catalog, load, processes

# A bound, not a time to wait: some take most of a minute when the machine is busy.
LONGEST_START = 120.0
# Numeric libraries take one thread each, for everybody.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Ports next to each other that a server may take.
PORTS = 3
LOAD = Path(load.__file__)


class NotServed(Exception):
    """Why a server is left out: it did not start, or answers something else than the model."""


@dataclass
class Served:
    """``seconds``: from the start of the process to its first right answer."""

    entry: catalog.Entry
    tree: processes.Tree
    port: int
    seconds: float
    folder: Path

    def log(self) -> str:
        return _tail(self.folder)

    def order(self, rows: Sequence[bodies.Rows], **more: object) -> load.Order:
        """What the load generator is to send; the echo knows one request of each size only."""
        some = rows[:1] if self.entry.kind == "echo" else rows
        return load.Order(
            host="127.0.0.1", port=self.port, place=list(self.entry.answers),
            requests=[_request(self.entry, each) for each in some],
            expected=[expected(self.entry, each) for each in some],
            **more,  # type: ignore[arg-type]
        )  # fmt: skip


def start(entry: catalog.Entry, bin: Path, model: Path, folder: Path, rows: bodies.Rows) -> Served:
    """``rows``: one row to ask. ``folder`` is emptied. Raises NotServed with the end of the server's log."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port = free_ports()
    command = entry.command(catalog.Place(bin, port, folder, model))
    variables = {
        **os.environ, **dict.fromkeys(THREADS, "1"), **entry.variables, processes.MARK: f"{folder.name}-{port}",
        "PATH": f"{bin}:{os.environ['PATH']}", "MODEL": str(model / "model.joblib"), "PORT": str(port),
    }  # fmt: skip
    began = time.perf_counter()
    with open(folder / "server.log", "ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=variables, cwd=folder)
    tree = processes.Tree(process, f"{folder.name}-{port}")
    served = Served(entry, tree, port, 0.0, folder)
    try:
        _first_answer(served, rows, began + LONGEST_START)
    except BaseException:
        tree.end()
        raise
    served.seconds = time.perf_counter() - began
    return served


def check(served: Served, sizes: dict[int, list[bodies.Rows]]) -> int:
    """Compares the answers to all requests with the model's own predictions: of how many rows. Raises NotServed."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    compared = 0
    for each in [rows for some in sizes.values() for rows in some]:
        status, body = _ask(connection, served.entry, each)
        if status != 200:
            raise NotServed(f"status {status}: {body[:300].decode(errors='replace')}")
        found = load.predictions(body, list(served.entry.answers))
        if not load.same(found, expected(served.entry, each)):
            raise NotServed(f"other predictions than the model's: {body[:200].decode(errors='replace')}")
        compared += len(each.rows)
    connection.close()
    return compared


def expected(entry: catalog.Entry, rows: bodies.Rows) -> list[float]:
    """What a right answer holds: the model's predictions, or the constant of a server without a model."""
    return rows.expected if entry.kind not in ("ceiling", "echo") else [catalog.CONSTANT] * len(rows.rows)


def send(order: load.Order) -> load.Result:
    """In a process of its own, which ends with it."""
    text = json.dumps(asdict(order))
    done = subprocess.run([sys.executable, "-I", str(LOAD)], input=text, capture_output=True, text=True)
    if done.returncode:
        return load.Result(failed=1, why=[done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no result"])
    return load.Result(**json.loads(done.stdout))


def free_ports() -> int:
    """The first of ``PORTS`` free ones."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = int(probe.getsockname()[1])
        if first + PORTS < 65536 and all(_free(first + more) for more in range(PORTS)):
            return first


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _first_answer(served: Served, rows: bodies.Rows, deadline: float) -> None:
    last = "it did not listen"
    while time.perf_counter() < deadline:
        if not served.tree.alive:
            raise NotServed(f"it ended with {served.tree.process.returncode}: {served.log()}")
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
        try:
            status, body = _ask(connection, served.entry, rows)
            if status == 200 and load.same(
                load.predictions(body, list(served.entry.answers)), expected(served.entry, rows)
            ):
                return
            last = f"status {status}: {body[:500].decode(errors='replace')}"
        except (OSError, http.client.HTTPException) as error:
            last = f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        time.sleep(0.02)
    raise NotServed(f"no right answer within {LONGEST_START:.0f} s; {last}; {served.log()}")


def _ask(connection: http.client.HTTPConnection, entry: catalog.Entry, rows: bodies.Rows) -> tuple[int, bytes]:
    headers = {"content-type": "application/json", **dict(entry.headers)}
    connection.request("POST", entry.path, body=entry.encode(rows), headers=headers)
    response = connection.getresponse()
    return response.status, response.read()


def _request(entry: catalog.Entry, rows: bodies.Rows) -> str:
    return bodies.request(entry.path, entry.headers, entry.encode(rows))


def _tail(folder: Path, most: int = 1500) -> str:
    texts = [path.read_text(errors="replace") for path in sorted(folder.rglob("*.log"))]
    return "the end of its log: " + " | ".join("".join(texts)[-most:].strip().splitlines())
