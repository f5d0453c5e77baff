"""Several processes answer on one port: as one gateway does, also when one of them is killed."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
from collections.abc import Callable

import pytest
from gateway_harness import KEY, Client, Gateway, Load, deployment, endpoint, processes, wait_for

from doubleloop.gateway import desired, log, protocol, sealing

BODY = {"data": [[1, 2], [3, 4]]}
ONE, TWO = [3, 7], [1003, 1007]
PROCESSES = 3
Script = Callable[..., protocol.Deployment]


@pytest.fixture
def several(gateway: Gateway) -> Gateway:
    gateway.options["processes"] = PROCESSES
    return gateway


def fronts(gateway: Gateway) -> list[int]:
    """Process ids of those that only answer."""
    return [pid for pid, arguments in processes() if "gateway.front" in arguments and str(gateway.home) in arguments]


def connections(gateway: Gateway, of: int, most: int = 200) -> dict[int, Client]:
    """A client whose connection is held by each of ``of`` processes."""
    found: dict[int, Client] = {}
    for _ in range(most):
        client = gateway.client()
        assert client.send("GET", "/health").status == 200
        holder = holder_of(gateway, client)
        if holder in found:
            client.close()
        else:
            found[holder] = client
        if len(found) == of:
            return found
    raise AssertionError(f"{most} connections reached {len(found)} processes")


def holder_of(gateway: Gateway, client: Client) -> int:
    """The process that has the other end of a client's connection."""
    port = client._connection.sock.getsockname()[1]
    wanted = f"{gateway.port:04X}", f"{port:04X}"
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file.read().splitlines()[1:]]
    inode = next(row[9] for row in rows if (row[1].split(":")[1], row[2].split(":")[1]) == wanted)
    for pid in (gateway.process.pid, *fronts(gateway)):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            try:
                if os.readlink(f"/proc/{pid}/fd/{descriptor}") == f"socket:[{inode}]":
                    return pid
            except OSError:
                continue
    raise AssertionError("nobody holds the connection")


def status_of(gateway: Gateway) -> protocol.DeploymentStatus:
    return gateway.status().endpoints["shop/bikes"].deployments["blue"]


def test_every_process_answers_and_what_they_did_is_told_as_one(several: Gateway, script: Script) -> None:
    slo = desired.Slo(availability=99.0, latency=90.0, latency_threshold_ms=60_000)
    several.start().want({"shop/bikes": endpoint({"blue": script("dep-1", "one", instances=2)}, slo=slo)})
    clients = connections(several, PROCESSES)
    answers = [client.score("shop/bikes", BODY) for client in clients.values() for _ in range(4)]
    assert [answer.json for answer in answers] == [ONE] * len(answers)
    for client in clients.values():
        assert client.score("shop/bikes", BODY, key="wrong").status == 401
        assert client.score("shop/bikes", {"data": [[1]], "raise": "no"}).status == 500
        labels = json.dumps({"labels": [{"request_id": answers[0].request_id, "value": 1}]}).encode()
        headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
        assert client.send("POST", "/shop/bikes/labels", labels, headers).status == 202
    counted = status_of(several).counters
    assert (counted.requests, counted.server_errors, counted.in_flight) == (5 * PROCESSES, PROCESSES, 0)
    assert sum(counted.latency) == 5 * PROCESSES
    availability = several.status().endpoints["shop/bikes"].objectives[0]
    assert (availability.valid, availability.consumed) == (5 * PROCESSES, PROCESSES)
    for client in clients.values():  # whichever is asked
        text = client.send("GET", "/metrics").body.decode()
        assert re.search(r'^doubleloop_requests_total{.*code="200"} 12$', text, re.MULTILINE)
        assert re.search(rf'^doubleloop_refused_total{{.*code="401"}} {PROCESSES}$', text, re.MULTILINE)
    several.admin().flush()
    rows = log.read(several.home, "shop", "bikes")
    assert set(rows.filter(rows["status"] == 200)["request_id"]) == {answer.request_id for answer in answers}
    assert log.read_labels(several.home, "shop", "bikes").height == 1
    assert several.stop() == 0
    assert not fronts(several) and not several.scorers()


def test_no_request_fails_while_deployments_are_replaced_under_load(several: Gateway, script: Script) -> None:
    several.start().want({"shop/bikes": endpoint({"blue": script("dep-1", "one")})})
    connections(several, PROCESSES)
    with Load(several, "shop/bikes", BODY, threads=8) as load:
        for number in range(2, 4):
            load.more(30)
            blue = script(f"dep-{number}", ("one", "two")[number % 2 == 0], instances=number)
            several.want({"shop/bikes": endpoint({"blue": blue})})
        load.more(30)
        several.want({"shop/bikes": endpoint({"blue": script("dep-3", "one", instances=1)})})
        load.more(30)
    assert not load.broken
    assert {answer.status for answer in load.answers} == {200}
    assert {tuple(answer.json) for answer in load.answers} == {tuple(ONE), tuple(TWO)}
    assert load.answers[-1].json == ONE
    several.admin().flush()
    rows = log.read(several.home, "shop", "bikes")
    assert sorted(rows["request_id"].unique()) == sorted(answer.request_id for answer in load.answers)


