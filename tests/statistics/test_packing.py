"""Packed profiles add up to what the profiles themselves add up to."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubleloop.base import errors
from doubleloop.statistics import folding, merging, packing, profiles, quantiles

GENERATOR = np.random.default_rng(11)
REFERENCE = pl.DataFrame(
    {
        "x": GENERATOR.normal(size=500),
        "hour": GENERATOR.integers(0, 3, 500),
        "season": GENERATOR.choice(["spring", "summer", "autumn"], 500),
        "id": [f"user-{number}" for number in range(500)],
        "nothing": pl.Series([None] * 500, dtype=pl.Float64),
        "nested": [[1, 2]] * 500,
    }
)
KNOWN = profiles.reference(REFERENCE, category_limit=20)
LAYOUT = packing.Layout(KNOWN)

rows = st.lists(
    st.fixed_dictionaries(
        {
            "x": st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True, width=32)),
            "hour": st.one_of(st.none(), st.integers(0, 5)),
            "season": st.one_of(st.none(), st.sampled_from(["spring", "winter", "été"])),
            "id": st.sampled_from([f"user-{number}" for number in range(0, 900, 7)]),
            "nothing": st.one_of(st.none(), st.floats(0, 1)),
        }
    ),
    max_size=25,
)


def window(found: list[dict]) -> profiles.TableProfile:
    types = {"x": pl.Float64, "hour": pl.Int64, "season": pl.String, "id": pl.String, "nothing": pl.Float64}
    return profiles.window(pl.DataFrame(found, schema=types), KNOWN)


@settings(max_examples=60, deadline=None)
@given(st.lists(rows, min_size=1, max_size=5))
def test_packed_profiles_add_up_to_what_profiles_do(tables):
    parts = [window(table) for table in tables]
    packed = [packing.pack(part, LAYOUT) for part in parts]
    assert folding.merge(packed[:1], LAYOUT) == parts[0]
    assert folding.merge(packed, LAYOUT) == merging.tables(parts) == folding.merge(packed[::-1], LAYOUT)


def test_thousands_of_packed_profiles_add_up_likewise():
    parts = [profiles.window(REFERENCE.slice(start, 100), KNOWN) for start in range(0, 500, 50)] * 120
    packed = [packing.pack(part, LAYOUT) for part in parts[:10]] * 120
    found = folding.merge(packed, LAYOUT)
    assert found == merging.tables(parts) == folding.merge(packed[::-1], LAYOUT)
    assert len(found.columns["x"].quantiles.values) < 4 * quantiles.SIZE


def test_a_reference_may_be_packed_by_its_own_layout():
    assert folding.merge([packing.pack(KNOWN, LAYOUT)], LAYOUT) == KNOWN


def test_what_belongs_to_another_reference_is_refused():
    other = profiles.reference(REFERENCE.head(40))
    with pytest.raises(errors.InvalidInput, match="another reference"):
        packing.pack(profiles.window(REFERENCE, other), LAYOUT)
    with pytest.raises(errors.InvalidInput, match="another reference"):
        folding.merge([packing.pack(other, packing.Layout(other))], LAYOUT)
    with pytest.raises(errors.InvalidInput, match="cut off"):
        folding.merge([packing.pack(KNOWN, LAYOUT)[:-9]], LAYOUT)
    with pytest.raises(errors.InvalidInput, match="no profile"):
        folding.merge([], LAYOUT)


def test_a_stream_of_pieces_is_profiled_as_their_sum():
    pieces = [REFERENCE.slice(start, 7) for start in range(0, 500, 7)]
    streamed = profiles.streamed(iter(pieces), KNOWN)
    whole = profiles.window(REFERENCE, KNOWN)
    assert streamed.rows == 500
    for name, column in streamed.columns.items():
        assert (column.nulls, column.outside, column.categories) == (
            whole.columns[name].nulls, whole.columns[name].outside, whole.columns[name].categories,
        )  # fmt: skip
    one, two = streamed.columns["x"], whole.columns["x"]
    assert one.histogram == two.histogram
    assert one.moments.mean == pytest.approx(two.moments.mean)
    assert one.moments.std == pytest.approx(two.moments.std)
    assert one.quantiles.at([0.25, 0.5, 0.75]) == pytest.approx(
        np.quantile(REFERENCE["x"], [0.25, 0.5, 0.75]), abs=0.05
    )
