"""Evidently: a report of data drift for each of the same measures."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pandas
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import contender

METHODS = (("ks", "chisquare"), ("wasserstein", "jensenshannon"), ("psi", "psi"), ("jensenshannon", "jensenshannon"))


def exact(reference: str, current: str) -> Mapping[str, float]:
    frames = [pandas.read_parquet(file) for file in (reference, current)]
    kinds: dict[str, list[str]] = {"numerical": [], "categorical": []}
    for name in frames[0].columns:
        kinds[contender.kind(name)].append(name)
    about = DataDefinition(numerical_columns=kinds["numerical"], categorical_columns=kinds["categorical"])
    before, after = (Dataset.from_pandas(frame, data_definition=about) for frame in frames)
    for numerical, categorical in METHODS:
        Report([DataDriftPreset(num_method=numerical, cat_method=categorical)]).run(after, before).dict()
    return {}


if __name__ == "__main__":
    contender.main({"exact": exact})
