"""What components on tables are given: data in two parts, the target, and which columns stand apart."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas
from sklearn.model_selection import train_test_split

from ..shared import tables
from ..shared.problems import BadData

_LEAST = 10  # rows to train on


@dataclass(frozen=True)
class Data:
    """``apart``: columns that nothing is learned from; ``slices``: those that metrics are told by."""

    train: pandas.DataFrame
    train_target: Any
    test: pandas.DataFrame
    test_target: Any
    apart: list[str]
    slices: list[str]


def options(parser: argparse.ArgumentParser) -> None:
    for name in ("--training-data", "--target", "--model", "--evaluation"):
        parser.add_argument(name, required=True)
    parser.add_argument("--test-data", default="")
    parser.add_argument("--test-size", type=share, default=0.2)
    parser.add_argument("--ignored-columns", default="")
    parser.add_argument("--slice-columns", default="")
    parser.add_argument("--seed", type=int, default=0)


def read(
    given: argparse.Namespace, target: Callable[[pandas.Series, str], Any], *, stratified: bool = False
) -> Data:  # fmt: skip
    """The data in two parts; ``target`` reads a column of it. Without test data, rows are held out at random, the same
    ones each time; ``stratified``: with classes in the shares that they have. Raises BadData."""
    whole = tables.read(given.training_data)
    values = target(tables.column(whole, given.target, "the training data"), "the training data")
    tables.needs_rows(whole, _LEAST, "the training data", "to train and to judge")
    ignored = tables.columns(given.ignored_columns, whole, "the training data")
    if given.test_data:
        train, test = whole, tables.read(given.test_data)
        train_target = values
        test_target = target(tables.column(test, given.target, "the test data"), "the test data")
        for name in whole.columns:
            tables.column(test, name, "the test data")
    else:
        train, test, train_target, test_target = _split(whole, values, given, stratified)
    slices = tables.columns(given.slice_columns, test, "the data")
    return Data(train, train_target, test, test_target, [given.target, *ignored], slices)


def _split(whole: pandas.DataFrame, values: Any, given: argparse.Namespace, stratified: bool) -> Any:
    counts = pandas.Series(values).value_counts() if stratified else None
    if counts is not None and counts.min() < 2:
        raise BadData(
            f"class '{counts.idxmin()}' of column '{given.target}' is in one row only, so it cannot be learned and "
            "judged; give more rows of it, or leave it out"
        )
    try:
        return train_test_split(
            whole, values, test_size=given.test_size, random_state=given.seed, stratify=values if stratified else None
        )
    except ValueError as error:
        raise BadData(f"the training data cannot be divided: {error}; give more rows, or other test_size") from error


def share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def positive(text: str) -> float:
    value = float(text)
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return value


def flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text} is neither true nor false")
    return text.lower() == "true"
