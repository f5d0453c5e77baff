"""A deployment is replaced, removed, broken and repaired while requests keep coming."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from gateway_harness import Gateway, Load, endpoint, wait_for

from doubleloop.base import canonical
from doubleloop.gateway import log, protocol

BODY = {"data": [[1, 2], [3, 4]]}
ONE, TWO = [3, 7], [1003, 1007]
Script = Callable[..., protocol.Deployment]


def test_no_request_fails_while_a_deployment_is_replaced_under_load(gateway: Gateway, script: Script) -> None:
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1", "one")})})
    with Load(gateway, "shop/bikes", BODY) as load:
        for number in range(2, 6):
            load.more(30)
            gateway.want({"shop/bikes": endpoint({"blue": script(f"dep-{number}", ("one", "two")[number % 2 == 0])})})
        load.more(30)
    assert not load.broken
    assert {answer.status for answer in load.answers} == {200}
    assert {tuple(answer.json) for answer in load.answers} == {tuple(ONE), tuple(TWO)}
    assert (load.answers[0].json, load.answers[-1].json) == (ONE, ONE)
    assert gateway.status().endpoints["shop/bikes"].deployments["blue"].serving_id == "dep-5"
    gateway.admin().flush()
    rows = log.read(gateway.home, "shop", "bikes")
    assert sorted(rows["request_id"].unique()) == sorted(answer.request_id for answer in load.answers)
    assert rows.height == 2 * len(load.answers)
    assert set(rows["deployment_id"]) == {f"dep-{number}" for number in range(1, 6)}


def test_no_request_fails_while_traffic_moves_to_another_deployment_and_the_first_is_removed(
    gateway: Gateway, script: Script
) -> None:
    blue, green = script("dep-b", "one"), script("dep-g", "two")
    gateway.start().want({"shop/bikes": endpoint({"blue": blue})})
    with Load(gateway, "shop/bikes", BODY) as load:
        load.more(30)
        # All in one step: green is still starting when blue is no longer wanted, so blue goes on until then.
        gateway.want({"shop/bikes": endpoint({"green": green})})
        load.more(30)
    assert not load.broken
    assert {answer.status for answer in load.answers} == {200}
    assert (load.answers[0].json, load.answers[-1].json) == (ONE, TWO)
    status = gateway.status().endpoints["shop/bikes"]
    assert (status.traffic, list(status.deployments)) == ({"green": 100}, ["green"])
    wait_for(lambda: len(gateway.scorers()) == 1, "the first scorer's end")


def test_a_replacement_that_cannot_start_takes_nothing_from_the_running_one(gateway: Gateway, script: Script) -> None:
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1", "one")})})
    with Load(gateway, "shop/bikes", BODY, threads=2) as load:
        broken = replace(script("dep-2", "two"), scoring_script="missing.py")
        gateway.want({"shop/bikes": endpoint({"blue": broken})}, converge=False)

        def failed() -> protocol.DeploymentStatus | None:
            found = gateway.applied().endpoints["shop/bikes"].deployments["blue"]
            return found if found.state == "failed" else None

        status = wait_for(failed, "the failure")
        assert (status.id, status.serving_id) == ("dep-2", "dep-1")
        assert "missing.py does not exist" in status.error
        load.more(30)
        gateway.want({"shop/bikes": endpoint({"blue": script("dep-3", "two")})})
        load.more(30)
    assert not load.broken
    assert {answer.status for answer in load.answers} == {200}
    assert (load.answers[0].json, load.answers[-1].json) == (ONE, TWO)


BAD_INITS = {
    "ZeroDivisionError: division by zero": "def init(): return 1 / 0",
    "more than the 300 MiB allowed": "import time\n\ndef init():\n    held = b'x' * (600 << 20)\n    time.sleep(600)",
}


@pytest.mark.parametrize("words", BAD_INITS)
def test_one_whose_init_fails_or_needs_too_much_memory_says_so_and_the_running_one_goes_on(
    gateway: Gateway, script: Script, tmp_path: Path, words: str
) -> None:
    (tmp_path / "score.py").write_text(BAD_INITS[words] + "\n\ndef run(text): return text\n")
    gateway.options = {"max_scorer_bytes": 300 << 20}
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1", "one")})})
    gateway.want({"shop/bikes": endpoint({"blue": script("dep-2", "two", code_dir=str(tmp_path))})}, converge=False)

    def failed() -> protocol.DeploymentStatus | None:
        found = gateway.applied().endpoints["shop/bikes"].deployments["blue"]
        return found if found.state == "failed" else None

    status = wait_for(failed, "the failure")
    assert (status.id, status.serving_id) == ("dep-2", "dep-1")
    assert words in status.error
    assert gateway.client().score("shop/bikes", BODY).json == ONE


def test_a_key_that_was_renewed_is_refused_at_once_and_the_other_goes_on(gateway: Gateway, script: Script) -> None:
    def keyed(*keys: str) -> dict[str, protocol.Endpoint]:
        blue = {"blue": script("dep-1", "one")}
        return {"shop/bikes": replace(endpoint(blue), keys_sha256=tuple(map(canonical.sha256, keys)))}

    gateway.start().want(keyed("old-primary", "secondary"))
    client, before = gateway.client(), gateway.scorers()
    assert client.score("shop/bikes", BODY, key="old-primary").status == 200
    gateway.want(keyed("new-primary", "secondary"))
    answers = {
        key: client.score("shop/bikes", BODY, key=key).status for key in ("old-primary", "new-primary", "secondary")
    }
    assert answers == {"old-primary": 401, "new-primary": 200, "secondary": 200}
    told = gateway.status().endpoints["shop/bikes"].access
    assert told == keyed("secondary", "new-primary")["shop/bikes"].access() != keyed("secondary")["shop/bikes"].access()
    assert gateway.scorers() == before


def test_a_desired_state_that_cannot_be_read_changes_nothing(gateway: Gateway, script: Script) -> None:
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1")})})
    (gateway.home / "serving" / "desired.json").write_text('{"generation": 9, "endpoints": {"shop": {}}}')
    words = "endpoints.shop: the key must be '<workspace>/<endpoint>'"
    wait_for(lambda: words in (gateway.status().error or ""), "the error")
    assert gateway.client().score("shop/bikes", BODY).json == ONE
    gateway.generation = 9
    gateway.want({"shop/bikes": endpoint({"blue": script("dep-1")})})
    assert gateway.status().error is None


def test_instances_and_times_change_without_a_new_process(gateway: Gateway, script: Script) -> None:
    one = script("dep-1", instances=1)
    gateway.start().want({"shop/bikes": endpoint({"blue": one})})
    first = gateway.scorers()
    gateway.want({"shop/bikes": endpoint({"blue": replace(one, instances=3, request_timeout_ms=200)})}, converge=False)

    def ready() -> bool:
        return gateway.applied().endpoints["shop/bikes"].deployments["blue"].ready_instances == 3

    wait_for(ready, "three instances")
    assert set(first) < set(gateway.scorers())
    assert gateway.client().score("shop/bikes", {"data": [[1]], "sleep": 1}).status == 504
    gateway.want({"shop/bikes": endpoint({"blue": one})})
    wait_for(lambda: gateway.scorers() == first, "two scorers to stop")


def test_killed_scorers_cost_no_request_when_others_stand_by(gateway: Gateway, script: Script) -> None:
    blue = script("dep-1", instances=3, max_queue_wait_ms=30_000, request_timeout_ms=60_000)
    gateway.start().want({"shop/bikes": endpoint({"blue": blue})})
    with Load(gateway, "shop/bikes", BODY) as load:
        for _ in range(4):
            load.more(20)
            os.kill(gateway.scorers()[0], signal.SIGKILL)
        load.more(50)
    assert not load.broken
    assert {answer.status for answer in load.answers} == {200}
    assert len({answer.request_id for answer in load.answers}) == len(load.answers)

    def healed() -> bool:
        status = gateway.status().endpoints["shop/bikes"].deployments["blue"]
        return status.ready_instances == 3 and status.restarts >= 1  # one killed while it loads is no restart

    wait_for(healed, "all instances to be back")


def test_a_request_that_kills_its_scorer_twice_is_502_and_the_deployment_recovers(
    gateway: Gateway, script: Script
) -> None:
    blue = script("dep-1", instances=2, max_queue_wait_ms=20_000, request_timeout_ms=60_000)
    gateway.start().want({"shop/bikes": endpoint({"blue": blue})})
    client = gateway.client()
    answer = client.score("shop/bikes", {"data": [[1]], "die": True})
    assert (answer.status, answer.error["code"]) == (502, "scorer_died")
    assert client.score("shop/bikes", BODY).json == ONE
    gateway.admin().flush()
    row = log.read(gateway.home, "shop", "bikes").row(0, named=True)
    assert (row["request_id"], row["status"], row["in.0"]) == (answer.request_id, 502, 1)


def test_scorers_die_with_their_gateway(gateway: Gateway, script: Script) -> None:
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1", instances=2)})})
    assert len(gateway.scorers()) == 2
    gateway.kill()
    wait_for(lambda: not gateway.scorers(), "the scorers' end")


def test_a_model_that_does_not_load_in_time_is_a_failure_that_says_so(
    gateway: Gateway, script: Script, tmp_path: Path
) -> None:
    (tmp_path / "score.py").write_text("import time\ndef init(): time.sleep(600)\ndef run(data): return 1")
    blue = script("dep-1", code_dir=str(tmp_path), start_timeout_ms=1000)  # its own, else the gateway's for all
    gateway.start().want({"shop/bikes": endpoint({"blue": blue})}, converge=False)
    status = wait_for(
        lambda: next((s for s in [gateway.applied().endpoints["shop/bikes"].deployments["blue"]] if s.error), None),
        "the failure",
    )
    assert (status.state, status.serving_id) == ("failed", None)
    assert "was not ready after 1 seconds" in status.error


def test_the_gateway_stops_while_a_model_is_still_loading(gateway: Gateway, script: Script, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("import time\ndef init(): time.sleep(600)\ndef run(data): return 1")
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1", code_dir=str(tmp_path))})}, converge=False)
    wait_for(gateway.scorers, "the scorer to begin")
    assert gateway.stop() == 0
    assert not gateway.scorers()


def test_a_python_that_does_not_exist_is_a_failure_that_says_so(gateway: Gateway, script: Script) -> None:
    blue = script("dep-1", python="/no/such/python")
    gateway.start().want({"shop/bikes": endpoint({"blue": blue})}, converge=False)
    status = wait_for(
        lambda: next((s for s in [gateway.applied().endpoints["shop/bikes"].deployments["blue"]] if s.error), None),
        "the failure",
    )
    assert "a scorer with /no/such/python cannot be started" in status.error
