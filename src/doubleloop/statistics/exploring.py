"""A first look at a table: what its columns hold, what hangs together, what may spoil a model; and two side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from doubleloop.statistics import attribution, columns, movements, profiles, schema, sketches

PAIRS = 20
# Correlations and shares of the target are asked of so many evenly spaced rows at most.
MOST_ROWS = 100_000
MOSTLY_MISSING, SAME, LEAK, RELATED = 0.5, 0.9999, 0.98, 0.3
MOSTLY_NUMBERS = 0.9  # from this share of numbers on, a column of texts was meant to hold numbers
REPLACED = "\ufffd"  # what stands where a file that is not UTF-8 could not be read
_FEW_ROWS = 50
_IDENTIFIES = (schema.Type.INTEGER, schema.Type.STRING, schema.Type.BINARY)


def explore(data: columns.Table, target: str | None = None) -> dict[str, Any]:
    """What canonical JSON can write: ``rows``, ``duplicate_rows``, ``columns`` (type, kind, missing, numbers of its
    distribution), ``correlations`` (Pearson's, of numerical columns, the ``PAIRS`` strongest), and ``hints``, each with
    the ``columns`` it is about and a ``sentence``.

    Raises InvalidInput for a target that is not in the table.
    """
    frame = columns.table(data)
    if target is not None:
        schema.known_names(frame.columns, [target], "target")
    known = profiles.reference(frame)
    described = [_column(frame[name], profile) for name, profile in known.columns.items()]
    plain = frame.select([name for name, about in known.columns.items() if about.type is not schema.Type.UNSUPPORTED])
    duplicates = frame.height - plain.n_unique() if plain.width and frame.height else 0
    sample = _sample(frame)
    pairs = correlations(sample, [name for name, about in known.columns.items() if about.kind is schema.Kind.NUMERICAL])
    hints = [*_hints(described, duplicates), *_misread(frame, described), *_same(pairs)]
    if target is not None:
        hints += _leaks(sample, target, described)
    shown = [pair for pair in pairs if abs(pair["value"]) >= RELATED][:PAIRS]
    return {"rows": frame.height, "duplicate_rows": duplicates, "target": target, "columns": described,
            "correlations": shown, "hints": hints}  # fmt: skip


def compare(before: columns.Table, after: columns.Table) -> dict[str, Any]:
    """Two versions: ``rows`` of both, columns ``added``, ``removed`` and ``retyped``, and what ``moved``: every column
    of both, the most moved first, by Jensen-Shannon distance, with its sentence and how much is missing."""
    one, two = columns.table(before), columns.table(after)
    described = schema.describe(one)
    shared = [name for name in one.columns if name in two.columns]
    retyped = [
        {"column": name, "before": described[name].type.value, "after": schema.type_of(two[name].dtype).value}
        for name in shared
        if not schema.comparable(described[name].type, schema.type_of(two[name].dtype))
        and described[name].type is not schema.type_of(two[name].dtype)
    ]
    other = {each["column"] for each in retyped}
    kinds = {name: described[name].kind for name in shared if name not in other}
    moved = [
        {**movement.to_dict(), "missing_before": _rate(columns.missing(one[movement.column]), one.height),
         "missing_after": _rate(columns.missing(two[movement.column]), two.height)}
        for movement in movements.most_moved(one, two, kinds, len(kinds))
    ]  # fmt: skip
    return {
        "rows": {"before": one.height, "after": two.height}, "added": [n for n in two.columns if n not in shared],
        "removed": [n for n in one.columns if n not in shared], "retyped": retyped, "moved": moved,
    }  # fmt: skip


def correlations(frame: pl.DataFrame, names: list[str]) -> list[dict[str, Any]]:
    """Pearson's correlation of each two columns over the rows in which both are there, the strongest first. A constant
    column has none."""
    if len(names) < 2 or not frame.height:
        return []
    values = np.column_stack([columns.with_holes(frame[name]) for name in names])
    there = np.isfinite(values)
    counts = np.maximum(there.sum(axis=0), 1)
    centre = np.where(there, values, 0.0).sum(axis=0) / counts
    apart = np.where(there, values - centre, 0.0)
    scale = np.sqrt((apart**2).sum(axis=0) / counts)
    apart = np.divide(apart, scale, out=np.zeros_like(apart), where=scale > 0)
    held = there.astype(np.float64)
    rows, sums, squares = held.T @ held, apart.T @ held, (apart**2).T @ held
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = rows * squares - sums**2
        found = (rows * (apart.T @ apart) - sums * sums.T) / np.sqrt(spread * spread.T)
    pairs = [
        {"one": names[i], "two": names[j], "value": float(np.clip(found[i, j], -1, 1))}
        for i in range(len(names))
        for j in range(i + 1, len(names))
        if np.isfinite(found[i, j]) and scale[i] > 0 and scale[j] > 0
    ]
    return sorted(pairs, key=lambda pair: (-abs(float(pair["value"])), pair["one"], pair["two"]))


def _column(column: pl.Series, profile: profiles.ColumnProfile) -> dict[str, Any]:
    summary = movements.of_profile(profile)
    nested = profile.kind is schema.Kind.UNSUPPORTED
    distinct = None if nested else columns.present(column).n_unique()
    body: dict[str, Any] = {
        "name": profile.name, "type": profile.type.value, "kind": profile.kind.value,
        "missing": profile.nulls, "missing_rate": _rate(profile.nulls, profile.rows),
        "distinct": distinct,
    }  # fmt: skip
    # Measurements differ in every row too; what identifies is whole or text.
    body["identifier"] = profile.type in _IDENTIFIES and profile.rows >= _FEW_ROWS and distinct == profile.rows
    if profile.kind is schema.Kind.NUMERICAL:
        low, high = sketches.number_out(profile.minimum), sketches.number_out(profile.maximum)
        body |= {"mean": summary.mean, "std": summary.std, "minimum": low, "maximum": high}
        body["quantiles"] = dict(zip(map(str, movements.QUANTILES), summary.quantiles, strict=False))
        if profile.histogram is not None:
            body["histogram"] = {"edges": list(profile.histogram.edges), "counts": list(profile.histogram.counts)}
    elif not nested:
        body["top"] = [[label, share] for label, share in summary.top]
    return body


def _hints(described: list[dict[str, Any]], duplicates: int) -> Iterator[dict[str, Any]]:
    if duplicates:
        yield _hint("duplicates", [], f"{duplicates} rows are copies of others: after a split, both sides know them")
    for each in described:
        name, values = each["name"], each["distinct"]
        present = values is not None and each["missing_rate"] < 1
        if each["missing_rate"] >= MOSTLY_MISSING:
            yield _hint("missing", [name], f"{name}: {each['missing_rate']:.1%} of the values are missing")
        if present and values == 1:
            yield _hint("constant", [name], f"{name} always holds the same value")
        if each.get("identifier"):
            yield _hint("identifier", [name], f"{name} is another in every row, like an identifier")


def _misread(frame: pl.DataFrame, described: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What a file's reader may have made something else of than its writer meant."""
    for name, kind in ((each["name"], each["type"]) for each in described):
        if kind == schema.Type.FLOAT.value:
            count = int(frame[name].cast(pl.Float64).is_infinite().sum())
            if count:
                yield _hint("infinite", [name], f"{name}: {count} values are infinite, and in no mean or quantile")
        if kind == schema.Type.STRING.value:
            texts = frame[name].cast(pl.String).drop_nulls()
            others = texts.filter(texts.str.strip_chars().cast(pl.Float64, strict=False).is_null())
            if 0 < len(others) <= (1 - MOSTLY_NUMBERS) * len(texts):
                some = ", ".join(repr(each[:30]) for each in others.unique(maintain_order=True).head(3))
                yield _hint(
                    "numbers", [name], f"{name} is text because of {len(others)} values that are no numbers: {some}"
                )
            if broken := int(texts.str.contains(REPLACED, literal=True).sum()):
                yield _hint(
                    "encoding", [name], f"{name}: {broken} texts are not UTF-8; what could not be read is {REPLACED}"
                )


def _same(pairs: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for pair in pairs:
        if abs(pair["value"]) >= SAME:
            names = [pair["one"], pair["two"]]
            yield _hint("same", names, f"{names[0]} and {names[1]} say the same (correlation {pair['value']:.4f})")


def _leaks(sample: pl.DataFrame, target: str, described: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    usable = [
        each["name"] for each in described
        if each["distinct"] and each["name"] != target and not each.get("identifier")
        and (each["kind"] == "numerical" or each["distinct"] <= max(sample.height // 20, 2))
    ]  # fmt: skip
    if sample.height < _FEW_ROWS:
        return
    for name, share in attribution.importances(sample, usable, target).items():
        if share >= LEAK:
            yield _hint(
                "leakage", [name, target], f"{name} alone explains {share:.1%} of {target}: is it known before?"
            )


def _hint(kind: str, names: list[str], sentence: str) -> dict[str, Any]:
    return {"kind": kind, "columns": names, "sentence": sentence}


def _sample(frame: pl.DataFrame) -> pl.DataFrame:
    if frame.height <= MOST_ROWS:
        return frame
    return frame[np.linspace(0, frame.height - 1, MOST_ROWS).astype(np.int64)]


def _rate(count: int, rows: int) -> float:
    return count / rows if rows else 0.0
