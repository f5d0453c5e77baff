"""What a scorer does with streams, over real sockets: no more than there is room for, and none for who has gone."""

from __future__ import annotations

import marshal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_harness import wait_for

from doubleloop.gateway import wire
from doubleloop.scorer import wire as scorer_wire
from doubleloop.scorer import work

LETTER = b'"a"'


class Letters:
    """``made``: how many pieces it has made; ``ended``: of how many answers it was told to make no more."""

    def __init__(self) -> None:
        self.made = self.ended = 0

    def predict(self, header: dict[str, Any], body: bytes) -> list[int]:
        return [header["rows"]]

    def predict_stream(self, header: dict[str, Any]) -> Iterator[str]:
        try:
            for _ in range(header["input"]):
                self.made += 1
                yield "a"
        finally:
            self.ended += 1


class Asker:
    """One process of the gateway's: its end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._decoder = sock, wire.Decoder()
        self._frames: list[tuple[dict[str, Any], bytes]] = []
        sock.settimeout(30)

    def send(self, **header: Any) -> None:
        head = marshal.dumps(header, 2)
        self._sock.sendall(wire.LENGTHS.pack(len(head), 0) + head)

    def next(self) -> tuple[str, int, bytes]:
        while not self._frames:
            self._frames += self._decoder.feed(self._sock.recv(65536))
        header, body = self._frames.pop(0)
        return header["op"], header.get("id", 0), body

    def close(self) -> None:
        self._sock.close()


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[tuple[Letters, Asker, Asker]]:
    """A model that is asked by two processes."""
    ours, theirs = socket.socketpair()
    model = Letters()
    thread = threading.Thread(target=work.Work(scorer_wire.Connection(theirs), model).run)
    thread.start()
    first = Asker(ours)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "front"))
        listener.listen()
        first.send(op="join", socket=str(tmp_path / "front"))
        second = Asker(listener.accept()[0])
        assert second.next()[0] == "hello"
    try:
        yield model, first, second
    finally:
        first.send(op="stop")
        thread.join(30)
        first.close()
        assert not thread.is_alive()


def test_pieces_come_while_there_is_room_and_what_else_comes_waits(at_work: tuple[Letters, Asker, Asker]) -> None:
    model, first, second = at_work
    first.send(op="score", id=1, rows=1, input=5, stream=2 * len(LETTER))
    second.send(op="score", id=7, rows=3)
    assert [first.next() for _ in range(2)] == [("piece", 1, LETTER)] * 2
    first.send(op="ping")
    assert first.next()[0] == "pong"
    assert model.made == 2
    first.send(op="more", id=99, room=1000)  # of another answer
    first.send(op="more", id=1, room=1)
    assert first.next() == ("piece", 1, LETTER)
    first.send(op="more", id=1, room=1000)
    assert [first.next() for _ in range(3)] == [("piece", 1, LETTER)] * 2 + [("answer", 1, b"")]
    assert second.next() == ("answer", 7, b"[3]")
    assert model.ended == 1


def test_a_stream_is_ended_by_a_cancel_and_by_the_end_of_who_asked(at_work: tuple[Letters, Asker, Asker]) -> None:
    model, first, second = at_work
    first.send(op="score", id=1, rows=1, input=100, stream=1)
    assert first.next() == ("piece", 1, LETTER)
    first.send(op="cancel", id=1, answer=True)
    assert first.next() == ("answer", 1, b"")
    assert (model.made, model.ended) == (1, 1)
    second.send(op="score", id=2, rows=1, input=100, stream=1)
    assert second.next() == ("piece", 2, LETTER)
    second.close()
    wait_for(lambda: model.ended == 2, "the generator to be closed")
    assert model.made == 2
    first.send(op="score", id=3, rows=4)
    assert first.next() == ("answer", 3, b"[4]")
