"""Whole installations for tests from end to end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_installation import Installation, free_ports


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """A fresh one that runs; its logs are shown when the test fails."""
    api, gateway = free_ports()
    made = Installation(tmp_path / "home", api, gateway)
    made.up()
    try:
        yield made
    finally:
        made.down()
