from __future__ import annotations

import numpy as np
import pandas as pd
import train
from columns import FEATURES


def test_an_hour_one_half_life_old_counts_half() -> None:
    ts = pd.Series(pd.to_datetime(["2012-01-01 05:00", "2012-02-15 23:00", "2012-03-31 08:00"]))
    assert train.weights(ts, 90).round(3).tolist() == [0.5, 0.707, 1.0]


def test_the_model_is_the_same_every_time_and_never_negative() -> None:
    random = np.random.default_rng(1)
    inputs = pd.DataFrame({name: random.uniform(0, 20, 500) for name in FEATURES})
    counts = random.poisson(1 + inputs["hour"])
    first, second = (train.build(20, 7).fit(inputs, counts).predict(inputs) for _ in range(2))
    assert (first == second).all()
    assert first.min() > 0


def test_the_signature_names_every_feature_with_its_type() -> None:
    signature = train.signature().to_dict()
    assert '"name": "hour"' in signature["inputs"] and '"type": "long"' in signature["inputs"]
    assert signature["inputs"].count('"required": true') == len(FEATURES)
