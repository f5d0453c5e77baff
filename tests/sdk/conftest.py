"""A small real server for the client to speak with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import small_server

from doubleloop.sdk import client as clients
from doubleloop.sdk import transport


@pytest.fixture
def server(tmp_path: Path) -> Iterator[small_server.SmallServer]:
    with small_server.serving(tmp_path / "server") as small:
        yield small


class Sleeps(list[float]):
    """Stands in for time: remembers the pauses that were asked for, and moves its clock by them."""

    def sleep(self, seconds: float) -> None:
        self.append(seconds)

    def clock(self) -> float:
        return sum(self)


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


@pytest.fixture
def patience(sleeps: Sleeps) -> transport.Patience:
    return transport.Patience(seconds=10, sleep=sleeps.sleep, clock=sleeps.clock)


@pytest.fixture
def client(server: small_server.SmallServer, patience: transport.Patience) -> Iterator[clients.Client]:
    made = clients.Client(server.url, small_server.TOKEN, patience=patience)
    yield made
    made.link.close()
