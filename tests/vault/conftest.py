from __future__ import annotations

from collections.abc import Iterator

import kv_server
import pytest


@pytest.fixture
def server() -> Iterator[kv_server.Server]:
    with kv_server.running() as found:
        yield found
