"""What is not on the internet is not reached, however it is written, looked up or redirected to."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any

import apprise
import httpx
import pytest

from doubleloop.automation import messages
from doubleloop.base import errors
from doubleloop.data import commands as data
from doubleloop.outbound import commands, rules
from doubleloop.settings.model import Settings
from doubleloop.storage import ports as storage
from doubleloop.workspaces import commands as workspaces
from doubleloop.workspaces import queries as places

MESSAGE = messages.Message("title", "text", "key")
INSIDE = [
    "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "0.0.0.0",
    "100.64.0.1", "100.100.100.200", "198.18.0.1", "192.0.2.1", "224.0.0.1", "255.255.255.255", "240.0.0.1",
    "168.63.129.16", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::169.254.169.254",
    "2002:7f00:1::", "2002:a00:1::1", "::127.0.0.1",
]  # fmt: skip
OUTSIDE = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]


@pytest.mark.parametrize("text", INSIDE)
def test_what_is_inside_is_told_as_such(text: str) -> None:
    found = rules.address(text)
    assert found is not None
    assert not rules.is_public(found)
    assert not rules.allows((), found)
    assert rules.allows(("*",), found)


@pytest.mark.parametrize("text", OUTSIDE)
def test_what_is_outside_is_open(text: str) -> None:
    found = rules.address(text)
    assert found is not None
    assert rules.allows((), found)


def test_a_network_that_is_allowed_allows_no_other() -> None:
    allowed = rules.split("10.1.0.0/16, fd00::/8,, 192.168.1.7")
    rules.check(allowed)
    asked = ("10.1.2.3", "10.2.2.3", "fd00::1", "fe80::1", "192.168.1.7", "192.168.1.8", "::ffff:10.1.2.3")
    found = [(each, rules.address(each)) for each in asked]
    opened = [each for each, address in found if address is not None and rules.allows(allowed, address)]
    assert opened == ["10.1.2.3", "fd00::1", "192.168.1.7", "::ffff:10.1.2.3"]


def test_names_that_are_allowed_are_those_and_no_longer_ones() -> None:
    allowed = ("hooks.corp", "*.inner.example")
    assert rules.allows_name(allowed, "HOOKS.corp.")
    assert rules.allows_name(allowed, "a.inner.example")
    for other in ("hooks.corp.evil.example", "xhooks.corp", "inner.example", "inner.example.evil"):
        assert not rules.allows_name(allowed, other)


@pytest.mark.parametrize("word", ["http://x", "a b", "10.0.0.0/33", "x/y", "é", "-*-", "*x", "", "a;b"])
def test_what_cannot_be_allowed_is_refused(word: str) -> None:
    with pytest.raises(errors.InvalidInput):
        rules.check([word])
    if word:
        with pytest.raises(errors.InvalidInput):
            commands.allowances(word)


class Site:
    """A server on this machine that counts who came, and sends everybody on when it is told to."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        self.onward = ""
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.hits.append(self.path)
                self.rfile.read(int(self.headers.get("content-length") or 0))
                self.send_response(302 if site.onward and self.path != "/end" else 200)
                if site.onward:
                    self.send_header("location", site.onward)
                self.send_header("content-length", "7")
                self.end_headers()
                self.wfile.write(b"x\n1\n2\n\n")

            do_POST = do_GET

            def log_message(self, *_: Any) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


HOSTS = ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "[::1]",
         "[::ffff:127.0.0.1]", "0.0.0.0", "0"]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_no_way_to_write_this_machine_reaches_it(site: Site, host: str) -> None:
    url = f"http://{host}:{site.port}/secret"
    with pytest.raises(errors.NotPermitted, match="not on the internet"), commands.guarded((), url):
        httpx.get(url)
    with pytest.raises(errors.NotPermitted):
        commands.refuse_literal((), url)
    assert site.hits == []


@pytest.mark.parametrize(
    "url", ["", "file:///etc/passwd", "ftp://x", "gopher://x", "http://", "http:///x", "//x", "http://[", "http://a:b/",
            "http://x\r\nHost: y", "http://x y", "http://x\x00", "javascript:x"]
)  # fmt: skip
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(errors.InvalidInput), commands.guarded((), url):
        pytest.fail("it was let in")


