"""``python -m doubleloop.gateway --home DIR --host H --port P``"""

from __future__ import annotations

import argparse
import gc
import logging
import sys
from dataclasses import fields
from pathlib import Path

import uvloop

from doubleloop.base import errors, logs
from doubleloop.gateway import limits as limit
from doubleloop.gateway import process


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m doubleloop.gateway", description="Serves models over HTTP.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one, written to serving/address.json")
    parser.add_argument("--processes", type=int, default=1, help="how many answer requests on the port (default: 1)")
    for field in fields(limit.Limits):
        kind = float if isinstance(field.default, float) else int
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    options = parser.parse_args(arguments)
    limits = limit.Limits(**{field.name: getattr(options, field.name) for field in fields(limit.Limits)})
    if options.processes < 1:
        parser.error(f"--processes is {options.processes}: at least one must answer")
    logs.to_stderr()
    # What was imported lives for ever: keep it out of every later collection (pauses on the request path).
    gc.collect()
    gc.freeze()
    try:
        uvloop.run(_run(options.home, options.host, options.port, limits, options.processes))
    except errors.DoubleloopError as error:
        logging.getLogger(__name__).error("%s", error)
        return error.exit_code
    return 0


async def _run(home: Path, host: str, port: int, limits: limit.Limits, processes: int) -> None:
    await process.Process(home, host, port, limits, processes).run()


if __name__ == "__main__":
    sys.exit(main())
