"""Masking: every form of a value, however the text was cut, and nothing else."""

from __future__ import annotations

import base64
import json
import urllib.parse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubleloop.base import masking
from doubleloop.runner import masking as runners

VALUE = "p@ss/w+rd: žluť&ček?"


def masked(text: bytes, values: list[str], cuts: list[int]) -> bytes:
    masker = masking.Masker(values)
    out, before = [], 0
    for cut in [*sorted(cut % (len(text) + 1) for cut in cuts), len(text)]:
        out.append(masker.feed(text[before:cut]))
        before = cut
    return b"".join([*out, masker.end()])


def test_the_runner_brings_the_same_code_along() -> None:
    assert Path(str(runners.__file__)).read_bytes() == Path(str(masking.__file__)).read_bytes()


@pytest.mark.parametrize(
    "written",
    [
        VALUE,
        json.dumps(VALUE)[1:-1],
        json.dumps(VALUE, ensure_ascii=False)[1:-1],
        urllib.parse.quote(VALUE),
        urllib.parse.quote(VALUE, safe=""),
        urllib.parse.quote_plus(VALUE),
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode().rstrip("="),
    ],
)
def test_a_value_is_masked_in_each_form_it_is_printed_in(written: str) -> None:
    assert masking.mask(f"before {written} after", [VALUE]) == "before *** after"


@pytest.mark.parametrize("user", ["", "u", "us", "use", "user"])
def test_a_value_in_something_longer_that_was_encoded_leaves_nothing_to_decode(user: str) -> None:
    """As in ``Authorization: Basic``: at most the character on each side that shares bits with its neighbours stays."""
    secret = "correct-horse-battery"
    header = base64.b64encode(f"{user}:{secret}@end".encode()).decode()
    left = masking.mask(header, [secret])
    assert "***" in left
    assert len(header) - len(left.replace("***", "")) >= len(secret) * 8 // 6 - 1


def test_each_line_of_a_longer_value_is_masked_alone() -> None:
    key = "-----BEGIN KEY-----\nMIIBVAIBADAN\nab\n-----END KEY-----\n"
    assert masking.mask("line: MIIBVAIBADAN ab", [key]) == "line: *** ab"


def test_short_values_would_blot_out_words_and_are_left() -> None:
    assert masking.mask("abc and more", ["abc", ""]) == "abc and more"
    assert masking.mask("abcd and more", ["abcd"]) == "*** and more"


def test_values_that_overlap_leave_nothing_of_either() -> None:
    assert masking.mask("xxabcdef", ["xxab", "abcdef"]) == "***"
    assert masking.mask("abcdef abcd", ["abcd", "abcdef"]) == "*** ***"
    assert masking.mask("aaaaaaa.", ["aaaa"]) == "***."


WORDS = st.text("ab1/+", min_size=4, max_size=7)


@given(st.data())
def test_where_the_text_is_cut_makes_no_difference_and_no_value_is_left(data: st.DataObject) -> None:
    values = data.draw(st.lists(WORDS, min_size=1, max_size=3))
    forms = [form.decode() for value in values for form in masking.forms(value)]
    pieces = data.draw(st.lists(st.one_of(st.sampled_from(forms), st.text("ab1/+=% ", max_size=4)), max_size=8))
    text = "".join(pieces).encode()
    cuts = data.draw(st.lists(st.integers(0, 200), max_size=12))
    whole = masked(text, values, [])
    assert masked(text, values, cuts) == whole
    assert masked(text, values, list(range(len(text)))) == whole
    for part in whole.split(masking.MASK):
        assert not any(form.encode() in part for form in forms)
    if not any(form.encode() in text for form in forms):
        assert whole == text


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_text_without_values_passes_as_it_is(text: bytes, cuts: list[int]) -> None:
    assert masked(text, [], cuts) == text


def test_percent_escapes_in_small_letters_are_masked() -> None:
    assert masking.mask("p%40ss%2fw%2brd", ["p@ss/w+rd"]) == "***"
