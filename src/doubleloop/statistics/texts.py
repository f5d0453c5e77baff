"""Text as numbers that ordinary drift metrics understand: how long, how varied, how new, in which script."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import polars as pl

from doubleloop.base import errors
from doubleloop.statistics import columns

WORD = r"[\p{L}\p{N}]+(?:['’][\p{L}]+)?"
VOCABULARY = 50_000
SCRIPTS = {
    "latin": r"\p{Latin}", "cyrillic": r"\p{Cyrillic}", "greek": r"\p{Greek}", "arabic": r"\p{Arabic}",
    "hebrew": r"\p{Hebrew}", "devanagari": r"\p{Devanagari}", "thai": r"\p{Thai}", "hangul": r"\p{Hangul}",
    "japanese": r"[\p{Hiragana}\p{Katakana}]", "han": r"\p{Han}",
}  # fmt: skip


@dataclass(frozen=True)
class Vocabulary:
    """The words of a reference, in small letters: the ``VOCABULARY`` most frequent ones, ties in the words' order.

    ``lone``: those of them that one text alone has.
    """

    words: frozenset[str]
    lone: frozenset[str] = frozenset()

    @staticmethod
    def of(texts: columns.Column, most: int = VOCABULARY) -> Vocabulary:
        """Raises InvalidInput for a column that holds no text."""
        table = pl.DataFrame({"word": _words(_text(texts))}).with_row_index("text").explode("word").drop_nulls("word")
        tally = (
            table.group_by("word")
            .agg(pl.len().alias("count"), pl.col("text").n_unique().alias("texts"))
            .sort(["count", "word"], descending=[True, False])
            .head(most)
        )
        lone = tally.filter(pl.col("texts") == 1)["word"]
        return Vocabulary(frozenset(tally["word"].to_list()), frozenset(lone.to_list()))

    def without_own(self) -> Vocabulary:
        """What a text of the reference itself is compared with: words that another text has too. With its own words
        none would be new in the reference, and always some in texts that are like it."""
        return Vocabulary(self.words - self.lone)


def describe(texts: columns.Column, vocabulary: Vocabulary | None = None) -> pl.DataFrame:
    """A row a text: ``characters``, ``words``, ``mean_word_length``, ``distinct_word_rate`` (distinct words by all of a
    text), ``script`` (of most of its letters; nothing where there are none) and, with a vocabulary,
    ``out_of_vocabulary_rate``. Missing where the text is missing, rates where it has no words.

    Raises InvalidInput for a column that holds no text.
    """
    held = _text(texts)
    words = _words(held)
    count = words.list.len().set(held.is_null(), None)
    letters = words.list.eval(pl.element().str.len_chars()).list.sum()
    some = count > 0
    parts = {
        "characters": held.str.len_chars(),
        "words": count,
        "mean_word_length": (letters / count).set(~some, None),
        "distinct_word_rate": (words.list.n_unique() / count).set(~some, None),
        "script": _scripts(held),
    }
    if vocabulary is not None:
        known = pl.Series(sorted(vocabulary.words), dtype=pl.String)
        new = words.list.eval((~pl.element().is_in(known.implode())).cast(pl.Int64)).list.sum()
        parts["out_of_vocabulary_rate"] = (new / count).set(~some, None)
    return pl.DataFrame(parts)


def out_of_vocabulary_rate(texts: columns.Column, vocabulary: Vocabulary) -> float:
    """Words that the reference does not have by all words, over all texts; NaN for no words at all."""
    words = _words(_text(texts)).explode().drop_nulls()
    if not len(words):
        return math.nan
    return 1 - float(words.is_in(sorted(vocabulary.words)).mean())  # type: ignore[arg-type]


def script_shares(texts: columns.Column) -> dict[str, float]:
    """Share of texts by the script of most of their letters; texts without letters are left out."""
    found = _scripts(_text(texts)).drop_nulls()
    return {label: count / len(found) for label, count in columns.counts(found).items()}


def vocabularies_overlap(one: Collection[str], two: Collection[str]) -> float:
    """Jaccard's index: words of both by words of either; 1 for two empty ones."""
    first, second = set(one), set(two)
    return len(first & second) / len(first | second) if first | second else 1.0


def _words(held: pl.Series) -> pl.Series:
    return held.str.to_lowercase().str.extract_all(WORD)


def _scripts(held: pl.Series) -> pl.Series:
    counts = np.array([held.str.count_matches(pattern).fill_null(0).to_numpy() for pattern in SCRIPTS.values()])
    names = pl.Series(list(SCRIPTS))[counts.argmax(axis=0)] if len(held) else pl.Series([], dtype=pl.String)
    return names.set(pl.Series(counts.sum(axis=0) == 0), None)


def _text(texts: columns.Column) -> pl.Series:
    held = columns.series(texts)
    if held.dtype not in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        raise errors.InvalidInput(f"column '{held.name}' holds {held.dtype}, not text")
    return held.cast(pl.String)
