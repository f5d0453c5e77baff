"""Who may call, and which deployment answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from gateway_harness import KEY, Client, Gateway, endpoint, wait_for
from scipy import stats

from doubleloop.base import canonical
from doubleloop.gateway import log, protocol, routing

BODY = {"data": [[1, 2]]}
Script = Callable[..., protocol.Deployment]


@pytest.fixture(scope="module")
def served(script: Script, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("routing") / "home").start()
    both = {"blue": script("dep-b", "one"), "green": script("dep-g", "two")}
    try:
        gateway.want(
            {
                "shop/split": endpoint(both, {"blue": 80, "green": 20}),
                "shop/green": endpoint(both, {"blue": 0, "green": 100}),
                "shop/none": endpoint(both, {"blue": 0}),
                "shop/open": endpoint({"blue": script("dep-o")}, auth="none"),
                "shop/mirror": endpoint(both, {"blue": 100}, mirror_traffic={"green": 100}),
                "shop/two-keys": protocol.Endpoint(
                    {"blue": script("dep-k")}, {"blue": 100},
                    keys_sha256=(canonical.sha256("first-key"), canonical.sha256("second-key")),
                ),
            }
        )  # fmt: skip
        yield gateway
        assert gateway.stop() == 0
    finally:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.kill()


@pytest.fixture
def client(served: Gateway) -> Iterator[Client]:
    client = served.client()
    yield client
    client.close()


def test_no_key_or_a_wrong_one_is_401(client: Client) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {KEY}"},
                    {"authorization": "Bearer "}, {"authorization": KEY}):  # fmt: skip
        answer = client.score("shop/split", BODY, key=None, **headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert client.score("shop/split", BODY).status == 200
    assert client.score("shop/split", BODY, key=None, authorization=f"bearer {KEY}").status == 200


def test_each_key_of_an_endpoint_opens_it_and_no_other_endpoints_key_does(client: Client) -> None:
    assert client.score("shop/two-keys", BODY, key="first-key").status == 200
    assert client.score("shop/two-keys", BODY, key="second-key").status == 200
    assert client.score("shop/two-keys", BODY, key=KEY).status == 401


def test_an_open_endpoint_needs_no_key(client: Client) -> None:
    assert client.score("shop/open", BODY, key=None).status == 200


def test_the_header_picks_a_deployment_also_without_traffic(client: Client) -> None:
    answer = client.score("shop/green", BODY, azureml_model_deployment="blue")
    assert (answer.json, answer.headers["azureml-model-deployment"]) == ([3], "blue")
    assert client.score("shop/green", BODY).json == [1003]
    unknown = client.score("shop/green", BODY, azureml_model_deployment="red")
    assert unknown.status == 404
    assert "there is no deployment 'red'" in unknown.error["message"]


def test_an_endpoint_without_traffic_says_so(client: Client) -> None:
    answer = client.score("shop/none", BODY)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "no deployment has traffic" in answer.error["message"]
    assert client.score("shop/none", BODY, azureml_model_deployment="green").json == [1003]


def test_traffic_is_split_by_weight(client: Client) -> None:
    count = 1000
    seen = Counter(client.score("shop/split", BODY).headers["azureml-model-deployment"] for _ in range(count))
    # A right split fails this once in a million runs.
    low, high = stats.binom.interval(1 - 1e-6, count, 0.2)
    assert low <= seen["green"] <= high
    assert seen["blue"] + seen["green"] == count


def test_any_split_fits_its_weights() -> None:
    """A chi-square test over many picks; a right split fails it once in a million runs."""
    traffic = {"a": 60.0, "b": 25.0, "c": 10.0, "d": 4.0, "e": 1.0}
    route = routing.Route("shop", "split", protocol.Endpoint({}, {}), None, None)  # type: ignore[arg-type]
    route.traffic, route.serving = traffic, {name: name for name in traffic}  # type: ignore[misc]
    count = 100_000
    seen = Counter(str(route.pick(None)) for _ in range(count))
    found = stats.chisquare([seen[name] for name in traffic], [count * share / 100 for share in traffic.values()])
    assert found.pvalue > 1e-6, seen


def test_mirror_traffic_is_scored_and_logged_apart_from_what_was_served(served: Gateway, client: Client) -> None:
    sent = [client.score("shop/mirror", BODY) for _ in range(20)]
    assert all(answer.json == [3] for answer in sent)
    counters = "shop/mirror", "green"
    wait_for(lambda: served.status().endpoints[counters[0]].deployments[counters[1]].counters.requests >= 20, "copies")
    served.admin().flush()
    ids = sorted(answer.request_id for answer in sent)
    copies = log.read(served.home, "shop", "mirror", "green")
    assert sorted(copies["request_id"]) == ids
    assert copies["mirrored"].all()
    assert copies["out.prediction"].to_list() == [1003] * 20
    assert sorted(log.read(served.home, "shop", "mirror")["request_id"]) == ids
    assert log.read(served.home, "shop", "mirror", mirrored=True).height == 20


def test_a_callers_request_id_is_kept_unless_it_is_odd_or_used(client: Client) -> None:
    first = client.score("shop/open", BODY, x_ms_client_request_id="order-4711-a")
    assert first.request_id == "order-4711-a"
    again = client.score("shop/open", BODY, x_ms_client_request_id="order-4711-a")
    assert again.request_id.startswith("req-")
    assert again.headers["x-ms-client-request-id"] == "order-4711-a"
    assert client.score("shop/open", BODY, x_request_id="order-4711-b").request_id == "order-4711-b"
    for odd in ("short", "has a blank in it", "x" * 200, "semi;colon;semi"):
        assert client.score("shop/open", BODY, x_request_id=odd).request_id.startswith("req-")
    assert client.score("shop/open", BODY).request_id != client.score("shop/open", BODY).request_id
