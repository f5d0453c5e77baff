"""A contract that a component is given means what it means to the server."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas
import polars as pl
import pytest

from doubleloop.frames import contracts as server
from doubleloop.recipes.shared import contracts
from doubleloop.recipes.shared.problems import BadData

NOW = datetime(2024, 5, 3, tzinfo=UTC)
TABLE: dict[str, list[Any]] = {
    "whole": [1, 2, 3, 4],
    "gaps": [1.0, None, 3.0, 4.0],
    "share": [0.1, 0.5, 0.9, 1.5],
    "town": ["Rome", "Oslo", "Bonn", "Oslo"],
    "day": ["2024-05-01", "2024-05-02", "2024-04-01", "2024-04-02"],
    "told": ["2024-05-01", "soon", "2024-04-01", "2024-04-02"],
    "flag": [True, False, True, True],
}
COLUMNS: list[dict[str, Any]] = [
    {"whole": "integer"}, {"whole": "number"}, {"whole": "string"}, {"whole": "boolean"},
    {"gaps": "integer"}, {"share": "integer"}, {"town": "string"}, {"town": "number"}, {"flag": "boolean"},
    {"flag": "integer"}, {"day": "date"}, {"told": "date"}, {"day": {"type": "datetime"}},
    {"gaps": {"nullable": False}}, {"gaps": {"null_share": 0.25}}, {"gaps": {"null_share": 0.2}},
    {"share": {"at_most": 1}}, {"share": {"at_most": 1, "outside_share": 0.25}}, {"share": {"max": 2, "min": 0.1}},
    {"share": {"min": 0.2}}, {"town": {"in": ["Rome", "Oslo", "Bonn"]}}, {"town": {"in": ["Rome", "Oslo"]}},
    {"whole": {"in": [1, 2, 3, 4.0]}}, {"flag": {"in": [True]}}, {"town": {"matches": "[A-Z][a-z]{3}"}},
    {"town": {"matches": "[A-Z]"}}, {"town": {"unique": True}}, {"whole": {"unique": True}}, {"nowhere": {}},
    {"nowhere": {"required": False}}, {"day": {"type": "date", "at_least": "2024-04-02"}},
    {"day": {"type": "date", "at_most": "2024-05-02"}},
]  # fmt: skip
WHOLE: list[dict[str, Any]] = [
    {"rows": {"at_least": 4}}, {"rows": {"at_least": 5}}, {"rows": {"at_most": 3}}, {"rows": {"at_most": 4}},
    {"columns": {"town": "string"}, "extra_columns": "refuse"}, {"columns": {"town": {}}, "unique": [["town", "day"]]},
    {"columns": {"town": {}, "flag": {}}, "unique": [["town", "flag"]]},
    {"freshness": {"column": "day", "within": "2d"}},
    {"freshness": {"column": "day", "within": "12h"}}, {"freshness": {"column": "nowhere", "within": "2d"}},
]  # fmt: skip


@pytest.mark.parametrize("contract", [*({"columns": each} for each in COLUMNS), *WHOLE], ids=str)
def test_the_same_columns_and_rules_are_broken(contract: dict[str, Any]) -> None:
    judged = server.measure(server.parse(contract), pl.DataFrame(TABLE, strict=False), NOW)["violations"]
    expected = sorted((each["column"], each["rule"]) for each in judged)
    found = sorted(contracts.broken(contract, pandas.DataFrame(TABLE), NOW))
    assert len(found) == len(expected)
    for (column, rule), sentence in zip(expected, found, strict=True):
        assert f"'{rule}'" in sentence and (column or "the table") in sentence


def test_a_break_is_refused_with_an_example(tmp_path: Path) -> None:
    file = tmp_path / "contract.yml"
    file.write_text("columns: {share: {at_most: 1}}\n")
    with pytest.raises(
        BadData, match=r"rows breaks contract\.yml: column share breaks 'at_most' in 1 rows \(row 4: 1\.5"
    ):
        contracts.keep(pandas.DataFrame(TABLE), str(file), "rows")
    contracts.keep(pandas.DataFrame(TABLE).head(3), str(file), "rows")
    file.write_text("colums: {share: {at_most: 1}}\n")
    with pytest.raises(BadData, match="is no contract"):
        contracts.keep(pandas.DataFrame(TABLE), str(file), "rows")
