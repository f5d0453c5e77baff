"""The columns of a table in the types of a model's signature, or why they do not fit: nothing becomes another thing."""

from __future__ import annotations

import base64
from typing import Any, Callable, Dict, List, Optional

from . import reading

BITS = {"long": 64, "integer": 32}


class Misfit(ValueError):
    """The value at ``place`` of a column is wrong."""

    def __init__(self, place: int, why: str) -> None:
        super().__init__(why)
        self.place = place


def table(piece: Any, inputs: List[Dict[str, Any]], row: int = 0) -> Any:
    """The columns of the signature, in its order and types. ``row``: number of the piece's first row in its file.

    Raises Unreadable, naming column and row.
    """
    if not inputs:
        return piece.reset_index(drop=True)
    if all(each.get("name") is None for each in inputs):
        if piece.shape[1] < len(inputs):
            raise reading.Unreadable("it has %d columns, the model takes %d" % (piece.shape[1], len(inputs)))
        return piece.iloc[:, : len(inputs)].reset_index(drop=True)
    reading.check_columns(list(piece.columns), inputs)
    there = [each for each in inputs if each["name"] in piece.columns]
    columns = {each["name"]: _checked(piece[each["name"]], each, row) for each in there}
    return type(piece)(columns).reset_index(drop=True)


def grid(specs: List[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    """The one tensor of numbers with an axis of rows and one of columns, if that is what a model takes."""
    if len(specs) != 1:
        return None
    inner = specs[0]["tensor-spec"]
    numbers = str(inner["dtype"]).startswith(("int", "uint", "float"))
    return specs[0] if len(inner["shape"]) == 2 and numbers else None


def array(piece: Any, spec: Dict[str, Any], row: int = 0) -> Any:
    """The rows of a table as the tensor ``spec``, whose columns have no names. Raises Unreadable."""
    width, dtype = spec["tensor-spec"]["shape"][1], spec["tensor-spec"]["dtype"]
    if width not in (-1, piece.shape[1]):
        raise reading.Unreadable("it has %d columns, the model takes %d" % (piece.shape[1], width))
    kind = "long" if dtype.startswith(("int", "uint")) else "double"
    columns = {name: _checked(piece[name], {"name": name, "type": kind}, row) for name in piece.columns}
    found = type(piece)(columns).to_numpy().astype(dtype)
    return found if spec.get("name") is None else {spec["name"]: found}


def _checked(values: Any, spec: Dict[str, Any], row: int) -> Any:
    try:
        return _column(values, spec["type"], spec.get("required", True))
    except (TypeError, ValueError) as error:
        where = ", row %d" % (row + error.place) if isinstance(error, Misfit) else ""
        raise reading.Unreadable("column '%s'%s takes %s: %s" % (spec["name"], where, spec["type"], error)) from error


def _column(values: Any, kind: str, required: bool) -> Any:
    if kind == "datetime":
        return _moments(values)
    if kind in BITS:
        return _whole(values, BITS[kind])
    if kind in ("double", "float"):
        return _numbers(values).astype({"double": "float64", "float": "float32"}[kind])
    if kind == "boolean" and values.dtype != bool:
        return _truths(values, required)
    if kind == "binary":  # text holds bytes as base64
        return _each(values, _bytes).astype(object)
    if kind == "string":
        return values.where(values.isna(), values.astype(str)).astype(object)
    return values


def _each(values: Any, change: Callable[[Any], Any]) -> Any:
    found = []
    for place, value in enumerate(values):
        try:
            found.append(change(value))
        except ValueError as error:
            raise Misfit(place, str(error)) from error
    return type(values)(found, index=values.index, dtype=object)


def _numbers(values: Any) -> Any:
    import pandas

    if getattr(values.dtype, "kind", "") in "mM":
        raise ValueError("dates and times are no numbers")
    try:
        return pandas.to_numeric(values)
    except ValueError:
        _refuse(values, pandas.to_numeric(values, errors="coerce").isna() & values.notna(), "%r is no number")
        raise


def _whole(values: Any, bits: int) -> Any:
    _refuse(values, values.isna(), "the value is missing, and whole numbers have none")
    found = _numbers(values)
    _refuse(found, found % 1 != 0, "%s has a fraction")
    if len(found) and not (-(2 ** (bits - 1)) <= _exact(found.min()) and _exact(found.max()) < 2 ** (bits - 1)):
        raise ValueError("a number does not fit into %d bits" % bits)
    return found.astype("int%d" % bits)


def _refuse(values: Any, wrong: Any, words: str) -> None:
    """Raises Misfit for the first value that is ``wrong``."""
    if wrong.any():
        place = int(wrong.to_numpy().argmax())
        raise Misfit(place, words % (values.iloc[place],) if "%" in words else words)


def _exact(number: Any) -> Any:
    """As Python's own, which compares fractions with whole numbers of any size exactly."""
    return number.item() if hasattr(number, "item") else number


def _moments(values: Any) -> Any:
    """UTC without an offset, to the nanosecond, as requests to an endpoint are read."""
    import pandas

    if pandas.api.types.is_numeric_dtype(values.infer_objects()) and values.notna().any():
        raise ValueError("a number does not say what it counts from; write times as in ISO 8601 (2024-02-29T12:00:00Z)")
    if values.dtype.kind == "M" or values.isna().all() or int(pandas.__version__.split(".")[0]) < 2:
        found = pandas.to_datetime(values, utc=True)
    else:
        found = pandas.to_datetime(values, utc=True, format="ISO8601", errors="coerce")
        _refuse(values, found.isna() & values.notna(), "%r is no time as ISO 8601 has it (2024-02-29T12:00:00Z)")
    return found.dt.tz_localize(None).astype("datetime64[ns]")


def _truths(values: Any, required: bool) -> Any:
    missing = values.isna()
    if required:
        _refuse(values, missing, "the value is missing, and the model must be given one")
    found = _each(values, lambda value: None if value is None or value != value else _truth(value))
    return found if missing.any() else found.astype(bool)


def _bytes(value: Any) -> Any:
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


def _truth(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in ("true", "1", "1.0"):
        return True
    if text in ("false", "0", "0.0"):
        return False
    raise ValueError("%r is neither true nor false" % (value,))
