"""Columns sent by the gateway, as the pandas or numpy object that MLflow's own schema enforcement would produce.

The gateway has checked names, order, types and counts, so here nothing is converted by guess: each column of a
signature gets exactly the dtype MLflow gives it (double float64, long int64, ...), which is why the model may be
called without enforcing the schema a second time.
"""

# ruff: noqa: B905 - zip has no strict before Python 3.10

from __future__ import annotations

import base64
from typing import Any, Dict, List, Optional, Sequence

NUMERIC = {"double": "float64", "float": "float32", "long": "int64", "integer": "int32"}
NAT = -(1 << 63)


def is_tensor(specs: Sequence[Dict[str, Any]]) -> bool:
    return bool(specs) and all(spec.get("type") == "tensor" for spec in specs)


def is_flat(specs: Sequence[Dict[str, Any]]) -> bool:
    """Whether every column holds scalars (no array, object, map or any)."""
    return all(
        spec.get("type") in NUMERIC or spec.get("type") in ("boolean", "string", "binary", "datetime") for spec in specs
    )


class FrameBuilder:
    """Builds the DataFrame of one column signature: ``columns[i]`` holds the values of ``specs[i]``."""

    def __init__(self, specs: Sequence[Dict[str, Any]]) -> None:
        import numpy
        import pandas

        self._numpy = numpy
        self._pandas = pandas
        self._types = [spec["type"] for spec in specs]
        named = all(spec.get("name") is not None for spec in specs)
        self._names = [spec["name"] for spec in specs] if named else list(range(len(specs)))
        kinds = set(self._types)
        self._matrix = NUMERIC.get(self._types[0]) if len(kinds) == 1 else None
        self._inferred = kinds <= {"double", "long", "boolean", "string"}
        if self._names:
            self._index = pandas.Index(self._names)

    def build(self, columns: List[Optional[List[Any]]], rows: int, fill: bool) -> Any:
        """A DataFrame of ``rows`` rows. A column that is None was left out by the caller (it is optional):
        it is filled with missing values when ``fill``, else it stays out, as in MLflow."""
        if self._matrix and None not in columns:
            # One block for the whole frame: several times cheaper than one array per column.
            block = self._numpy.array(columns, dtype=self._matrix)
            return self._pandas.DataFrame(block.T, columns=self._index, copy=False)
        if self._inferred and all(map(_as_inferred, self._types, columns)):
            # pandas finds the same types by itself, in half the time for one row.
            return self._pandas.DataFrame(list(zip(*columns)), columns=self._index)
        data = {}  # type: Dict[Any, Any]
        for name, kind, values in zip(self._names, self._types, columns):
            if values is None:
                if not fill:
                    continue
                values = [None if kind != "datetime" else NAT] * rows
            data[name] = self._column(kind, values)
        return self._pandas.DataFrame(data, index=range(rows))

    def _column(self, kind: str, values: List[Any]) -> Any:
        numpy, pandas = self._numpy, self._pandas
        if kind in ("double", "float"):
            return numpy.array(values, dtype=NUMERIC[kind])
        if kind in ("long", "integer"):
            if None in values:  # only an optional column that was left out: integers have no missing value
                return numpy.array(values, dtype="float64")
            return numpy.array(values, dtype=NUMERIC[kind])
        if kind == "boolean":
            return numpy.array(values, dtype=object if None in values else bool)
        if kind == "datetime":
            return numpy.array([NAT if v is None else v for v in values], dtype="int64").view("datetime64[ns]")
        if kind == "binary":
            decoded = [None if v is None else base64.b64decode(v) for v in values]
            return pandas.Series(decoded, dtype=object)
        if kind == "string":
            # As pandas itself would infer it: object up to pandas 2, str from pandas 3 on.
            return pandas.Series(values) if values else pandas.Series(values, dtype=object)
        return pandas.Series(values, dtype=object)


def _as_inferred(kind: str, values: Optional[List[Any]]) -> bool:
    """Whether pandas gives a column of these values the type of its kind without being told."""
    if values is None or None in values:
        return False
    return kind != "double" or set(map(type, values)) == {float}


def unsigned(columns: List[List[Any]], names: Optional[List[str]]) -> Any:
    """A model without signature: a DataFrame when the columns have names, else a 2-D array."""
    import numpy
    import pandas

    if names is not None:
        return pandas.DataFrame(dict(zip(names, columns)), columns=names)
    return numpy.array([list(row) for row in zip(*columns)])


def tensors(value: Any, specs: Sequence[Dict[str, Any]]) -> Any:
    """An array, or a dict of arrays when the signature names its tensors."""
    import numpy

    if len(specs) == 1 and specs[0].get("name") is None:
        return numpy.array(value, dtype=specs[0]["tensor-spec"]["dtype"])
    return {spec["name"]: numpy.array(value[spec["name"]], dtype=spec["tensor-spec"]["dtype"]) for spec in specs}
