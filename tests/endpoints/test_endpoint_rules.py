"""Traffic and rollouts are judged by pure rules; keys come and go with their generation."""

from __future__ import annotations

from typing import Any

import pytest

from doubleloop.base import errors, verdicts
from doubleloop.durable import store as outbox
from doubleloop.endpoints import commands, model, rules, store
from doubleloop.gateway import histogram
from doubleloop.secrets import local as secrets
from doubleloop.secrets import ports as secret_ports
from doubleloop.specs import documents


def metrics(
    requests: int, errors_5xx: int = 0, latency_ms: float = 10.0, state: str = "ready", refused: int = 0, busy: int = 0
) -> model.Metrics:
    """``requests`` of which the model answered some with errors, after as many that were refused or turned away."""
    counts = histogram.empty()
    for _ in range(requests):
        histogram.add(counts, latency_ms)
    return model.Metrics(
        requests + refused + busy, refused + busy, errors_5xx, busy, tuple(counts), state=state
    )  # fmt: skip


@pytest.mark.parametrize(
    ("traffic", "wrong"),
    [
        ({"blue": 100}, None),
        ({"blue": 90, "green": 10}, None),
        ({"blue": 0}, None),
        ({"blue": 90}, errors.InvalidInput),
        ({"blue": 90, "green": 20}, errors.InvalidInput),
        ({"blue": 110, "green": -10}, errors.InvalidInput),
        ({"red": 100}, errors.InvalidInput),
        ({"slow": 100}, errors.Conflict),
        ({"blue": 100, "slow": 0}, None),
    ],
)
def test_shares_are_whole_and_go_to_what_is_ready(traffic: dict[str, int], wrong: type[Exception] | None) -> None:
    ready = {"blue": True, "green": True, "slow": False}
    if wrong is None:
        rules.check_traffic(traffic, ready)
    else:
        with pytest.raises(wrong):
            rules.check_traffic(traffic, ready)


def test_a_candidate_without_errors_and_in_time_goes_on() -> None:
    verdict = rules.judge_rollout(metrics(0), metrics(100), {"error_rate": 0.01, "p99_ms": 50})
    assert verdict.passed and "100 requests" in verdict.reasons[0]


def test_errors_before_the_bake_do_not_count_against_it() -> None:
    assert rules.judge_rollout(metrics(50, errors_5xx=50), metrics(150, errors_5xx=50), {"error_rate": 0.0}).passed


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (metrics(100, errors_5xx=2), "error rate 0.0200 is above 0.01"),
        (metrics(100, latency_ms=900), "is above 50 ms"),
        (metrics(100, state="failed"), "the deployment is failed"),
    ],
)
def test_errors_slowness_or_silence_end_a_rollout(after: model.Metrics, reason: str) -> None:
    verdict = rules.judge_rollout(metrics(0), after, {"error_rate": 0.01, "p99_ms": 50})
    assert verdict.outcome is verdicts.Outcome.FAILED
    assert any(reason in each for each in verdict.reasons)


def test_a_handful_of_requests_says_nothing_about_rates() -> None:
    verdict = rules.judge_rollout(metrics(0), metrics(5, errors_5xx=1), {"error_rate": 0.01})
    assert verdict.passed and "too few" in verdict.reasons[0]


def test_requests_that_were_refused_neither_dilute_nor_count_as_health() -> None:
    limits = {"error_rate": 0.05, "p99_ms": 50}
    diluted = rules.judge_rollout(metrics(0), metrics(40, errors_5xx=4, refused=1000), limits)
    assert not diluted.passed
    assert "error rate 0.1000 is above 0.05 (4 of 40 requests failed, and 1000 that were refused" in diluted.reasons[0]
    alone = rules.judge_rollout(metrics(0), metrics(5, refused=1000), limits)
    assert alone.passed and "only 5 requests during the bake, and 1000 that were refused" in alone.reasons[0]
    assert rules.judge_rollout(metrics(0), metrics(40, refused=1000), limits).passed


def test_requests_that_were_turned_away_as_too_many_are_failures() -> None:
    assert not rules.judge_rollout(metrics(0), metrics(90, busy=10), {"error_rate": 0.05}).passed
    assert rules.judge_rollout(metrics(0), metrics(99, busy=1), {"error_rate": 0.05}).passed


def test_a_gateway_that_began_anew_is_counted_from_its_beginning() -> None:
    seen = rules.difference(metrics(1000, errors_5xx=10), metrics(40, errors_5xx=1))
    assert (seen.requests, seen.errors_5xx) == (40, 1)


ENDPOINT = "name: fares\nauth_mode: key\ndescription: taxi fares\n"


def put(house: Any, text: str = ENDPOINT) -> model.Endpoint:
    document = documents.parse(text, "endpoint.yml", "/", kind="online_endpoint")
    with house.write("ada", "dev") as ctx:
        return commands.put_endpoint(ctx, document)


@pytest.fixture
def keyed(house: Any) -> Any:
    house.ports[secret_ports.Keys] = secrets.FileKeys(house.home / "secret.key")
    return house


def test_an_endpoint_is_made_once_and_published_when_it_changes(keyed: Any) -> None:
    first = put(keyed)
    assert put(keyed) == first
    with keyed.read("ada", "dev") as ctx:
        published = [each for each in outbox.pending(ctx) if each.name == "endpoints.publish"]
    assert len(published) == 1


def test_keys_differ_by_endpoint_kind_and_generation_and_are_stored_nowhere(keyed: Any) -> None:
    put(keyed)
    with keyed.write("ada", "dev") as ctx:
        primary, secondary = commands.keys(ctx, "fares")
        again = commands.regenerate_key(ctx, "fares", "primary")
        assert primary != secondary and again[0] != primary and again[1] == secondary
    content = (keyed.home / "doubleloop.sqlite").read_bytes() + b"".join(
        file.read_bytes() for file in keyed.home.glob("doubleloop.sqlite-*")
    )
    assert primary.encode() not in content and again[0].encode() not in content
    assert (keyed.home / "secret.key").stat().st_mode & 0o077 == 0


def test_a_reader_sees_no_keys_and_moves_no_traffic(keyed: Any) -> None:
    put(keyed)
    with keyed.write("eve", "dev") as ctx:
        with pytest.raises(errors.NotPermitted):
            commands.keys(ctx, "fares")
        with pytest.raises(errors.NotPermitted):
            commands.set_traffic(ctx, "fares", {"blue": 100})


def test_a_deleted_deployment_never_comes_back(keyed: Any) -> None:
    put(keyed)
    with keyed.write("ada", "dev") as ctx:
        made = model.Deployment(
            "d1", "dev", "fares", "blue", model.Status.PREPARING, "", "", "", "", {}, None, "", "", {}, None, False,
            None, "ada", ctx.now,
        )  # fmt: skip
        store.insert_deployment(ctx, made)
        assert store.switch_status(ctx, made, model.Status.DELETED)
        assert not store.switch_status(ctx, made, model.Status.STARTING)
        found = store.deployment(ctx, "d1")
    assert found is not None and found.status is model.Status.DELETED


def test_an_endpoint_that_is_not_there_is_told_with_those_that_are(keyed: Any) -> None:
    put(keyed)
    with keyed.read("ada", "dev") as ctx, pytest.raises(errors.NotFound) as refused:
        commands.get_endpoint(ctx, "fare")
    assert "fares" in refused.value.cure
