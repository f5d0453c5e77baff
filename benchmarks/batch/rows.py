"""Writes a Parquet file of rows for the benchmark's model: ``python rows.py FILE ROWS``. 100,000 rows a row group."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "serving"))
import model

GROUP = 100_000
MISSING = 0.03


def main(path: str, rows: int) -> None:
    writer = None
    beside = path + ".part"
    for number, first in enumerate(range(0, rows, GROUP)):
        frame = model.table(min(GROUP, rows - first), model.SEED + 100 + number, MISSING)
        table = pyarrow.Table.from_pandas(frame, preserve_index=False)
        writer = writer or parquet.ParquetWriter(beside, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    Path(beside).rename(path)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
