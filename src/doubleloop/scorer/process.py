"""The scorer's process: connect, load, then answer one request at a time until the gateway goes.

Frames to the gateway: ``hello`` (token, pid), ``ready`` (description) or ``failed`` (error), ``answer`` (id, ok,
ms; the body is the result as JSON), ``piece`` (id; the body is one piece of a streamed answer as JSON, which an
``answer`` without body ends), ``pong``, ``collected`` (collection, correlation, time, rows; the body is the records),
``disagreed`` (why, difference: a plan and its model gave different answers, and the model answers from now on).
Frames from it: ``score`` (id, rows, ...; ``input``: what the model is given, ``missing``: a value of it is not there,
``alone``: with no other, ``stream``: piece by piece, so many bytes before the gateway says ``more``), ``more`` (id,
room: in bytes), ``cancel`` (id: drop it if it has not begun or is streamed; ``answer``: and say so), ``native`` (why:
use the plan no more), ``review`` (rows, ``input``; the body is what another process answered by the plan: compare it
with the model when there is time), ``join`` (socket: answer the process that listens there, too), ``ping``, ``stop``.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import platform
import signal
import sys
import traceback
from typing import Any, Dict, List

from . import collecting, mlflow_model, scored, script_model, wire, work

ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
PR_SET_PDEATHSIG = 1
# What is imported lives for ever: to look for garbage among it as often as usual is a tenth of what loading takes.
GARBAGE_WHILE_LOADING = 50_000


def main(arguments: List[str]) -> int:
    parser = argparse.ArgumentParser(description="Loads one model and answers the gateway.")
    parser.add_argument("--socket", required=True, help="unix socket the gateway listens on")
    parser.add_argument("--spec", required=True, help="JSON file that says what to load")
    options = parser.parse_args(arguments)
    with open(options.spec, encoding="utf-8") as file:
        spec = json.load(file)
    _redirect_output(spec.get("log"))
    _die_with_parent(spec.get("parent_pid"))
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    os.environ.update(spec.get("environment_variables") or {})
    # Terminal interrupts go to the whole group; the gateway decides when a scorer stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = wire.Connection(wire.connected(options.socket))
    try:
        return _serve(connection, spec)
    except wire.Closed:
        return 0


def _serve(connection: wire.Connection, spec: Dict[str, Any]) -> int:
    connection.send({"op": "hello", "token": spec.get("token", ""), "pid": os.getpid()})
    usual = gc.get_threshold()
    gc.set_threshold(GARBAGE_WHILE_LOADING, *usual[1:])
    try:
        if spec["kind"] == "script":
            collecting.start(spec.get("collections"), os.getcwd(), connection.send)
        model = _load(spec)
        description = model.describe()
        description["collects"] = collecting.in_use()
    except BaseException as error:
        traceback.print_exc()
        connection.send({"op": "failed", "error": scored.report(error)})
        return 1
    description["python"] = platform.python_version()
    # A collection that walks over all that the model's libraries hold would keep requests waiting.
    gc.freeze()
    gc.set_threshold(*usual)
    connection.send({"op": "ready", "description": description})
    work.Work(connection, model, spec.get("token", "")).run()
    return 0


def _load(spec: Dict[str, Any]) -> Any:
    if spec["kind"] == "mlflow":
        return mlflow_model.MlflowModel(spec)
    if spec["kind"] == "script":
        return script_model.ScriptModel(spec)
    raise ValueError("kind must be mlflow or script, not %r" % spec["kind"])


def _redirect_output(path: Any) -> None:
    if not path:
        return
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")


def _die_with_parent(parent: Any) -> None:
    """Linux: be killed when the gateway is. Elsewhere the end of the socket is noticed between two requests."""
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        return
    if parent and os.getppid() != parent:  # it died before we asked
        os._exit(0)
