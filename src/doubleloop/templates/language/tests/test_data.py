"""The files of the project fit each other."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[1]
CONTRACT = yaml.safe_load((ROOT / "contract.yml").read_text())
LABELS = CONTRACT["columns"]["area"]["in"]


@pytest.mark.parametrize("name", ["training", "holdout"])
def test_a_table_has_the_columns_and_the_labels_of_the_contract(name: str) -> None:
    table = pd.read_csv(ROOT / "data" / f"{name}.csv")
    assert list(table) == list(CONTRACT["columns"])
    assert set(table["area"]) == set(LABELS) and table["text"].str.len().between(20, 1000).all()


def test_no_text_of_the_hold_out_is_trained_on() -> None:
    training, holdout = (pd.read_csv(ROOT / "data" / f"{name}.csv")["text"] for name in ("training", "holdout"))
    assert not set(training) & set(holdout)


def test_training_and_labelling_know_the_same_labels() -> None:
    pipeline = yaml.safe_load((ROOT / "train" / "pipeline.yml").read_text())
    assert pipeline["jobs"]["learn"]["inputs"]["labels"].split(", ") == LABELS
    assert yaml.safe_load((ROOT / "labeling.yml").read_text())["labels"] == LABELS


def test_the_sample_request_asks_for_a_text() -> None:
    assert json.loads((ROOT / "data" / "sample-request.json").read_text())["input_data"]["columns"] == ["text"]
