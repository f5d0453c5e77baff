"""A model's signature as a compiled check: payload in, columns in the model's own order out, or a 400.

Four layouts, by what is known of the model: ``columns`` (a column signature), ``tensor`` (a tensor signature),
``unsigned`` (an MLflow model without one: names and counts are checked where the estimator knows them), ``raw``
(a scoring script, which reads the body itself).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson

from doubleloop.base import errors
from doubleloop.gateway import failures, payloads, straight, values
from doubleloop.gateway import limits as limit

PARAM_TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,), "integer": (int,), "long": (int,), "float": (float, int), "double": (float, int),
    "string": (str,), "datetime": (str,),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checked:
    """``value`` is what the scorer gets and what the log keeps: columns in the order of the signature (None for an
    optional column that was left out), or a tensor. ``header`` goes into the frame to the scorer: ``missing`` is in it
    when a column lacks a value."""

    rows: int
    header: dict[str, Any]
    value: Any
    azure: bool


class Checker(Protocol):
    layout: str

    def check(self, payload: payloads.Payload) -> Checked:
        """Raises errors.InvalidInput naming row and column."""
        ...

    def straight(self, body: bytes, limits: limit.Limits) -> Checked | None:
        """What ``check`` would make of the body's payload, found at once; None when only that can tell."""
        ...


def read(signature: Mapping[str, Any] | None, part: str) -> list[dict[str, Any]]:
    """``inputs``, ``outputs`` or ``params`` of a signature; MLmodel files hold them as JSON text, both forms are
    read. Raises errors.InvalidInput."""
    value = (signature or {}).get(part)
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise errors.InvalidInput(f"the signature's {part} are not JSON: {error}") from None
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise errors.InvalidInput(f"the signature's {part} are not a list of specs")
    return value


def is_tensor(specs: Sequence[Mapping[str, Any]]) -> bool:
    return bool(specs) and all(spec.get("type") == "tensor" for spec in specs)


