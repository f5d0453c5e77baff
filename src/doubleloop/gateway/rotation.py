"""The process that turns closed segments into Parquet, so that the request path never waits for it.

``python -m doubleloop.gateway.rotation``: one request per line on stdin (``{"segment": path, "wait": bool}``), one
answer per line on stdout. Ends when stdin does, after what it has begun.
"""

from __future__ import annotations

import gc
import signal
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from doubleloop.gateway import segments


def main() -> None:
    # The gateway decides when this process ends: by closing stdin, after its last segment was answered.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    gc.disable()  # records refer to nothing that refers to them, and there are a million lists of them
    for line in sys.stdin.buffer:
        answer = _handle(orjson.loads(line))
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()


def _handle(request: dict[str, Any]) -> dict[str, Any]:
    segment = request["segment"]
    try:
        return asdict(segments.convert(Path(segment), bool(request["wait"])))
    except Exception as error:  # one bad segment must not stop the others; it stays where it is
        traceback.print_exc()
        return {"segment": segment, "error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main()
