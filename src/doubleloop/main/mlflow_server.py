"""MLflow's server app in a process of its own: ``python -m doubleloop.main.mlflow_server FOLDER SOCKET``.

The only file that imports MLflow, and no other process of ours runs it. MLflow makes its tables at the first request,
without a lock: two first requests at once, or a kill in between, leave a database that never works again. So the
tables are made here, before anybody can ask, on a copy that takes the database's place when it is complete.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from importlib import metadata
from pathlib import Path

from doubleloop.base import sockets


def prepare(folder: Path) -> Path:
    """The database file, at the schema of the installed MLflow."""
    database = folder / "mlflow.sqlite"
    marker = folder / f"schema-{metadata.version('mlflow')}"
    if database.exists() and marker.exists():
        return database
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / "mlflow.sqlite.incoming"
    for leftover in folder.glob("mlflow.sqlite.incoming*"):
        leftover.unlink()
    if database.exists():  # through SQLite: a server that was killed may have left a journal to be applied
        with closing(sqlite3.connect(database)) as old, closing(sqlite3.connect(beside)) as new:
            old.backup(new)
    make_tables(beside)
    beside.rename(database)
    marker.touch()
    return database


def make_tables(database: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(f"sqlite:///{database}", "mlflow-artifacts:/")._dispose_engine()


def main(folder: Path, socket: str) -> None:
    database = prepare(folder)
    url = f"sqlite:///{database}"
    os.environ["_MLFLOW_SERVER_FILE_STORE"] = os.environ["_MLFLOW_SERVER_REGISTRY_STORE"] = url
    import uvicorn

    uvicorn.run("mlflow.server.fastapi_app:app", uds=sockets.address(Path(socket)), log_level="warning")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