class ColumnChecker:
    """A column signature. Named columns are found by name and put in order; without names position decides."""

    layout = "columns"

    def __init__(
        self, specs: Sequence[dict[str, Any]], params: Params, checks: Mapping[int, values.Check] | None = None
    ) -> None:
        """``checks``: of columns, by their places, that are not checked by their type alone."""
        self.width = len(specs)
        self._named = all(spec.get("name") is not None for spec in specs)
        self._names = [str(spec.get("name", position)) for position, spec in enumerate(specs)]
        self._positions = {name: position for position, name in enumerate(self._names)}
        self._checks = [(checks or {}).get(at) or values.checker(spec) for at, spec in enumerate(specs)]
        self._optional = [not spec.get("required", True) for spec in specs]
        self._types = [str(spec["type"]) for spec in specs]
        self._params = params
        listed = [f"{name} ({kind})" for name, kind in zip(self._names, self._types, strict=True)]
        self._expected = "the model expects: " + ", ".join(listed[:50]) + (", ..." if len(listed) > 50 else "")
        self._straight = straight.Straight.of(self._names if self._named else None, specs)

    def straight(self, body: bytes, limits: limit.Limits) -> Checked | None:
        found = None if self._straight is None else self._straight.rows(body, limits)
        if found is None:
            return None
        data, azure = found
        header: dict[str, Any] = {"rows": len(data)}
        if any(None in row for row in data):
            header["missing"] = True
        columns = [[value] for value in data[0]] if len(data) == 1 else list(map(list, zip(*data, strict=True)))
        return Checked(len(data), header, columns, azure)

    def check(self, payload: payloads.Payload) -> Checked:
        if payload.key == payloads.ROW:
            payload = self._row(payload)
        columns, rows = self._columns(payload)
        checked: list[list[Any] | None] = []
        for name, check, optional, column in zip(self._names, self._checks, self._optional, columns, strict=True):
            checked.append(None if column is None else check(name, column, optional))
        header = self._params.header({"rows": rows}, payload)
        if any(column is None or None in column for column in checked):
            header["missing"] = True
        return Checked(rows, header, checked, payload.azure)

    def _row(self, payload: payloads.Payload) -> payloads.Payload:
        """Of a body that is itself the row, what are no columns are parameters, but for the name of the model, which
        OpenAI's clients give and the address has said."""
        (given,) = payload.data
        if not any(name in self._positions for name in payloads.OF_ROWS if name in given):
            raise failures.shape("no input data", cure=payloads.FORMS)
        row = {name: value for name, value in given.items() if name in self._positions}
        if payload.stream is not None and "stream" in self._positions:
            row["stream"] = payload.stream
        others = {name: value for name, value in given.items() if name not in row}
        if not self._params.has("model"):
            others.pop("model", None)
        return replace(payload, data=[row], params={**others, **(payload.params or {})})

    def _columns(self, payload: payloads.Payload) -> tuple[Sequence[Sequence[Any] | None], int]:
        data = payload.data
        if payload.form is payloads.Form.RECORDS:
            return self._from_records(data), len(data)
        if payload.form is payloads.Form.COLUMNS:
            return self._from_columns(data)
        if payload.form is payloads.Form.VALUES:
            if len(self._names) != 1:
                raise failures.shape(
                    f"row 0 is {failures.describe(data[0])}, expected a list of {len(self._names)} values",
                    cure=self._expected,
                )
            return [data], len(data)
        return self._from_rows(payload)

    def _from_rows(self, payload: payloads.Payload) -> tuple[Sequence[Sequence[Any] | None], int]:
        names = self._given(payload.names)
        width = len(names) if names is not None else len(self._names)
        columns = transpose(payload.data, width, names or self._names, self._expected)
        if names is None or names == self._names:
            return columns, len(payload.data)
        self._check_names(names)
        found = dict(zip(names, columns, strict=True))
        return [found.get(name) for name in self._names], len(payload.data)

    def _given(self, names: list[Any] | None) -> list[str] | None:
        """Names as texts; None when they only count (0, 1, 2, ...), so that position decides."""
        if names is None or names == list(range(len(names))):
            return None
        if not self._named:
            raise failures.shape(
                "the request names its columns, but the model's signature does not",
                cure=f"send rows without names, {len(self._names)} values each, in the order of the training data",
            )
        return [str(name) for name in names]

    def _check_names(self, names: Sequence[str], row: int | None = None) -> None:
        place = "" if row is None else f"row {row}: "
        details = {} if row is None else {"row": row}
        for name in names:
            if name not in self._positions:
                raise failures.shape(f"{place}unknown column '{name}'", cure=self._expected, column=name, **details)
        for position, name in enumerate(self._names):
            if not self._optional[position] and name not in names:
                raise failures.shape(
                    f"{place}missing column '{name}' ({self._types[position]})",
                    cure=self._expected,
                    column=name,
                    expected=self._types[position],
                    **details,
                )

    def _from_records(self, records: list[dict[str, Any]]) -> list[list[Any] | None]:
        if not self._named:
            raise failures.shape("the model's signature has no column names", cure="send rows as lists of values")
        width = len(self._names)
        if all(len(record) == width for record in records):
            try:
                return [[record[name] for record in records] for name in self._names]
            except KeyError:
                pass  # the slow way says which row and column
        for row, record in enumerate(records):
            self._check_names(list(record), row)
        present = set().union(*records)
        if not present:
            raise failures.shape("the rows have no columns", cure=self._expected)
        return [[record.get(name) for record in records] if name in present else None for name in self._names]

    def _from_columns(self, data: dict[str, Any]) -> tuple[list[Sequence[Any] | None], int]:
        if not self._named:
            raise failures.shape("the model's signature has no column names", cure="send rows as lists of values")
        self._check_names(list(data))
        return column_lists(data, self._names)


