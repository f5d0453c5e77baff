"""The files of the project fit each other."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[1]
CONTRACT = yaml.safe_load((ROOT / "contract.yml").read_text())
CLASSES = CONTRACT["columns"]["label"]["in"]


def table(name: str) -> pd.DataFrame:
    return pd.read_json(ROOT / "data" / f"{name}.jsonl", lines=True, dtype={"label": str})


@pytest.mark.parametrize("name", ["training", "holdout"])
def test_a_table_has_the_columns_and_the_classes_of_the_contract(name: str) -> None:
    rows = table(name)
    assert list(rows) == list(CONTRACT["columns"]) and set(rows["label"]) == set(CLASSES)
    assert all(base64.b64decode(each).startswith(b"\x89PNG") for each in rows["image"])


def test_no_image_of_the_hold_out_is_trained_on() -> None:
    assert not set(table("training")["image"]) & set(table("holdout")["image"])


def test_labelling_knows_the_same_classes() -> None:
    assert yaml.safe_load((ROOT / "labeling.yml").read_text())["labels"] == CLASSES


def test_the_sample_request_asks_for_images() -> None:
    asked = json.loads((ROOT / "data" / "sample-request.json").read_text())["input_data"]
    assert asked["columns"] == ["image"] and base64.b64decode(asked["data"][0][0]).startswith(b"\x89PNG")
