"""True values that arrive late: ``{"labels": [{"request_id": "...", "row": 0, "value": 12.0, "time": "..."}]}``."""

from __future__ import annotations

from typing import Any

from doubleloop.base import clock, errors
from doubleloop.gateway import attempts, failures, messages, payloads, records, request_ids
from doubleloop.gateway import limits as limit
from doubleloop.gateway.routing import Route

EXAMPLE = 'send {"labels": [{"request_id": "...", "row": 0, "value": 12.0}]}'
FIELDS = ("request_id", "row", "value", "time")


def accept(request: messages.Request, route: Route, limits: limit.Limits) -> messages.Response:
    """All labels of the request or none are logged; answers 202. Raises errors.DoubleloopError."""
    route.authenticate(request.header(b"authorization"))
    if request.method != "POST":
        raise failures.WrongMethod(f"{request.method} is not allowed here", cure="send a POST")
    attempts.check_content_type(request)
    value = payloads.decode(request.body, limits, EXAMPLE)
    labels = value.get("labels") if isinstance(value, dict) else None
    if not isinstance(labels, list) or not labels or len(value) != 1:
        raise failures.shape("the body must be an object with one list, 'labels'", cure=EXAMPLE)
    if len(labels) > limits.max_rows:
        raise errors.TooLarge(f"{len(labels)} labels in one request, the limit is {limits.max_rows}")
    moment = attempts.event_time(request)
    lines = [_line(position, label, moment, request.arrived_us) for position, label in enumerate(labels)]
    try:
        route.labels.append(b"".join(lines), len(lines))
    except OSError as error:
        raise errors.Unavailable("the labels cannot be logged", cure=str(error)) from None
    return messages.as_json({"accepted": len(lines)}, 202)


def _line(position: int, label: Any, moment: int, received: int) -> bytes:
    if not isinstance(label, dict):
        raise failures.shape(f"label {position} is {failures.describe(label)}, not an object", cure=EXAMPLE)
    unknown = [field for field in label if field not in FIELDS]
    if unknown:
        raise failures.shape(f"label {position}: unknown field '{unknown[0]}'", cure=EXAMPLE)
    request_id, row, value = label.get("request_id"), label.get("row", 0), label.get("value")
    if not isinstance(request_id, str) or not request_ids.SANE.match(request_id.encode("utf-8", "replace")):
        raise failures.shape(f"label {position}: 'request_id' is not the x-request-id of an answer", cure=EXAMPLE)
    if type(row) is not int or not 0 <= row < 2**31:
        raise failures.shape(f"label {position}: 'row' is {failures.describe(row)}, not a row number", cure=EXAMPLE)
    if not isinstance(value, bool | int | float | str):
        raise failures.shape(f"label {position}: 'value' is {failures.describe(value)}, not a number or text")
    return records.encode_label(request_id, row, value, _time(position, label, moment), received)


def _time(position: int, label: dict[str, Any], moment: int) -> int:
    if "time" not in label:
        return moment
    try:
        return clock.microseconds(clock.parse(label["time"]))
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise failures.shape(
            f"label {position}: 'time' is {failures.describe(label['time'])}, not an ISO 8601 time"
        ) from None
