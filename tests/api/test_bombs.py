"""Small bodies that would grow large, or that no database can hold, are refused by every route that takes them."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from api_server import Prepared, Served
from test_bad_requests import BESIDE, FIELDS, ask, known, whom, writing
from test_every_route import error, fill

DEEP = 50_000
# As they stand in a body: half a character, numbers that no column and no double holds, depth, length, other systems.
RAW = {
    "half a character": r'"\ud800"',
    "a number of 5000 digits": "9" * 5000,
    "a number above every double": "1e999",
    "depth of lists": "[" * DEEP + "]" * DEEP,
    "depth of mappings": '{"a":' * DEEP + "1" + "}" * DEEP,
    "a name of 10 kB": '"' + "x" * 10_000 + '"',
    "a key of half a character": r'{"\ud800": 1}',
}


def body(place: str, field: str, raw: str) -> bytes:
    beside = {key: value for key, value in BESIDE.get(place, {}).items() if key != field}
    return json.dumps({**beside, field: "@@"}).replace('"@@"', raw).encode()


@pytest.mark.parametrize("what", RAW)
def test_no_field_of_any_route_breaks_on_it(served: Served, prepared: Prepared, what: str) -> None:
    asked = 0
    for method, route in writing():
        place = known(route.path)
        for field in FIELDS[place] if place else ():
            status, answer = ask(served, method, fill(route.path, prepared.places), body(place or "", field, RAW[what]))
            assert status < 500 or b"not answer" in answer, (route.path, field, answer)
            asked += 1
    assert asked > 80


def test_packed_bodies_are_not_unpacked(served: Served, prepared: Prepared) -> None:
    """A megabyte of gzip is a gigabyte of zeros; nothing here asks for it."""
    packed = gzip.compress(b" " * (20 << 20) + b"{}")
    assert len(packed) < 50_000
    for method, route in writing():
        if known(route.path) is None:
            continue
        target = fill(route.path, prepared.places)
        status, _, answer = served.raw(
            method, target, whom(route), packed, content_type="application/json", content_encoding="gzip"
        )
        assert status in (400, 403, 415), (method, target, answer)
        error(answer)


NAMES: list[Any] = [
    "..",
    ".",
    "a/b",
    "a\\b",
    "a\0b",
    "a\r\nb",
    "x" * 10_000,
    "CON ",
    " a",
    "a\u202eb",
    "\u2024\u2024",
    "",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_no_file_should_have_is_refused_wherever_one_is_given(served: Served, name: str) -> None:
    dev, sound = "/api/v1/workspaces/dev", {"type": "command", "command": "x", "environment": "azureml:thing:1"}
    for path, given in {
        "/api/v1/users": {"name": name},
        "/api/v1/principals": {"name": name},
        f"{dev}/secrets": {"name": name, "value": "x"},
        f"{dev}/jobs": {"document": {"kind": "command_job", "data": sound}, "id": name or " "},
    }.items():
        status, answer = ask(served, "POST", path, given)
        assert (status, error(answer)["code"]) == (400, "invalid_input"), (path, name, answer)
        assert len(answer) < 2000, "an error does not repeat all of it"
