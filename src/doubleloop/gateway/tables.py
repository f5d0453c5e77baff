"""Records of one segment as an Arrow table: one row per scored row, inputs as ``in.<name>``, outputs as
``out.<name>``, in the signature's types where there is a signature, else in the narrowest type that holds all.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pyarrow

from doubleloop.gateway import bodies, records

TIME = pyarrow.timestamp("us", tz="UTC")
FIXED = pyarrow.schema(
    [
        ("request_id", pyarrow.string()),
        ("row", pyarrow.int64()),
        ("time", TIME),
        ("received_at", TIME),
        ("deployment", pyarrow.string()),
        ("deployment_id", pyarrow.string()),
        ("model", pyarrow.string()),
        ("model_version", pyarrow.string()),
        ("status", pyarrow.int64()),
        ("latency_ms", pyarrow.float64()),
        ("mirrored", pyarrow.bool_()),
        ("error", pyarrow.string()),
    ]
)
# Of streamed answers alone: a log without them has no such columns.
STREAMED = (("p", "pieces", pyarrow.int64()), ("f", "time_to_first_piece_ms", pyarrow.float64()))
ARROW = {
    "boolean": pyarrow.bool_(), "integer": pyarrow.int32(), "long": pyarrow.int64(), "float": pyarrow.float32(),
    "double": pyarrow.float64(), "string": pyarrow.string(), "binary": pyarrow.binary(),
    "datetime": pyarrow.timestamp("us"),
}  # fmt: skip
NUMPY = {
    "bool": pyarrow.bool_(), "float16": pyarrow.float32(), "float32": pyarrow.float32(),
    "float64": pyarrow.float64(), "str": pyarrow.string(), "object": pyarrow.string(),
    **{f"int{bits}": pyarrow.int64() for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": pyarrow.int64() for bits in (8, 16, 32)}, "uint64": pyarrow.uint64(),
}  # fmt: skip
WIDEST = 4096  # a tensor row of more values (an image) is kept as JSON text, not as thousands of columns


def build(header: records.Header, lines: Sequence[dict[str, Any]]) -> pyarrow.Table:
    """A record that cannot be laid out (it should not happen) is kept as JSON text: one odd record must not keep
    all others of its segment from being read."""
    try:
        return _build(header, lines)
    except Exception:
        return _build(header, _legible(header, lines))


def _legible(header: records.Header, lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with odd records marked as text, which are looked for by halves."""
    if _fits(header, lines):
        return list(lines)
    if len(lines) == 1:
        return [{**lines[0], "as_text": True}]
    middle = len(lines) // 2
    return _legible(header, lines[:middle]) + _legible(header, lines[middle:])


def _fits(header: records.Header, lines: Sequence[dict[str, Any]]) -> bool:
    try:
        _build(header, lines)
    except Exception:
        return False
    return True


def _build(header: records.Header, lines: Sequence[dict[str, Any]]) -> pyarrow.Table:
    if header.layout == "labels":
        return _labels(lines)
    counts = [max(1, int(line["n"])) for line in lines]
    total = sum(counts)
    shared = (header.deployment, header.deployment_id, header.model, header.model_version)
    fixed: list[Any] = [
        _spread([line["i"] for line in lines], counts),
        [row for count in counts for row in range(count)],
        _spread([line["t"] for line in lines], counts),
        _spread([line["r"] for line in lines], counts),
        *([value] * total for value in shared),
        _spread([line["s"] for line in lines], counts),
        _spread([line["l"] for line in lines], counts),
        _spread([bool(line.get("m")) for line in lines], counts),
        _spread([line.get("e") for line in lines], counts),
    ]
    arrays = [pyarrow.array(column, type=field.type) for column, field in zip(fixed, FIXED, strict=True)]
    names = list(FIXED.names)
    for prefix, sheet, types in (
        ("in.", _inputs(header, lines, counts), _input_types(header)),
        ("out.", _outputs(header, lines, counts), _output_types(header)),
    ):
        for name, values in sheet.columns.items():
            names.append(prefix + name)
            arrays.append(_array(values, types.get(name)))
    for key, name, kind in STREAMED:
        if any(key in line for line in lines):
            names.append(name)
            arrays.append(pyarrow.array(_spread([line.get(key) for line in lines], counts), type=kind))
    for name in dict.fromkeys(name for line in lines for name in line.get("h") or ()):
        names.append(f"header.{name}")
        kept = _spread([(line.get("h") or {}).get(name) for line in lines], counts)
        arrays.append(pyarrow.array(kept, type=pyarrow.string()))
    return pyarrow.table(arrays, names=names)


