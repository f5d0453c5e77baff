"""An API for each test, on a copy of one prepared home."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from api_server import Served, serve, template

from doubleloop.settings.model import Settings


@dataclass(frozen=True)
class Prepared:
    home: Path
    tokens: dict[str, str]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    home = tmp_path_factory.mktemp("prepared") / "home"
    return Prepared(home, template(home))


@pytest.fixture
def served(prepared: Prepared, tmp_path: Path) -> Iterator[Served]:
    home = Path(shutil.copytree(prepared.home, tmp_path / "home"))
    with serve(Settings(home=home, upload_limit=1000), prepared.tokens) as made:
        yield made
