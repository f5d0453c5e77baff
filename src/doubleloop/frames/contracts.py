"""Whether a table keeps its contract: columns, types, values, uniqueness, number of rows, freshness. Pure.

``parse`` reads a contract, ``measure`` holds a table against it, ``reasons`` says what is wrong.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import polars as pl

from doubleloop.base import clock, errors

EXAMPLES = 5

TYPES: dict[str, tuple[str, ...]] = {
    "integer": ("Int8", "Int16", "Int32", "Int64", "Int128", "UInt8", "UInt16", "UInt32", "UInt64"),
    "number": ("Float32", "Float64", "Decimal"),
    "string": ("String", "Categorical", "Enum"),
    "boolean": ("Boolean",),
    "datetime": ("Datetime",),
    "date": ("Date",),
}
_SAME = {
    "int": "integer", "long": "integer", "float": "number", "double": "number", "str": "string", "text": "string",
    "bool": "boolean", "timestamp": "datetime",
}  # fmt: skip
FIELDS = (
    "columns", "rows", "unique", "freshness", "extra_columns", "description", "$schema", "name", "data", "on_break",
)  # fmt: skip
# Rules about the table as a whole: how many rows break them says nothing.
_WHOLE = ("missing", "extra", "rows", "freshness")
COLUMN_FIELDS = (
    "type", "nullable", "null_share", "required", "at_least", "at_most", "in", "unique", "matches", "outside_share",
    "description",
)  # fmt: skip
# Words that other contract tools use for the same rule.
_ALSO = {"min": "at_least", "max": "at_most", "allowed": "in", "pattern": "matches"}


@dataclass(frozen=True)
class Column:
    """``null_share`` is the largest share of missing values (0 for a column that is not nullable), ``outside_share``
    the share of rows that may break ``at_least``, ``at_most`` (both inclusive), ``in`` or ``matches`` (whole text)."""

    name: str
    type: str | None = None
    null_share: float = 1.0
    required: bool = True
    at_least: Any = None
    at_most: Any = None
    allowed: tuple[Any, ...] | None = None
    unique: bool = False
    matches: str | None = None
    outside_share: float = 0.0


@dataclass(frozen=True)
class Contract:
    """``unique`` lists groups of columns that are unique together; ``freshness`` is (column, longest age in s)."""

    columns: tuple[Column, ...]
    rows_at_least: int | None = None
    rows_at_most: int | None = None
    unique: tuple[tuple[str, ...], ...] = ()
    freshness: tuple[str, float] | None = None
    extra_columns: bool = True

    @property
    def texts(self) -> tuple[str, ...]:
        """Columns that hold texts, whatever they look like in a file that knows no types."""
        return tuple(column.name for column in self.columns if column.type == "string")


def parse(document: Mapping[str, Any], file: str = "contract.yml") -> Contract:
    """A contract from its mapping. Raises InvalidInput naming the field."""
    if not isinstance(document, Mapping):
        raise _bad(file, "", "a contract is a mapping of fields to values")
    _known(document, FIELDS, file, "")
    columns = document.get("columns") or {}
    if not isinstance(columns, Mapping):
        raise _bad(file, "columns", "must map column names to their rules")
    contract = Contract(
        tuple(_column(str(name), spec or {}, file) for name, spec in columns.items()),
        *_rows(document.get("rows"), file),
        unique=_unique(document.get("unique") or [], file),
        freshness=_freshness(document.get("freshness"), file),
        extra_columns=_extra(document.get("extra_columns", "allow"), file),
    )
    if not (contract.columns or contract.rows_at_least or contract.rows_at_most or contract.freshness):
        raise _bad(file, "", "the contract asks for nothing", "Write at least one column, or 'rows: {at_least: N}'.")
    return contract


def _bad(file: str, path: str, what: str, cure: str = "") -> errors.InvalidInput:
    return errors.InvalidInput(
        what if not path else f"'{path}': {what}",
        where=errors.Where(file, path=path),
        cure=cure or "The contract format is described in docs/contracts.md.",
    )


def _known(document: Mapping[str, Any], known: Sequence[str], file: str, path: str) -> None:
    for name in document:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            place = f"{path}.{name}" if path else str(name)
            raise _bad(file, place, "unknown field", f"Did you mean '{near[0]}'?" if near else "")


def _column(name: str, spec: Any, file: str) -> Column:
    path = f"columns.{name}"
    if isinstance(spec, str):
        spec = {"type": spec}
    if not isinstance(spec, Mapping):
        raise _bad(file, path, "must be a mapping of rules, or a type")
    spec = {_ALSO.get(str(key), str(key)): value for key, value in spec.items() if value is not None}
    _known(spec, COLUMN_FIELDS, file, path)
    type_ = _SAME.get(str(spec.get("type")), spec.get("type"))
    if type_ is not None and type_ not in TYPES:
        raise _bad(file, f"{path}.type", f"'{type_}' is not a type", f"Use one of {', '.join(TYPES)}.")
    least, most = (_bound(spec, side, type_, file, path) for side in ("at_least", "at_most"))
    if least is not None and most is not None and least > most:
        raise _bad(file, f"{path}.at_least", f"{least} is more than at_most, {most}", "Exchange them.")
    for flag in ("nullable", "required", "unique"):
        if not isinstance(spec.get(flag, True), bool):
            raise _bad(file, f"{path}.{flag}", "must be true or false")
    allowed = spec.get("in")
    if allowed is not None and (not isinstance(allowed, list) or not allowed):
        raise _bad(file, f"{path}.in", "must be a list of values that is not empty")
    return Column(
        name,
        type_,
        _share(spec, "null_share", 1.0, file, path) if spec.get("nullable", True) else 0.0,
        spec.get("required", True),
        least,
        most,
        tuple(allowed) if allowed is not None else None,
        spec.get("unique", False),
        _pattern(spec.get("matches"), file, path),
        _share(spec, "outside_share", 0.0, file, path),
    )


def _share(spec: Mapping[str, Any], name: str, default: float, file: str, path: str) -> float:
    value = spec.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _bad(file, f"{path}.{name}", f"must be a share from 0 to 1, not {value!r}")
    return float(value)


def _pattern(pattern: Any, file: str, path: str) -> str | None:
    if pattern is None:
        return None
    if not isinstance(pattern, str):
        raise _bad(file, f"{path}.matches", "must be a regular expression")
    whole = f"^(?:{pattern})$"
    try:
        pl.Series([""]).str.contains(whole)  # the engine that will use it: no look-around, linear time
    except pl.exceptions.ComputeError as error:
        why = "look-around is not supported" if "look-around" in str(error) else "it cannot be compiled"
        raise _bad(
            file, f"{path}.matches", f"{pattern!r} is not a regular expression: {why}",
            "Write it without look-around and back references.",
        ) from error  # fmt: skip
    return whole


def _bound(spec: Mapping[str, Any], side: str, type_: str | None, file: str, path: str) -> Any:
    value = spec.get(side)
    if value is None:
        return None
    if type_ in ("datetime", "date"):
        try:
            moment = clock.parse(str(value))
        except ValueError as error:
            raise _bad(file, f"{path}.{side}", f"'{value}' is not a date") from error
        return moment.date() if type_ == "date" else moment.replace(tzinfo=None)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad(file, f"{path}.{side}", f"must be a number, not {value!r}", "Name 'type: date' to bound dates.")
    return value


def _rows(rows: Any, file: str) -> tuple[int | None, int | None]:
    if rows is None:
        return None, None
    if not isinstance(rows, Mapping):
        raise _bad(file, "rows", "must say at_least or at_most")
    _known(rows, ("at_least", "at_most"), file, "rows")
    for side, value in rows.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise _bad(file, f"rows.{side}", "must be a whole number, zero or more")
    least, most = rows.get("at_least"), rows.get("at_most")
    if least is not None and most is not None and least > most:
        raise _bad(file, "rows.at_least", f"{least} is more than at_most, {most}", "Exchange them.")
    return least, most


def _unique(groups: Any, file: str) -> tuple[tuple[str, ...], ...]:
    if not isinstance(groups, list):
        raise _bad(file, "unique", "must be a list of lists of column names")
    return tuple(tuple(str(name) for name in (group if isinstance(group, list) else [group])) for group in groups)


def _freshness(spec: Any, file: str) -> tuple[str, float] | None:
    if spec is None:
        return None
    if not isinstance(spec, Mapping) or not {"column", "within"} <= set(spec):
        raise _bad(file, "freshness", "must say which column, and within what time: {column: at, within: 2d}")
    _known(spec, ("column", "within"), file, "freshness")
    try:
        return str(spec["column"]), clock.duration(str(spec["within"])).total_seconds()
    except ValueError as error:
        raise _bad(file, "freshness.within", str(error)) from error


def _extra(word: Any, file: str) -> bool:
    if word not in ("allow", "refuse"):
        raise _bad(file, "extra_columns", f"'{word}' must be allow or refuse")
    return bool(word == "allow")


def measure(contract: Contract, table: pl.DataFrame, as_of: datetime) -> dict[str, Any]:
    """``{"rows", "columns", "violations": [{column, rule, count, share, expected, examples: [{row, value}]}]}``.

    ``share`` of the rows, None for what is about the table as a whole; ``row`` counts from 0. ``as_of`` is the moment
    that freshness is measured from.
    """
    violations = _table_violations(contract, table)
    for column in contract.columns:
        if column.name in table.columns:
            violations += _column_violations(column, table[column.name])
        elif column.required:
            violations.append(_violation(column.name, "missing", 1, "the column to be there", []))
    for group in contract.unique:
        violations += _group_violations(group, table)
    if contract.freshness:
        violations += _freshness_violations(*contract.freshness, table, as_of)
    for each in violations:
        each["share"] = None if each["rule"] in _WHOLE or not table.height else each["count"] / table.height
    return {"rows": table.height, "columns": len(table.columns), "violations": violations}


def _violation(column: str, rule: str, count: int, expected: str, examples: list[dict[str, Any]]) -> dict[str, Any]:
    return {"column": column, "rule": rule, "count": count, "expected": expected, "examples": examples}


def _table_violations(contract: Contract, table: pl.DataFrame) -> list[dict[str, Any]]:
    found = []
    least, most = contract.rows_at_least, contract.rows_at_most
    if least is not None and table.height < least:
        found.append(_violation("", "rows", least - table.height, f"at least {least} rows, found {table.height}", []))
    if most is not None and table.height > most:
        found.append(_violation("", "rows", table.height - most, f"at most {most} rows, found {table.height}", []))
    if not contract.extra_columns:
        named = {column.name for column in contract.columns}
        extra = [name for name in table.columns if name not in named]
        found += [_violation(name, "extra", 1, "no column that the contract does not name", []) for name in extra]
    return found


def _column_violations(column: Column, values: pl.Series) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    missing = values.is_null() | (values.is_nan().fill_null(False) if values.dtype.is_float() else False)
    if missing.sum() > column.null_share * values.len():
        most = f"at most {column.null_share:.4g} of the rows" if column.null_share else "no row"
        found.append(_at(column.name, "nullable", missing, values, f"{most} without a value"))
    if column.type is not None and not _fits(values, column.type, missing):
        kind = str(values.dtype)
        return [*found, _violation(column.name, "type", values.len(), f"type {column.type}, found {kind}", [])]
    for rule, expected, broken in _value_rules(column, values):
        wrong = broken.fill_null(False) & ~missing
        spared = 0.0 if rule == "unique" else column.outside_share * values.len()
        if wrong.sum() > spared:
            found.append(_at(column.name, rule, wrong, values, expected))
    return found


def _fits(values: pl.Series, type_: str, missing: pl.Series) -> bool:
    """Whether the column has the type; a column of nothing but missing values has any type, and integers are numbers.

    Missing values turn integers into floats in many tools, so whole floats pass as integers.
    """
    kind = str(values.dtype.base_type())
    if kind == "Null" or kind in TYPES[type_] or (type_ == "number" and kind in TYPES["integer"]):
        return True
    if type_ == "integer" and kind in TYPES["number"]:
        present = values.filter(~missing).cast(pl.Float64)
        return bool(((present == present.round()) & present.is_finite()).all())
    if type_ in ("date", "datetime") and kind == "String":
        return _as_moments(values).null_count() == values.null_count()
    return type_ == "date" and kind == "Datetime"


def _as_moments(values: pl.Series) -> pl.Series:
    """Dates and times as naive UTC datetimes; what cannot be read is null."""
    if values.dtype == pl.Date:
        return values.cast(pl.Datetime("us"))
    if values.dtype.base_type() is pl.Datetime:
        aware = getattr(values.dtype, "time_zone", None)
        return values.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if aware else values
    if values.dtype == pl.String:
        return pl.Series(values.name, [_moment(text) for text in values], dtype=pl.Datetime("us"))
    return pl.Series(values.name, [None] * values.len(), dtype=pl.Datetime("us"))


def _moment(text: str | None) -> datetime | None:
    try:
        return clock.parse(text).replace(tzinfo=None) if text else None
    except ValueError:
        return None


def _value_rules(column: Column, values: pl.Series) -> list[tuple[str, str, pl.Series]]:
    """(rule, what was expected, which rows break it) for every rule of the column that can be applied."""
    found: list[tuple[str, str, pl.Series]] = []
    for rule, bound in (("at_least", column.at_least), ("at_most", column.at_most)):
        if bound is not None:
            comparable, limit = _comparable(values, bound)
            broken = comparable < limit if rule == "at_least" else comparable > limit
            # What cannot be compared is no number, so it is not within the bound either.
            found.append((rule, f"{rule.replace('_', ' ')} {bound}", broken | comparable.is_null()))
    if column.allowed is not None:
        found.append(("in", f"one of {_some(column.allowed)}", ~_is_in(values, column.allowed)))
    if column.matches is not None:
        text = values.cast(pl.String, strict=False)
        found.append(("matches", f"to match {column.matches}", ~text.str.contains(column.matches)))
    if column.unique:
        found.append(("unique", "no value twice", values.is_duplicated()))
    return found


def _comparable(values: pl.Series, bound: Any) -> tuple[pl.Series, Any]:
    if isinstance(bound, datetime):
        return _as_moments(values), bound
    if isinstance(bound, date):
        return _as_moments(values), datetime.combine(bound, time())
    return values.cast(pl.Float64, strict=False), float(bound)


def _is_in(values: pl.Series, allowed: Sequence[Any]) -> pl.Series:
    """Numbers are equal by value (1 and 1.0), everything else by its text."""
    numbers = [float(item) for item in allowed if isinstance(item, int | float) and not isinstance(item, bool)]
    if values.dtype.is_numeric() and len(numbers) == len(allowed):
        return values.cast(pl.Float64).is_in(numbers)
    texts = [str(item).lower() if isinstance(item, bool) else str(item) for item in allowed]
    return values.cast(pl.String, strict=False).is_in(texts)


def _some(values: Sequence[Any]) -> str:
    shown = ", ".join(str(value) for value in values[:10])
    return f"{shown} and {len(values) - 10} more" if len(values) > 10 else shown


def _at(column: str, rule: str, wrong: pl.Series, values: pl.Series, expected: str) -> dict[str, Any]:
    rows = wrong.arg_true().head(EXAMPLES).to_list()
    examples = [{"row": row, "value": _shown(values[row])} for row in rows]
    return _violation(column, rule, int(wrong.sum()), expected, examples)


def _shown(value: Any) -> Any:
    """An example as JSON: long text is cut, NaN is written out."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    text = value.isoformat() if isinstance(value, date | datetime) else str(value)
    return text if len(text) <= 100 else text[:99] + "…"