class _Sheet:
    """Columns that grow record by record; a record without a column has nulls in it."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in names}
        self._rows = 0

    def add(self, rows: int, values: dict[str, Sequence[Any]]) -> None:
        for name, column in values.items():
            if (held := self.columns.get(name)) is None:
                held = self.columns[name] = [None] * self._rows
            held.extend(column)
        self._rows += rows
        for held in self.columns.values():
            if len(held) < self._rows:
                held.extend([None] * (self._rows - len(held)))


def _spread(values: Sequence[Any], counts: Sequence[int]) -> list[Any]:
    return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]


def _inputs(header: records.Header, lines: Sequence[dict[str, Any]], counts: Sequence[int]) -> _Sheet:
    read: Callable[[records.Header, dict[str, Any], int], dict[str, Sequence[Any]]] = {
        "columns": _named, "unsigned": _named, "tensor": _tensor, "raw": _raw
    }[header.layout]  # fmt: skip
    sheet = _alike(header, lines, counts) if header.layout == "columns" else None
    if sheet is not None:
        return sheet
    sheet = _Sheet()
    for line, rows in zip(lines, counts, strict=True):
        if line.get("as_text"):
            sheet.add(rows, {"raw": [_text(line.get("c"))] + [None] * (rows - 1)})
        else:
            sheet.add(rows, read(header, line, rows) if line.get("c") is not None else {})
    return sheet


def _names(specs: Sequence[dict[str, Any]]) -> list[str]:
    """Of the columns of a signature: those without a name are called by their places."""
    return [str(spec.get("name", place)) for place, spec in enumerate(specs)]


def _alike(header: records.Header, lines: Sequence[dict[str, Any]], counts: Sequence[int]) -> _Sheet | None:
    """Where every record has the signature's columns and no others, as nearly all have, column by column: a tenth of
    the time. None where one has not."""
    names = _names(header.inputs)
    held: list[Any] = [line.get("c") for line in lines]
    if any("k" in line or "as_text" in line for line in lines) or len(set(names)) < len(names):
        return None
    if set(map(type, held)) != {list} or set(map(len, held)) != {len(names)}:
        return None
    sheet = _Sheet()
    for name, columns in zip(names, zip(*held, strict=True), strict=True):
        if set(map(type, columns)) != {list} or list(map(len, columns)) != counts:
            return None
        sheet.columns[name] = list(itertools.chain.from_iterable(columns))
    return sheet


def _named(header: records.Header, line: dict[str, Any], rows: int) -> dict[str, Sequence[Any]]:
    names = line.get("k") or _names(header.inputs)
    columns = line["c"]
    names = list(names) + [str(position) for position in range(len(names), len(columns))]
    return {name: column for name, column in zip(names, columns, strict=False) if column is not None}


def _tensor(header: records.Header, line: dict[str, Any], rows: int) -> dict[str, Sequence[Any]]:
    value = line["c"]
    tensors = value.items() if isinstance(value, dict) else [("", value)]
    result: dict[str, Sequence[Any]] = {}
    for name, tensor in tensors:
        first = tensor[0]
        if not isinstance(first, list):
            result[name or "input"] = tensor
        elif not isinstance(first[0] if first else [], list) and len(first) <= WIDEST:
            prefix = f"{name}." if name else ""
            result |= {f"{prefix}{n}": list(column) for n, column in enumerate(zip(*tensor, strict=True))}
        else:
            result[name or "input"] = [_text(row) for row in tensor]
    return result


def _raw(header: records.Header, line: dict[str, Any], rows: int) -> dict[str, Sequence[Any]]:
    """A script's body: a table when it looks like one of the usual forms, else one JSON text."""
    table = bodies.table(line["c"])
    if table is not None and len(next(iter(table.values()))) == rows:
        return table
    return {"raw": [_text(line["c"])] + [None] * (rows - 1)}


def _outputs(header: records.Header, lines: Sequence[dict[str, Any]], counts: Sequence[int]) -> _Sheet:
    names = [str(spec["name"]) for spec in header.outputs if spec.get("name") is not None]
    sheet = _Sheet()
    for line, rows in zip(lines, counts, strict=True):
        if line.get("as_text"):
            sheet.add(rows, {"raw": [_text(line.get("o"))] + [None] * (rows - 1)})
        else:
            sheet.add(rows, _output(line["o"], rows, names) if "o" in line and line.get("e") is None else {})
    return sheet


