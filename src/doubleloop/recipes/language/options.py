"""What the command lines of these components have alike."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence

import pandas

from ..shared import contracts
from ..shared.problems import BadData
from . import reading, slicing


def common(parser: argparse.ArgumentParser, *, test: bool = True) -> None:
    parser.add_argument("--task", required=True)
    parser.add_argument("--training-data", required=True)
    parser.add_argument("--text", default="text")
    parser.add_argument("--encoding", default="utf-8")
    parser.add_argument("--empty", choices=["error", "drop"], default="error")
    parser.add_argument("--max-chars", type=positive, default=reading.MOST_CHARS)
    parser.add_argument("--terms", default="")
    parser.add_argument("--language-model", default="")
    parser.add_argument("--contract", default="")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", required=True)
    parser.add_argument("--evaluation", required=True)
    if test:
        parser.add_argument("--test-data", default="")
        parser.add_argument("--test-size", type=float, default=0.2)


def flag(text: str) -> bool:
    low = text.strip().lower()
    if low not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"'{text}' is neither true nor false")
    return low == "true"


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def words(text: str | None) -> list[str]:
    """The parts of a list with commas between."""
    return [each.strip() for each in (text or "").split(",") if each.strip()]


def terms(text: str | None) -> dict[str, list[str]]:
    """``women: she, her; men: he, his`` as groups of terms. Raises BadData."""
    found = {}
    for part in (text or "").split(";"):
        if part.strip():
            group, colon, listed = part.partition(":")
            if not colon or not words(listed):
                raise BadData(f"'{part.strip()}' is no group of terms; write NAME: term, term; NAME: term")
            found[group.strip()] = words(listed)
    return found


def texts(path: str, given: argparse.Namespace, column: str = "") -> list[reading.Row]:
    """The rows of a table that hold a text. Raises BadData."""
    return reading.texts(rows(path, given), column or given.text, empty=given.empty, most_chars=given.max_chars)


def rows(path: str, given: argparse.Namespace) -> list[reading.Row]:
    """The rows of a table that keeps the contract, if one is given. Raises BadData."""
    found = reading.rows(path, given.encoding)
    if given.contract:
        contracts.keep(reading.frame(found), given.contract, reading.called(path))
    return found


def slices(
    given: argparse.Namespace, texts: Sequence[str], measure: Callable[[list[int]], dict[str, float]],
    columns: Mapping[str, Sequence[str]] | None = None,
) -> pandas.DataFrame:  # fmt: skip
    """Metrics by what texts are like, mention, and are written in. Raises BadData."""
    by = dict(columns or {})
    if given.language_model:
        by["language"] = slicing.languages(texts, given.language_model)
    return slicing.table(texts, measure, columns=by, terms=terms(given.terms))
