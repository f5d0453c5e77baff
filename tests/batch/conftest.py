from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "jobs"))

from batch_bench import Bench
from jobs_workshop import Workshop


@pytest.fixture
def bench(house: Any, tmp_path: Path) -> Bench:
    folder = tmp_path / "files"
    folder.mkdir()
    return Bench(Workshop(house), folder)
