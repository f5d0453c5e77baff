"""The short way of a request body against the long one: it takes nothing more, and reads nothing otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubleloop.base import errors
from doubleloop.gateway import limits, payloads, signatures

KINDS = ("long", "integer", "double", "float", "boolean", "string")
NUMBERS = st.one_of(
    st.integers(-(2**65), 2**65), st.integers(-5, 5), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1e39, -1e39, 3.4028234663852886e38, 2.0**31, 2**31, 2**63, -(2**63) - 1]),
)  # fmt: skip
VALUES = {
    "long": st.integers(-(2**63), 2**63 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "double": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-1000, 1000),
    "float": st.floats(-3e38, 3e38) | st.integers(-1000, 1000),
    "boolean": st.booleans(),
    "string": st.text(max_size=5),
}
ANYTHING = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=3), st.just([1]), st.just({"a": 1}))


@st.composite
def bodies(draw: st.DrawFn, faults: bool) -> tuple[list[dict[str, Any]], bytes]:
    """A signature, and a body of one of the forms that the short way knows, or nearly."""
    named = draw(st.booleans())
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))
    specs = [{"type": kind, "required": draw(st.booleans())} for kind in kinds]
    if named:
        for letter, spec in zip("abcde", specs, strict=False):
            spec["name"] = letter
    rows = [
        [draw(ANYTHING if faults and draw(st.integers(0, 9)) == 0 else VALUES[kind]) for kind in kinds]
        for _ in range(draw(st.integers(0 if faults else 1, 4)))
    ]
    if faults and rows and draw(st.integers(0, 3)) == 0:
        draw(st.sampled_from(rows)).append(1)
    table: dict[str, Any] = {"data": rows}
    if named and draw(st.booleans()):
        table["columns"] = [spec["name"] for spec in specs]
    if draw(st.booleans()):
        table["index"] = list(range(len(rows)))
    if faults:
        change = draw(st.sampled_from(["", "", "columns", "numbers", "index", "field"]))
        if change == "columns":
            table["columns"] = draw(st.permutations(list("abcde")[: len(kinds)]))
        elif change == "numbers":
            table["columns"] = list(range(len(kinds)))
        elif change == "index":
            table["index"] = [0]
        elif change == "field":
            table["more"] = 1
    key = draw(st.sampled_from(["input_data", "dataframe_split"]))
    body: dict[str, Any] = {key: table}
    if key == "input_data" and draw(st.booleans()):
        body = {key: rows}
    if faults:
        body |= draw(st.sampled_from([{}, {}, {"params": {}}, {"other": 1}, {"instances": rows}, {"input_data": rows}]))
    return specs, json.dumps(body).encode()


def ways(specs: list[dict[str, Any]], body: bytes) -> tuple[Any, Any]:
    """What the short way makes of the body, and the long one (None when it refuses)."""
    checker = signatures.ColumnChecker(specs, signatures.Params([]))
    short = checker.straight(body, limits.Limits())
    try:
        long = checker.check(payloads.parse(body, limits.Limits()))
    except errors.DoubleloopError:
        long = None
    return short, long


@settings(max_examples=300, deadline=None)
@given(bodies(faults=False))
def test_what_is_right_goes_the_short_way_and_comes_out_the_same(made: tuple[list[dict[str, Any]], bytes]) -> None:
    short, long = ways(*made)
    assert short is not None and long is not None
    assert short == long
    for spec, one, two in zip(made[0], short.value, long.value, strict=True):
        if spec["type"] not in ("double", "float"):
            assert list(map(type, one)) == list(map(type, two))


@settings(max_examples=600, deadline=None)
@given(bodies(faults=True))
def test_what_the_short_way_takes_the_long_one_takes_too(made: tuple[list[dict[str, Any]], bytes]) -> None:
    short, long = ways(*made)
    if short is not None:
        assert short == long


@pytest.mark.parametrize(
    "body",
    [
        b'{"input_data": {"data": []}}', b'{"input_data": []}', b'{"input_data": [[1]], "input_data": [[2, 3]]}', b"",
        b'{"input_data": [[NaN]]}', b'{"input_data": [[1e999]]}', b'{"input_data": [["\xff"]]}',
        b'{"input_data": null}',
        b'{"dataframe_split": [[1.0]]}', b'{"input_data": {"columns": ["a", "a"], "data": [[1, 2]]}}', b"[[1]]",
        b'{"input_data": [[1]], "dataframe_split": {"data": [[1]]}}', b"{}",
        b'{"input_data": null, "dataframe_split": {"data": [[1]]}}',
        b'{"input_data": {"data": [[1]]}, "dataframe_split": null}',
    ],
)  # fmt: skip
def test_what_is_wrong_is_left_to_the_long_way(body: bytes) -> None:
    short, long = ways([{"name": "a", "type": "double"}], body)
    assert short is None and long is None


def test_more_rows_than_one_request_may_have_are_left_to_the_long_way() -> None:
    checker = signatures.ColumnChecker([{"name": "a", "type": "double"}], signatures.Params([]))
    body = json.dumps({"input_data": [[1.0]] * 11}).encode()
    assert checker.straight(body, limits.Limits(max_rows=10)) is None
    assert checker.straight(body, limits.Limits(max_rows=11)) is not None


def test_a_column_that_must_be_converted_has_no_short_way() -> None:
    checker = signatures.ColumnChecker([{"name": "a", "type": "datetime"}], signatures.Params([]))
    assert checker.straight(b'{"input_data": [["2026-01-01"]]}', limits.Limits()) is None


def test_missing_values_are_told_by_both_ways() -> None:
    specs = [{"name": "a", "type": "double", "required": False}, {"name": "b", "type": "string"}]
    short, long = ways(specs, b'{"input_data": [[null, "x"], [1, "y"]]}')
    assert short == long and short.header == {"rows": 2, "missing": True}