def _output(value: Any, rows: int, names: Sequence[str]) -> dict[str, Sequence[Any]]:
    if isinstance(value, str):  # scripts often answer with JSON inside a JSON text
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return {"prediction": [value] + [None] * (rows - 1)}
    if isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), list):
        value = next(iter(value.values()))  # {"result": [...]}, {"predictions": [...]}
    if not isinstance(value, list) or len(value) != rows:
        if isinstance(value, dict) and rows == 1:
            return _single({str(key): [item] for key, item in value.items()})
        return {"prediction": [value] + [None] * (rows - 1)}
    if all(isinstance(item, dict) for item in value):
        keys = list(dict.fromkeys(str(key) for item in value for key in item))
        return _single({key: [item.get(key) for item in value] for key in keys})
    if all(isinstance(item, list) for item in value):
        width = len(value[0])
        if 0 < width <= WIDEST and all(len(item) == width for item in value):
            labels = names if len(names) == width else [str(position) for position in range(width)]
            return _single(dict(zip(labels, map(list, zip(*value, strict=True)), strict=True)))
    return {"prediction": value}


def _single(columns: dict[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    return {"prediction": next(iter(columns.values()))} if len(columns) == 1 else columns


def _input_types(header: records.Header) -> dict[str, pyarrow.DataType]:
    if header.layout == "columns":
        return _types(header.inputs)
    if header.layout == "tensor":
        types = {}
        for spec in header.inputs:
            inner, name = spec.get("tensor-spec") or {}, spec.get("name")
            shape, kind = inner.get("shape") or [], NUMPY.get(str(inner.get("dtype")))
            if kind is not None and len(shape) == 1:
                types[name or "input"] = kind
            elif kind is not None and len(shape) == 2:
                prefix = f"{name}." if name else ""
                types |= {f"{prefix}{n}": kind for n in range(shape[1] if shape[1] > 0 else WIDEST)}
        return types
    return {}


def _output_types(header: records.Header) -> dict[str, pyarrow.DataType]:
    outputs = header.outputs
    if len(outputs) == 1:
        spec = outputs[0]
        inner = spec.get("tensor-spec") or {}
        kind = ARROW.get(str(spec.get("type"))) or NUMPY.get(str(inner.get("dtype")))
        wide = len(inner.get("shape") or []) == 2 and inner["shape"][1] > 1
        names = [str(n) for n in range(inner["shape"][1])] if wide else ["prediction"]
        return dict.fromkeys(names, kind) if kind is not None else {}
    return _types(outputs)


def _types(specs: Sequence[dict[str, Any]]) -> dict[str, pyarrow.DataType]:
    named = zip(_names(specs), specs, strict=True)
    return {name: ARROW[spec["type"]] for name, spec in named if spec.get("type") in ARROW}


def _array(values: list[Any], kind: pyarrow.DataType | None) -> pyarrow.Array:
    """In ``kind`` if every value fits it unchanged, else in the narrowest type that holds all."""
    if kind is not None:
        try:
            return _typed(values, kind)
        except (pyarrow.ArrowException, ValueError, TypeError, OverflowError):
            pass  # a model that answers otherwise than its signature says: keep what it said
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pyarrow.array(values, type=pyarrow.bool_())
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in values if value is not None):
        return pyarrow.array(values, type=pyarrow.int64())
    if kinds and kinds <= {int, float}:
        return pyarrow.array([None if v is None else float(v) for v in values], type=pyarrow.float64())
    if kinds <= {str}:
        return pyarrow.array(values, type=pyarrow.string())
    return pyarrow.array([None if v is None else _text(v) for v in values], type=pyarrow.string())


def _typed(values: list[Any], kind: pyarrow.DataType) -> pyarrow.Array:
    if pyarrow.types.is_binary(kind):
        return pyarrow.array([None if v is None else base64.b64decode(v) for v in values], type=kind)
    if pyarrow.types.is_timestamp(kind):
        return pyarrow.array([None if v is None else int(v) // 1000 for v in values], type=kind)
    if pyarrow.types.is_floating(kind):
        kinds = {type(value) for value in values if value is not None}
        if not kinds <= {int, float}:
            raise TypeError("not numbers")
        return pyarrow.array([None if v is None else float(v) for v in values], type=kind)
    return pyarrow.array(values, type=kind)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _label_text(value: Any) -> str:
    """A number beside texts is written as a class is: 1, not 1.0; and so are true and false."""
    if isinstance(value, str):
        return value
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _labels(lines: Sequence[dict[str, Any]]) -> pyarrow.Table:
    values = [line["v"] for line in lines]
    texts = any(isinstance(value, str) for value in values)
    values = [_label_text(value) if texts else float(value) for value in values]
    return pyarrow.table(
        {
            "request_id": pyarrow.array([line["i"] for line in lines], type=pyarrow.string()),
            "row": pyarrow.array([line["w"] for line in lines], type=pyarrow.int64()),
            "value": _array(values, None),
            "time": pyarrow.array([line["t"] for line in lines], type=TIME),
            "received_at": pyarrow.array([line["r"] for line in lines], type=TIME),
        }
    )
