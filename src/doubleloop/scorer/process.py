"""The scorer's process: connect, load, then answer one request at a time until the gateway goes.

Frames to the gateway: ``hello`` (token, pid), ``ready`` (description) or ``failed`` (error), ``answer`` (id, ok,
ms; the body is the result as JSON), ``pong``, ``collected`` (collection, correlation, time, rows; the body is the
records), ``disagreed`` (why, difference: a plan and its model gave different answers, and the model answers from now
on). Frames from it: ``score`` (id, rows, ...; ``input``: what the model is given, ``missing``: a value of it is not
there, ``alone``: with no other), ``cancel`` (id: drop it if it has not begun; ``answer``: and say so), ``native`` (why:
use the plan no more), ``review`` (rows, ``input``; the body is what another process answered by the plan: compare it
with the model when there is time), ``join`` (socket: answer the process that listens there, too), ``ping``, ``stop``.
"""

from __future__ import annotations

import argparse
import collections
import ctypes
import gc
import json
import os
import platform
import signal
import socket
import sys
import time
import traceback
from typing import Any, Dict, List, Tuple

from . import answers, collecting, mlflow_model, script_model, wire

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
# Requests that are scored together at most.
MOST_REQUESTS = 64
MOST_ROWS = 1000

# With the connection that it came by, or that it goes to.
Request = Tuple[wire.Connection, Dict[str, Any], bytes]
Scored = Tuple[wire.Connection, Dict[str, Any], bytes]


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
        connection.send({"op": "failed", "error": _report(error)})
        return 1
    description["python"] = platform.python_version()
    # A collection that walks over all that the model's libraries hold would keep requests waiting.
    gc.freeze()
    gc.set_threshold(*usual)
    connection.send({"op": "ready", "description": description})
    _answer(connection, model, spec.get("token", ""))
    return 0


def _load(spec: Dict[str, Any]) -> Any:
    if spec["kind"] == "mlflow":
        return mlflow_model.MlflowModel(spec)
    if spec["kind"] == "script":
        return script_model.ScriptModel(spec)
    raise ValueError("kind must be mlflow or script, not %r" % spec["kind"])


def _answer(first: wire.Connection, model: Any, token: str = "") -> None:
    """Single-threaded on purpose: some libraries insist on the main thread, and nothing competes for the GIL.
    Before each request the sockets are emptied, so that a cancel overtakes the request it cancels."""
    connections = wire.Connections(first)
    queue = collections.deque()  # type: collections.deque[Request]
    given = None  # type: Any
    while True:
        for connection, (header, body) in connections.receive(wait=not queue):
            op = header.get("op")
            if op == "score":
                queue.append((connection, header, body))
            elif op == "cancel":
                queue = _cancelled(queue, connection, header)
            elif op == "ping":
                connection.send({"op": "pong"})
            elif op == "stop":
                return
            elif op == "review":
                given = header, body
            elif op == "native":
                getattr(model, "give_up_plan", lambda why: None)(header["why"])
            elif op == "join":
                _join(connections, header["socket"], token)
        if queue:
            _send(connections, _score_some(model, queue))
            if not queue:
                _tell(first, _review(model))
        elif given is not None:
            _tell(first, _review_of(model, *given))
            given = None


def _join(connections: wire.Connections, path: str, token: str) -> None:
    """Answer one more process of the gateway. One that has gone meanwhile is let be."""
    try:
        other = wire.Connection(_connect(path))
        other.send({"op": "hello", "token": token, "pid": os.getpid()})
    except (OSError, wire.Closed):
        traceback.print_exc()
        return
    connections.add(other)


def _cancelled(queue: Any, connection: wire.Connection, header: Dict[str, Any]) -> Any:
    """The queue without the request; its sender hears of it when it asked to."""
    left = collections.deque(each for each in queue if not (each[0] is connection and each[1]["id"] == header["id"]))
    if header.get("answer") and len(left) < len(queue):
        error = {"kind": "Cancelled", "message": "it had not begun", "traceback": ""}
        connection.send({"op": "answer", "id": header["id"], "ok": False, "error": error, "ms": 0})
    return left


def _send(connections: wire.Connections, scored: List[Scored]) -> None:
    """To each process its own answers, in one write; the first of all says how many were scored together."""
    scored[0][1]["batch"] = len(scored)
    answers_of = {}  # type: Dict[int, Tuple[wire.Connection, List[wire.Frame]]]
    for connection, header, body in scored:
        answers_of.setdefault(id(connection), (connection, []))[1].append((header, body))
    for connection, frames in answers_of.values():
        try:
            connection.send_all(frames)
        except wire.Closed:
            if connection is connections.first:
                raise
            connections.drop(connection)


def _score_some(model: Any, queue: Any) -> List[Scored]:
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
    return [_answered(queue.popleft(), result, took) for result in results]


def _together(model: Any, queue: Any) -> List[wire.Frame]:
    """The oldest requests that may be scored as one table, at most MOST_REQUESTS of MOST_ROWS rows.

    One with a missing value is left alone: what pandas makes of it depends on the values beside it.
    """
    found = []  # type: List[wire.Frame]
    if len(queue) < 2 or not getattr(model, "together", False):
        return found
    rows = 0
    for _, header, body in queue:
        rows += header["rows"]
        if len(found) >= MOST_REQUESTS or rows > MOST_ROWS or header.get("alone") or header.get("params") is not None:
            break
        if header.get("missing"):
            break
        found.append((header, body))
    return found


def _answered(request: Request, result: Any, took: float) -> Scored:
    connection, header, _ = request
    answer = {"op": "answer", "id": header["id"], "ok": True, "ms": took}  # type: Dict[str, Any]
    try:
        return connection, answer, answers.encode(result)
    except Exception as error:
        traceback.print_exc()
        return connection, {**answer, "ok": False, "error": _report(error)}, b""


def _review(model: Any) -> Any:
    return model.review() if hasattr(model, "review") else None


def _review_of(model: Any, header: Dict[str, Any], body: bytes) -> Any:
    if not hasattr(model, "review_of"):
        return None
    return model.review_of(header["input"], header["rows"], json.loads(body.decode("utf-8")))


def _tell(connection: wire.Connection, wrong: Any) -> None:
    if wrong is not None:
        connection.send({"op": "disagreed", **wrong})


def _score(model: Any, connection: wire.Connection, header: Dict[str, Any], body: bytes) -> Scored:
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
        answer["caller"] = isinstance(error, script_model.BadRequest) or bool(getattr(error, "bad_request", False))
    answer["ms"] = (time.perf_counter() - started) * 1000
    return connection, answer, content


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
