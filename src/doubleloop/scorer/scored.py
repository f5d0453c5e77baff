"""Requests that wait, scored: several as one table where the model takes them together, else one after the other."""

from __future__ import annotations

import time
import traceback
from typing import Any, Dict, List, Tuple

from . import answers, script_model, wire

# Requests that are scored together at most.
MOST_REQUESTS = 64
MOST_ROWS = 1000

# With the connection that it came by, or that it goes to.
Request = Tuple[wire.Connection, Dict[str, Any], bytes]
Scored = Tuple[wire.Connection, Dict[str, Any], bytes]


def some(model: Any, queue: Any) -> List[Scored]:
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
        if header.get("missing") or "stream" in header:
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
        return connection, {**answer, "ok": False, "error": report(error)}, b""


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
        answer.update(failed(error))
    answer["ms"] = (time.perf_counter() - started) * 1000
    return connection, answer, content


def failed(error: BaseException) -> Dict[str, Any]:
    """What an answer says of it; ``caller``: it is the caller's mistake."""
    caller = isinstance(error, script_model.BadRequest) or bool(getattr(error, "bad_request", False))
    return {"ok": False, "error": report(error), "caller": caller}


def report(error: BaseException) -> Dict[str, str]:
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {"kind": type(error).__name__, "message": str(error)[:4000], "traceback": text[-20000:]}
