"""Writes sets that scikit-learn and statsmodels ship as CSV: ``python shipped.py FOLDER NAME``. Runs where they are."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas


def breast_cancer() -> pandas.DataFrame:
    from sklearn import datasets

    found = datasets.load_breast_cancer(as_frame=True)
    return found.frame.assign(target=found.target.map({0: "malignant", 1: "benign"}))


def digits() -> pandas.DataFrame:
    from sklearn import datasets

    found = datasets.load_digits(as_frame=True)
    return found.frame.assign(target=found.target.map(lambda digit: f"digit {digit}"))


def sunspots() -> pandas.DataFrame:
    from statsmodels import datasets

    found = datasets.sunspots.load_pandas().data
    years = pandas.to_datetime(found["YEAR"].astype(int).astype(str) + "-01-01")
    return pandas.DataFrame({"time": years.dt.strftime("%Y-%m-%d"), "spots": found["SUNACTIVITY"]})


def co2() -> pandas.DataFrame:
    """Monthly means, gaps filled between neighbours."""
    from statsmodels import datasets

    found = datasets.co2.load_pandas().data["co2"].resample("MS").mean().interpolate()
    return pandas.DataFrame({"time": found.index.strftime("%Y-%m-%d"), "ppm": found.to_numpy()})


def macrodata() -> pandas.DataFrame:
    """Growth by quarter, in per cent."""
    from statsmodels import datasets

    found = datasets.macrodata.load_pandas().data
    months = (found["quarter"].astype(int) * 3 - 2).astype(str).str.zfill(2)
    growth = 100 * found[["realgdp", "realcons", "realinv"]].pct_change()
    table = growth.assign(time=found["year"].astype(int).astype(str) + "-" + months + "-01").dropna()
    return table[["time", "realgdp", "realcons", "realinv"]]


def nile() -> pandas.DataFrame:
    from statsmodels import datasets

    found = datasets.nile.load_pandas().data
    return pandas.DataFrame({"time": found["year"].astype(int).astype(str) + "-01-01", "volume": found["volume"]})


if __name__ == "__main__":
    folder, name = Path(sys.argv[1]), sys.argv[2]
    folder.mkdir(parents=True, exist_ok=True)
    globals()[name]().to_csv(folder / f"{name}.csv", index=False)
