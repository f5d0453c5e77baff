"""Ten thousand bodies that nobody sane would send: none of them is a fault of the server's, and nothing piles up."""

from __future__ import annotations

import json
import random
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from gateway_harness import KEY, Client, Gateway, Models, deployment, endpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doubleloop.gateway import usage

pytestmark = pytest.mark.slow
REFUSED = {400, 413, 415}
BODIES = 10_000
# What the allocator keeps for itself is bounded; what a request leaves behind is not.
PILED_UP = 24 * 1024 * 1024


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, models: Models) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("hostile") / "home", {"max_body_bytes": 200_000})
    try:
        gateway.start().want(
            {
                "shop/bikes": endpoint({"blue": deployment("dep-1", models.path("bikes"))}),
                "shop/array": endpoint({"blue": deployment("dep-2", models.path("tensor"))}),
            }
        )
        yield gateway
    finally:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.kill()


def valid(frame: Any, rows: int = 2) -> list[Any]:
    """One body of each accepted form."""
    records = json.loads(frame.head(rows).to_json(orient="records"))
    split = json.loads(frame.head(rows).to_json(orient="split"))
    lists = json.loads(frame.head(rows).to_json(orient="values"))
    return [
        {"input_data": split}, {"input_data": records}, {"input_data": lists}, {"dataframe_split": split},
        {"dataframe_records": records}, {"instances": records}, {"inputs": frame.head(rows).to_dict("list")},
        {"input_data": [[1.0, 2.0]]},
    ]  # fmt: skip


HOSTILE: list[Any] = [
    None, True, "", "0", "NaN", -0.0, 1e308, -1e308, 1e999, 2**31, 2**63, -(2**63) - 1, 10**400, "\x00", "\ud800",
    "😀" * 50, "a" * 5000, [], {}, [[]], [None] * 100, {"": ""}, {"input_data": 1}, "__proto__", "${jndi:ldap://x}",
    "'; --", {"$ref": "#"}, {"columns": [], "data": []}, {"data": [[1]] * 300}, 0.1 + 0.2, "2020-13-45T99:99:99Z",
]  # fmt: skip
SCRAPS = [
    b"", b"{", b"}", b"[" * 500, b'{"a":' * 400, b"\xff\xfe", b"\x00", b"null", b"nan", b"Infinity", b"-", b"1e9999",
    b"\\u0000", b'"', b'"\\ud800"', b",", b"\xef\xbb\xbf", b'{"input_data":', b'"columns":["hour","hour"],',
    b"\r\n0\r\n\r\n",
]  # fmt: skip
HTTP = [
    b"POST /shop/bikes/score HTTP/1.1\r\n", b"GET / HTTP/9.9\r\n", b"content-length: 99999999999999999999\r\n",
    b"content-length: -1\r\n", b"content-length: 3\r\n", b"transfer-encoding: chunked\r\n", b"\r\n", b"0\r\n\r\n",
    b"fffffffffffffffff\r\n", b"host: x\r\n", b"expect: 100-continue\r\n", b"upgrade: h2c\r\n",
    b"x" * 5000 + b": y\r\n", b"authorization: Bearer " + KEY.encode() + b"\r\n", b"connection: close\r\n",
    b"content-type: application/json\r\n",
]  # fmt: skip


def mutated(draw: random.Random, bodies: list[Any]) -> bytes:
    """A body that was right, changed in its tree or in its bytes."""
    tree = json.loads(json.dumps(draw.choice(bodies)))
    for _ in range(draw.randint(0, 3)):
        tree = _change(draw, tree)
    content = json.dumps(tree).encode()
    if draw.random() < 0.5:
        return content
    for _ in range(draw.randint(1, 3)):
        place, scrap = draw.randrange(len(content) + 1), draw.choice(SCRAPS)
        content = content[:place] + scrap + content[place + draw.randint(0, 6) :]
    return content


