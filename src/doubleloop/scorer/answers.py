"""Whatever a model returned, as JSON bytes without NaN or infinity (JSON has neither: they become null)."""

# ruff: noqa: B905 - zip has no strict before Python 3.10

from __future__ import annotations

import base64
import datetime
import json
import math
from typing import Any

_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class NotJson(Exception):
    """The model returned something that has no JSON form."""


def encode(value: Any) -> bytes:
    """Compact UTF-8 JSON on one line. Raises NotJson."""
    if getattr(getattr(value, "dtype", None), "kind", "O") in "fiu" and getattr(value, "ndim", 0) == 1:
        text = "[" + ",".join(map(repr, value.tolist())) + "]"
        if "n" not in text:  # nan, inf
            return text.encode("ascii")
    plain = to_plain(value)
    try:
        return _dumps(plain)
    except ValueError:
        return _dumps(_without_nan(plain))


def to_plain(value: Any) -> Any:
    """Turns numpy and pandas results into lists and dicts: a DataFrame is a list of records, a Series a list."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    kind = type(value)
    root = kind.__module__.split(".")[0]
    if root == "numpy" and hasattr(value, "tolist"):
        return _plain_array(value)
    if root == "pandas":
        return _plain_pandas(value)
    if hasattr(value, "toarray"):  # scipy sparse matrices
        return to_plain(value.toarray())
    if isinstance(value, dict):
        return {_key(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(item) for item in value]
    return _scalar(value)


def _plain_array(value: Any) -> Any:
    plain = value.tolist()
    if getattr(getattr(value, "dtype", None), "kind", "O") in "biuf":
        return plain
    if isinstance(plain, list):
        return [to_plain(item) for item in plain]
    return plain if isinstance(plain, (str, bool, int, float)) else _scalar(plain)


def _plain_pandas(value: Any) -> Any:
    if hasattr(value, "columns") and hasattr(value, "itertuples"):
        names = [_key(name) for name in value.columns]
        columns = [_plain_series(value.iloc[:, position]) for position in range(len(names))]
        return [dict(zip(names, row)) for row in zip(*columns)]
    if hasattr(value, "tolist"):
        return _plain_series(value)
    return _scalar(value)


def _plain_series(series: Any) -> Any:
    kind = getattr(series.dtype, "kind", "O")
    if kind in "biuf":
        return series.tolist()
    return [None if _missing(item) else to_plain(item) for item in series.tolist()]


def _missing(item: Any) -> bool:
    if item is None or type(item).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(item, float) and math.isnan(item)


def _scalar(value: Any) -> Any:
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(bytes(value)).decode("ascii")
    if hasattr(value, "item"):
        return to_plain(value.item())
    if hasattr(value, "tolist"):
        return to_plain(value.tolist())
    if type(value).__name__ in ("Decimal", "UUID", "PosixPath"):
        return str(value)
    raise NotJson(
        "the model returned a %s.%s, which has no JSON form; return a list, dict, string, number, numpy array "
        "or pandas object" % (type(value).__module__, type(value).__name__)
    )


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, tuple):
        return ".".join(str(part) for part in key)
    return str(key)


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return value


def _dumps(value: Any) -> bytes:
    return _ENCODE(value).encode("utf-8", "replace")
