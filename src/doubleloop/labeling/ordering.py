"""Which rows people should look at first: pure functions of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from doubleloop.base import errors
from doubleloop.specs.kinds.labeling import Queue
from doubleloop.statistics import embeddings

Matrix = NDArray[np.float64]
Order = list[tuple[int, float | None]]
# So many are chosen to lie far apart; each takes a look at every row.
MOST_APART = 2_000


def order(queue: Queue, number: int, table: pl.DataFrame | None, reference: pl.DataFrame | None) -> Order:
    """(row, score), first to be labelled first. Raises InvalidInput for columns that hold no such numbers."""
    if queue.by == "given" or number == 0:
        return [(row, None) for row in range(number)]
    if queue.by == "random":
        return [(int(row), None) for row in np.random.default_rng(queue.seed).permutation(number)]
    assert table is not None
    if queue.by == "uncertainty":
        return by_uncertainty(probabilities(table, queue.columns), queue.measure)
    rows = vectors(table, queue.columns)
    if queue.by == "diversity":
        return by_diversity(rows, min(queue.count or number, MOST_APART))
    assert reference is not None
    return by_drift(vectors(reference, queue.columns), rows)


def by_uncertainty(shares: Matrix, measure: str = "entropy") -> Order:
    """``shares``: (rows, classes), each row adding up to 1. Entropy is divided by that of equal shares, margin is 1
    less the distance of the two largest (B. Settles 2009, *Active Learning Literature Survey*, 3.1): 1 is most
    uncertain of all."""
    if measure == "margin":
        best = np.sort(shares, axis=1)
        scores = 1 - (best[:, -1] - best[:, -2])
    else:
        logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
        scores = -(shares * logs).sum(axis=1) / np.log(shares.shape[1])
    found = np.argsort(-scores, kind="stable")
    return [(int(row), float(scores[row])) for row in found]


def by_diversity(rows: Matrix, count: int) -> Order:
    """Farthest first (T. Gonzalez 1985, *Clustering to minimize the maximum intercluster distance*): each next row is
    the one farthest from all before it, from the one nearest to the middle on. Columns are scaled to one spread. Rows
    behind the first ``count`` come as they are in the data."""
    spread = rows.std(axis=0)
    scaled = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    at = int(np.argmin((scaled**2).sum(axis=1)))
    chosen: Order = [(at, None)]
    nearest = ((scaled - scaled[at]) ** 2).sum(axis=1)
    for _ in range(min(count, len(rows)) - 1):
        at = int(np.argmax(nearest))
        if nearest[at] == 0:
            break
        chosen.append((at, float(np.sqrt(nearest[at]))))
        nearest = np.minimum(nearest, ((scaled - scaled[at]) ** 2).sum(axis=1))
    taken = {row for row, _ in chosen}
    return chosen + [(row, None) for row in range(len(rows)) if row not in taken]


def by_drift(reference: Matrix, rows: Matrix) -> Order:
    """Farthest from the reference first. Columns are scaled to the reference's spread."""
    spread = reference.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    return [(row, far) for row, far in embeddings.farthest(reference / spread, rows / spread, count=len(rows))]


def probabilities(table: pl.DataFrame, columns: list[str]) -> Matrix:
    """One column each class, or one column of lists; a single column of numbers is that of one of two classes."""
    found = vectors(table, columns)
    if (found < 0).any():
        raise errors.InvalidInput(f"{', '.join(columns)}: probabilities are not below zero")
    if found.shape[1] == 1:
        if (found > 1).any():
            raise errors.InvalidInput(f"Column '{columns[0]}' holds more than 1, which is no probability")
        return np.hstack([found, 1 - found])
    total = found.sum(axis=1, keepdims=True)
    if (total <= 0).any():
        raise errors.InvalidInput(f"{', '.join(columns)}: a row has no probability at all")
    return np.asarray(found / total)


def vectors(table: pl.DataFrame, columns: list[str]) -> Matrix:
    """Columns of numbers, or of lists of one length, side by side."""
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise errors.InvalidInput(
            f"Column '{missing[0]}' is not in the data", cure=f"There are: {', '.join(table.columns)}."
        )
    parts = [_numbers(table[name]) for name in columns]
    found = np.hstack(parts)
    if not np.isfinite(found).all():
        raise errors.InvalidInput(f"{', '.join(columns)}: a value is missing or no number")
    return found


def _numbers(column: pl.Series) -> Matrix:
    values: Any = column.to_list() if isinstance(column.dtype, pl.List | pl.Array) else column.to_numpy()
    try:
        if column.dtype == pl.String:  # the inference log and csv files hold lists as JSON
            values = [orjson.loads(each) for each in column.to_list()]
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise errors.InvalidInput(f"Column '{column.name}' holds no numbers, or lists of different length") from None
    return found[:, None] if found.ndim == 1 else found
