from __future__ import annotations

import register


def test_a_model_that_does_not_beat_the_clock_is_not_registered() -> None:
    assert register.worth_registering({"model": {"rmse": 90}, "baseline": {"rmse": 180}})
    assert not register.worth_registering({"model": {"rmse": 180}, "baseline": {"rmse": 180}})
