"""Writes the two Parquet files that are compared: ``python rows.py FOLDER ROWS``.

30 columns as tables of features have them: 18 of floats (normal, exponential, amounts of two digits, four with 2 % of
the values missing), 5 of integers (two of many values, three of few), one of booleans, 6 of texts (3 to 200
categories). A third of the columns have moved a little in the second file. Row groups of 131,072.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet as parquet

GROUP = 131_072
CATEGORIES = (3, 5, 12, 24, 50, 200)
MISSING = 0.02


def main(folder: str, rows: int) -> None:
    for number, (name, moved) in enumerate((("reference", 0.0), ("current", 0.3))):
        write(Path(folder) / f"{name}-{rows}.parquet", rows, 100 + number, moved)


def write(path: Path, rows: int, seed: int, moved: float) -> None:
    beside = path.with_suffix(".part")
    generator = np.random.default_rng(seed)
    with parquet.ParquetWriter(beside, table(1, generator, moved).schema) as writer:
        for first in range(0, rows, GROUP):
            writer.write_table(table(min(GROUP, rows - first), generator, moved))
    beside.rename(path)


def table(rows: int, generator: np.random.Generator, moved: float) -> pyarrow.Table:
    found: dict[str, pyarrow.Array] = {}
    for at in range(8):
        found[f"normal_{at}"] = pyarrow.array(generator.normal(50 + at + moved * (at % 3), 15, rows))
    for at in range(3):
        found[f"exponential_{at}"] = pyarrow.array(generator.exponential(3 + at, rows))
    for at in range(3):
        found[f"amount_{at}"] = pyarrow.array(np.round(generator.gamma(2, 20 + moved, rows), 2))
    for at in range(4):
        holes = generator.random(rows) < MISSING
        found[f"holes_{at}"] = pyarrow.array(generator.normal(0, 1, rows), mask=holes)
    for at in range(2):
        found[f"number_{at}"] = pyarrow.array(generator.integers(0, 1_000_000, rows))
        found[f"count_{at}"] = pyarrow.array(generator.poisson(8 + moved, rows))
    found["hour"] = pyarrow.array(generator.integers(0, 24, rows))
    found["member"] = pyarrow.array(generator.random(rows) < 0.3)
    for at, count in enumerate(CATEGORIES):
        shares = np.arange(1, count + 1) / np.arange(1, count + 1).sum()
        codes = pyarrow.array(generator.choice(count, rows, p=shares).astype(np.int32))
        names = pyarrow.array([f"category-{code}" for code in range(count)])
        found[f"text_{at}"] = pyarrow.DictionaryArray.from_arrays(codes, names).cast(pyarrow.string())
    return pyarrow.table(found)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
