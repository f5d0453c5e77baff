"""A real gateway measures an endpoint's objectives, and remembers them when it was killed."""

from __future__ import annotations

from collections.abc import Callable

from gateway_harness import Client, Gateway, endpoint, wait_for

from doubleloop.gateway import paths, protocol

Script = Callable[..., protocol.Deployment]
SLO = protocol.Slo(availability=90, latency=50, latency_threshold_ms=10_000)


def objectives(gateway: Gateway) -> dict[str, protocol.Objective]:
    return {each.kind: each for each in gateway.status().endpoints["shop/bikes"].objectives}


def ask(client: Client, *bodies: dict[str, object], **headers: str) -> list[int]:
    return [client.score("shop/bikes", body, **headers).status for body in bodies]


def test_compliance_and_budget_are_told_and_survive_a_kill(gateway: Gateway, script: Script) -> None:
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1")}, slo=SLO)})
    client = gateway.client()
    good, bad = {"data": [[1, 2]]}, {"data": [[1]], "raise": "x"}
    assert ask(client, good, good, good, bad) == [200, 200, 200, 500]
    assert ask(client, good, azureml_model_deployment="nobody") == [404]
    assert client.score("shop/bikes", good, key="wrong").status == 401
    found = objectives(gateway)
    one = found["availability"]
    assert (one.valid, one.consumed, one.compliance, one.met) == (4, 1, 75.0, False)
    assert (round(one.budget, 9), round(one.remaining, 9), one.burn_rates["5m"]) == (0.4, -0.6, 2.5)
    assert (found["latency"].valid, found["latency"].consumed, found["latency"].met) == (3, 0, True)
    text = client.send("GET", "/metrics").body.decode()
    labels = 'endpoint="shop/bikes",slo="availability"'
    assert f"doubleloop_slo_compliance_ratio{{{labels}}} 0.75\n" in text
    assert f"doubleloop_slo_objective_ratio{{{labels}}} 0.9\n" in text
    assert f'doubleloop_slo_burn_rate{{{labels},window="1h"}} 2.5\n' in text

    kept = paths.ledger(gateway.home, "shop", "bikes")
    wait_for(lambda: kept.exists() and b",60,4,1,3,0]" in kept.read_bytes(), "the counts on disk")
    gateway.kill()
    gateway.start().converged()
    assert (objectives(gateway)["availability"].valid, objectives(gateway)["availability"].consumed) == (4, 1)
    assert ask(gateway.client(), good) == [200]
    assert gateway.stop() == 0  # what a clean stop had not yet written it writes
    gateway.start().converged()
    assert objectives(gateway)["availability"].valid == 5


def test_an_endpoint_that_nothing_answers_for_uses_its_budget(gateway: Gateway, script: Script) -> None:
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1")}, {}, slo=SLO)})
    client = gateway.client()
    assert ask(client, {"data": [[1]]}) == [503]
    assert client.send("POST", "/shop/bikes/v2/models/bikes/infer", b"{}", {"authorization": "Bearer x"}).status == 401
    one = objectives(gateway)["availability"]
    assert (one.valid, one.consumed) == (1, 1)
    # Objectives are taken away, and nothing is told of them any more.
    gateway.want({"shop/bikes": endpoint({"blue": script("dep-1")}, {})})
    assert objectives(gateway) == {}
