"""A deployment is replaced, removed, broken and repaired while requests keep coming."""

from __future__ import annotations

from collections.abc import Callable

from gateway_harness import Gateway, Load, endpoint

from doubleloop.gateway import protocol

BODY = {"data": [[1, 2], [3, 4]]}
Script = Callable[..., protocol.Deployment]


def test_no_request_fails_while_a_deployment_is_replaced_under_load(gateway: Gateway, script: Script) -> None:
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1", "one")})})
    with Load(gateway, "shop/bikes", BODY) as load:
        load.more(50)
        gateway.want({"shop/bikes": endpoint({"blue": script("dep-2", "two")})})
        load.more(50)
    assert not load.broken
    assert {answer.status for answer in load.answers} == {200}
    assert {tuple(answer.json) for answer in load.answers} == {(3, 7), (1003, 1007)}
    assert load.answers[0].json == [3, 7]
    assert load.answers[-1].json == [1003, 1007]
