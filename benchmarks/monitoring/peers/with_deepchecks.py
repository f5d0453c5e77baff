"""deepchecks (AGPL: run here as it is, never part of Doubleloop): its check of feature drift."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pandas
from deepchecks.tabular import Dataset
from deepchecks.tabular.checks import FeatureDrift

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import contender


def exact(reference: str, current: str) -> Mapping[str, float]:
    frames = [pandas.read_parquet(file) for file in (reference, current)]
    texts = [name for name in frames[0].columns if contender.kind(name) == "categorical"]
    before, after = (Dataset(frame, cat_features=texts) for frame in frames)
    rows = max(map(len, frames))
    for numerical in ("KS", "EMD"):
        FeatureDrift(n_samples=rows, numerical_drift_method=numerical).run(before, after).reduce_output()
    return {}


if __name__ == "__main__":
    contender.main({"exact": exact})