class UnsignedChecker:
    """An MLflow model without signature: types are unknown; names, order and count as far as the estimator
    remembers them from training."""

    layout = "unsigned"

    def __init__(self, feature_names: Sequence[str] | None, n_features: int | None, params: Params) -> None:
        self._names = list(feature_names) if feature_names is not None else None
        self._count = len(self._names) if self._names is not None else n_features
        self._params = params

    def check(self, payload: payloads.Payload) -> Checked:
        names, columns, rows = self._columns(payload)
        for position, column in enumerate(columns):
            for row, value in enumerate(column):
                if isinstance(value, list | dict):
                    name = names[position] if names else str(position)
                    raise failures.cell(row, name, "a single value", failures.describe(value))
        header = self._params.header({"rows": rows, "names": names}, payload)
        return Checked(rows, header, list(map(list, columns)), payload.azure)

    def straight(self, body: bytes, limits: limit.Limits) -> Checked | None:
        return None

    def _columns(self, payload: payloads.Payload) -> tuple[list[str] | None, Sequence[Sequence[Any]], int]:
        data, rows = payload.data, len(payload.data)
        if payload.form is payloads.Form.VALUES:
            return self._positional([data]), [data], rows
        if payload.form is payloads.Form.ROWS:
            width = len(payload.names) if payload.names is not None else len(data[0])
            columns: Sequence[Sequence[Any]] = transpose(data, width, payload.names, "")
            names = payload.names
            if names is None or names == list(range(width)):
                return self._positional(columns), columns, rows
            found = dict(zip([str(name) for name in names], columns, strict=True))
        elif payload.form is payloads.Form.RECORDS:
            first = list(data[0])
            for row, record in enumerate(data):
                if record.keys() != data[0].keys():
                    odd = next(iter(record.keys() ^ data[0].keys()))
                    raise failures.shape(f"row {row}: column '{odd}' is not in every row", row=row, column=odd)
            found = {name: [record[name] for record in data] for name in first}
        else:
            lists, rows = column_lists(data, list(data))
            found = {name: column or [] for name, column in zip(data, lists, strict=True)}
        return *self._ordered(found), rows

    def _positional(self, columns: Sequence[Sequence[Any]]) -> list[str] | None:
        if self._count is not None and len(columns) != self._count:
            raise failures.shape(
                f"row 0 has {len(columns)} values, the model was trained on {self._count}", row=0,
                expected=self._count, got=len(columns),
            )  # fmt: skip
        return self._names

    def _ordered(self, found: dict[str, Sequence[Any]]) -> tuple[list[str] | None, list[Sequence[Any]]]:
        if self._names is None:
            # The estimator was trained without names (or hides them): the caller's order decides, so count.
            self._positional(list(found.values()))
            return list(found), list(found.values())
        for name in found:
            if name not in self._names:
                raise failures.shape(f"unknown column '{name}'", cure=self._trained(), column=name)
        for name in self._names:
            if name not in found:
                raise failures.shape(f"missing column '{name}'", cure=self._trained(), column=name)
        return self._names, [found[name] for name in self._names]

    def _trained(self) -> str:
        return "the model was trained on: " + ", ".join((self._names or [])[:50])


class Params:
    """MLflow's inference parameters: known name, plain type; MLflow itself fills in the defaults."""

    def __init__(self, specs: Sequence[dict[str, Any]]) -> None:
        self._specs = {str(spec.get("name")): spec for spec in specs}

    def has(self, name: str) -> bool:
        return name in self._specs

    def header(self, header: dict[str, Any], payload: payloads.Payload) -> dict[str, Any]:
        """What the scorer is told beside the rows; ``stream`` is in it when the request says whether to stream."""
        params, stream = payload.params, payload.stream
        if params and "stream" in params and stream is None and isinstance(params["stream"], bool):
            stream = params["stream"]
            if "stream" not in self._specs:  # said to us, not to the model
                params = {name: value for name, value in params.items() if name != "stream"}
        if params:
            for name, value in params.items():
                self._check(name, value)
            header["params"] = params
        if stream is not None:
            header["stream"] = stream
        return header

    def _check(self, name: str, value: Any) -> None:
        spec = self._specs.get(name)
        if spec is None:
            known = ", ".join(self._specs) or "none"
            raise failures.shape(f"unknown parameter '{name}'; the model's signature has: {known}", parameter=name)
        allowed = PARAM_TYPES.get(str(spec.get("type", spec.get("dtype"))))
        items = value if spec.get("shape") and isinstance(value, list) else [value]
        if allowed is not None and any(type(item) not in allowed for item in items):
            raise failures.shape(
                f"parameter '{name}': expected {spec.get('type')}, got {failures.describe(value)}", parameter=name
            )


def transpose(rows: list[list[Any]], width: int, names: Sequence[Any] | None, cure: str) -> list[Sequence[Any]]:
    """Rows to columns. Raises errors.InvalidInput for the first row that has not ``width`` values."""
    if set(map(len, rows)) != {width}:
        row = next(position for position, values_ in enumerate(rows) if len(values_) != width)
        got = len(rows[row])
        what = f"row {row} has {got} values, expected {width}"
        if names and got < width:
            what += f"; '{names[got]}' is the first without one"
        raise failures.shape(what, cure=cure, row=row, expected=width, got=got)
    return list(zip(*rows, strict=True))


def column_lists(data: dict[str, Any], order: Sequence[str]) -> tuple[list[Sequence[Any] | None], int]:
    """An object of equally long lists (or of single values: one row) in the given order."""
    if all(not isinstance(value, list) for value in data.values()):
        return [[data[name]] if name in data else None for name in order], 1
    lengths = {}
    for name, value in data.items():
        if not isinstance(value, list):
            raise failures.shape(f"column '{name}' is {failures.describe(value)}, not a list", column=name)
        lengths[name] = len(value)
    first, count = next(iter(lengths.items()))
    for name, length in lengths.items():
        if length != count:
            raise failures.shape(f"column '{name}' has {length} values, '{first}' has {count}", column=name)
    if not count:
        raise failures.shape(f"column '{first}' has no values", column=first)
    return [data.get(name) for name in order], count
