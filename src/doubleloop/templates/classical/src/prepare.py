"""From the table as it was delivered to the rows that are learned from."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd


def prepare(table: pd.DataFrame) -> pd.DataFrame:
    """The newest row of each sample. Raises ValueError when two rows of a sample contradict each other."""
    told = table.groupby("sample")["diagnosis"].nunique()
    if (told > 1).any():
        raise ValueError(f"sample {told.idxmax()} has two diagnoses; find out which one is right")
    return table.drop_duplicates("sample", keep="last").reset_index(drop=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--prepared", type=Path, required=True)
    given = parser.parse_args()
    rows = prepare(pd.read_csv(given.data))
    given.prepared.mkdir(parents=True, exist_ok=True)
    rows.to_csv(given.prepared / "rows.csv", index=False)
    print(f"{len(rows)} samples")


if __name__ == "__main__":
    sys.exit(main())