def _change(draw: random.Random, tree: Any) -> Any:
    if not isinstance(tree, dict | list) or not tree or draw.random() < 0.1:
        return draw.choice(HOSTILE)
    if isinstance(tree, dict):
        key = draw.choice(sorted(tree))
        fate = draw.random()
        if fate < 0.15:
            return {name: value for name, value in tree.items() if name != key}
        if fate < 0.3:
            return {**tree, str(draw.choice(HOSTILE)): draw.choice(HOSTILE)}
        return {**tree, key: _change(draw, tree[key])}
    place = draw.randrange(len(tree))
    if draw.random() < 0.2:
        return tree[:place] + tree[place + 1 :]
    return [*tree[:place], _change(draw, tree[place]), *tree[place + 1 :]]


def test_ten_thousand_hostile_bodies_are_answered_and_leave_nothing_behind(served: Gateway, models: Models) -> None:
    draw = random.Random(20)
    bodies = valid(models.frame)
    client, seen = served.client(), Counter[int]()
    held = 0
    for number in range(BODIES):
        content = mutated(draw, bodies)
        answer = client.score(draw.choice(("shop/bikes", "shop/array")), content)
        seen[answer.status] += 1
        assert answer.status == 200 or answer.status in REFUSED, (answer.status, content[:300], answer.body)
        if answer.status != 200:
            assert answer.error["message"] and answer.error["request_id"] == answer.request_id
        if number == BODIES // 4:
            held = _held(served)
    assert seen[200] > 200 and seen[400] > 2000, seen
    assert _held(served) - held < PILED_UP
    assert all(client.score("shop/bikes", body).status == 200 for body in bodies[:-1])


def _held(gateway: Gateway) -> int:
    assert gateway.process is not None
    return usage.of(gateway.process.pid).memory + sum(usage.of(pid).memory for pid in gateway.scorers())


@pytest.mark.parametrize("name", ["bikes", "array"])
def test_what_the_endpoints_own_description_allows_is_answered(served: Gateway, name: str) -> None:
    """Bodies made from the published schema: answered, or refused for what a schema cannot say (a number too large)."""
    client = served.client()
    document = client.send("GET", f"/shop/{name}/swagger.json", headers={"Authorization": f"Bearer {KEY}"}).json
    post = document["paths"][f"/shop/{name}/score"]["post"]
    documented = {int(code) for code in post["responses"]}
    seen: Counter[int] = Counter()

    operation = schemathesis.openapi.from_dict(document)[f"/shop/{name}/score"]["POST"]

    @given(operation.as_strategy())
    @settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def ask(case: Any) -> None:
        body = case.body
        answer = client.score(f"shop/{name}", body)
        seen[answer.status] += 1
        assert answer.status in documented and answer.status < 500, (answer.status, body, answer.body)

    ask()
    assert seen[200] >= 5, seen  # rows without names may hold anything, and seldom fit


@given(st.lists(st.binary(max_size=60) | st.sampled_from(HTTP), max_size=12))
@settings(max_examples=400, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_broken_http_is_refused_or_closed(served: Gateway, pieces: list[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", served.port), 10) as connection:
        connection.sendall(b"".join(pieces))
        connection.shutdown(socket.SHUT_WR)
        got = b"".join(iter(lambda: connection.recv(65536), b""))
    for status in _statuses(got):
        assert status < 500 or status in (501, 505), got[:400]


def _statuses(answers: bytes) -> Iterator[int]:
    for part in answers.split(b"HTTP/1.1 ")[1:]:
        yield int(part[:3])


def test_the_endpoint_still_answers_after_all_that(served: Gateway, models: Models) -> None:
    client: Client = served.client()
    assert client.score("shop/bikes", valid(models.frame)[0]).status == 200
    deployments = [d for e in served.status().endpoints.values() for d in e.deployments.values()]
    assert [d.restarts for d in deployments] == [0, 0]
