"""The same rows in the words of each server's protocol, and HTTP requests made of them before anything is timed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Different requests that are sent in turn: of one row, of a hundred.
DIFFERENT = {1: 64, 100: 8}


@dataclass(frozen=True)
class Rows:
    """``rows`` in the order of ``columns``, of which ``numeric`` are numbers and the others texts; ``expected``: what
    the model itself predicts for each."""

    columns: list[str]
    numeric: list[str]
    rows: list[list[Any]]
    expected: list[float]

    def cut(self, size: int) -> list[Rows]:
        """``DIFFERENT[size]`` tables of ``size`` rows."""
        starts = range(0, DIFFERENT[size] * size, size)
        return [
            Rows(self.columns, self.numeric, self.rows[at : at + size], self.expected[at : at + size]) for at in starts
        ]


Encode = Callable[[Rows], bytes]


def read(folder: Path) -> Rows:
    document = json.loads((folder / "rows.json").read_text())
    return Rows(**{name: document[name] for name in ("columns", "numeric", "rows", "expected")})


def split(key: str) -> Encode:
    """``{key: {"columns": [...], "data": [[...], ...]}}``: Azure ML's, MLflow's, and that of hand-written servers."""
    return lambda rows: _json({key: {"columns": rows.columns, "data": rows.rows}})


def records(key: str) -> Encode:
    """``{key: [{column: value, ...}, ...]}``: what BentoML makes frames of."""
    return lambda rows: _json({key: [dict(zip(rows.columns, row, strict=True)) for row in rows.rows]})


def frame(key: str) -> Encode:
    """``{key: [{column: [value, ...], ...}]}``: one frame in the first protocol of KServe's server for scikit-learn."""
    return lambda rows: _json({key: [dict(zip(rows.columns, zip(*rows.rows, strict=True), strict=True))]})


def tensors(rows: Rows) -> bytes:
    """The Open Inference Protocol: each column a tensor of one axis, to be read as one pandas frame."""
    inputs = []
    for position, name in enumerate(rows.columns):
        values = [row[position] for row in rows.rows]
        tensor: dict[str, Any] = {"name": name, "shape": [len(values), 1], "datatype": "FP64", "data": values}
        if name not in rows.numeric:
            tensor |= {"datatype": "BYTES", "parameters": {"content_type": "str"}}
        inputs.append(tensor)
    return _json({"id": "one", "parameters": {"content_type": "pd"}, "inputs": inputs})


def request(path: str, headers: Sequence[tuple[str, str]], body: bytes) -> str:
    """A whole HTTP/1.1 request as text of one byte a letter."""
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines += [f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines) + body.decode("latin-1")


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
