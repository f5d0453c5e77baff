"""One answered request as one line of the write-ahead log, and the header line each segment begins with.

Lines are JSON with short keys: i request id, t event time and r arrival (microseconds since 1970), s status,
l latency in ms, n rows, m mirrored, c columns sent to the model, k their names (only where the segment's header
does not know them), o output, e error text, h request headers that are kept, p pieces of a streamed answer and f
milliseconds until the first of them. A label line: i, w row, v value, t, r.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import orjson

VERSION = 1


@dataclass(frozen=True)
class Header:
    """What all records of a segment share. ``inputs`` and ``outputs``: the signature's specs, [] when unknown.
    ``layout``: columns, tensor, unsigned, raw (see ``signatures``), or labels."""

    workspace: str
    endpoint: str
    deployment: str
    deployment_id: str
    model: str
    model_version: str
    layout: str
    inputs: tuple[dict[str, Any], ...] = ()
    outputs: tuple[dict[str, Any], ...] = ()
    version: int = VERSION


@dataclass(slots=True)
class Record:
    """``inputs`` and ``output`` are JSON already (nothing is encoded twice); None when not kept or not there."""

    request_id: str
    event_us: int
    received_us: int
    status: int
    latency_ms: float
    rows: int = 1
    mirrored: bool = False
    inputs: bytes | None = None
    names: list[str] | None = None
    output: bytes | None = None
    error: str | None = None
    headers: dict[str, str] | None = None
    pieces: int | None = None
    first_ms: float | None = None


def encode_header(header: Header) -> bytes:
    return orjson.dumps(asdict(header)) + b"\n"


def decode_header(line: bytes) -> Header:
    """Raises ValueError."""
    value = orjson.loads(line)
    if not isinstance(value, dict) or value.get("version") != VERSION:
        raise ValueError("not a segment header of this version")
    return Header(**{**value, "inputs": tuple(value["inputs"]), "outputs": tuple(value["outputs"])})


def encode(record: Record) -> bytes:
    head = orjson.dumps(
        {"i": record.request_id, "t": record.event_us, "r": record.received_us, "s": record.status,
         "l": round(record.latency_ms, 3), "n": record.rows}
    )  # fmt: skip
    parts = [head[:-1]]
    if record.mirrored:
        parts.append(b',"m":true')
    if record.inputs is not None:
        parts += [b',"c":', record.inputs]
    if record.names is not None:
        parts += [b',"k":', orjson.dumps(record.names)]
    if record.output is not None:
        parts += [b',"o":', record.output]
    if record.error is not None:
        parts += [b',"e":', orjson.dumps(record.error)]
    if record.headers:
        parts += [b',"h":', orjson.dumps(record.headers)]
    if record.pieces is not None:
        parts.append(b',"p":%d' % record.pieces)
    if record.first_ms is not None:
        parts.append(b',"f":%.3f' % record.first_ms)
    parts.append(b"}\n")
    return b"".join(parts)


def encode_label(request_id: str, row: int, value: Any, event_us: int, received_us: int) -> bytes:
    return orjson.dumps({"i": request_id, "w": row, "v": value, "t": event_us, "r": received_us}) + b"\n"
