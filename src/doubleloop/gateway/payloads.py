"""The request body: which of the known forms it has, before any signature is asked.

Azure ML's ``input_data`` and MLflow's ``dataframe_split``, ``dataframe_records``, ``instances``, ``inputs``; and what
MLflow takes for models of language, as OpenAI's API has it: a row, whose columns and parameters are the body's fields.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import orjson

from doubleloop.base import errors
from doubleloop.gateway import failures
from doubleloop.gateway import limits as limit

KEYS = ("input_data", "dataframe_split", "dataframe_records", "instances", "inputs")
ROW = "row"  # the key of a body that is itself the row: one of these is in it
OF_ROWS = ("messages", "prompt", "input")
FORMS = (
    'send {"input_data": {"columns": [...], "data": [[...]]}}, {"input_data": [[...]]}, {"input_data": [{...}]}, '
    'or MLflow\'s "dataframe_split", "dataframe_records", "instances" or "inputs"'
)


class Form(Enum):
    ROWS = "rows"  # list of lists, with or without names beside it
    RECORDS = "records"  # list of objects
    COLUMNS = "columns"  # object of lists
    VALUES = "values"  # list of bare values: one column, or a tensor of one dimension


@dataclass(frozen=True, slots=True)
class Payload:
    """``names``: column names given beside ``data`` (form ROWS), else None. ``azure``: answer a bare list.
    ``stream``: whether to answer piece by piece, if the body says."""

    key: str
    form: Form
    data: Any
    names: list[Any] | None
    params: dict[str, Any] | None
    stream: bool | None = None

    @property
    def azure(self) -> bool:
        return self.key in ("input_data", ROW)


def decode(body: bytes, limits: limit.Limits, forms: str = FORMS) -> Any:
    """The JSON value. ``forms``: what to send. Raises errors.InvalidInput when it is empty, not JSON, or too deep."""
    if not body.strip():
        raise failures.shape("the body is empty", cure=forms)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        text = str(error)
        if "depth" in text or "recursion" in text:
            raise _too_deep(limits) from None
        cure = "write null for a missing number" if b"NaN" in body or b"Infinity" in body else ""
        raise failures.shape(f"the body is not JSON: {text}", cure=cure) from None
    if body.count(b"[") + body.count(b"{") > limits.max_depth and _deeper(value, limits.max_depth):
        raise _too_deep(limits)
    return value


def _too_deep(limits: limit.Limits) -> errors.InvalidInput:
    return failures.shape(f"the body is nested deeper than {limits.max_depth} levels")


def _deeper(value: Any, left: int) -> bool:
    """Whether ``value`` has more than ``left`` levels. Level by level: recursion would be the attack."""
    level = [value]
    while level:
        inner: list[Any] = []
        for item in level:
            if type(item) is list:
                inner.extend(x for x in item if type(x) is list or type(x) is dict)
            elif type(item) is dict:
                inner.extend(x for x in item.values() if type(x) is list or type(x) is dict)
        level, left = inner, left - 1
        if left < 0 and level:
            return True
    return False


def parse(body: bytes, limits: limit.Limits) -> Payload:
    """Raises errors.InvalidInput that says which forms are known, errors.TooLarge when there are too many rows."""
    value = decode(body, limits)
    if not isinstance(value, dict):
        raise failures.shape(f"the body is a {failures.describe(value)}, not an object", cure=FORMS)
    found = [key for key in KEYS if key in value]
    if not found and any(key in value for key in OF_ROWS):
        row = {key: each for key, each in value.items() if key not in ("params", "stream")}
        return Payload(ROW, Form.RECORDS, [row], None, _params(value), _stream(value))
    if len(found) != 1:
        what = f"both '{found[0]}' and '{found[1]}' are given" if found else "no input data"
        raise failures.shape(what, cure=FORMS)
    unknown = [key for key in value if key not in (*KEYS, "params", "stream")]
    if unknown:
        raise failures.shape(f"unknown field '{unknown[0]}' beside '{found[0]}'", cure=FORMS)
    params, stream = _params(value), _stream(value)
    payload = _payload(found[0], value[found[0]], params)
    if stream is not None:
        payload = replace(payload, stream=stream)
    count = _count(payload)
    if count == 0:
        raise failures.shape(f"'{found[0]}' has no rows")
    if count > limits.max_rows:
        raise errors.TooLarge(
            f"{count} rows in one request, the limit is {limits.max_rows}",
            cure="send smaller requests, or use a batch endpoint",
        )
    return payload


def _params(value: dict[str, Any]) -> dict[str, Any] | None:
    params = value.get("params")
    if params is not None and not isinstance(params, dict):
        raise failures.shape(f"'params' is a {failures.describe(params)}, not an object")
    return params


def _stream(value: dict[str, Any]) -> bool | None:
    stream = value.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise failures.shape(f"'stream' is {failures.describe(stream)}, not true or false")
    return stream


def _payload(key: str, value: Any, params: dict[str, Any] | None) -> Payload:
    if isinstance(value, dict):
        if key == "dataframe_split" or (key == "input_data" and "data" in value):
            return _split(key, value, params)
        if key in ("input_data", "inputs") and value:
            return Payload(key, Form.COLUMNS, value, None, params)
        raise failures.shape(f"'{key}' is an {'object' if value else 'empty object'}, not a list of rows", cure=FORMS)
    if not isinstance(value, list):
        raise failures.shape(f"'{key}' is {failures.describe(value)}, not a list or object", cure=FORMS)
    if key == "dataframe_split":
        raise failures.shape("'dataframe_split' must be an object with 'columns' and 'data'", cure=FORMS)
    form = _list_form(key, value)
    if key == "dataframe_records" and form is not Form.RECORDS and value:
        raise failures.shape("'dataframe_records' must be a list of objects", cure=FORMS)
    return Payload(key, form, value, None, params)


def _split(key: str, value: dict[str, Any], params: dict[str, Any] | None) -> Payload:
    unknown = [name for name in value if name not in ("columns", "index", "data")]
    if unknown:
        raise failures.shape(f"unknown field '{key}.{unknown[0]}'; known are columns, index, data")
    data, names, index = value.get("data"), value.get("columns"), value.get("index")
    if not isinstance(data, list):
        raise failures.shape(f"'{key}.data' is {failures.describe(data)}, not a list of rows")
    form = _list_form(f"{key}.data", data)
    if names is not None:
        _check_names(f"{key}.columns", names)
        if form is Form.RECORDS:
            raise failures.shape(f"'{key}.data' holds objects; with 'columns' each row is a list of values")
        if form is Form.VALUES and data:
            raise failures.shape(f"'{key}.data' holds bare values; with 'columns' each row is a list of values")
    if index is not None and (not isinstance(index, list) or len(index) != len(data)):
        count = len(index) if isinstance(index, list) else failures.describe(index)
        raise failures.shape(f"'{key}.index' has {count} entries for {len(data)} rows")
    return Payload(key, form, data, names, params)


def _check_names(place: str, names: Any) -> None:
    if not isinstance(names, list) or any(type(name) not in (str, int) for name in names):
        raise failures.shape(f"'{place}' must be a list of column names")
    if len(set(names)) != len(names):
        twice = next(name for position, name in enumerate(names) if name in names[:position])
        raise failures.shape(f"'{place}' names the column '{twice}' twice", column=str(twice))


def _list_form(place: str, value: list[Any]) -> Form:
    kinds = set(map(type, value))
    if kinds == {list}:
        return Form.ROWS
    if kinds == {dict}:
        return Form.RECORDS
    if list in kinds or dict in kinds:
        first = type(value[0])
        row = next(position for position, item in enumerate(value) if type(item) is not first)
        raise failures.shape(
            f"row {row} of '{place}' is {failures.describe(value[row])}, row 0 is {failures.describe(value[0])}",
            row=row,
        )
    return Form.VALUES


def _count(payload: Payload) -> int:
    if payload.form is Form.COLUMNS:
        first = next(iter(payload.data.values()))
        return len(first) if isinstance(first, list) else 1
    return len(payload.data)
