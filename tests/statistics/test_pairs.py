"""Two tables compared column by column give what two tables held in memory give, and read few columns at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import scipy.stats

from doubleloop.base import errors
from doubleloop.statistics import movements, pairs, signals

WANTED = {
    "numerical": ["normalized_wasserstein_distance", "two_sample_kolmogorov_smirnov_test", "null_value_rate"],
    "categorical": ["jensen_shannon_distance", "pearsons_chi_squared_test"],
}


@dataclass
class Written:
    """A source as files are: it knows of nulls beforehand, and of NaN only when it is read."""

    frame: pl.DataFrame
    asked: list[Sequence[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.height, self.schema = self.frame.height, self.frame.schema

    def missing(self, name: str) -> int:
        return self.frame[name].null_count()

    def read(self, names: Sequence[str]) -> pl.DataFrame:
        self.asked.append(names)
        return self.frame.select(names)

    def pieces(self, name: str) -> Iterator[pa.Array]:
        self.asked.append([name])
        yield from (self.frame[name][start : start + 150].to_arrow() for start in range(0, self.height, 150))


def table(seed: int, rows: int, shift: float) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "amount": rng.normal(shift, 1, rows),
            "holes": [None if draw < 0.1 else draw for draw in rng.random(rows)],
            "count": rng.integers(0, 4, rows),
            "colour": rng.choice(["red", "green", "blue"], rows),
        }
    )


BEFORE, AFTER = table(1, 500, 0.0), table(2, 400, 0.4)


def values(reference: pairs.Table, current: pairs.Table) -> dict[tuple[str, str], float | None]:
    return {(each.column, each.metric): each.value for each in signals.evaluate_table(WANTED, reference, current)}


def test_a_table_that_is_read_by_column_gives_what_one_in_memory_gives():
    assert values(Written(BEFORE), Written(AFTER)) == values(BEFORE, AFTER)
    assert values(BEFORE, Written(AFTER)) == values(BEFORE, AFTER)


def test_rows_with_a_hole_in_any_column_are_left_out_as_pandas_dropna_does():
    found = values(Written(BEFORE), Written(AFTER))
    one, two = (frame.to_pandas().dropna()["amount"] for frame in (BEFORE, AFTER))
    assert len(two) < AFTER.height
    expected = scipy.stats.wasserstein_distance(one, two) / one.std()
    assert found["amount", "normalized_wasserstein_distance"] == pytest.approx(expected, rel=1e-12)
    expected = scipy.stats.ks_2samp(one, two).pvalue
    assert found["amount", "two_sample_kolmogorov_smirnov_test"] == pytest.approx(expected, rel=1e-9)


def test_a_nan_that_no_file_tells_of_beforehand_takes_its_row_along_in_every_column():
    poisoned = AFTER.with_columns(
        pl.when(pl.int_range(pl.len()) % 7 == 0).then(math.nan).otherwise("amount").alias("amount")
    )
    found = values(Written(BEFORE), Written(poisoned))
    assert found == values(BEFORE, poisoned)
    one, two = (frame.to_pandas().dropna() for frame in (BEFORE, poisoned))
    shares = one["colour"].value_counts(normalize=True)
    seen = two["colour"].value_counts()
    expected = scipy.stats.chisquare(seen, shares[seen.index] * len(two)).pvalue
    assert found["colour", "pearsons_chi_squared_test"] == pytest.approx(expected, rel=1e-9)


def test_a_column_of_nothing_but_nan_does_not_blind_the_others():
    dead = AFTER.with_columns(pl.lit(math.nan).alias("holes"))
    found = {each.column: each for each in signals.evaluate_table(WANTED, Written(BEFORE), Written(dead))}
    assert found["holes"].metric == "null_value_rate"
    assert found["holes"].value == 1.0
    assert values(Written(BEFORE), Written(dead)) == values(BEFORE, dead)
    reasons = {each.reason for each in signals.evaluate_table(WANTED, Written(BEFORE), Written(dead), ["holes"])}
    assert reasons == {"the current column holds no values", ""}


def test_a_column_of_many_rows_is_read_alone_and_one_with_holes_is_read_once(monkeypatch):
    monkeypatch.setattr(pairs, "_CELLS", 600)
    one, two = Written(BEFORE), Written(AFTER)
    drift = {kind: names[:2] for kind, names in WANTED.items()}
    movements.compare(drift, one, two)
    for side in (one, two):
        assert sorted(side.asked) == [["amount"], ["colour"], ["count"], ["holes"]]


def test_what_moved_is_told_from_the_same_look():
    found, moved = movements.compare(WANTED, Written(BEFORE), Written(AFTER))
    assert found == signals.evaluate_table(WANTED, BEFORE, AFTER)
    one = BEFORE.to_pandas().dropna()
    about = next(each for each in moved if each.column == "amount")
    assert about.before.mean == pytest.approx(one["amount"].mean())
    assert about.before.std == pytest.approx(one["amount"].std())
    assert about.before.quantiles == pytest.approx(tuple(one["amount"].quantile(list(movements.QUANTILES))))
    assert (about.before.rows, about.before.nulls) == (500, 0)
    holes = next(each for each in moved if each.column == "holes")
    assert holes.before.nulls == BEFORE["holes"].null_count()
    hidden = AFTER.with_columns(amount=pl.when(pl.col("holes").is_null()).then(math.nan).otherwise("amount"))
    _, moved = movements.compare(WANTED, Written(BEFORE), Written(hidden))
    about = next(each for each in moved if each.column == "amount")
    assert about.after.nulls == AFTER["holes"].null_count()
    colours = next(each for each in moved if each.column == "colour")
    assert dict(colours.before.top) == pytest.approx(one["colour"].value_counts(normalize=True).to_dict())


@pytest.mark.parametrize("cells", [600, 1_000_000])
def test_integers_and_labels_are_counted_without_the_rows_left_out(monkeypatch, cells):
    monkeypatch.setattr(pairs, "_CELLS", cells)
    one, two = (
        frame.with_columns(
            pl.col("colour").cast(pl.Categorical), pl.col("count").cast(pl.UInt64), (pl.col("count") > 1).alias("many"),
            pl.col("count").replace(3, None).alias("some"),
        ) for frame in (BEFORE, AFTER)
    )  # fmt: skip
    found = values(Written(one), Written(two))
    for name in ("colour", "count", "many", "some"):
        shares, seen = (frame.to_pandas().dropna()[name].value_counts() for frame in (one, two))
        expected = scipy.stats.chisquare(seen, (shares / shares.sum()).reindex(seen.index) * seen.sum()).pvalue
        assert found[name, "pearsons_chi_squared_test"] == pytest.approx(expected, rel=1e-9)


def test_overrides_and_features_that_cannot_be_right_are_refused_before_anything_is_read():
    one = Written(BEFORE)
    for features, overrides in ((["ghost"], {}), (None, {"ghost": "numerical"}), (None, {"colour": "numerical"})):
        with pytest.raises(errors.InvalidInput):
            signals.evaluate_table(WANTED, one, AFTER, features, overrides)
    assert not one.asked