def test_a_killed_process_costs_its_own_connections_and_no_answered_request(several: Gateway, script: Script) -> None:
    several.start().want({"shop/bikes": endpoint({"blue": script("dep-1", "one", instances=2)})})
    clients = connections(several, PROCESSES)
    killed = fronts(several)[0]
    kept = [client for holder, client in clients.items() if holder != killed]
    before = [client.score("shop/bikes", BODY) for client in clients.values()]
    os.kill(killed, signal.SIGKILL)
    with pytest.raises((OSError, http.client.HTTPException)):
        clients[killed].score("shop/bikes", BODY)
    during = [client.score("shop/bikes", BODY) for client in kept for _ in range(3)]
    wait_for(lambda: len(fronts(several)) == PROCESSES - 1 and several.status().converged, "another in its place")
    assert killed not in fronts(several)
    again = connections(several, PROCESSES)
    after = [client.score("shop/bikes", BODY) for client in again.values()]
    answers = [*before, *during, *after]
    assert {(answer.status, tuple(answer.json)) for answer in answers} == {(200, tuple(ONE))}
    several.admin().flush()
    rows = log.read(several.home, "shop", "bikes")
    assert set(rows["request_id"]) == {answer.request_id for answer in answers}


def test_processes_end_with_the_first(several: Gateway, script: Script) -> None:
    several.start().want({"shop/bikes": endpoint({"blue": script("dep-1")})})
    client = next(client for holder, client in connections(several, PROCESSES).items() if holder in fronts(several))
    answered = client.score("shop/bikes", BODY).request_id
    several.kill()
    wait_for(lambda: not fronts(several) and not several.scorers(), "the others' end")
    several.start().converged()
    several.admin().flush()
    assert answered in set(log.read(several.home, "shop", "bikes")["request_id"])


def test_a_killed_scorer_is_replaced_for_every_process(several: Gateway, script: Script) -> None:
    blue = script("dep-1", "one", max_queue_wait_ms=60_000, request_timeout_ms=60_000)
    several.start().want({"shop/bikes": endpoint({"blue": blue})})
    clients = connections(several, PROCESSES)
    os.kill(several.scorers()[0], signal.SIGKILL)
    assert [client.score("shop/bikes", BODY).json for client in clients.values()] == [ONE] * PROCESSES
    assert status_of(several).restarts == 1


def test_a_scorer_that_one_process_finds_stuck_is_ended(several: Gateway, script: Script) -> None:
    several.options |= {"stuck_after": 0.5}
    several.start().want({"shop/bikes": endpoint({"blue": script("dep-1", "one", request_timeout_ms=500)})})
    stuck = several.scorers()
    front = fronts(several)[0]
    assert connections(several, PROCESSES)[front].score("shop/bikes", {"data": [[1]], "sleep": 600}).status == 504
    wait_for(lambda: several.scorers() and several.scorers() != stuck, "another scorer")


def test_instances_follow_the_load_of_all_processes(several: Gateway, script: Script) -> None:
    scale = protocol.Scale(min_instances=1, max_instances=2, polling_interval_ms=200)
    blue = script("dep-1", scale=scale, max_queue_wait_ms=60_000, request_timeout_ms=60_000)
    several.start().want({"shop/bikes": endpoint({"blue": blue})})
    of_fronts = [client for holder, client in connections(several, PROCESSES).items() if holder in fronts(several)]
    with Load(several, "shop/bikes", {"data": [[1]], "sleep": 0.2}, threads=4) as load:
        wait_for(lambda: status_of(several).ready_instances == 2, "a second instance")
        load.more(4)
    assert not load.broken
    assert [client.score("shop/bikes", BODY).json for client in of_fronts] == [ONE] * len(of_fronts)


def test_a_secret_of_the_scorer_stays_unseen_by_the_callers_of_every_process(several: Gateway, script: Script) -> None:
    (several.home / "secret.key").parent.mkdir(parents=True, exist_ok=True)
    (several.home / sealing.KEY_FILE).write_text("a key of this home")
    value = "a-password-that-nobody-sees"
    sealed = {"PASSWORD": sealing.seal(several.home, "dep-1", "PASSWORD", value)}
    blue = script("dep-1", "one", secrets={"PASSWORD": "password"}, sealed=sealed)
    several.start().want({"shop/bikes": endpoint({"blue": blue})})
    for client in connections(several, PROCESSES).values():
        answer = client.score("shop/bikes", {"data": [[1]], "raise": f"refused: {value}"})
        assert answer.status == 500
        assert value not in answer.body.decode() and "refused" in answer.body.decode()


def test_a_port_that_another_gateway_shares_among_its_processes_is_taken(
    several: Gateway,
) -> None:
    several.start()
    other = Gateway(several.home.parent / "other", {"port": several.port, "processes": 2})
    with pytest.raises(AssertionError, match="cannot listen on"):
        other.start()


def test_no_process_at_all_is_refused(gateway: Gateway) -> None:
    gateway.options["processes"] = 0
    with pytest.raises(AssertionError, match="at least one must answer"):
        gateway.start()


def test_batches_across_processes_are_answered_each_to_its_own(several: Gateway, models: object) -> None:
    """Requests that wait in one scorer are scored together, whichever process sent them."""
    blue = deployment("dep-1", models.path("bikes"), compile=False, max_queue_wait_ms=60_000, request_timeout_ms=60_000)
    several.start().want({"shop/bikes": endpoint({"blue": blue})})
    rows = [models.frame.iloc[[number]] for number in range(12)]
    expected = [client_answer(several.client(), row) for row in rows]
    loads = []
    for row in rows:
        loads.append(Load(several, "shop/bikes", {"dataframe_split": row.to_dict("split")}, threads=1))
    for load in loads:
        load.__enter__()
    for load in loads:
        load.more(20)
    for load in loads:
        load.stop()
    for load, right in zip(loads, expected, strict=True):
        assert not load.broken
        assert {answer.body for answer in load.answers} == {right}


def client_answer(client: Client, row: object) -> bytes:
    answer = client.score("shop/bikes", {"dataframe_split": row.to_dict("split")})
    assert answer.status == 200, answer.body
    return answer.body
