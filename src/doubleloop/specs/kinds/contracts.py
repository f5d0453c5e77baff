"""``doubleloop/contract``: what a table must look like, for the data_quality check."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from doubleloop.specs.fields import Flag, Fold, Int, LooseText, Number, Scalar, Share, Spec, Text

ColumnType = Annotated[Literal["string", "integer", "number", "boolean", "datetime"], Fold]


class Rows(Spec):
    title: ClassVar[str] = "contract › rows"

    at_least: Annotated[Int, Field(ge=0)] | None = Field(None, description="Fewest rows.")
    at_most: Annotated[Int, Field(ge=0)] | None = Field(None, description="Most rows.")


class Column(Spec):
    """The rules of one column; a rule that is left out is not checked."""

    title: ClassVar[str] = "contract › column"

    type: ColumnType | None = Field(None, description="string, integer, number, boolean or datetime.")
    description: LooseText | None = Field(None, description="What it is, with its unit.")
    required: Flag = Field(True, description="Whether the column must be there.")
    nullable: Flag = Field(True, description="Whether values may be missing.")
    null_share: Share | None = Field(None, description="Largest share of missing values.")
    unique: Flag = Field(False, description="Whether every value is different.")
    at_least: Number | None = Field(None, description="Smallest value.")
    at_most: Number | None = Field(None, description="Largest value.")
    outside_share: Share = Field(0.0, description="Share of values that may break at_least, at_most, in or matches.")
    in_: list[Scalar] | None = Field(None, alias="in", description="The only values allowed.")
    matches: Text | None = Field(None, description="Regular expression that every whole text must match.")


class Contract(Spec):
    title: ClassVar[str] = "contract"

    schema_: Text | None = Field(None, alias="$schema", description="doubleloop/contract")
    name: Text | None = Field(None, description="What the contract is called in reports.")
    description: LooseText | None = Field(None, description="What it protects.")
    columns: dict[str, Column] = Field(description="Rules by column.")
    rows: Rows | None = Field(None, description="How many rows there must be.")
    unique: list[list[Text]] = Field(default_factory=list, description="Sets of columns that identify a row.")
    extra_columns: Annotated[Literal["allow", "refuse"], Fold] = Field(
        "allow", description="What to do with columns that are not named here."
    )

    @model_validator(mode="after")
    def _unique_columns_exist(self) -> Contract:
        missing = [name for key in self.unique for name in key if name not in self.columns]
        if missing:
            raise ValueError(f"'unique' names '{missing[0]}', which is not among the columns")
        return self