def _group_violations(group: tuple[str, ...], table: pl.DataFrame) -> list[dict[str, Any]]:
    name = " + ".join(group)
    absent = [column for column in group if column not in table.columns]
    if absent:
        return [_violation(name, "missing", len(absent), f"the columns {', '.join(absent)} to be there", [])]
    wrong = table.select(group).is_duplicated()
    if not wrong.any():
        return []
    rows = wrong.arg_true().head(EXAMPLES).to_list()
    examples = [{"row": row, "value": _shown(table.select(group).row(row))} for row in rows]
    return [_violation(name, "unique", int(wrong.sum()), "no combination twice", examples)]


def _freshness_violations(column: str, within: float, table: pl.DataFrame, as_of: datetime) -> list[dict[str, Any]]:
    if column not in table.columns:
        return [_violation(column, "missing", 1, "the column that freshness is read from", [])]
    newest = _as_moments(table[column]).max()
    if not isinstance(newest, datetime):
        return [_violation(column, "freshness", 1, "a date or time to read freshness from", [])]
    age = (as_of.replace(tzinfo=None) - newest).total_seconds()
    if age <= within:
        return []
    expected = f"a newest value at most {within / 3600:.4g} h old, found {age / 3600:.4g} h"
    return [_violation(column, "freshness", 1, expected, [{"row": None, "value": newest.isoformat()}])]


def reasons(violations: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each: column, rule, how many rows, what was expected, the first example."""
    return [_reason(each) for each in violations]


def _reason(violation: Mapping[str, Any]) -> str:
    who = f"column {violation['column']}" if violation["column"] else "the table"
    share = violation.get("share")
    told = "" if share is None else f" ({share:.2%})"
    rows = "" if violation["rule"] in _WHOLE else f" in {violation['count']} rows{told}"
    example = next(iter(violation["examples"]), None)
    shown = ""
    if example is not None:
        place = f"row {example['row']}: " if example["row"] is not None else ""
        shown = f" (e.g. {place}{example['value']!r})"
    return f"{who} breaks '{violation['rule']}'{rows}: expected {violation['expected']}{shown}"
