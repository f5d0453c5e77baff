"""Doubleloop's own statistics: ``python ours.py TASK ARGUMENTS…``, tasks as in ``TASKS``, see ``contender``."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parent))
import contender

from doubleloop.base import canonical
from doubleloop.frames import columnwise, reading
from doubleloop.statistics import folding, metrics, packing, profiles, schema, signals

WANTED: dict[schema.Kind | str, list[str]] = {
    kind: [name for name, metric in metrics.BY_NAME.items() if metric.family is metrics.Family.DRIFT
           and kind in metric.kinds] for kind in (schema.Kind.NUMERICAL, schema.Kind.CATEGORICAL)
}  # fmt: skip
MERGED = 10_000
PIECE = 500


def decode(*files: str) -> Mapping[str, float]:
    """The limit: both files as columns in memory, and nothing more."""
    held = [pl.concat(reading.pieces(Path(file))) for file in files]
    return {"rows": sum(frame.height for frame in held)}


def decode_pieces(*files: str) -> Mapping[str, float]:
    """The same piece by piece, each forgotten before the next: memory that is used again costs less to fill."""
    return {"rows": sum(piece.height for file in files for piece in reading.pieces(Path(file)))}


def exact(reference: str, current: str) -> Mapping[str, float]:
    before, after = (columnwise.read(Path(file)) for file in (reference, current))
    found = signals.evaluate_table(WANTED, before, after)
    return {f"{each.metric}:{each.column}": each.value for each in found if each.value is not None}


def profiled(reference: str, current: str) -> Mapping[str, float]:
    known = profiles.reference(pl.concat(reading.pieces(Path(reference))))
    window = profiles.streamed(reading.pieces(Path(current)), known)
    return {
        f"{metric}:{name}": value.value
        for name, column in known.columns.items()
        for metric in WANTED[column.kind]
        if (value := signals.evaluate(metric, column, window.columns[name])).value is not None
    }


def stream(reference: str, current: str, times: str) -> Mapping[str, float]:
    """The second file again and again, as so many files, against a reference of one file."""
    known = profiles.reference(pl.concat(reading.pieces(Path(reference))))
    files = itertools.chain.from_iterable(reading.pieces(Path(current)) for _ in range(int(times)))
    return {"rows": profiles.streamed(files, known).rows}


def merge(packed: str) -> Callable[[], Mapping[str, float]]:
    """Profiles of many small windows, held as bytes, merged."""
    layout = packing.Layout(profiles.from_dict(json.loads(Path(packed + ".json").read_text())))
    held = list(_cut(Path(packed).read_bytes()))
    return lambda: {"rows": folding.merge(held, layout).rows}


def write(reference: str, current: str, packed: str) -> Mapping[str, float]:
    """What ``merge`` reads: 10,000 profiles of 500 rows each."""
    known = profiles.reference(pl.concat(reading.pieces(Path(reference))))
    layout = packing.Layout(known)
    again = itertools.chain.from_iterable(reading.pieces(Path(current), PIECE) for _ in itertools.count())
    made = [packing.pack(profiles.window(piece, known), layout) for piece in itertools.islice(again, MERGED)]
    Path(packed).write_bytes(b"".join(len(each).to_bytes(8, "little") + each for each in made))
    Path(packed + ".json").write_text(canonical.dumps(known.to_dict()))
    return {}


def _cut(content: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(content):
        end = at + 8 + int.from_bytes(content[at : at + 8], "little")
        yield content[at + 8 : end]
        at = end


TASKS = {
    "decode": decode,
    "decode-pieces": decode_pieces,
    "exact": exact,
    "profiles": profiled,
    "stream": stream,
    "merge": merge,
    "write": write,
}

if __name__ == "__main__":
    contender.main(TASKS)