def test_a_name_that_changes_its_meaning_between_two_looks_gains_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer is public, the second (whoever asks it) is this machine."""
    answers = ["93.184.216.34"]
    real = socket.getaddrinfo

    def rebinding(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host == "rebind.example":
            return real(answers.pop() if answers else "127.0.0.1", port, *args, **more)
        return real(host, port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    url = f"http://rebind.example:{site.port}/"
    with pytest.raises(errors.NotPermitted, match=r"127\.0\.0\.1"), commands.guarded((), url):
        httpx.get(url)
    assert (answers, site.hits) == ([], [])


def test_outside_of_the_guard_and_in_other_threads_everything_is_as_ever(site: Site) -> None:
    url = f"http://127.0.0.1:{site.port}/"
    with commands.guarded(()):
        thread = threading.Thread(target=httpx.get, args=(url,))
        thread.start()
        thread.join()
    httpx.get(url)
    assert len(site.hits) == 2


def test_neither_a_unix_socket_nor_a_datagram_gets_out(tmp_path: Any) -> None:
    for family, kind, target in (
        (socket.AF_UNIX, socket.SOCK_STREAM, str(tmp_path / "x.sock")),
        (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 9)),
    ):
        with socket.socket(family, kind) as tried, pytest.raises(errors.NotPermitted), commands.guarded(()):
            tried.connect(target)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried,
        pytest.raises(errors.NotPermitted),
        commands.guarded(()),
    ):
        tried.sendto(b"x", ("127.0.0.1", 9))


def closed(house: Any) -> None:
    house.ports[Settings] = Settings(home=house.home)


def test_data_of_an_address_inside_is_not_fetched_unless_it_is_allowed(house: Any, site: Site) -> None:
    closed(house)
    url = f"http://127.0.0.1:{site.port}/end"
    with pytest.raises(errors.NotPermitted) as caught:
        data.keep(house.contexts, house.actor("ada"), "dev", url)
    assert "DOUBLELOOP_PRIVATE_ADDRESSES" in caught.value.cure
    assert site.hits == []
    with house.write("service:setup", None) as ctx:
        before = places.get(ctx, "dev")
        workspaces.put(ctx, type(before)(before.name, before.kind, "", False, {"private_addresses": ["127.0.0.0/8"]}))
    assert data.keep(house.contexts, house.actor("ada"), "dev", url).startswith("tree:sha256:")
    with pytest.raises(errors.NotPermitted):
        data.keep(house.contexts, house.actor("ada"), "staging", url)


def test_a_redirect_is_judged_like_the_address_itself(house: Any, site: Site) -> None:
    """127.0.0.1 is allowed by the test's settings; where it sends us is not."""
    for inside in ("http://169.254.169.254/latest", "http://[::1]/", f"http://127.0.0.2:{site.port}/end"):
        site.onward = inside
        with pytest.raises(errors.NotPermitted):
            data.keep(house.contexts, house.actor("ada"), "dev", f"http://127.0.0.1:{site.port}/start")
    site.onward = "file:///etc/passwd"
    with pytest.raises((errors.InvalidInput, errors.Unavailable)):
        data.keep(house.contexts, house.actor("ada"), "dev", f"http://127.0.0.1:{site.port}/start")
    assert site.hits == ["/start"] * 4


def test_a_file_that_never_ends_is_not_kept(house: Any, site: Site) -> None:
    house.ports[Settings] = Settings(home=house.home, private_addresses="127.0.0.1", upload_limit=6)
    with pytest.raises(errors.TooLarge):
        data.keep(house.contexts, house.actor("ada"), "dev", f"http://127.0.0.1:{site.port}/end")
    assert not list((house.home / "blobs" / "incoming").iterdir())
    assert not house.contexts.port(storage.Blobs).has("0" * 64)


@pytest.mark.parametrize("target", ["json://127.0.0.1:%d/", "form://localhost:%d/x", "xml://2130706433:%d",
                                    "mailto://u:p@a.example?smtp=127.0.0.1&port=%d&mode=insecure",
                                    "rsyslog://127.0.0.1:%d", "json://127.0.0.1:%d/?rto=1&cto=1"])  # fmt: skip
def test_messages_do_not_go_inside_by_any_of_their_ways(house: Any, site: Site, target: str) -> None:
    with pytest.raises(errors.NotPermitted):
        messages.send(house.contexts, "dev", [target % site.port], MESSAGE)
    assert site.hits == []


def test_messages_go_where_it_is_allowed_and_not_on_from_there(house: Any, site: Site) -> None:
    allowed, end = ("127.0.0.1",), f"json://127.0.0.1:{site.port}/end"
    assert messages.send(house.contexts, "dev", [end], MESSAGE, allowed) == "told 1"
    site.onward = f"http://127.0.0.2:{site.port}/end"
    with pytest.raises((errors.NotPermitted, errors.Unavailable)):
        messages.send(house.contexts, "dev", [end.replace("end", "start")], MESSAGE, allowed)
    assert all(hit.rstrip("/") in ("/end", "/start") for hit in site.hits)


def test_no_message_is_left_on_the_machine_itself(house: Any) -> None:
    for address in ("syslog://", "dbus://", "gnome://", "windows://", "macosx://"):
        with pytest.raises(errors.InvalidInput):
            messages.send(house.contexts, "dev", [address], MESSAGE)
    assert "syslog" in str(apprise.Apprise().details()), "which apprise would do"
