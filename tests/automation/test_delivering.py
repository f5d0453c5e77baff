"""What is sent arrives once, or says of itself that it may have come before: also when the sender is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from doubleloop.automation import commands, delivering, messages, store, webhooks
from doubleloop.base import clock, errors
from doubleloop.events import commands as events
from doubleloop.events import queries as facts
from doubleloop.events.model import Fact
from doubleloop.monitoring import store as _store  # noqa: F401  (declares its tables before the house is built)
from doubleloop.specs import documents
from doubleloop.workspaces import declared

WORKER = Path(__file__).with_name("delivering_worker.py")


class Receiver(ThreadingHTTPServer):
    """Keeps what comes; before it answers a path that is to be fatal for the first time, it kills the sender."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, Any, dict[str, str]]] = []
        self.fatal: set[str] = set()
        self.victim: subprocess.Popen[bytes] | None = None

    def of(self, path: str) -> list[tuple[Any, dict[str, str]]]:
        return [(body, headers) for there, body, headers in self.seen if there == path]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): text for name, text in self.headers.items()}
        self.server.seen.append((self.path, json.loads(body), {**headers, "raw": body.decode()}))
        if self.path in self.server.fatal and self.server.victim is not None:
            self.server.fatal.remove(self.path)
            os.kill(self.server.victim.pid, signal.SIGKILL)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    if server.victim is not None:
        server.victim.kill()
        server.victim.wait()
    server.shutdown()
    server.server_close()


def told(house: Any, *types: str) -> list[Fact]:
    with house.read("service:setup", None) as ctx:
        return facts.facts(ctx, types=types)


def work(house: Any, receiver: Receiver, done: Callable[[], bool]) -> None:
    """Workers, each started when the one before was killed, until it is done."""
    deadline = time.monotonic() + 120
    while not done():
        assert time.monotonic() < deadline, "it did not come"
        if receiver.victim is None or receiver.victim.poll() is not None:
            receiver.victim = subprocess.Popen([sys.executable, str(WORKER), str(house.home)])
        time.sleep(0.05)


def test_a_worker_that_is_killed_between_sending_and_noting_sends_nothing_twice(house: Any, receiver: Receiver) -> None:
    """The webhook's repetition has the id of the first; messages to people are not repeated, which is on record."""
    place = f"127.0.0.1:{receiver.server_port}"
    do = f"[{{webhook: {{url: 'http://{place}/hook'}}}}, {{notify: {{to: ['json://{place}/people']}}}}]"
    text = f"$schema: doubleloop/rule\nname: react\non: monitor.alert\ndo: {do}\n"
    with house.write("ada", "dev") as ctx:
        commands.put_rule(ctx, documents.parse(text, "rule.yml", "/"))
    with house.write("service:setup", None) as ctx:
        declared.put(ctx, "notification", "team", {"url": f"json://{place}/team", "events": ["thing.broke"]})
    receiver.fatal = {"/hook", "/people", "/team"}
    # One after the other: what one message kills must not be on the way with another.
    for type_, ended in (("monitor.alert", "rule.failed"), ("thing.broke", "notification.failed")):
        with house.write("service:monitor", "dev") as ctx:
            events.record(ctx, type_, "monitor:m", value=12.5)
        work(house, receiver, lambda ended=ended: bool(told(house, ended)))  # type: ignore[misc]
    (first, one), (second, two) = receiver.of("/hook")
    assert first == second and first["id"] == one["idempotency-key"] == two["idempotency-key"]
    assert one["raw"] == two["raw"] and two["x-doubleloop-redelivered"] == "true"
    assert "x-doubleloop-redelivered" not in one
    assert len(receiver.of("/people")) == len(receiver.of("/team")) == 1
    (failed,) = told(house, "rule.failed")
    assert failed.data["results"][0]["done"].endswith("answered 200")
    assert "whether it arrived is not known" in failed.data["results"][1]["error"]
    assert "stopped while it sent to json://…" in told(house, "notification.failed")[0].data["error"]


def test_what_was_noted_as_sent_is_not_sent_again_whatever_became_of_the_step(house: Any) -> None:
    sent = []
    for promise in (delivering.AT_MOST_ONCE, delivering.AT_LEAST_ONCE):
        for _ in range(3):
            answer = delivering.once(
                house.contexts, "dev", promise, promise, lambda again: sent.append(again) or "200", "x"
            )
            assert answer == "200"
    assert sent == [False, False]


def silent() -> socket.socket:
    """It takes what is sent and never answers."""
    server = socket.create_server(("127.0.0.1", 0))

    def take() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.recv(65536)
            connection.close()

    threading.Thread(target=take, daemon=True).start()
    return server


def fact() -> Fact:
    return Fact(7, "monitor.alert", "dev", "monitor:m", "x", clock.now(), {"value": 1}, "", "")


@pytest.mark.parametrize("promise", ["at_least_once", "at_most_once"])
def test_a_connection_that_breaks_before_the_answer_is_a_doubt(house: Any, promise: str) -> None:
    server = silent()
    with server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        body = documents.parse(
            f"name: r\non: x\ndo: [{{webhook: {{url: '{url}', delivery: {promise}}}}}]\n", "r.yml", "/", kind="rule"
        ).model.do[0].webhook  # fmt: skip
        call = webhooks.Call("dev", "ada", "key-1", "rule:dev/r", {})
        kind = errors.Unavailable if promise == "at_least_once" else errors.Failed
        for _ in range(2):
            with pytest.raises(kind):
                webhooks.send(house.contexts, call, fact(), body)
        with house.read("ada", "dev") as ctx:
            found = store.delivery(ctx, "key-1")
    expected = ("claimed", 2) if promise == "at_least_once" else ("unknown", 1)
    assert found is not None and (found.state, found.attempts) == expected


def test_a_message_that_people_may_have_got_is_not_sent_again_and_one_that_never_left_is(house: Any) -> None:
    server = silent()
    with server:
        broken = f"json://127.0.0.1:{server.getsockname()[1]}/"
        with pytest.raises(errors.Failed, match="is not known"):
            messages.send(house.contexts, "dev", [broken], messages.Message("t", "x", "k1"), ("127.0.0.1",))
    for _ in range(2):  # nobody listens: nothing can have arrived
        with pytest.raises(errors.Unavailable):
            messages.send(house.contexts, "dev", [closed()], messages.Message("t", "x", "k2"), ("127.0.0.1",))


def closed() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"json://127.0.0.1:{taken.getsockname()[1]}/"


def test_who_has_a_message_does_not_get_it_again_when_another_could_not_be_reached(
    house: Any, receiver: Receiver
) -> None:
    targets = [f"json://127.0.0.1:{receiver.server_port}/a", closed()]
    message = messages.Message("t", "x", "k")
    for _ in range(3):
        with pytest.raises(errors.Unavailable):
            messages.send(house.contexts, "dev", targets, message, ("127.0.0.1",))
    assert len(receiver.of("/a")) == 1


@pytest.mark.parametrize("header", ["Idempotency-Key", "x-doubleloop-redelivered"])
def test_the_headers_that_name_a_delivery_are_not_the_authors_to_set(house: Any, header: str) -> None:
    text = f"name: r\non: x\ndo: [{{webhook: {{url: 'https://example.org', headers: {{{header}: a}}}}}}]\n"
    with pytest.raises(errors.InvalidInput, match="no header"):
        documents.parse(text, "r.yml", "/", kind="rule")
