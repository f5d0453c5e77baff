"""MLflow's own schema enforcement as the referee of our check and our frames, on generated requests."""

from __future__ import annotations

import json
from typing import Any

import numpy
import pandas
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.models.utils import _enforce_schema
from mlflow.types.schema import ColSpec, Schema

from doubleloop.base import errors
from doubleloop.gateway import limits, payloads, signatures
from doubleloop.scorer import frames

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-1000, 1000),
    "boolean": st.booleans(),
    "string": st.text(max_size=5),
}
ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.just(1.5), st.just("1"), st.just([1]))


Request = tuple[list[dict[str, Any]], list[dict[str, Any]]]
"""(column specs, rows as objects)"""


@st.composite
def requests(draw: st.DrawFn, faults: bool) -> Request:
    names = draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=5, unique=True))
    specs = [{"name": name, "type": draw(st.sampled_from(sorted(VALUES))), "required": True} for name in names]
    for spec in specs:
        if spec["type"] in ("double", "string"):
            spec["required"] = draw(st.booleans())
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        row = {}
        for spec in specs:
            value = VALUES[spec["type"]] if spec["required"] else VALUES[spec["type"]] | st.none()
            row[spec["name"]] = draw(ANYTHING if faults and draw(st.integers(0, 9)) == 0 else value)
        rows.append(dict(draw(st.permutations(list(row.items())))))
    if faults and draw(st.booleans()):
        victim = draw(st.sampled_from(rows))
        change = draw(st.sampled_from(["drop", "add", "rename"]))
        if change != "add":
            victim.pop(next(iter(victim)))
        if change != "drop":
            victim["other"] = 1
    return specs, rows


def check(specs: list[dict[str, Any]], rows: list[dict[str, Any]]) -> pandas.DataFrame:
    payload = payloads.parse(json.dumps({"input_data": rows}).encode(), limits.Limits())
    checked = signatures.ColumnChecker(specs, signatures.Params([])).check(payload)
    return frames.FrameBuilder(specs).build(checked.value, checked.rows, fill=False)


def referee(specs: list[dict[str, Any]], rows: list[dict[str, Any]]) -> pandas.DataFrame:
    schema = Schema([ColSpec(spec["type"], spec["name"], required=spec["required"]) for spec in specs])
    present = set().union(*rows)
    frame = pandas.DataFrame([{name: row.get(name) for name in present} for row in rows])
    for spec in specs:
        # A JSON client has one kind of number; pandas infers int64 for a double column without fractions, and
        # object for one that is all null.
        if spec["type"] == "double" and spec["name"] in frame:
            frame[spec["name"]] = frame[spec["name"]].astype("float64")
    return _enforce_schema(frame, schema)


@settings(max_examples=150, deadline=None)
@given(requests(faults=False))
def test_a_right_request_gives_exactly_mlflows_frame(
    request: Request,
) -> None:
    specs, rows = request
    pandas.testing.assert_frame_equal(check(specs, rows), referee(specs, rows), check_exact=True)


@settings(max_examples=300, deadline=None)
@given(requests(faults=True))
def test_what_is_accepted_is_what_mlflow_would_make_of_it(
    request: Request,
) -> None:
    specs, rows = request
    try:
        ours = check(specs, rows)
    except errors.InvalidInput:
        return  # stricter than MLflow is allowed, laxer is not
    pandas.testing.assert_frame_equal(ours, referee(specs, rows), check_exact=True)
    for spec in specs:
        if spec["type"] == "double" and spec["name"] in ours:
            sent = [row.get(spec["name"]) for row in rows]
            expected = [numpy.nan if value is None else float(value) for value in sent]
            numpy.testing.assert_array_equal(ours[spec["name"]].to_numpy(), expected)
