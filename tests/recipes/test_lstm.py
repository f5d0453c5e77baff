"""The LSTM of the catalog, trained as a job trains it, in an environment with torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from airline import TABLE

import torches

SCRIPT = Path(__file__).with_name("lstm_cases.py")


@pytest.mark.slow
def test_an_lstm_is_better_than_the_season_before_and_says_how_sure_it_is(tmp_path: Path) -> None:
    TABLE.to_csv(tmp_path / "rows.csv", index=False)
    command = [sys.executable, str(SCRIPT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=torches.environment())
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["code"] == 0
    told = found["told"]
    assert told["metrics"]["mase"] < 0.8 * told["baseline"]["metrics"]["mase"]
    assert told["parameters"] == {"windows": 66.0, "held_windows": 19.0}
    far, near, year = found["rows"]
    assert found["alone"] == [pytest.approx(near)]  # a row stands alone
    assert all(row["lower"] < row["forecast"] < row["upper"] for row in found["rows"])
    assert far["upper"] / far["lower"] > year["upper"] / year["lower"]  # less sure of what comes later
    assert 380 < near["forecast"] < 520  # 417 a year before
