"""whylogs: a profile of each file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pandas
import whylogs

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import contender


def profiled(reference: str, current: str) -> Mapping[str, float]:
    for file in (reference, current):
        whylogs.log(pandas.read_parquet(file)).view().to_pandas()
    return {}


if __name__ == "__main__":
    contender.main({"profiles": profiled})
