"""Null, type and bounds rates follow Azure's component, to five digits."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from doubleloop.base import errors
from doubleloop.statistics import conformity, profiles, quality
from doubleloop.statistics.schema import Type


def rates(reference, current, override=None):
    known = profiles.column(pl.Series("c", reference), override=override)
    window = profiles.column(pl.Series("c", current), known)
    return (
        quality.null_value_rate(window),
        quality.data_type_error_rate(window),
        quality.out_of_bounds_rate(window),
    )


def test_the_example_of_azures_own_tests():
    """azureml-assets test_compute_data_quality_metrics: one of four strings is new, numbers are within bounds."""
    assert rates(["string1", "string2", "string3"], ["string1", "string2", "string3", "string4"])[2] == 0.25
    assert rates([2.8987, 90.1], [4.67, 90.1, 2.8987, 3.454]) == (0.0, 0.0, 0.0)


def test_nulls_and_nan_count_against_all_rows():
    assert rates([1.0, 2.0], [1.0, None, float("nan"), 2.0]) == (0.5, 0.0, 0.0)


def test_text_that_is_no_number_is_a_type_error_and_not_out_of_bounds():
    assert rates([1.0, 5.0], ["1", " 2.5 ", "x", None, "7"]) == (0.2, 0.2, 0.2)


def test_below_and_above_the_reference_are_added():
    assert rates([10, 11, 12], [9, 10, 12, 13, 14]) == (0.0, 0.0, 0.6)
    assert rates([10.0, 12.0], [float("inf"), float("-inf"), 11.0])[2] == 0.66667


def test_integer_categories_are_bounded_by_their_set():
    assert rates([1, 2] * 50, [1, 2, 3, 2]) == (0.0, 0.0, 0.25)


def test_text_which_the_reference_never_had_is_out_of_bounds():
    assert rates(["a", "b"], ["a", "z", None, "y"]) == (0.25, 0.0, 0.5)


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        ([True, False], [True, None]),
        ([dt.date(2026, 1, 1)], [dt.date(2030, 1, 1), None]),
        ([float("nan"), None], [1.0, None]),
    ],
)
def test_columns_without_bounds_have_no_out_of_bounds_rate(reference, current):
    assert rates(reference, current) == (0.5, 0.0, None)


def test_more_text_values_than_a_profile_keeps_have_no_out_of_bounds_rate():
    frame = pl.DataFrame({"id": [f"user-{index}" for index in range(50)]})
    known = profiles.reference(frame, category_limit=10)
    window = profiles.window(frame, known).columns["id"]
    assert quality.out_of_bounds_rate(window) is None
    assert quality.null_value_rate(window) == 0.0


def test_rates_are_rounded_half_up_to_five_digits():
    window = profiles.ColumnProfile("c", Type.FLOAT, "numerical", rows=200_000, nulls=1)
    assert quality.null_value_rate(window) == 0.00001
    assert quality.rate(1, profiles.ColumnProfile("c", Type.FLOAT, "numerical", rows=3)) == 0.33333


def test_a_window_without_rows_has_no_rate():
    with pytest.raises(errors.InvalidInput, match="no rows"):
        quality.null_value_rate(profiles.ColumnProfile("c", Type.FLOAT, "numerical"))


def test_a_missing_column_is_missing_in_every_row():
    known = profiles.reference(pl.DataFrame({"a": [1.0], "b": ["x"]}))
    window = profiles.window(pl.DataFrame({"a": [1.0, 1.0]}), known)
    assert quality.null_value_rate(window.columns["b"]) == 1.0
    assert quality.out_of_bounds_rate(window.columns["b"]) == 0.0


def test_nested_values_where_numbers_belong_are_type_errors():
    known = profiles.column(pl.Series("c", [1.0, 2.0]))
    window = profiles.column(pl.Series("c", [[1.0], None, [2.0, 3.0]]), known)
    assert (window.nulls, window.type_errors, window.values) == (1, 2, 0)


@pytest.mark.parametrize(
    ("wanted", "values", "errors_"),
    [
        (Type.INTEGER, ["1", "2.7", "1e3", "inf", "one", "", None], 3),
        (Type.INTEGER, [1.5, float("inf"), None], 1),
        (Type.FLOAT, [True, False], 0),
        (Type.FLOAT, ["nan", "inf", "-1"], 0),
        (Type.FLOAT, [dt.date(2026, 1, 1)], 1),
        (Type.BOOLEAN, ["true", "No", "Y", "0", "maybe", None], 1),
        (Type.BOOLEAN, [0, 1, 2], 0),
        (Type.DATE, ["2021-03-11", "2021-03-11T10:00:00Z", "11/03/2021", "*"], 2),
        (Type.TIMESTAMP, ["2021-03-11 10:00:00.5+02:00", "noon"], 1),
        (Type.TIMESTAMP, [dt.date(2026, 1, 1)], 0),
        (Type.DATE, [1, 2], 2),
        (Type.TIME, ["10:00", "25:00"], 1),
        (Type.STRING, [1.0, 2.5, None], 0),
        (Type.STRING, [b"text", b"\xff\xfe"], 1),
        (Type.BINARY, ["text"], 0),
        (Type.BINARY, [1.5], 1),
        (Type.UNSUPPORTED, ["anything"], 0),
        (Type.FLOAT, [None, None], 0),
    ],
)
def test_what_reads_as_a_type(wanted, values, errors_):
    column = pl.Series("c", values)
    read, found = conformity.conform(column, wanted)
    assert found == errors_
    assert len(read) == len(values)
