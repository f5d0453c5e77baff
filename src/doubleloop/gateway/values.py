"""Are the values of one column what the signature says? One compiled check per MLflow column type.

Nothing is converted by guess: 8.5 is no long, a text no number, 1 no boolean. A check looks at the set of
Python types of the whole column first (one pass in C), and searches for the row only when something is wrong.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from doubleloop.base import errors
from doubleloop.gateway import failures

Check = Callable[[str, Sequence[Any], bool], list[Any]]
"""(column name, values, null allowed) -> values as sent to the scorer. Raises errors.InvalidInput."""

NONE = type(None)
SCALARS = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")
RANGES = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
EXACT = 2**53
FLOAT_MAX = 3.4028234663852886e38
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What datetime64[ns] can hold, to the second.
EARLIEST, LATEST = datetime(1677, 9, 21, 0, 12, 44, tzinfo=UTC), datetime(2262, 4, 11, 23, 47, 16, tzinfo=UTC)


def checker(spec: dict[str, Any]) -> Check:
    """Raises errors.InvalidInput for a type that MLflow does not have."""
    kind = spec.get("type")
    if kind in ("double", "float"):
        return _floats(str(kind))
    if kind in ("long", "integer"):
        return _wholes(str(kind))
    if kind in ("boolean", "string"):
        return _plain(str(kind), bool if kind == "boolean" else str)
    if kind == "binary":
        return _binary
    if kind == "datetime":
        return _datetimes
    if kind in ("array", "object", "map", "any"):
        return _nested(spec)
    raise errors.InvalidInput(f"the signature has a column of type '{kind}', which MLflow does not know")


def _fail(column: str, values: Sequence[Any], expected: str, allowed: set[type], null: bool) -> errors.InvalidInput:
    row = next(position for position, value in enumerate(values) if type(value) not in allowed)
    value = values[row]
    cure = ""
    if value is None and not null:
        cure = "the column is required; the model was trained without missing values in it"
    elif value is None:
        cure = f"a column of type {expected} cannot hold null; declare it double to allow missing values"
    elif isinstance(value, float) and value.is_integer() and expected in RANGES:
        low, high = RANGES[expected]
        cure = f"write {int(value)}" if low <= value <= high else f"{expected} holds {low} to {high}"
    return failures.cell(row, column, expected, failures.describe(value), cure)


def _floats(kind: str) -> Check:
    allowed = {float, int}

    def check(column: str, values: Sequence[Any], null: bool) -> list[Any]:
        types = set(map(type, values))
        if not types <= allowed and not (null and types <= {float, int, NONE}):
            raise _fail(column, values, kind, allowed | ({NONE} if null else set()), null)
        if kind == "float":
            for row, value in enumerate(values):
                if value is not None and not -FLOAT_MAX <= value <= FLOAT_MAX:
                    raise failures.cell(row, column, "float (32 bits)", failures.describe(value))
        return list(values)

    return check


def _wholes(kind: str) -> Check:
    low, high = RANGES[kind]
    bits = 32 if kind == "integer" else 64

    def check(column: str, values: Sequence[Any], null: bool) -> list[Any]:
        if set(map(type, values)) == {int, float} or set(map(type, values)) == {float}:
            values = [_whole(value) for value in values]
        if set(map(type, values)) != {int}:
            raise _fail(column, values, kind, {int}, null)
        if min(values) < low or max(values) > high:
            row = next(position for position, value in enumerate(values) if not low <= value <= high)
            raise failures.cell(row, column, f"{kind} ({bits} bits)", failures.describe(values[row]))
        return list(values)

    return check


def _whole(value: float) -> Any:
    """JSON does not tell ``8.0`` from ``8``. Beyond 2**53 a number with a point may have lost its last digits."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT else value


def _plain(kind: str, python: type) -> Check:
    def check(column: str, values: Sequence[Any], null: bool) -> list[Any]:
        allowed = {python, NONE} if null else {python}
        if not set(map(type, values)) <= allowed:
            raise _fail(column, values, kind, allowed, null)
        return list(values)

    return check


