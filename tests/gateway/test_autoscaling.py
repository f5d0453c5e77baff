"""A real gateway whose instances follow the load, up and down, without a failed request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from gateway_harness import Gateway, Load, endpoint, wait_for

from doubleloop.gateway import protocol

Script = Callable[..., protocol.Deployment]
POLICY = protocol.Scale(1, 3, polling_interval_ms=200, target_utilization_percentage=70)
PATIENT = {"max_queue_wait_ms": 20_000, "request_timeout_ms": 30_000}


def blue(gateway: Gateway) -> protocol.DeploymentStatus:
    return gateway.status().endpoints["shop/bikes"].deployments["blue"]


def metrics(gateway: Gateway) -> str:
    return gateway.client().send("GET", "/metrics").body.decode()


def test_instances_grow_with_the_load_and_shrink_after_it(gateway: Gateway, script: Script) -> None:
    gateway.options["scale_down_after"] = 1.0
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1", instances=2, scale=POLICY, **PATIENT)})})
    assert (blue(gateway).instances, blue(gateway).scaled) == (2, None)
    with Load(gateway, "shop/bikes", {"data": [[1, 2]], "sleep": 0.02}, threads=6) as load:
        grown = wait_for(lambda: (found := blue(gateway)).ready_instances == 3 and found, "three instances")
        assert grown.instances == 3 and len(gateway.scorers()) == 3
        assert grown.scaled.after == 3 and grown.scaled.before < 3
        assert "requests in flight; 70 % of 1 each is the target" in grown.scaled.why
        assert 'doubleloop_instances{endpoint="shop/bikes",deployment="blue",deployment_id="dep-1"} 3' in metrics(
            gateway
        )
        load.more(50)
        # Another desired state that says nothing else of its instances: the number stays.
        slower = PATIENT | {"max_queue_wait_ms": 19_000}
        gateway.want({"shop/bikes": endpoint({"blue": script("dep-1", instances=2, scale=POLICY, **slower)})})
        assert blue(gateway).instances == 3
    shrunk = wait_for(lambda: (found := blue(gateway)).instances == 1 and found, "one instance again")
    assert "at most" in shrunk.scaled.why and shrunk.scaled.after == 1
    wait_for(lambda: len(gateway.scorers()) == 1, "the others to end")
    gateway.want({"shop/bikes": endpoint({"blue": script("dep-1", instances=2, scale=POLICY, **PATIENT)})})
    assert blue(gateway).instances == 1, "it starts with two, and goes on with what the load asks for"
    assert load.broken == []
    assert Counter(answer.status for answer in load.answers) == {200: len(load.answers)}
    assert blue(gateway).restarts == 0


def test_what_shrinks_finishes_what_it_has(gateway: Gateway, script: Script) -> None:
    """Three long requests, one in each instance, while two instances are taken away."""
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1", instances=3, **PATIENT)})})
    pids = set(gateway.scorers())
    assert len(pids) == 3
    with Load(gateway, "shop/bikes", {"data": [[1, 2]], "sleep": 1.0}, threads=3) as load:
        wait_for(lambda: blue(gateway).counters.in_flight == 3, "three requests")
        bounds = protocol.Scale(1, 1)
        gateway.want({"shop/bikes": endpoint({"blue": script("dep-1", instances=3, scale=bounds, **PATIENT)})})
        assert blue(gateway).instances == 1
        load.more(3)
    assert [answer.status for answer in load.answers] == [200] * len(load.answers)
    assert load.broken == [] and blue(gateway).restarts == 0
    wait_for(lambda: len(gateway.scorers()) == 1, "two scorers to end")


def test_a_replacement_starts_with_as_many_as_it_replaces(gateway: Gateway, script: Script) -> None:
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1", scale=POLICY, **PATIENT)})})
    with Load(gateway, "shop/bikes", {"data": [[1, 2]], "sleep": 0.02}, threads=6) as load:
        wait_for(lambda: blue(gateway).ready_instances == 3, "three instances")
        gateway.want({"shop/bikes": endpoint({"blue": script("dep-2", "two", scale=POLICY, **PATIENT)})})
        found = blue(gateway)
        assert (found.serving_id, found.instances, found.ready_instances) == ("dep-2", 3, 3)
        load.more(20)
    assert load.broken == []
    assert {answer.status for answer in load.answers} == {200}


@pytest.mark.slow
def test_a_gateway_that_is_killed_starts_again_where_the_file_says_and_follows_the_load(
    gateway: Gateway, script: Script
) -> None:
    deployment = script("dep-1", instances=2, scale=POLICY, **PATIENT)
    gateway.start().want({"shop/bikes": endpoint({"blue": deployment})})
    assert blue(gateway).instances == 2
    gateway.kill()
    gateway.start().converged()
    assert blue(gateway).instances == 2
    with Load(gateway, "shop/bikes", {"data": [[1, 2]], "sleep": 0.02}, threads=6) as load:
        wait_for(lambda: blue(gateway).ready_instances == 3, "three instances")
        load.more(10)
    assert load.broken == []
    assert {answer.status for answer in load.answers} == {200}
