"""The scorer's process: connect, load, then answer one request at a time until the gateway goes.

Frames to the gateway: ``hello`` (token, pid), ``ready`` (description) or ``failed`` (error), ``answer`` (id, ok,
ms; the body is the result as JSON), ``pong``, ``collected`` (collection, correlation, time, rows; the body is the
records), ``disagreed`` (why, difference: a plan and its model gave different answers, and the model answers from now
on). Frames from it: ``score`` (id, rows, ...; ``alone``: with no other), ``cancel`` (id: drop it if it has not begun),
``native`` (why: use the plan no more), ``ping``, ``stop``.
"""

from __future__ import annotations

import argparse
import collections
import ctypes
import json
import os
import platform
import signal
import socket
import sys
import time
import traceback
from typing import Any, Dict, List

from . import answers, collecting, mlflow_model, script_model, wire

ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
PR_SET_PDEATHSIG = 1
# Requests that are scored together at most.
MOST_REQUESTS = 64
MOST_ROWS = 1000


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
    connection = wire.Connection(_connect(options.socket))
    try:
        return _serve(connection, spec)
    except wire.Closed:
        return 0


def _serve(connection: wire.Connection, spec: Dict[str, Any]) -> int:
    connection.send({"op": "hello", "token": spec.get("token", ""), "pid": os.getpid()})
    try:
        if spec["kind"] == "script":
            collecting.start(spec.get("collections"), os.getcwd(), connection.send)
        model = _load(spec)
        description = model.describe()
        description["collects"] = collecting.in_use()
    except BaseException as error:
        traceback.print_exc()
        connection.send({"op": "failed", "error": _report(error)})
        return 1
    description["python"] = platform.python_version()
    connection.send({"op": "ready", "description": description})
    _answer(connection, model)
    return 0


def _load(spec: Dict[str, Any]) -> Any:
    if spec["kind"] == "mlflow":
        return mlflow_model.MlflowModel(spec)
    if spec["kind"] == "script":
        return script_model.ScriptModel(spec)
    raise ValueError("kind must be mlflow or script, not %r" % spec["kind"])


def _answer(connection: wire.Connection, model: Any) -> None:
    """Single-threaded on purpose: some libraries insist on the main thread, and nothing competes for the GIL.
    Before each request the socket is emptied, so that a cancel overtakes the request it cancels."""
    queue = collections.deque()  # type: collections.deque[wire.Frame]
    while True:
        arrived = [] if queue else [connection.receive()]
        for header, body in arrived + connection.waiting():
            op = header.get("op")
            if op == "score":
                queue.append((header, body))
            elif op == "cancel":
                queue = collections.deque(frame for frame in queue if frame[0]["id"] != header["id"])
            elif op == "ping":
                connection.send({"op": "pong"})
            elif op == "stop":
                return
            elif op == "native":
                getattr(model, "give_up_plan", lambda why: None)(header["why"])
        if queue:
            scored = _score_some(model, queue)
            scored[0][0]["batch"] = len(scored)
            connection.send_all(scored)
            if not queue:
                wrong = _review(model)
                if wrong is not None:
                    connection.send({"op": "disagreed", **wrong})


def _score_some(model: Any, queue: Any) -> List[wire.Frame]:
    """The oldest request, and with it those that wait if the model takes them together. What fails together is scored
    one by one, so that each is answered for itself."""
    together = _together(model, queue)
    if len(together) < 2:
        return [_score(model, *queue.popleft())]
    started = time.perf_counter()
    try:
        results = model.predict_together(together)
    except Exception:
        results = None
    if results is None:
        for header, _ in together:
            header["alone"] = True
        return [_score(model, *queue.popleft())]
    took = (time.perf_counter() - started) * 1000
    return [_answered(queue.popleft()[0], result, took) for result in results]


def _together(model: Any, queue: Any) -> List[wire.Frame]:
    """The oldest requests that may be scored as one table, at most MOST_REQUESTS of MOST_ROWS rows.

    One with a missing value is left alone: what pandas makes of it depends on the values beside it.
    """
    found = []  # type: List[wire.Frame]
    if len(queue) < 2 or not getattr(model, "together", False):
        return found
    rows = 0
    for header, body in queue:
        rows += header["rows"]
        if len(found) >= MOST_REQUESTS or rows > MOST_ROWS or header.get("alone") or header.get("params") is not None:
            break
        if b"null" in body:
            break
        found.append((header, body))
    return found


def _answered(header: Dict[str, Any], result: Any, took: float) -> wire.Frame:
    answer = {"op": "answer", "id": header["id"], "ok": True, "ms": took}  # type: Dict[str, Any]
    try:
        return answer, answers.encode(result)
    except Exception as error:
        traceback.print_exc()
        return {**answer, "ok": False, "error": _report(error)}, b""


def _review(model: Any) -> Any:
    return model.review() if hasattr(model, "review") else None


def _score(model: Any, header: Dict[str, Any], body: bytes) -> wire.Frame:
    started = time.perf_counter()
    answer = {"op": "answer", "id": header["id"], "ok": True}  # type: Dict[str, Any]
    content = b""
    try:
        result = model.predict(header, body)
        if isinstance(result, script_model.Reply):
            answer["status"], answer["content_type"], content = result.status, result.content_type, result.body
            answer["headers"] = result.headers
        else:
            content = answers.encode(result)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        answer["ok"], answer["error"] = False, _report(error)
        answer["caller"] = isinstance(error, script_model.BadRequest)
    answer["ms"] = (time.perf_counter() - started) * 1000
    return answer, content


def _report(error: BaseException) -> Dict[str, str]:
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {"kind": type(error).__name__, "message": str(error)[:4000], "traceback": text[-20000:]}


def _connect(path: str) -> socket.socket:
    """Connects by the socket's base name from its folder: the path of a unix socket may not exceed 107 bytes."""
    before = os.getcwd()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.chdir(os.path.dirname(os.path.abspath(path)))
    try:
        sock.connect(os.path.basename(path))
    finally:
        os.chdir(before)
    return sock


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
