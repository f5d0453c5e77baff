"""From the files of endpoints and deployments to what the gateway is asked for, and back to what it tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from doubleloop.base import errors
from doubleloop.endpoints import commands, model, ports, queries, rules, serving, store, workflows
from doubleloop.events import queries as facts
from doubleloop.gateway import protocol
from doubleloop.secrets import local as secrets
from doubleloop.secrets import ports as secret_ports
from doubleloop.specs import documents

DEPLOYMENT = f"""
name: blue
endpoint_name: place
model: {{path: "tree:sha256:{"a" * 64}"}}
"""
FILES = {"model_dir": "/m", "kind": "mlflow", "code_dir": None, "script": None}


class Serving:
    """A gateway that says what a test wants."""

    status_: protocol.Status | None = None

    def status(self) -> protocol.Status:
        if self.status_ is None:
            raise errors.Unavailable("no gateway answers")
        return self.status_


@pytest.fixture
def placed(house: Any, tmp_path: Path) -> Any:
    house.ports[secret_ports.Keys] = secrets.FileKeys(tmp_path / "secret.key")
    with house.write("grace") as ctx:
        commands.put_endpoint(ctx, documents.parse("name: place", "e.yml", Path("/"), kind="online_endpoint"))
    return house


def deployed(house: Any, more: str) -> model.Deployment:
    document = documents.parse(DEPLOYMENT + more, "d.yml", Path("/nowhere"), kind="online_deployment")
    with house.write("grace") as ctx:
        made = commands.create_deployment(ctx, document)
        store.switch_status(ctx, made, model.Status.STARTING, files=FILES)
    return made


@pytest.mark.parametrize(
    ("more", "instances", "scale"),
    [
        ("", 1, None),
        ("scale_settings: {type: default}\ninstance_count: 2", 2, None),
        ("scale_settings: {type: target_utilization}", 1, protocol.Scale(1, 1, 1000, 70)),
        ("scale_settings: {type: Target_Utilization, min_instances: 2, max_instances: 6, polling_interval: 10, "
         "target_utilization_percentage: 50}\ninstance_count: 3", 3, protocol.Scale(2, 6, 10_000, 50)),
        ("scale_settings: {type: target_utilization, max_instances: 2, polling_interval: PT1M30S}", 1,
         protocol.Scale(1, 2, 90_000, 70)),
    ],
)  # fmt: skip
def test_the_gateway_is_asked_for_what_the_file_says(
    placed: Any, more: str, instances: int, scale: protocol.Scale | None
) -> None:
    deployed(placed, more)
    with placed.read("grace") as ctx:
        (endpoint,) = workflows.desired(ctx).values()
    found = endpoint.deployments["blue"]
    assert (found.instances, found.scale) == (instances, scale)


@pytest.mark.parametrize(
    ("collections", "inputs", "outputs"),
    [
        ("{}", True, True),
        ("{model_outputs: {enabled: true}}", False, True),
        ("{model_inputs: {enabled: false}}", False, False),
        ("{my_own: {enabled: true}}", True, True),
    ],
)
def test_of_inputs_and_outputs_what_a_file_does_not_name_beside_the_other_is_not_logged(
    placed: Any, collections: str, inputs: bool, outputs: bool
) -> None:
    deployed(placed, f"data_collector: {{collections: {collections}}}")
    with placed.read("grace") as ctx:
        (endpoint,) = workflows.desired(ctx).values()
    collect = endpoint.deployments["blue"].collect
    assert (collect.inputs, collect.outputs) == (inputs, outputs)


@pytest.mark.parametrize(
    ("more", "milliseconds"),
    [
        ("", None),
        ("liveness_probe: {initial_delay: 5, period: 5, failure_threshold: 3}", None),
        ("liveness_probe: {initial_delay: 600}", 900_000),
        ("readiness_probe: {period: 20, failure_threshold: 50}\nliveness_probe: {period: 10}", 1_010_000),
    ],
)
def test_a_model_may_take_as_long_to_load_as_its_probes_say(
    placed: Any, more: str, milliseconds: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = deployed(placed, more)
    with placed.read("grace") as ctx:
        (endpoint,) = workflows.desired(ctx).values()
    assert endpoint.deployments["blue"].start_timeout_ms == milliseconds
    clock = iter([0.0, 179.0 if milliseconds is None else milliseconds / 1000 - 1, 1e6])
    monkeypatch.setattr(workflows, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None))
    serving = placed.ports[ports.Serving] = Serving()
    asked = []
    serving.status = lambda: asked.append(1) or protocol.Status(1, True)  # type: ignore[assignment,func-returns-value]
    assert workflows._await(placed.contexts, made.id).startswith(
        f"not ready after {(milliseconds or 180_000) // 1000} s"
    )
    assert asked == [1]


def test_what_runs_is_told_with_why_it_last_changed(placed: Any) -> None:
    made = deployed(placed, "scale_settings: {type: target_utilization, max_instances: 4}")
    serving = placed.ports[ports.Serving] = Serving()
    assert queries.instances(placed.contexts, made.workspace, "place") == {}
    scaled = protocol.Scaled(
        "2026-11-22T21:56:00.000000Z", 1, 3, "2.0 requests in flight; 70 % of 1 each is the target"
    )
    plan = {"used": True, "why": "", "portable": {"file": "/home/plan.npz"}, "near": {"rows": 64}}
    blue = protocol.DeploymentStatus(made.id, "ready", made.id, 3, 2, scaled, description={"plan": plan})
    place = protocol.EndpointStatus({}, {"blue": blue})
    serving.status_ = protocol.Status(1, True, endpoints={f"{made.workspace}/place": place})
    found = queries.instances(placed.contexts, made.workspace, "place")[made.id]
    assert (found.wanted, found.ready, found.scaled) == (3, 2, vars(scaled))
    assert found.plan == {"used": True, "why": "", "portable": {}, "near": {"rows": 64}}
    assert queries.instances(placed.contexts, made.workspace, "elsewhere") == {}


def test_who_moves_traffic_waits_until_requests_are_shared_so(placed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with placed.read("grace") as ctx:
        place = replace(queries.get(ctx, "place"), traffic={"blue": 90, "green": 10})
    told: list[dict[str, float] | None] = [None, {}, {"blue": 100.0}, {"blue": 90.0, "green": 10.0}, {}]
    serving = placed.ports[ports.Serving] = Serving()

    def status() -> protocol.Status:
        traffic = told.pop(0)
        found = {} if traffic is None else {"dev/place": protocol.EndpointStatus(traffic)}
        return protocol.Status(1, True, endpoints=found)

    serving.status = status  # type: ignore[method-assign]
    queries.await_traffic(placed.contexts, place)
    assert told == [{}]
    del serving.status  # no gateway: nobody is kept
    queries.await_traffic(placed.contexts, place)
    monkeypatch.setattr(queries, "TRAFFIC_SECONDS", 0.1)
    serving.status_ = protocol.Status(1, True)
    queries.await_traffic(placed.contexts, place)  # nor for ever


def test_what_no_gateway_could_do_is_refused_before_it_keeps_all_endpoints_from_changing(placed: Any) -> None:
    deployed(placed, "")
    for mirror, said in (({"green": 10}, "no deployment 'green'"), ({"blue": 101}, "add up to 101")):
        with placed.write("grace") as ctx, pytest.raises(errors.InvalidInput, match=said):
            commands.set_traffic(ctx, "place", {}, mirror=mirror)
    with pytest.raises(errors.InvalidInput, match="no deployment 'green'"):
        put(placed, "name: place\nmirror_traffic: {green: 10}")
    text = DEPLOYMENT.replace("blue", "labels")
    document = documents.parse(text, "d.yml", Path("/nowhere"), kind="online_deployment")
    with placed.write("grace") as ctx, pytest.raises(errors.InvalidInput, match="cannot be named 'labels'") as refused:
        commands.create_deployment(ctx, document)
    assert str(refused.value.where) == "d.yml:2 (name)"
    with placed.write("grace") as ctx:
        assert commands.set_traffic(ctx, "place", {}, mirror={"blue": 60}).mirror_traffic == {"blue": 60}
        assert commands.set_traffic(ctx, "place", {}, mirror={"blue": 0}).mirror_traffic == {}


@pytest.mark.parametrize(
    ("names", "outputs", "said"),
    [
        (["email", "price"], [{"type": "double", "name": "price"}], None),
        (["emial"], [{"type": "double"}], "'emial', and the model has no such column"),
        (["anything"], [{"type": "object", "properties": {}}], None),
        (["pixels"], None, "takes tensors"),
    ],
)
def test_a_masked_column_is_one_of_the_models(names: list[str], outputs: Any, said: str | None) -> None:
    inputs = [{"name": "pixels", "type": "tensor"}] if outputs is None else [{"name": "email", "type": "string"}]
    signature = {"inputs": inputs, "outputs": outputs, "params": None}
    masking = dict.fromkeys(names, "drop")
    if said is None:
        rules.check_masking(masking, signature)
        rules.check_masking(dict.fromkeys(names, "drop"), None)
    else:
        with pytest.raises(errors.InvalidInput, match=said):
            rules.check_masking(masking, signature)


def test_who_renews_a_key_waits_until_it_is_in_force(placed: Any) -> None:
    with placed.write("grace") as ctx:
        before = commands.access(ctx, "place")
        commands.regenerate_key(ctx, "place", "secondary")
        wanted = commands.access(ctx, "place")
        (asked,) = workflows.desired(ctx).values()
    assert before != wanted == asked.access()
    told = ["", before, wanted, ""]
    serving = placed.ports[ports.Serving] = Serving()

    def status() -> protocol.Status:
        return protocol.Status(1, True, endpoints={"dev/place": protocol.EndpointStatus(access=told.pop(0))})

    serving.status = status  # type: ignore[method-assign]
    queries.await_access(placed.contexts, "dev", "place", wanted)
    assert told == [""]


SLO = """
name: place
slo: {availability: {target: 99.9}, latency: {target: 99, threshold_ms: 250}, window: 7d}
"""


def put(house: Any, text: str) -> model.Endpoint:
    with house.write("grace") as ctx:
        return commands.put_endpoint(ctx, documents.parse(text, "e.yml", Path("/"), kind="online_endpoint"))


def test_objectives_reach_the_gateway_and_what_it_measures_comes_back(placed: Any) -> None:
    made = put(placed, SLO)
    with placed.read("grace") as ctx:
        kept = queries.get(ctx, "place")
        (wanted,) = workflows.desired(ctx).values()
    assert kept == made and kept.slo == {
        "availability": {"target": 99.9}, "latency": {"target": 99.0, "threshold_ms": 250.0}, "window": "7d",
    }  # fmt: skip
    assert wanted.slo == protocol.Slo(7 * 86400, 99.9, 99.0, 250.0)
    serving = placed.ports[ports.Serving] = Serving()
    with pytest.raises(errors.Unavailable):
        queries.objectives(placed.contexts, "dev", "place")
    measured = protocol.Objective("availability", 99.9, None, 1000, 99.8, False, 1.0, 2, -1.0, 200.0, {"5m": None})
    serving.status_ = protocol.Status(
        1, True, endpoints={"dev/place": protocol.EndpointStatus(objectives=(measured,))}
    )  # fmt: skip
    assert queries.objectives(placed.contexts, "dev", "place") == [measured]
    # A file without objectives takes them away, and both are entries of the record.
    assert put(placed, "name: place").slo is None
    with placed.read("grace") as ctx:
        (wanted,) = workflows.desired(ctx).values()
        told = [each.data["slo"] for each in facts.facts(ctx, types=["endpoint.changed"], subject=made.id)]
    assert wanted.slo is None
    assert len(told) == 2 and None in told and kept.slo in told


def ready(house: Any, made: model.Deployment) -> None:
    with house.write("grace") as ctx:
        store.switch_status(ctx, made, model.Status.READY, files=FILES)


def scaled(house: Any, id_: str, **given: Any) -> tuple[model.Deployment, int]:
    with house.write("grace") as ctx:
        return commands.scale(ctx, "place", "blue", id_, **given)


def test_another_number_of_instances_is_a_new_version_within_the_bounds(placed: Any) -> None:
    first = deployed(placed, "instance_count: 2")
    ready(placed, first)
    made, before = scaled(placed, "more", change=5, at_most=4)
    assert (made.id, before, made.spec["spec"]["instance_count"]) == ("more", 2, 4)
    assert {**made.spec["spec"], "instance_count": 2} == first.spec["spec"]
    assert scaled(placed, "more", change=5, at_most=4)[0].id == "more", "the same id again is the same change"
    ready(placed, made)
    same, number = scaled(placed, "again", instances=4)
    assert (same.id, number) == ("more", 4)
    assert scaled(placed, "fewer", change=-9)[0].spec["spec"]["instance_count"] == 1
    with pytest.raises(errors.NotFound, match="no deployment 'green'"), placed.write("grace") as ctx:
        commands.scale(ctx, "place", "green", "x", instances=1)
    with pytest.raises(errors.NotPermitted), placed.write("eve") as ctx:
        commands.scale(ctx, "place", "blue", "x", instances=1)


def test_what_follows_the_load_is_not_scaled_by_anybody_else(placed: Any) -> None:
    ready(placed, deployed(placed, "scale_settings: {type: target_utilization, max_instances: 3}"))
    with pytest.raises(errors.Conflict, match="follows the load"):
        scaled(placed, "more", change=1)


def test_an_endpoint_that_the_gateway_would_refuse_keeps_no_other_from_changing(tmp_path: Path, caplog: Any) -> None:
    gateway = serving.GatewayServing(tmp_path)
    good = protocol.Endpoint({"blue": protocol.Deployment("d-1", "/p", "/m")}, {"blue": 100})
    wrong = replace(good, traffic={"blue": 100, "green": 5})
    gateway.publish({"dev/a": good, "dev/b": good})
    gateway.publish({"dev/a": wrong, "dev/b": replace(good, traffic={"blue": 50}), "dev/c": wrong})
    assert {place: dict(each.traffic) for place, each in gateway.published().items()} == {
        "dev/a": {"blue": 100.0}, "dev/b": {"blue": 50.0},
    }  # fmt: skip
    assert "endpoint dev/a stays as it is" in caplog.text
    assert "there is no deployment 'green'" in caplog.text
