"""The client waits for a server that is not ready, never does a thing twice by itself, and hands on its errors."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from small_server import TOKEN, Reply, SmallServer, listening

from doubleloop.base import errors
from doubleloop.sdk import client as clients
from doubleloop.sdk import transport
from doubleloop.storage.local import LocalBlobs

BUSY = Reply(503, errors.Unavailable("starting").to_dict())


def test_the_token_is_sent_with_every_request(client: clients.Client, server: SmallServer) -> None:
    server.on("GET", "me", {"user": "ada"})
    assert client.me() == {"user": "ada"}
    assert server.seen[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_server_that_answers_503_is_asked_again(client: clients.Client, server: SmallServer, sleeps: Any) -> None:
    server.on("GET", "me", BUSY, BUSY, {"user": "ada"})
    assert client.me() == {"user": "ada"}
    assert len(server.seen) == 3
    assert 0 < sleeps[0] < sleeps[1]


def test_retry_after_is_waited_for(client: clients.Client, server: SmallServer, sleeps: Any) -> None:
    server.on("GET", "me", Reply(503, BUSY.body, {"Retry-After": "4"}), {"user": "ada"})
    client.me()
    assert sleeps == [4.0]


def test_patience_ends_with_the_words_of_the_server(client: clients.Client, server: SmallServer, sleeps: Any) -> None:
    server.on("GET", "me", Reply(503, errors.Unavailable("the database is being moved", cure="Wait.").to_dict()))
    with pytest.raises(errors.Unavailable, match="the database is being moved") as caught:
        client.me()
    assert caught.value.cure == "Wait."
    assert sum(sleeps) <= 10


def test_a_503_is_asked_again_even_for_what_must_not_be_done_twice(client: clients.Client, server: SmallServer) -> None:
    server.on("POST", "releases/r1/approve", BUSY, {"id": "r1", "status": "running"})
    assert client.releases.approve("r1", "d")["status"] == "running"


def test_a_broken_answer_to_an_approval_is_not_sent_again(client: clients.Client, server: SmallServer) -> None:
    server.on("POST", "releases/r1/approve", Reply(200, {}, cut=0))
    with pytest.raises(errors.Unavailable, match="broke during POST /api/v1/releases/r1/approve") as caught:
        client.releases.approve("r1", "d")
    assert "before you repeat it" in caught.value.cure
    assert len(server.seen) == 1


def test_a_broken_answer_to_a_submission_is_sent_again_with_the_same_id(
    client: clients.Client, server: SmallServer
) -> None:
    server.on("POST", "workspaces/dev/jobs", Reply(200, {}, cut=0), lambda seen: {"id": seen.json["id"]})
    job = client.workspace("dev").jobs.submit({"kind": "command_job"})
    first, second = (seen.json["id"] for seen in server.seen)
    assert first == second == job["id"]


def test_an_answer_that_stops_in_the_middle_is_an_error(client: clients.Client, server: SmallServer) -> None:
    server.on("POST", "logout", Reply(200, {"text": "x" * 100}, cut=20))
    with pytest.raises(errors.Unavailable, match="broke"):
        client.logout()


def test_a_server_that_is_not_there_is_unavailable_with_a_cure(sleeps: Any, patience: transport.Patience) -> None:
    with pytest.raises(errors.Unavailable, match="does not answer") as caught:
        clients.Client(f"http://127.0.0.1:{_free_port()}", patience=patience).health()
    assert "doubleloop up" in caught.value.cure
    assert sum(sleeps) <= 1


def test_a_server_that_answered_before_is_given_time_to_come_back(
    tmp_path: Path, sleeps: Any, patience: transport.Patience
) -> None:
    small = SmallServer(LocalBlobs(tmp_path))
    small.on("GET", "me", {"user": "ada"})
    with listening(small):
        client = clients.Client(small.url, patience=patience)
        client.me()
        client.link.close()
    with pytest.raises(errors.Unavailable, match="does not answer"):
        client.me()
    assert 6 < sum(sleeps) <= 10


def test_a_server_that_comes_back_is_found_again_also_for_approvals(tmp_path: Path) -> None:
    port, small = _free_port(), SmallServer(LocalBlobs(tmp_path))
    small.on("POST", "releases/r1/approve", {"status": "running"})
    with ExitStack() as stack:
        patience = transport.Patience(sleep=lambda _: stack.enter_context(listening(small, port)) and None)
        client = clients.Client(f"http://127.0.0.1:{port}", patience=patience)
        assert client.releases.approve("r1", "d") == {"status": "running"}
    assert len(small.seen) == 1


def test_a_connection_that_was_closed_while_idle_is_opened_again(client: clients.Client, server: SmallServer) -> None:
    server.on("GET", "me", Reply(200, {"user": "ada"}, {"Connection": "close"}), {"user": "ada"})
    server.on("POST", "logout", {})
    client.me()
    client.me()
    client.logout()
    assert [seen.method for seen in server.seen] == ["GET", "GET", "POST"]


@pytest.mark.parametrize("kind", errors.BY_CODE.values(), ids=lambda kind: kind.code)
def test_every_error_of_the_server_is_the_same_error_here(
    kind: type[errors.DoubleloopError], client: clients.Client, server: SmallServer
) -> None:
    sent = kind("what", where=errors.Where("job.yml", 3, "jobs.train"), cure="cure", details={"a": 1})
    server.on("POST", "login", Reply(sent.status, sent.to_dict()))
    with pytest.raises(errors.DoubleloopError) as caught:
        client.login("ada", "x")
    assert type(caught.value) is kind
    assert caught.value.to_dict() == sent.to_dict()


def test_an_error_that_is_not_ours_keeps_its_class_and_text(client: clients.Client, server: SmallServer) -> None:
    server.on("GET", "me", Reply(404, b"<h1>nginx</h1>"))
    with pytest.raises(errors.NotFound, match=r"answered 404: <h1>nginx</h1>"):
        client.me()


def test_an_answer_that_is_not_json_says_so(client: clients.Client, server: SmallServer) -> None:
    server.on("GET", "me", Reply(200, b"<html>", {"Content-Type": "text/html"}))
    with pytest.raises(errors.Unavailable, match="not JSON but text/html"):
        client.me()


def test_a_name_cannot_reach_another_route(client: clients.Client, server: SmallServer) -> None:
    server.on("GET", "releases/*", {"id": "x"})
    for name in ("../users", "a/b?c#d", "ü ö", "."):
        client.releases.show(name)
    assert [seen.path for seen in server.seen] == [
        "/api/v1/releases/..%2Fusers", "/api/v1/releases/a%2Fb%3Fc%23d", "/api/v1/releases/%C3%BC%20%C3%B6",
        "/api/v1/releases/%2E",
    ]  # fmt: skip


def test_listings_run_over_all_pages(client: clients.Client, server: SmallServer) -> None:
    pages = {None: ([1, 2], "b"), "b": ([3], "c"), "c": ([], None)}

    def page(seen: Any) -> dict[str, Any]:
        items, following = pages[seen.query.get("after")]
        return {"items": [{"name": each} for each in items], "next": following}

    server.on("GET", "users", page)
    assert [user["name"] for user in client.users.list()] == [1, 2, 3]


def test_a_limit_stops_the_listing(client: clients.Client, server: SmallServer) -> None:
    server.on("GET", "releases", {"items": [{"id": "a"}, {"id": "b"}], "next": "more"})
    assert [each["id"] for each in client.releases.list(limit=3)] == ["a", "b", "a"]
    assert server.seen[0].query == {"limit": "3"}


def test_an_address_that_is_none_is_refused() -> None:
    for address in ("127.0.0.1:8600", "ftp://x", "http://"):
        with pytest.raises(errors.InvalidInput, match="not the address of a server"):
            clients.Client(address)


def test_a_server_behind_a_path_is_reached(server: SmallServer, patience: transport.Patience) -> None:
    client = clients.Client(server.url + "/ml/", patience=patience)
    with pytest.raises(errors.NotFound):
        client.me()
    assert server.seen[0].path == "/ml/api/v1/me"


def test_progress_of_a_build_arrives_line_by_line_and_its_error_is_raised(
    client: clients.Client, server: SmallServer
) -> None:
    failed = errors.Failed("no such package", where=errors.Where("conda.yml", 4)).to_dict()
    lines = [b'{"progress": "resolving"}', b'{"progress": "downloading"}']
    server.on("POST", "workspaces/dev/environments/e/versions/1/build", Reply(200, b"\n".join([*lines, _json(failed)])),
              Reply(200, b"\n".join([*lines, b'{"result": {"lock_digest": "ab"}}'])), Reply(200, lines[0]))  # fmt: skip
    environments, heard = client.workspace("dev").environments, []
    with pytest.raises(errors.Failed, match="no such package"):
        environments.build("e", "1", heard.append)
    assert environments.build("e", "1", heard.append) == {"lock_digest": "ab"}
    assert heard == ["resolving", "downloading"] * 2
    with pytest.raises(errors.Unavailable, match="broke off"):
        environments.build("e", "1", heard.append)


def test_a_refusal_before_a_large_body_is_read_is_heard(tmp_path: Path, patience: transport.Patience) -> None:
    big = tmp_path / "big"
    big.write_bytes(b"x" * (32 << 20))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        import threading

        body = _json(errors.TooLarge("too much").to_dict())

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                head = f"HTTP/1.1 413 Large\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode() + body)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 20):  # a polite server: reads what is on its way before it closes
                    pass

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        client = clients.Client(f"http://127.0.0.1:{listener.getsockname()[1]}", patience=patience)
        with pytest.raises(errors.TooLarge, match="too much"):
            client.blobs.put(big, "0" * 64, big.stat().st_size)
        client.link.close()
        thread.join(5)


def _json(value: Any) -> bytes:
    import json

    return json.dumps(value).encode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
