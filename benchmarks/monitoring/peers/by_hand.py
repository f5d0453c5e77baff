"""What people write: pandas reads both files, scipy compares column by column."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas
from scipy import stats
from scipy.spatial import distance

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import contender


def exact(reference: str, current: str) -> Mapping[str, float]:
    before, after = (pandas.read_parquet(file).dropna() for file in (reference, current))
    found: dict[str, float] = {}
    for name in before.columns:
        x, y = before[name], after[name]
        if contender.kind(name) == "numerical":
            x, y = x.to_numpy(), y.to_numpy()
            count = int(np.ceil(np.log2(min(len(x), len(y))) + 1))
            edges = np.linspace(min(x.min(), y.min()), max(x.max(), y.max()), count + 1)
            p, q = (np.histogram(side, edges)[0] for side in (x, y))
            found[f"two_sample_kolmogorov_smirnov_test:{name}"] = stats.ks_2samp(x, y, method="asymp").pvalue
            moved = stats.wasserstein_distance(x, y) / max(x.std(ddof=1), 0.001)
            found[f"normalized_wasserstein_distance:{name}"] = moved
        else:
            one, two = x.value_counts(), y.value_counts()
            labels = one.index.union(two.index)
            p, q = (side.reindex(labels, fill_value=0).to_numpy() for side in (one, two))
            with np.errstate(divide="ignore"):
                expected = p / p.sum() * q.sum()
                found[f"pearsons_chi_squared_test:{name}"] = stats.chisquare(q, expected).pvalue if p.all() else 0.0
        found[f"jensen_shannon_distance:{name}"] = distance.jensenshannon(p, q, base=2)
        first, second = (p + 1) / (p + 1).sum(), (q + 1) / (q + 1).sum()
        found[f"population_stability_index:{name}"] = float(((second - first) * np.log(second / first)).sum())
    return found


if __name__ == "__main__":
    contender.main({"exact": exact})