def _binary(column: str, values: Sequence[Any], null: bool) -> list[Any]:
    """Base64, in which line breaks count for nothing (RFC 2045): MLflow's own examples of requests have them."""
    allowed: set[type] = {str, NONE} if null else {str}
    if not set(map(type, values)) <= allowed:
        raise _fail(column, values, "binary (base64 text)", allowed, null)
    found = [each.translate(_NO_BREAKS) if each is not None and "\n" in each else each for each in values]
    for row, value in enumerate(found):
        try:
            if value is not None:
                base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise failures.cell(row, column, "binary (base64 text)", failures.describe(value)) from None
    return found


_NO_BREAKS = str.maketrans("", "", "\r\n")


def _datetimes(column: str, values: Sequence[Any], null: bool) -> list[Any]:
    """ISO 8601 texts become nanoseconds since 1970 (UTC; a text without offset is taken as UTC)."""
    allowed: set[type] = {str, NONE} if null else {str}
    expected = "datetime (ISO 8601 text)"
    if not set(map(type, values)) <= allowed:
        raise _fail(column, values, expected, allowed, null)
    result: list[Any] = []
    for row, value in enumerate(values):
        try:
            result.append(None if value is None else _nanoseconds(value))
        except _Beyond:
            cure = f"times from {EARLIEST.year} to {LATEST.year} can be told"
            raise failures.cell(row, column, expected, failures.describe(value), cure) from None
        except ValueError:
            raise failures.cell(row, column, expected, failures.describe(value)) from None
    return result


_BEHIND = re.compile(r"[.,][0-9]{6}([0-9]{1,3})")


class _Beyond(ValueError):
    """A time that nanoseconds since 1970 cannot tell in 64 bits."""


def _nanoseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not EARLIEST <= moment <= LATEST:
        raise _Beyond(text)
    # ``fromisoformat`` reads more than six digits of a second, and drops what is behind them.
    behind = _BEHIND.search(text)
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000 + (int(behind[1].ljust(3, "0")) if behind else 0)


def _nested(spec: dict[str, Any]) -> Check:
    def check(column: str, values: Sequence[Any], null: bool) -> list[Any]:
        for row, value in enumerate(values):
            if value is None and null:
                continue
            _walk(spec, value, row, column)
        return list(values)

    return check


def _walk(spec: dict[str, Any], value: Any, row: int, place: str) -> None:
    kind = spec.get("type")
    if kind == "any":
        return
    if kind == "array":
        if not isinstance(value, list):
            raise failures.cell(row, place, "array", failures.describe(value))
        for position, item in enumerate(value):
            _walk(spec["items"], item, row, f"{place}[{position}]")
    elif kind == "map":
        if not isinstance(value, dict):
            raise failures.cell(row, place, "object", failures.describe(value))
        for key, item in value.items():
            _walk(spec["values"], item, row, f"{place}.{key}")
    elif kind == "object":
        _walk_object(spec, value, row, place)
    else:
        try:
            checker(spec)(place, [value], False)
        except errors.InvalidInput as error:
            expected = (error.details or {}).get("expected", kind)
            raise failures.cell(row, place, str(expected), failures.describe(value)) from None
        if kind in RANGES and isinstance(value, float):  # it would reach the model as it is
            raise failures.cell(row, place, str(kind), failures.describe(value), f"write {int(value)}")


def _walk_object(spec: dict[str, Any], value: Any, row: int, place: str) -> None:
    if not isinstance(value, dict):
        raise failures.cell(row, place, "object", failures.describe(value))
    properties: dict[str, Any] = spec["properties"]
    for name in value:
        if name not in properties:
            raise failures.cell(row, f"{place}.{name}", "no such property", failures.describe(value[name]))
    for name, inner in properties.items():
        if value.get(name) is not None:
            _walk(inner, value[name], row, f"{place}.{name}")
        elif inner.get("required", True):
            raise failures.cell(row, f"{place}.{name}", str(inner.get("type")), "null" if name in value else "nothing")
