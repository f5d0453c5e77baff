"""What components on tables are given: data in two parts, the target, and which columns stand apart."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas
from sklearn.model_selection import train_test_split

from ..shared import contracts, tables
from ..shared.problems import BadData

LEAST = 10  # rows to train on
NAMES = ("the training data", "the test data")


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
    parser.add_argument("--contract", default="")
    parser.add_argument("--ignored-columns", default="")
    parser.add_argument("--slice-columns", default="")
    parser.add_argument("--seed", type=int, default=0)


def read(given: argparse.Namespace, target: Callable[[pandas.Series, str], Any], *, stratified: bool = False) -> Data:
    """The data in two parts; ``target`` reads a column of it. Without test data, rows are held out at random, the same
    ones each time; ``stratified``: with classes in the shares that they have. Raises BadData."""
    whole = table(given.training_data, given, NAMES[0])
    values = target(tables.column(whole, given.target, NAMES[0]), NAMES[0])
    tables.needs_rows(whole, LEAST, NAMES[0], "to train and to judge")
    ignored = tables.columns(given.ignored_columns, whole, NAMES[0])
    _check_counts(values, given, stratified and not given.test_data)
    train, test = parts(given, whole, values if stratified else None)
    train_target, test_target = (
        target(tables.column(part, given.target, name), name) for part, name in zip((train, test), NAMES, strict=True)
    )
    slices = tables.columns(given.slice_columns, test, "the data")
    return Data(train, train_target, test, test_target, [given.target, *ignored], slices)


def table(path: str, given: argparse.Namespace, name: str) -> pandas.DataFrame:
    """A table that keeps the contract, if there is one. Raises BadData."""
    frame = tables.read(path)
    contracts.keep(frame, given.contract, name)
    return frame


def parts(
    given: argparse.Namespace, whole: pandas.DataFrame, classes: Any = None
) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """The rows to train on and those to judge on. ``classes``: of each row, whose shares are kept. Raises BadData."""
    if given.test_data:
        test = table(given.test_data, given, NAMES[1])
        for name in whole.columns:
            tables.column(test, name, NAMES[1])
        return whole, test
    try:
        train, test = train_test_split(whole, test_size=given.test_size, random_state=given.seed, stratify=classes)
    except ValueError as error:
        raise BadData(f"the training data cannot be divided: {error}; give more rows, or other test_size") from error
    return train, test


def _check_counts(values: Any, given: argparse.Namespace, asked: bool) -> None:
    counts = pandas.Series(values).value_counts() if asked else None
    if counts is not None and counts.min() < 2:
        raise BadData(
            f"class '{counts.idxmin()}' of column '{given.target}' is in one row only, so it cannot be learned and "
            "judged; give more rows of it, or leave it out"
        )


def share(text: str) -> float:
    return _number(text, float, lambda value: 0 < value < 1, "between 0 and 1")


def positive(text: str) -> float:
    return _number(text, float, lambda value: value > 0, "a number above 0")


def not_negative(text: str) -> float:
    return _number(text, float, lambda value: value >= 0, "a number of 0 or more")


def count(text: str) -> int:
    return int(_number(text, int, lambda value: value >= 1, "a whole number above 0"))


def flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text} is neither true nor false")
    return text.lower() == "true"


def _number(text: str, read_: Callable[[str], float], good: Callable[[float], bool], what: str) -> float:
    try:
        value = read_(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not {what}") from None
    if not (math.isfinite(value) and good(value)):
        raise argparse.ArgumentTypeError(f"{text} is not {what}")
    return value
