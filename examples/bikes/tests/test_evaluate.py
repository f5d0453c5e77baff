from __future__ import annotations

import evaluate
import numpy as np
import pandas as pd
import pytest


def test_errors_are_in_rides_and_a_shortfall_is_a_negative_bias() -> None:
    found = evaluate.errors(np.array([10, 20, 30]), np.array([10, 17, 26]))
    assert found == {"rmse": pytest.approx((25 / 3) ** 0.5), "mae": pytest.approx(7 / 3), "bias": pytest.approx(-7 / 3)}


def test_the_baseline_knows_the_hour_and_the_kind_of_day_and_nothing_else() -> None:
    train = pd.DataFrame({"hour": [8, 8, 8, 3], "workingday": [1, 1, 0, 1], "count": [100, 300, 50, 4]})
    rows = pd.DataFrame({"hour": [8, 8, 23], "workingday": [1, 0, 0]}, index=[7, 9, 11])
    assert evaluate.by_clock(train, rows).tolist() == [200, 50, 113.5]
