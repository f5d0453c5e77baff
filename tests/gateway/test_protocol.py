"""What the control plane uses: desired state, status, latency."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import orjson
import pytest

from doubleloop.base import errors
from doubleloop.gateway import histogram, protocol

BLUE = protocol.Deployment(
    id="dep-1", python="/venv/bin/python", model_dir="/models/m",
    signature={"inputs": [{"type": "double", "name": "a"}]},
    environment_variables={"A": "1"}, collect=protocol.Collect(outputs=False, sampling_rate=0.5),
)  # fmt: skip
DESIRED = protocol.Desired(12, {"shop/bikes": protocol.Endpoint({"blue": BLUE}, {"blue": 90}, keys_sha256=("ab",))})


def test_the_desired_state_survives_writing_and_reading(tmp_path: Path) -> None:
    assert protocol.read_desired(tmp_path) is None
    protocol.write_desired(tmp_path, DESIRED)
    assert protocol.read_desired(tmp_path) == DESIRED
    assert [path.name for path in (tmp_path / "serving").iterdir()] == ["desired.json"]


def change(path: str, value: Any) -> dict[str, Any]:
    document = orjson.loads(orjson.dumps(DESIRED))
    place = document
    *folders, last = path.split("|")
    for folder in folders:
        place = place[folder]
    place[last] = value
    return document


DEPLOYMENT = "endpoints|shop/bikes|deployments|blue|"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("generation", "x", "generation: must be a whole number"),
        ("surprise", 1, "unknown field 'surprise'"),
        ("endpoints|bikes", {}, "endpoints.bikes: the key must be '<workspace>/<endpoint>'"),
        ("endpoints|../bikes", {}, "the key must be"),
        ("endpoints|shop/bikes|traffic", {"green": 10}, "traffic: there is no deployment 'green'"),
        ("endpoints|shop/bikes|traffic", {"blue": 101}, "traffic.blue: must be a percentage"),
        ("endpoints|shop/bikes|auth", "basic", "auth: must be one of key, none"),
        ("endpoints|shop/bikes|deployments|labels", {"id": "x"}, "'labels' cannot be a deployment's name"),
        (DEPLOYMENT + "instances", 0, "deployments.blue.instances: must be a whole number of at least 1"),
        (DEPLOYMENT + "instances", True, "must be a whole number"),
        (DEPLOYMENT + "id", "../x", "id: must be letters"),
        (DEPLOYMENT + "instance_count", 1, "deployments.blue: unknown field 'instance_count'"),
        (DEPLOYMENT + "kind", "script", "a script deployment needs code_dir and scoring_script"),
        (DEPLOYMENT + "environment_variables", {"A": 1}, "environment_variables.A: must be a text"),
        (DEPLOYMENT + "collect", {"sampling_rate": 2}, "sampling_rate: must be a number between 0 and 1"),
    ],
)
def test_a_wrong_desired_state_names_the_place(path: str, value: Any, words: str, tmp_path: Path) -> None:
    protocol.write_desired(tmp_path, DESIRED)
    (tmp_path / "serving" / "desired.json").write_bytes(orjson.dumps(change(path, value)))
    with pytest.raises(errors.InvalidInput) as caught:
        protocol.read_desired(tmp_path)
    assert words in str(caught.value)


def test_a_wrong_desired_state_is_not_written(tmp_path: Path) -> None:
    wrong = protocol.Desired(1, {"shop/bikes": protocol.Endpoint({"blue": replace(BLUE, instances=0)})})
    with pytest.raises(errors.InvalidInput):
        protocol.write_desired(tmp_path, wrong)
    assert protocol.read_desired(tmp_path) is None


def test_no_gateway_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(errors.Unavailable, match="does not answer"):
        protocol.read_status(tmp_path)


def test_status_survives_the_wire() -> None:
    counters = protocol.Counters(requests=3, latency=tuple(histogram.empty()))
    status = protocol.Status(
        generation=1, converged=True,
        endpoints={"shop/bikes": protocol.EndpointStatus(
            {"blue": 100}, {"blue": protocol.DeploymentStatus("dep-1", "ready", counters=counters, draining=("d",))},
            access="ab")},
    )  # fmt: skip
    assert protocol.status_from_dict(orjson.loads(orjson.dumps(protocol.status_to_dict(status)))) == status


def test_quantiles_are_within_a_bucket_of_the_truth() -> None:
    rng = numpy.random.default_rng(3)
    values = rng.lognormal(2, 1, 10_000)
    counts = histogram.empty()
    for value in values:
        histogram.add(counts, value)
    counters = protocol.Counters(requests=10_000, latency=tuple(counts))
    for q in (0.5, 0.9, 0.99):
        truth = numpy.quantile(values, q)
        assert truth / 1.26 <= counters.quantile_ms(q) <= truth * 1.26
    later = protocol.Counters(requests=10_001, latency=tuple(count + (n == 5) for n, count in enumerate(counts)))
    window = later.minus(counters)
    assert (window.requests, sum(window.latency)) == (1, 1)
    assert histogram.BOUNDS_MS[4] <= window.quantile_ms(0.5) <= histogram.BOUNDS_MS[5]
    assert protocol.Counters().quantile_ms(0.5) is None
