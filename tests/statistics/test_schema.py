"""Columns are numerical or categorical by Azure's rule, unless a person says otherwise."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import polars as pl
import pytest

from doubleloop.base import errors
from doubleloop.statistics import schema
from doubleloop.statistics.schema import Kind, Type

MOMENT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("values", "type_", "kind"),
    [
        ([1.5, 2.5], Type.FLOAT, Kind.NUMERICAL),
        ([Decimal("1.5")], Type.FLOAT, Kind.NUMERICAL),
        (["a"], Type.STRING, Kind.CATEGORICAL),
        ([True, False], Type.BOOLEAN, Kind.CATEGORICAL),
        ([MOMENT.date()], Type.DATE, Kind.CATEGORICAL),
        ([MOMENT], Type.TIMESTAMP, Kind.CATEGORICAL),
        ([dt.time(1)], Type.TIME, Kind.CATEGORICAL),
        ([b"a"], Type.BINARY, Kind.CATEGORICAL),
        ([dt.timedelta(1)], Type.INTEGER, Kind.NUMERICAL),
        ([[1, 2]], Type.UNSUPPORTED, Kind.UNSUPPORTED),
        ([None, None], Type.UNSUPPORTED, Kind.UNSUPPORTED),
        ([1.0] * 1000, Type.FLOAT, Kind.NUMERICAL),
    ],
)
def test_type_and_kind_follow_the_values(values, type_, kind):
    column = pl.Series("c", values)
    assert schema.type_of(column.dtype) is type_
    assert schema.kind_of(column) is kind


def test_dictionary_encoded_text_is_text():
    assert schema.type_of(pl.Series(["a"]).cast(pl.Categorical).dtype) is Type.STRING
    assert schema.type_of(pl.Series(["a"], dtype=pl.Enum(["a", "b"])).dtype) is Type.STRING


@pytest.mark.parametrize(("distinct", "kind"), [(4, Kind.CATEGORICAL), (5, Kind.NUMERICAL)])
def test_integers_are_categorical_below_five_percent_distinct(distinct, kind):
    assert schema.kind_of([index % distinct for index in range(100)]) is kind


def test_a_null_counts_as_a_distinct_integer_as_in_azure():
    four_and_null = [*(index % 4 for index in range(99)), None]
    assert schema.kind_of(four_and_null) is Kind.NUMERICAL


def test_overrides_win_and_must_make_sense():
    frame = pl.DataFrame({"n": list(range(10)), "t": ["x"] * 10})
    assert schema.describe(frame, {"n": "Categorical"})["n"].kind is Kind.CATEGORICAL
    with pytest.raises(errors.InvalidInput, match="'ghost'") as caught:
        schema.describe(frame, {"ghost": "numerical"})
    assert "n, t" in caught.value.cure
    with pytest.raises(errors.InvalidInput, match="'ordinal'"):
        schema.kind_of(frame["n"], "ordinal")
    with pytest.raises(errors.InvalidInput, match="holds string values"):
        schema.kind_of(frame["t"], "numerical")


def test_integers_and_floats_are_comparable_text_and_numbers_are_not():
    assert schema.comparable(Type.INTEGER, Type.FLOAT)
    assert not schema.comparable(Type.STRING, Type.FLOAT)
    assert not schema.comparable(Type.UNSUPPORTED, Type.UNSUPPORTED)
