"""A first look at a table; numpy and polars are the referees."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from doubleloop.base import canonical, errors
from doubleloop.statistics import exploring

RANDOM = np.random.default_rng(6)
ROWS = 400
X, Y = RANDOM.normal(10, 2, ROWS), RANDOM.normal(size=ROWS)
TABLE = pl.DataFrame(
    {
        "id": [f"user-{number}" for number in range(ROWS)],
        "x": X,
        "double": X * 2 + 1,
        "related": X + 3 * Y,
        "holes": [None if at % 2 else float(at) for at in range(ROWS)],
        "kind": RANDOM.choice(["a", "b"], ROWS, p=[0.8, 0.2]),
        "still": ["same"] * ROWS,
        "nested": [[1]] * ROWS,
        "bought": (Y > 0).astype(int),
        "refund": np.where(Y > 0, 9.5, 0.0),
    }
)


def test_columns_are_described_by_what_numpy_says() -> None:
    found = exploring.explore(TABLE)
    assert (found["rows"], found["duplicate_rows"]) == (ROWS, 0)
    about = {each["name"]: each for each in found["columns"]}
    assert about["x"]["mean"] == pytest.approx(X.mean())
    assert about["x"]["std"] == pytest.approx(X.std(ddof=1))
    assert (about["x"]["minimum"], about["x"]["maximum"]) == (X.min(), X.max())
    assert about["x"]["quantiles"]["0.5"] == pytest.approx(np.median(X), abs=0.1)
    assert sum(about["x"]["histogram"]["counts"]) == ROWS
    assert about["holes"]["missing_rate"] == 0.5
    assert about["kind"]["top"][0] == ["a", (TABLE["kind"] == "a").sum() / ROWS]
    assert about["nested"]["kind"] == "unsupported"
    canonical.dumps(found)


def test_correlations_are_numpys_over_the_rows_that_both_have() -> None:
    found = {(each["one"], each["two"]): each["value"] for each in
             exploring.correlations(TABLE, ["x", "related", "holes", "double"])}  # fmt: skip
    even = np.arange(ROWS) % 2 == 0
    assert found["x", "related"] == pytest.approx(np.corrcoef(X, X + 3 * Y)[0, 1])
    assert found["x", "holes"] == pytest.approx(np.corrcoef(X[even], np.arange(ROWS)[even])[0, 1])
    assert found["x", "double"] == pytest.approx(1.0)
    shown = exploring.explore(TABLE)["correlations"]
    assert [abs(each["value"]) for each in shown] == sorted((abs(each["value"]) for each in shown), reverse=True)
    assert exploring.correlations(pl.DataFrame({"a": [1.0, 1.0], "b": [1.0, 2.0]}), ["a", "b"]) == []


def test_what_may_spoil_a_model_is_hinted_at() -> None:
    found = exploring.explore(TABLE, "bought")["hints"]
    assert {(each["kind"], *each["columns"]) for each in found} == {
        ("identifier", "id"), ("missing", "holes"), ("constant", "still"), ("same", "x", "double"),
        ("leakage", "refund", "bought"),
    }  # fmt: skip
    (leak,) = [each["sentence"] for each in found if each["kind"] == "leakage"]
    assert leak == "refund alone explains 100.0% of bought: is it known before?"
    plain = TABLE.select("x", "kind")
    (copies,) = exploring.explore(pl.concat([plain, plain.head(7)]))["hints"]
    assert copies["sentence"].startswith("7 rows are copies")
    with pytest.raises(errors.InvalidInput, match="'ghost'"):
        exploring.explore(TABLE, "ghost")


def test_two_versions_are_compared() -> None:
    later = TABLE.drop("still").with_columns(
        pl.col("x") + 5, pl.lit("new").alias("more"), pl.col("refund").cast(pl.String), pl.lit("b").alias("kind")
    )
    found = exploring.compare(TABLE, later.head(300))
    assert found["rows"] == {"before": ROWS, "after": 300}
    assert (found["added"], found["removed"]) == (["more"], ["still"])
    assert found["retyped"] == [{"column": "refund", "before": "float", "after": "string"}]
    assert {each["column"] for each in found["moved"][:2]} == {"x", "kind"}
    assert found["moved"][0]["distance"] > 0.5
    holes = next(each for each in found["moved"] if each["column"] == "holes")
    assert (holes["missing_before"], holes["missing_after"]) == (0.5, 0.5)
    canonical.dumps(found)


def test_an_empty_table_has_a_first_look() -> None:
    found = exploring.explore(TABLE.clear())
    assert (found["rows"], found["correlations"]) == (0, [])
    assert exploring.compare(TABLE.clear(), TABLE)["moved"] == []


def test_what_a_reader_may_have_made_something_else_of_is_said() -> None:
    table = pl.DataFrame(
        {"typo": [str(at) if at else "n/a" for at in range(100)], "words": [f"w{at}" for at in range(100)],
         "endless": [float("inf"), *range(99)], "city": ["K\ufffdln"] + ["Rome"] * 99}
    )  # fmt: skip
    hints = {each["kind"]: each for each in exploring.explore(table)["hints"]}
    assert hints["numbers"]["columns"] == ["typo"] and "'n/a'" in hints["numbers"]["sentence"]
    assert hints["infinite"]["sentence"].startswith("endless: 1 values are infinite")
    assert hints["encoding"]["columns"] == ["city"]
    moved = exploring.compare(table.select(pl.lit(float("inf")).alias("x")), pl.DataFrame({"x": [1.5]}))["moved"]
    assert moved[0]["sentence"] == "x: mean none -> 1.5, std none -> none"
