"""Bodies that are what most callers send, read and checked in one step: rows in the order of a column signature.

Whatever is written otherwise, or is wrong, goes the long way (``payloads``, ``signatures``), which knows every form and
says what is wrong where. So this way must take nothing that the long one would refuse, or read otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from doubleloop.gateway import limits as limit
from doubleloop.gateway import values

_TYPES: dict[str, Any] = {
    "double": float,
    "float": Annotated[float, msgspec.Meta(ge=-values.FLOAT_MAX, le=values.FLOAT_MAX)],
    "boolean": bool,
    "string": str,
    **{kind: Annotated[int, msgspec.Meta(ge=low, le=high)] for kind, (low, high) in values.RANGES.items()},
}
_NULLABLE = ("double", "float", "boolean", "string")


class Straight:
    """``None`` from ``of`` where a column's type needs more than a look at each value."""

    def __init__(self, names: Sequence[str] | None, row: Any) -> None:
        self._names = None if names is None else list(names)
        split = msgspec.defstruct(
            "Split", [("data", list[row]), ("columns", list[str] | None, None), ("index", list[Any] | None, None)],
            forbid_unknown_fields=True,
        )  # fmt: skip
        body = msgspec.defstruct(
            "Body", [("input_data", split | list[row] | msgspec.UnsetType, msgspec.UNSET),
                     ("dataframe_split", split | msgspec.UnsetType, msgspec.UNSET)],
            forbid_unknown_fields=True,
        )  # fmt: skip
        self._split: Any = split
        self._decoder: Any = msgspec.json.Decoder(body)

    @staticmethod
    def of(names: Sequence[str] | None, specs: Sequence[dict[str, Any]]) -> Straight | None:
        """``names``: of the columns; None when the signature has none."""
        types = []
        for spec in specs:
            kind = spec.get("type")
            if kind not in _TYPES:
                return None
            optional = not spec.get("required", True) and kind in _NULLABLE
            types.append(_TYPES[kind] | None if optional else _TYPES[kind])
        return Straight(names, tuple[tuple(types)])  # type: ignore[misc]

    def rows(self, body: bytes, limits: limit.Limits) -> tuple[list[tuple[Any, ...]], bool] | None:
        """The rows, and whether they came as Azure's ``input_data``; None for what goes the long way."""
        try:
            found = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        azure = found.input_data is not msgspec.UNSET
        value = found.input_data if azure else found.dataframe_split
        if azure == (found.dataframe_split is not msgspec.UNSET):  # both, or neither
            return None
        if type(value) is self._split:
            if value.columns is not None and value.columns != self._names:
                return None
            data = value.data
            if value.index is not None and len(value.index) != len(data):
                return None
        else:
            data = value
        return (data, azure) if data and len(data) <= limits.max_rows else None
