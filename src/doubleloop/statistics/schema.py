"""What a column is: its logical type, and whether it is judged as numbers or as categories.

The rule is that of Azure's monitoring (azureml-assets ``shared_utilities/df_utils.py``): floats and decimals are
numerical; text, booleans, dates, times and bytes are categorical; integers are categorical when fewer than 5 % of
the rows are distinct; and a person may say otherwise for a column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from doubleloop.base import errors
from doubleloop.statistics import columns

DISTINCT_SHARE_OF_CATEGORIES = 0.05
_PART = 10


class Kind(StrEnum):
    NUMERICAL = "numerical"
    CATEGORICAL = "categorical"
    UNSUPPORTED = "unsupported"  # nested values, or nothing but nulls


class Type(StrEnum):
    """The logical type of a column; widths and storage do not matter to a monitor."""

    FLOAT = "float"
    INTEGER = "integer"
    STRING = "string"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIME = "time"
    BINARY = "binary"
    UNSUPPORTED = "unsupported"


NUMBERS = frozenset({Type.FLOAT, Type.INTEGER})


@dataclass(frozen=True)
class Description:
    name: str
    type: Type
    kind: Kind


def type_of(dtype: pl.DataType) -> Type:
    """The logical type behind a polars type; durations are integers (microseconds)."""
    if dtype.is_float() or dtype.is_decimal():
        return Type.FLOAT
    if dtype.is_integer() or dtype == pl.Duration:
        return Type.INTEGER
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return Type.STRING
    simple = {pl.Boolean: Type.BOOLEAN, pl.Date: Type.DATE, pl.Datetime: Type.TIMESTAMP, pl.Time: Type.TIME}
    for known, type_ in simple.items():
        if dtype == known:
            return type_
    return Type.BINARY if dtype == pl.Binary else Type.UNSUPPORTED


def kind_of(values: columns.Column, override: Kind | str | None = None) -> Kind:
    """How to judge a column. Shape ``(rows,)``, nulls included: a null counts as one distinct value.

    Raises InvalidInput for an override that is neither numerical nor categorical, and for one that asks for
    numbers where there are none.
    """
    column = columns.series(values)
    type_ = type_of(column.dtype)
    if override is not None:
        return _overridden(column.name, type_, override)
    if type_ is Type.UNSUPPORTED:
        return Kind.UNSUPPORTED
    if type_ is Type.FLOAT:
        return Kind.NUMERICAL
    if type_ is not Type.INTEGER:
        return Kind.CATEGORICAL
    if not len(column):
        return Kind.NUMERICAL
    return Kind.CATEGORICAL if _few(column) else Kind.NUMERICAL


def _few(column: pl.Series) -> bool:
    """Whether fewer than 5 % of the rows are distinct. A range that has no room for as many decides it, as does a part
    that holds as many."""
    enough = DISTINCT_SHARE_OF_CATEGORIES * len(column)
    held = column.to_physical() if column.dtype == pl.Duration else column
    least, most = held.min(), held.max()
    if least is not None and most - least + 2 < enough:  # type: ignore[operator]  # a null is one more
        return True
    return column.head(len(column) // _PART).n_unique() < enough and column.n_unique() / len(column) < (
        DISTINCT_SHARE_OF_CATEGORIES
    )


def _overridden(name: str, type_: Type, override: Kind | str) -> Kind:
    wanted = str(override).lower()
    if wanted not in (Kind.NUMERICAL, Kind.CATEGORICAL):
        raise errors.InvalidInput(
            f"feature_type_override of '{name}' is '{override}'", cure="Write numerical or categorical."
        )
    if wanted == Kind.NUMERICAL and type_ not in (Type.FLOAT, Type.INTEGER, Type.BOOLEAN):
        raise errors.InvalidInput(
            f"column '{name}' is overridden to numerical but holds {type_} values",
            cure="Remove the override, or convert the column in a pre-processing step.",
        )
    return Kind(wanted)


def describe(data: columns.Table, overrides: Mapping[str, Kind | str] | None = None) -> dict[str, Description]:
    """Every column's type and kind, in the table's order.

    Raises InvalidInput when an override names a column that is not there.
    """
    frame = columns.table(data)
    overrides = overrides or {}
    known_names(frame.columns, overrides, "feature_type_override")
    return {
        column.name: Description(column.name, type_of(column.dtype), kind_of(column, overrides.get(column.name)))
        for column in frame.iter_columns()
    }


def check_overrides(types: Mapping[str, pl.DataType], overrides: Mapping[str, Kind | str]) -> None:
    """Raises InvalidInput for an override of a column that is not there, or that its values cannot be judged by."""
    known_names(types, overrides, "feature_type_override")
    for name, wanted in overrides.items():
        _overridden(name, type_of(types[name]), wanted)


def known_names(there: Collection[str], names: Iterable[str], what: str) -> None:
    """Raises InvalidInput when ``what`` mentions a column that is not ``there``."""
    unknown = sorted(set(names) - set(there))
    if unknown:
        raise errors.InvalidInput(
            f"{what} names {', '.join(map(repr, unknown))}, which the data does not have",
            cure=f"The columns are: {', '.join(there) or 'none'}.",
        )


def comparable(reference: Type, current: Type) -> bool:
    """Whether two columns of one name may be compared. Azure wants float with float and integer with integer;
    we also compare integer with float, since one null is enough to turn a logged integer into a float."""
    if Type.UNSUPPORTED in (reference, current):
        return False
    return reference is current or (reference in NUMBERS and current in NUMBERS)
