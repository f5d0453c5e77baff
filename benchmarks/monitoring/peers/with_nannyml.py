"""NannyML: one calculator of univariate drift with its methods for the same measures, the second file as one chunk."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import nannyml
import pandas

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import contender


def exact(reference: str, current: str) -> Mapping[str, float]:
    before, after = (pandas.read_parquet(file) for file in (reference, current))
    for frame in (before, after):
        frame["member"] = frame["member"].astype("int8")
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=list(before.columns),
        treat_as_categorical=[name for name in before.columns if contender.kind(name) == "categorical"],
        continuous_methods=["kolmogorov_smirnov", "wasserstein", "jensen_shannon"],
        categorical_methods=["chi2", "jensen_shannon"],
        chunk_number=1,
    )
    calculator.fit(before)
    calculator.calculate(after).to_df()
    return {}


if __name__ == "__main__":
    contender.main({"exact": exact})
