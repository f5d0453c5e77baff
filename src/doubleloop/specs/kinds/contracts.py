"""``doubleloop/contract``: what a table must look like, for a data asset's versions and for the data_quality check."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from doubleloop.base import clock
from doubleloop.specs import support
from doubleloop.specs.fields import Duration, Flag, Fold, Int, LooseText, Many, Scalar, Share, Spec, Text

ColumnType = Annotated[Literal["string", "integer", "number", "boolean", "datetime", "date"], Fold]


def _bound(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"must be a number or a date, not {str(value).lower()}")
    if isinstance(value, str):
        try:
            clock.parse(value)
        except ValueError:
            raise ValueError(f"'{value[:80]}' is neither a number nor a date (2026-01-31)") from None
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"'{value}' is not a regular expression: {error}") from None
    return value


def _of_type(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


Bound = Annotated[int | float | str, BeforeValidator(_bound)]


class Rows(Spec):
    title: ClassVar[str] = "contract › rows"

    at_least: Annotated[Int, Field(ge=0)] | None = Field(None, description="Fewest rows.")
    at_most: Annotated[Int, Field(ge=0)] | None = Field(None, description="Most rows.")


class Column(Spec):
    """The rules of one column; a rule that is left out is not checked."""

    title: ClassVar[str] = "contract › column"

    type: ColumnType | None = Field(None, description="string, integer, number, boolean, datetime or date.")
    description: LooseText | None = Field(None, description="What it is, with its unit.")
    required: Flag = Field(True, description="Whether the column must be there.")
    nullable: Flag = Field(True, description="Whether values may be missing.")
    null_share: Share | None = Field(None, description="Largest share of missing values.")
    unique: Flag = Field(False, description="Whether every value is different.")
    at_least: Bound | None = Field(None, description="Smallest value; a date for dates and times.")
    at_most: Bound | None = Field(None, description="Largest value; a date for dates and times.")
    outside_share: Share = Field(0.0, description="Share of values that may break at_least, at_most, in or matches.")
    in_: list[Scalar] | None = Field(None, alias="in", description="The only values allowed.")
    matches: Annotated[Text, AfterValidator(_pattern)] | None = Field(
        None, description="Regular expression that every whole text must match."
    )

    @model_validator(mode="after")
    def _bounds_fit(self) -> Column:
        for name in ("at_least", "at_most"):
            bound = getattr(self, name)
            if bound is not None and isinstance(bound, str) != (self.type in ("datetime", "date")):
                wanted = "a date" if self.type in ("datetime", "date") else "a number (or name 'type: date')"
                raise ValueError(f"'{name}' must be {wanted}, not {bound!r}")
        return self


class Freshness(Spec):
    title: ClassVar[str] = "contract › freshness"

    column: Text = Field(description="Column of times.")
    within: Duration = Field(description="The newest of them is not older than this: 2d.")


class Contract(Spec):
    title: ClassVar[str] = "contract"

    schema_: Text | None = Field(None, alias="$schema", description="doubleloop/contract")
    name: Text | None = Field(None, description="What the contract is called in reports.")
    description: LooseText | None = Field(None, description="What it protects.")
    data: Text | None = Field(None, description="Data asset whose new versions must keep it, by name.")
    on_break: Annotated[Literal["refuse", "alert"], Fold] = Field(
        "refuse", description="refuse a version that breaks it, or take it and alert."
    )
    columns: dict[str, Annotated[Column, BeforeValidator(_of_type)]] = Field(
        default_factory=dict, description="Rules by column; a type alone may stand for them."
    )
    rows: Rows | None = Field(None, description="How many rows there must be.")
    freshness: Freshness | None = Field(None, description="How old the newest row may be.")
    unique: list[Annotated[list[Text], Many]] = Field(
        default_factory=list, description="Sets of columns that identify a row."
    )
    extra_columns: Annotated[Literal["allow", "refuse"], Fold] = Field(
        "allow", description="What to do with columns that are not named here."
    )

    @model_validator(mode="after")
    def _asks_for_something(self) -> Contract:
        if not (self.columns or self.rows or self.freshness):
            raise ValueError("the contract asks for nothing; write at least one column, or 'rows: {at_least: N}'")
        return self

    @model_validator(mode="after")
    def _unique_columns_exist(self) -> Contract:
        missing = [name for key in self.unique for name in key if name not in self.columns]
        if missing:
            raise ValueError(f"'unique' names '{missing[0]}', which is not among the columns")
        return self


SUPPORT: dict[type[Spec], support.Rows] = {
    Rows: support.rows("at_least at_most"),
    Column: support.rows(
        "type description required nullable null_share unique at_least at_most outside_share in matches"
    ),
    Freshness: support.rows("column within"),
    Contract: support.rows("$schema name description data on_break columns rows freshness unique extra_columns"),
}
