"""From Arrow to the columns that a plan takes: numbers as they lie there, of texts only the distinct ones."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence


def columns(batch: Any, names: Sequence[Any], types: Sequence[str], coded: Any) -> Optional[List[Any]]:
    """The columns ``names`` of a record batch, typed as a signature has it; None when one is of another type or lacks
    values that it must have: then the model itself is asked, which says what is wrong.

    ``coded`` is the module ``scorer.plans.coded``.
    """
    places = {name: place for place, name in enumerate(batch.schema.names)}
    found = []
    for name, kind in zip(names, types):  # noqa: B905 - zip has no strict before Python 3.10
        column = None if name not in places else _column(batch.column(places[name]), kind, coded)
        if column is None:
            return None
        found.append(column)
    return found


def _column(values: Any, kind: str, coded: Any) -> Any:
    import pyarrow

    types, held = pyarrow.types, values.type
    if kind == "string":
        return texts(values, coded)
    if kind in ("double", "float"):
        if not (types.is_floating(held) or types.is_integer(held)) or types.is_uint64(held):
            return None
        return values.to_numpy(zero_copy_only=False).astype("float64", copy=False)
    if values.null_count:
        return None
    if kind in ("long", "integer"):
        narrow = types.is_int32(held) or types.is_int16(held) or types.is_int8(held)
        fits = narrow or (kind == "long" and types.is_int64(held))
        return values.to_numpy(zero_copy_only=False) if fits else None
    if kind == "boolean":
        return values.to_numpy(zero_copy_only=False) if types.is_boolean(held) else None
    return None


def texts(values: Any, coded: Any) -> Any:
    """A column of texts, plain or as a dictionary, as a ``Coded``; None when it holds anything else."""
    import pyarrow

    types = pyarrow.types
    held = values.type.value_type if types.is_dictionary(values.type) else values.type
    if not (types.is_string(held) or types.is_large_string(held)):
        return None
    if not types.is_dictionary(values.type):
        values = values.dictionary_encode()
    distinct = values.dictionary.to_pylist()
    if None in distinct:
        return None
    codes = values.indices.cast(pyarrow.int32())
    if values.null_count:
        distinct.append(None)
        codes = codes.fill_null(len(distinct) - 1)
    return coded.used(distinct, codes.to_numpy(zero_copy_only=False).astype("intp"))
