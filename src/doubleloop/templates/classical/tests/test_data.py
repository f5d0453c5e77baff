"""The files of the project fit each other."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).parents[1]
CONTRACT = yaml.safe_load((ROOT / "contract.yml").read_text())


def test_the_tables_have_the_columns_of_the_contract() -> None:
    for name in ("training", "holdout"):
        table = pd.read_csv(ROOT / "data" / f"{name}.csv")
        assert list(table) == list(CONTRACT["columns"]), name
        assert set(table["diagnosis"]) == set(CONTRACT["columns"]["diagnosis"]["in"])
        assert not table.isna().any().any()


def test_no_sample_of_the_hold_out_is_trained_on() -> None:
    training, holdout = (pd.read_csv(ROOT / "data" / f"{name}.csv")["sample"] for name in ("training", "holdout"))
    assert not set(training) & set(holdout)


def test_the_sample_request_asks_for_every_feature() -> None:
    asked = json.loads((ROOT / "data" / "sample-request.json").read_text())["input_data"]["columns"]
    assert asked == [name for name in CONTRACT["columns"] if name not in ("sample", "diagnosis")]
