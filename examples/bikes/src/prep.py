"""Step 1: the newest months of the table, split by time into what is fitted and what is judged."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from columns import COLUMNS, held_out, missing


def read(path: str) -> pd.DataFrame:
    """The table with its types, oldest hour first. Ends the step if it is not what the model was made for."""
    table = pd.read_csv(path)
    absent = missing(list(table.columns))
    if absent:
        raise SystemExit(f"{path} lacks the columns {', '.join(absent)}; it has {', '.join(table.columns)}")
    table["ts"] = pd.to_datetime(table["ts"])
    return table[COLUMNS].sort_values("ts", ignore_index=True)


def refuse_hold_out(table: pd.DataFrame) -> None:
    """A model that has seen the hold-out would win every comparison, so no such day may come in."""
    days = {moment.date() for moment in table["ts"].dt.normalize().unique()}
    leaked = sorted(day for day in days if held_out(day))
    if leaked:
        raise SystemExit(
            f"{len(leaked)} days of the hold-out are in the training data (first {leaked[0]}); "
            "publish it without them, see README.md"
        )


def newest(table: pd.DataFrame, months: int) -> pd.DataFrame:
    """The rows of the last ``months`` months, counted back from the end of the last day."""
    end = table["ts"].max().normalize() + pd.Timedelta(days=1)
    return table[table["ts"] >= end - pd.DateOffset(months=months)]


def split(table: pd.DataFrame, validation_days: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(fitted, judged): the judged rows are the last days, so nothing is ever fitted on what comes after it."""
    end = table["ts"].max().normalize() + pd.Timedelta(days=1)
    cut = end - pd.Timedelta(days=validation_days)
    return table[table["ts"] < cut], table[table["ts"] >= cut]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--months", type=int, default=9)
    parser.add_argument("--validation_days", type=int, default=14)
    parser.add_argument("--prepared", required=True)
    args = parser.parse_args()

    table = read(args.data)
    refuse_hold_out(table)
    fitted, judged = split(newest(table, args.months), args.validation_days)
    if fitted.empty or judged.empty:
        raise SystemExit(f"{args.data} is too short: {len(fitted)} rows to fit and {len(judged)} to judge")
    out = Path(args.prepared)
    out.mkdir(parents=True, exist_ok=True)
    for name, part in (("train", fitted), ("validation", judged)):
        part.to_csv(out / f"{name}.csv", index=False)
        print(f"{name}: {len(part)} hours, {part['ts'].min()} to {part['ts'].max()}, mean {part['count'].mean():.0f}")


if __name__ == "__main__":
    main()
