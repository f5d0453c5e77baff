"""Mail goes through the installation's mail server, over real SMTP: tried again on "not now", and never twice."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from doubleloop.automation import loop, messages, telling
from doubleloop.base import errors
from doubleloop.durable.fake import EagerEngine
from doubleloop.events import commands as events
from doubleloop.events import queries as facts
from doubleloop.settings.model import Settings


class MailServer(socketserver.ThreadingTCPServer):
    """Answers RCPT with ``reply``, and hangs up after the text when ``hangs_up``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.reply, self.hangs_up, self.tries, self.login = "250 ok", False, 0, ""
        self.mails: list[tuple[str, str]] = []  # to, text

    @property
    def url(self) -> str:
        return f"mailto://127.0.0.1:{self.server_address[1]}?from=doubleloop@example.com"


class Conversation(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.say("220 here")
        to = ""
        while line := self.rfile.readline().decode().strip():
            verb = line[:4].upper()
            if verb == "RCPT":
                self.server.tries += 1
                to = line.partition("<")[2].rstrip(">")
                self.say(self.server.reply)
            elif verb == "EHLO" and self.server.login:
                self.say("250-here\r\n250 AUTH PLAIN")
            elif verb == "AUTH":
                self.say(self.server.login)
            elif verb == "DATA":
                self.say("354 go on")
                self.server.mails.append((to, self.text()))
                if self.server.hangs_up:
                    return
                self.say("250 taken")
            else:
                self.say("250 ok")

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def text(self) -> str:
        lines = b"".join(iter(self.rfile.readline, b".\r\n"))
        body = message_from_bytes(lines, policy=policy.default).get_body(("html", "plain"))
        assert body is not None
        return str(body.get_content())


@pytest.fixture
def server(house: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """The mail server of the installation, inside of its network: naming it is the permission to reach it."""
    found = MailServer()
    thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    house.ports[Settings] = Settings(home=house.home, mail_url=found.url)
    monkeypatch.setattr(telling, "PAUSE_SECONDS", 0.0)
    yield found
    found.shutdown()
    found.server_close()


def alert(house: Any, **data: Any) -> None:
    with house.write("service:monitor", "prod") as ctx:
        events.record(ctx, "monitor.alert", "monitor:prod/m", **data)


def carry_out(house: Any) -> dict[str, list[Any]]:
    watching = loop.Loop(house.contexts, 0.01)
    while watching.tick():
        pass
    EagerEngine(house.contexts, telling.WORKFLOWS).run()
    with house.read("service:setup", None) as ctx:
        types = ("notification.sent", "notification.failed")
        return {type_: facts.facts(ctx, types=(type_,)) for type_ in types}


def test_the_mailboxes_of_a_monitor_get_one_mail_for_all_alerts_of_a_run(house: Any, server: MailServer) -> None:
    both = ["abc@example.com", "def+ml@example.com"]
    alert(house, run="r1", signal="inputs", metric="psi", value=0.4, emails=both, columns=["<script>"])
    alert(house, run="r1", signal="quality", metric="null_value_rate", value=0.5, emails=both)
    alert(house, run="r2", signal="inputs", metric="psi", value=0.6, emails=both[:1])
    said = carry_out(house)
    assert sorted(to for to, _ in server.mails) == [both[0], both[0], both[1]]
    (first,) = (text for to, text in server.mails if to == both[1])
    assert "inputs" in first and "The same run also found" in first and "null_value_rate 0.5" in first
    assert "\r\n  metric: psi\r\n" in first and "<script>" in first, "text, line by line, and no HTML"
    assert {each.subject for each in said["notification.sent"]} == {f"notification:{each}" for each in both}


@pytest.mark.parametrize(
    ("reply", "hangs_up", "tries", "why"),
    [
        ("450 greylisted", False, telling.ATTEMPTS, "could not be told"),
        ("550 no such user", False, 1, "refused it (550)"),
        ("250 ok", True, 1, "whether it arrived is not known"),
    ],
)
def test_what_a_mail_server_answers_decides_whether_it_is_tried_again(
    house: Any, server: MailServer, reply: str, hangs_up: bool, tries: int, why: str
) -> None:
    server.reply, server.hangs_up = reply, hangs_up
    alert(house, run="r1", emails=["abc@example.com"])
    (failed,) = carry_out(house)["notification.failed"]
    assert server.tries == tries and why in failed.data["error"]


def test_one_that_is_away_is_tried_again_and_the_error_says_what_to_set(
    house: Any, server: MailServer, tmp_path: Path
) -> None:
    message = messages.Message("title", "text", "key")
    file = tmp_path / "mail"
    house.ports[Settings] = Settings(home=house.home, mail_url_file=str(file))
    with pytest.raises(errors.Unavailable, match="DOUBLELOOP_MAIL_URL_FILE"):
        messages.send(house.contexts, "prod", ["abc@example.com"], message)
    file.write_text(server.url.replace("127.0.0.1", "u:p@127.0.0.1") + "\n")
    server.login = "535 wrong password"
    with pytest.raises(errors.Unavailable, match=r"could not be told \(535\)"):  # who mends it gets the message
        messages.send(house.contexts, "prod", ["abc@example.com"], message)
    server.login = ""
    with pytest.raises(errors.Unavailable, match=r"abc@example\.com could not be told"):  # this server knows no login
        messages.send(house.contexts, "prod", ["abc@example.com"], message)
    file.write_text(server.url)
    assert messages.send(house.contexts, "prod", ["abc@example.com"], message) == "told 1"
    house.ports[Settings] = Settings(home=house.home, private_addresses="127.0.0.1", mail_url="smtp.example.com")
    with pytest.raises(errors.InvalidInput, match="names no mail server"):
        messages.send(house.contexts, "prod", ["def@example.com"], message)
    house.ports[Settings] = Settings(home=house.home)
    with pytest.raises(errors.Unavailable) as error:
        messages.send(house.contexts, "prod", ["a@localhost"], message, ("*",))
    assert "DOUBLELOOP_MAIL_URL" in error.value.cure


def test_what_one_address_refused_is_not_asked_of_it_again_while_another_is_away(
    house: Any, server: MailServer
) -> None:
    """Both are told by one action, which is tried again until the second is there."""
    message = messages.Message("title", "text", "key")
    server.reply = "550 no such user"
    away = "json://127.0.0.1:9/"
    for _ in range(2):
        with pytest.raises(errors.Unavailable):
            messages.send(house.contexts, "prod", ["abc@example.com", away], message, ("127.0.0.1",))
    assert server.tries == 1
