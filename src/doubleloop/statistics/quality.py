"""Azure's three data quality rates, of a window profile against its reference: shares of all rows, to 5 digits.

Source: azureml-assets ``data_quality_compute_metrics/compute_data_quality_metrics.py`` (MIT).
"""

from __future__ import annotations

import decimal

from doubleloop.base import errors
from doubleloop.statistics import profiles

_FIVE_DIGITS = decimal.Decimal("0.00001")


def null_value_rate(window: profiles.ColumnProfile) -> float:
    """Rows without a value (null or NaN) / rows. Raises InvalidInput for a window without rows."""
    return rate(window.nulls, window)


def data_type_error_rate(window: profiles.ColumnProfile) -> float:
    """Rows whose value cannot be read as the reference's type / rows. Raises InvalidInput without rows."""
    return rate(window.type_errors, window)


def out_of_bounds_rate(window: profiles.ColumnProfile) -> float | None:
    """Rows whose value lies below the reference's smallest, above its largest, or not among its categories / rows.

    None where the reference gives no bounds: dates, booleans, bytes, a column without values, and text with more
    different values than a profile keeps. Raises InvalidInput without rows.
    """
    return None if window.outside is None else rate(window.outside, window)


def rate(count: int, window: profiles.ColumnProfile) -> float:
    """``count / rows``, rounded half up as Spark's ``round`` does."""
    if not window.rows:
        raise errors.InvalidInput(
            f"the window of column '{window.name}' has no rows, so it has no rates",
            cure="Widen the data window.",
        )
    share = decimal.Decimal(repr(count / window.rows))
    return float(share.quantize(_FIVE_DIGITS, decimal.ROUND_HALF_UP))
