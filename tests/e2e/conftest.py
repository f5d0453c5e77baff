"""Whole installations for tests from end to end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_installation import Installation, started


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """A fresh one that runs; its logs are shown when the test fails."""
    with started(tmp_path / "home") as made:
        yield made
