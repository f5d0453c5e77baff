from __future__ import annotations

import pandas as pd
import pytest
from prepare import prepare

ROWS = pd.DataFrame({"sample": [1, 2, 2], "radius": [9.0, 8.0, 8.5], "diagnosis": ["benign", "malignant", "malignant"]})


def test_the_newest_row_of_a_sample_is_kept() -> None:
    assert prepare(ROWS).to_dict("list") == {
        "sample": [1, 2], "radius": [9.0, 8.5], "diagnosis": ["benign", "malignant"]
    }  # fmt: skip


def test_samples_with_two_diagnoses_are_refused() -> None:
    with pytest.raises(ValueError, match="sample 2 has two diagnoses"):
        prepare(ROWS.assign(diagnosis=["benign", "malignant", "benign"]))
