"""An API for each test, on a copy of one prepared home."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_server import Prepared, Served, inhabit, serve, template

from doubleloop.settings.model import Settings


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    home = tmp_path_factory.mktemp("prepared") / "home"
    tokens = template(home)
    with serve(Settings(home=home), tokens) as made:
        return Prepared(home, tokens, inhabit(made))


@pytest.fixture
def served(prepared: Prepared, tmp_path: Path) -> Iterator[Served]:
    home = Path(shutil.copytree(prepared.home, tmp_path / "home"))
    with serve(Settings(home=home, upload_limit=1000), prepared.tokens) as made:
        yield made
