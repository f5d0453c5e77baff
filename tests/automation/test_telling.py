"""Whoever asked to hear of something is told once, over real HTTP, and a failure to tell is on record."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from doubleloop.automation import loop, telling
from doubleloop.durable.fake import EagerEngine
from doubleloop.events import commands as events
from doubleloop.events import queries as facts
from doubleloop.identity import activations
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.workspaces import declared


class Mailbox(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.received: list[dict[str, Any]] = []
        self.status = 200


class Receiver(BaseHTTPRequestHandler):
    server: Mailbox

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    server = Mailbox()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def subscribe(house: Any, mailbox: Mailbox, *patterns: str, **more: Any) -> None:
    spec = {"url": f"json://127.0.0.1:{mailbox.server_port}/", "events": list(patterns), **more}
    with house.write("service:setup", None) as ctx:
        declared.put(ctx, "notification", "team", spec)


def happens(house: Any, type_: str, workspace: str | None = None) -> None:
    with house.write("service:setup", workspace) as ctx:
        events.record(ctx, type_, "thing:1", reason="the moon is full")


def carry_out(house: Any) -> None:
    watching = loop.Loop(house.contexts, 0.01)
    while watching.tick():
        pass
    EagerEngine(house.contexts, telling.WORKFLOWS).run()


def told(house: Any, *types: str) -> list[Any]:
    with house.read("service:setup", None) as ctx:
        return facts.facts(ctx, types=types)


def test_rights_just_in_time_are_told_of_when_asked_for_begun_and_over(house: Any, mailbox: Mailbox) -> None:
    subscribe(house, mailbox, "activation.*")
    group = identities.Group("support", identities.Persona.PLATFORM_SUPPORT, ("ada",), ("prod",), just_in_time=True)
    with house.write("service:setup", None) as ctx:
        identity.put_group(ctx, group)
    with house.write("ada", None) as ctx:
        asked = activations.activate(ctx, "group:support", "ticket 4711", timedelta(hours=1))
    with house.write("ada", None) as ctx:
        activations.end(ctx, asked.id)
    carry_out(house)
    carry_out(house)
    heard = {each["title"].removeprefix("Doubleloop: activation."): each["message"] for each in mailbox.received}
    assert heard.keys() == {"requested", "started", "ended"}  # each is a workflow of its own: they come as they come
    assert "ticket 4711" in heard["requested"] and "ada" in heard["requested"]
    assert len(told(house, "notification.sent")) == 3


def test_who_may_approve_is_told_without_asking_to_be_and_nobody_else(house: Any, mailbox: Mailbox) -> None:
    """grace, the only one who asks and could answer in her group, is not told of her own question by it."""
    support = identities.Persona.PLATFORM_SUPPORT
    with house.write("service:setup", None) as ctx:
        for name in ("night", "desk", "science", "leads"):
            spec = {"url": f"json://127.0.0.1:{mailbox.server_port}/{name}", "events": []}
            declared.put(ctx, "notification", name, spec)
        declared.put(ctx, "notification", "night", {**spec, "events": ["activation.requested"]})
        for name, persona, members, more in (
            ("owners", support, ("linus",), ("night",)), ("desk", support, ("grace",), ("desk",)),
            ("science", identities.Persona.DATA_SCIENTIST, ("ada",), ("science",)),
        ):  # fmt: skip
            identity.put_group(ctx, identities.Group(name, persona, members, (), False, False, *more))
        identity.put_group(ctx, identities.Group("night", support, ("grace",), ("prod",), True, True))
    with house.write("grace", None) as ctx:
        asked = activations.activate(ctx, "group:night", "ticket 4712", timedelta(hours=1))
    carry_out(house)
    (heard,) = mailbox.received  # once, although the target hears of it by its own events too
    assert (
        asked.status == "waiting" and "ticket 4712" in heard["message"] and "needs_approval: True" in heard["message"]
    )
    assert [each.subject for each in told(house, "notification.sent")] == ["notification:night"]
    with house.write("linus", None) as ctx:
        activations.decide(ctx, asked.id, True)
    carry_out(house)
    assert len(mailbox.received) == 1, "what is decided waits for nobody"


def test_alerts_are_told_to_the_groups_of_the_persona_that_they_concern(house: Any, mailbox: Mailbox) -> None:
    people = identities.Persona
    with house.write("service:setup", None) as ctx:
        for name, persona, places in (
            ("science", people.DATA_SCIENTIST, ()), ("platform", people.PLATFORM_SUPPORT, ()),
            ("elsewhere", people.DATA_SCIENTIST, ("staging",)),
        ):  # fmt: skip
            spec = {"url": f"json://127.0.0.1:{mailbox.server_port}/", "events": []}
            declared.put(ctx, "notification", name, spec)
            identity.put_group(ctx, identities.Group(name, persona, ("ada",), places, notify=name))
    for tell, type_ in (
        (["data_scientist"], "monitor.alert"), (["platform_support"], "alert.reopened"),
        (["data_scientist"], "alert.acknowledged"),
    ):  # fmt: skip
        with house.write("service:monitor", "prod") as ctx:
            events.record(ctx, type_, "monitor:prod/m", tell=tell)
    carry_out(house)
    assert {each.subject for each in told(house, "notification.sent")} == {
        "notification:science", "notification:platform",
    }  # fmt: skip
    assert len(mailbox.received) == 2


def test_only_what_was_named_in_the_workspaces_that_were_named(house: Any, mailbox: Mailbox) -> None:
    subscribe(house, mailbox, "thing.*", workspaces=["prod"])
    happens(house, "thing.broke", "prod")
    happens(house, "thing.broke", "dev")
    happens(house, "other.broke", "prod")
    happens(house, "thing.ended")
    carry_out(house)
    heard = sorted(each["title"] for each in mailbox.received)
    assert heard == ["Doubleloop: thing.broke in prod", "Doubleloop: thing.ended"]


def test_a_target_that_hears_of_everything_does_not_hear_of_its_own_messages(house: Any, mailbox: Mailbox) -> None:
    subscribe(house, mailbox, "*")
    happens(house, "thing.broke")
    carry_out(house)
    before = len(mailbox.received)
    assert before
    carry_out(house)
    assert len(mailbox.received) == before


def test_one_that_cannot_be_reached_is_tried_again_and_then_on_record(
    house: Any, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "PAUSE_SECONDS", 0.0)
    subscribe(house, mailbox, "thing.broke")
    mailbox.status = 500
    happens(house, "thing.broke")
    carry_out(house)
    assert len(mailbox.received) == telling.ATTEMPTS
    (failed,) = told(house, "notification.failed")
    assert "could not be told" in failed.data["error"]


def test_an_address_that_is_a_secret_is_on_record_as_not_told(house: Any, mailbox: Mailbox) -> None:
    subscribe(house, mailbox, "thing.broke", url="json://${{secrets.hook}}")
    happens(house, "thing.broke")
    carry_out(house)
    assert "is a secret" in told(house, "notification.failed")[0].data["error"]
