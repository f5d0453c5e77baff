"""Profiles merge in any order to what one pass over all rows gives, and survive JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubleloop.base import canonical, errors
from doubleloop.statistics import hashes, profiles, sketches

REFERENCE = pl.DataFrame(
    {
        "temperature": [float(value) for value in range(-10, 40)],
        "season": ["spring", "summer"] * 25,
        "hour": [value % 2 for value in range(50)],
        "note": [None] * 50,
        "holiday": [True, False] * 25,
    },
    schema_overrides={"note": pl.Null},
)
KNOWN = profiles.reference(REFERENCE)

rows = st.lists(
    st.fixed_dictionaries(
        {
            "temperature": st.one_of(st.none(), st.floats(-50, 50), st.sampled_from([math.inf, -math.inf, math.nan])),
            "season": st.one_of(st.none(), st.sampled_from(["spring", "summer", "autumn"])),
            "hour": st.one_of(st.none(), st.integers(0, 3)),
            "holiday": st.booleans(),
        }
    ),
    max_size=30,
)
TYPES = {"temperature": pl.Float64, "season": pl.String, "hour": pl.Int64, "holiday": pl.Boolean}


def window(found: list[dict]) -> profiles.TableProfile:
    return profiles.window(pl.DataFrame(found, schema=TYPES), KNOWN)


def close(one: profiles.TableProfile, two: profiles.TableProfile) -> bool:
    left, right = one.to_dict(), two.to_dict()
    for first, second in zip(left["columns"], right["columns"], strict=True):
        if "moments" in first:
            a, b = first.pop("moments"), second.pop("moments")
            assert a["count"] == b["count"]
            assert a["mean"] == pytest.approx(b["mean"], rel=1e-9, abs=1e-9)
            assert a["deviations"] == pytest.approx(b["deviations"], rel=1e-9, abs=1e-6)
    return left == right


@settings(max_examples=60, deadline=None)
@given(rows, rows, rows)
def test_merging_is_commutative_associative_and_equals_one_pass(a, b, c):
    one, two, three = window(a), window(b), window(c)
    assert one + two == two + one
    assert close((one + two) + three, one + (two + three))
    assert close(one + two + three, window(a + b + c))


@settings(max_examples=60, deadline=None)
@given(rows)
def test_profiles_survive_canonical_json(a):
    one = window(a)
    assert profiles.from_dict(json.loads(canonical.dumps(one.to_dict()))) == one


def test_the_reference_survives_canonical_json():
    assert profiles.from_dict(json.loads(canonical.dumps(KNOWN.to_dict()))) == KNOWN


@pytest.mark.parametrize("body", [{}, {"format": 99}, {"format": 1, "rows": 1, "columns": [{}]}])
def test_something_else_is_not_read_as_a_profile(body):
    with pytest.raises(errors.InvalidInput, match=r"Profile the data again|profile"):
        profiles.from_dict(body)


def test_moments_equal_numpy():
    profile = KNOWN.columns["temperature"]
    values = REFERENCE["temperature"].to_numpy()
    assert profile.moments.mean == pytest.approx(values.mean())
    assert profile.moments.std == pytest.approx(values.std(ddof=1))
    assert (profile.minimum, profile.maximum) == (-10.0, 39.0)
    assert sum(profile.histogram.counts) == 50
    assert len(profile.histogram.counts) == 7  # ceil(log2(50) + 1)


def test_welford_merging_keeps_digits_that_a_sum_of_squares_loses():
    values = 1e9 + np.arange(1000) / 1000
    parts = sketches.Moments()
    for part in np.split(values, 100):
        parts = parts + sketches.Moments.of(part)
    assert parts.std == pytest.approx(np.std(values, ddof=1), rel=1e-6)
    assert parts.mean == pytest.approx(values.mean(), rel=1e-15)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers(1, 9), max_size=12), min_size=3, max_size=3))
def test_bounded_category_counts_merge_in_any_order(tallies):
    one, two, three = (sketches.Categories.of(tally, limit=5) for tally in tallies)
    assert one + two == two + one
    assert (one + two) + three == one + (two + three)
    merged = one + two + three
    assert merged.total == sum(sum(tally.values()) for tally in tallies)
    for label, count in merged.counts.items():
        assert count == sum(tally.get(label, 0) for tally in tallies)
    assert len(merged.counts) <= 5


def test_categories_that_one_side_dropped_are_compared_as_others():
    many = sketches.Categories.of({f"c{index}": 1 for index in range(100)}, limit=20)
    same = sketches.Categories.of({f"c{index}": 3 for index in range(100)}, limit=20)
    first, second = sketches.align(many, same)
    assert len(first) == 21
    assert first.sum() == 100
    assert list(second) == list(3 * first)


def test_profiles_of_different_references_do_not_merge():
    other = profiles.reference(REFERENCE.select("season", "temperature").head(10))
    with pytest.raises(errors.InvalidInput, match="different columns"):
        profiles.window(REFERENCE, KNOWN) + profiles.window(REFERENCE, other)
    with pytest.raises(errors.InvalidInput, match="different bins"):
        KNOWN.columns["temperature"] + other.columns["temperature"]
    with pytest.raises(errors.InvalidInput, match="cannot be merged"):
        KNOWN.columns["temperature"] + KNOWN.columns["season"]
    with pytest.raises(errors.InvalidInput, match="bounded to 3"):
        sketches.Categories(3) + sketches.Categories(4)


def test_pyarrow_tables_and_dicts_profile_like_polars():
    arrow = pa.table({"x": [1.0, 2.0, None], "y": ["a", "b", "b"]})
    assert profiles.reference(arrow) == profiles.reference(pl.from_arrow(arrow))
    assert profiles.reference({"x": [1.0, 2.0, None], "y": ["a", "b", "b"]}) == profiles.reference(arrow)


def test_ragged_columns_are_an_error_that_says_so():
    with pytest.raises(errors.InvalidInput, match="table cannot be read"):
        profiles.reference({"x": [1], "y": [1, 2]})
    with pytest.raises(errors.InvalidInput, match="column 'x' cannot be read"):
        profiles.reference({"x": [1, "a", object()]})


def test_an_empty_table_has_a_profile():
    empty = profiles.reference(REFERENCE.clear())
    assert empty.rows == 0
    assert profiles.window(REFERENCE, empty).columns["temperature"].outside is None
    assert window([]).columns["temperature"].rows == 0


def test_hashes_of_labels_are_the_ones_written_down():
    """Which labels a bounded tally keeps must never change: profiles of years are merged."""
    base, mask = 0x9E3779B97F4A7C15, (1 << 64) - 1

    def plainly(text: str) -> int:
        letters = text.encode()
        value = (
            sum((letter + 1) * pow(base, place, 1 << 64) for place, letter in enumerate(letters)) + len(letters)
        ) & mask
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
        return value ^ (value >> 31)

    texts = ["", "a", "b", "ab", "spring", "été", "x" * 40, "a"]
    assert [int(each) for each in hashes.of(texts)] == [plainly(text) for text in texts]
    assert [int(each) for each in hashes.of(pl.Series(texts)[3:6])] == [plainly(text) for text in texts[3:6]]
    many = hashes.of([f"user-{number}" for number in range(20_000)])
    assert len(set(many.tolist())) == 20_000
    shares = np.bincount((many >> np.uint64(60)).astype(np.int64), minlength=16) / 20_000
    assert np.abs(shares - 1 / 16).max() < 0.01, "even over their range"
