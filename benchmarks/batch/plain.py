"""What people write: pandas reads a row group, the pipeline predicts, the answers are written.

``python plain.py MODEL FILE FOLDER PROCESSES``: with several processes each takes the next row group.
"""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path
from typing import Any

import joblib
import pandas
import pyarrow.parquet as parquet

_loaded: list[Any] = []


def begin(model: str, file: str) -> None:
    _loaded[:] = [joblib.load(model), parquet.ParquetFile(file)]


def score(order: tuple[int, str]) -> int:
    group, folder = order
    pipeline, file = _loaded
    frame = file.read_row_group(group).to_pandas()
    answers = pandas.DataFrame({"row": range(len(frame)), "prediction": pipeline.predict(frame)})
    answers.to_parquet(Path(folder) / f"{group:05}.parquet", index=False)
    return len(frame)


def main(model: str, file: str, folder: str, processes: int) -> None:
    orders = [(group, folder) for group in range(parquet.ParquetFile(file).num_row_groups)]
    if processes == 1:
        begin(model, file)
        print(sum(map(score, orders)))
        return
    with multiprocessing.get_context("spawn").Pool(processes, begin, (model, file)) as pool:
        print(sum(pool.imap_unordered(score, orders)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
