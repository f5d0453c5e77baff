"""Fetch the rides (22 MB, once) and write the files that the data assets are made of: python fetch.py [months]."""

from __future__ import annotations

import sys
from pathlib import Path

from doubleloop.demo import data

HERE = Path(__file__).parent


def show(done: int, total: int | None) -> None:
    of = f" of {total / 1e6:.1f}" if total else ""
    print(f"\r{done / 1e6:.1f}{of} MB", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    csv = data.fetch_bikes(HERE / "files" / "cache", show)
    prepared = data.prepare(csv, HERE / "files", months=int(sys.argv[1]) if len(sys.argv) > 1 else 12)
    print(f"\nhistory: {prepared.training}\nhold-out: {prepared.hold_out}")
    print(
        f"replay: {len(prepared.months)} months from {prepared.months[0].name}, see {prepared.months[0].replay.parent}"
    )
