"""Write a migration from what the migrations make to what the tables say: ``make_migration.py MESSAGE``."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import tempfile
from pathlib import Path

from alembic import command

import doubleloop
from doubleloop.db import engine as engines
from doubleloop.db import migrations


def main(message: str) -> None:
    for found in pkgutil.iter_modules(doubleloop.__path__):
        if found.ispkg and (Path(doubleloop.__path__[0]) / found.name / "store.py").exists():
            importlib.import_module(f"doubleloop.{found.name}.store")
    with tempfile.TemporaryDirectory() as folder:
        engine = engines.create(f"sqlite:///{folder}/scratch.sqlite")
        versions = Path(migrations.__file__).parent / "versions"
        if any(versions.glob("[0-9]*.py")):
            migrations.upgrade(engine)
        number = max((int(each.name[:4]) for each in versions.glob("[0-9]*.py")), default=0) + 1
        with engine.begin() as connection:
            config = migrations._config(connection)
            command.revision(config, message=message, autogenerate=True, rev_id=f"{number:04d}")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "initial")
