"""Texts as numbers: lengths, words, what is new, scripts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from doubleloop.base import errors
from doubleloop.statistics import texts

LEARNT = ["The bike is fast.", "A fast bike, the bike!", None, ""]


def test_texts_are_described_row_by_row():
    known = texts.Vocabulary.of(LEARNT)
    assert known.words == {"the", "bike", "is", "fast", "a"}
    found = texts.describe(["The bike isn't slow", "Велосипед и car", "自転車は速い", "123 !", "", None], known)
    assert found["characters"].to_list() == [19, 15, 6, 5, 0, None]
    assert found["words"].to_list() == [4, 3, 1, 1, 0, None]
    assert found["mean_word_length"][0] == pytest.approx((3 + 4 + 5 + 4) / 4)
    assert found["out_of_vocabulary_rate"].to_list() == [0.5, 1.0, 1.0, 1.0, None, None]
    assert found["script"].to_list() == ["latin", "cyrillic", "han", None, None, None]
    again = texts.describe(["bike bike BIKE fast"])
    assert again["distinct_word_rate"].to_list() == [0.5]
    assert "out_of_vocabulary_rate" not in again.columns


def test_rates_over_all_texts():
    known = texts.Vocabulary.of(LEARNT)
    assert texts.out_of_vocabulary_rate(["the train", "fast train"], known) == 0.5
    assert math.isnan(texts.out_of_vocabulary_rate(["", None], known))
    assert texts.script_shares(["a b", "в г", "ё", "1"]) == pytest.approx({"latin": 1 / 3, "cyrillic": 2 / 3})
    assert texts.vocabularies_overlap({"a", "b"}, {"b", "c"}) == pytest.approx(1 / 3)
    assert texts.Vocabulary.of(["b a", "b c"], most=2).words == {"b", "a"}, "ties in the words' order"


def test_numbers_are_not_text():
    with pytest.raises(errors.InvalidInput, match="not text"):
        texts.describe([1.5])


def test_a_reference_has_as_many_new_words_as_texts_that_are_like_it() -> None:
    chance = np.random.default_rng(0)
    drawn = [" ".join(f"w{each}" for each in chance.zipf(1.5, 12)) for _ in range(2000)]
    before, after = drawn[:1000], drawn[1000:]
    known = texts.Vocabulary.of(before)
    own = texts.describe(before, known.without_own())["out_of_vocabulary_rate"]
    new = texts.describe(after, known)["out_of_vocabulary_rate"]
    # Counted with collections.Counter over the same texts.
    assert (own.mean(), new.mean()) == (pytest.approx(0.0415), pytest.approx(0.04066667))
    assert texts.Vocabulary.of(["a a b", "b c"]).without_own().words == {"b"}
