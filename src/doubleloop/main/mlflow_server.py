"""MLflow's server app in a process of its own: ``python -m doubleloop.main.mlflow_server FOLDER SOCKET``.

The only file that imports MLflow, and no other process of ours runs it. MLflow makes its tables at the first request,
without a lock: two first requests at once, or a kill in between, leave a database that never works again. So the
tables are made here, before anybody can ask, on a copy that takes the database's place when it is complete.

MLflow's own workspaces keep ours apart, in each of its queries. Two things are otherwise than MLflow has them: versions
of a model are counted over all workspaces, as one catalogue knows them all; and the experiment 0, which clients write
to that were not told another, is the workspace's own ``Default``.
"""

from __future__ import annotations

import functools
import inspect
import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any

from doubleloop.base import garbage, sockets
from doubleloop.tracking import mlflow, ports

UNTOLD = "0"


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


def count_versions_over_all() -> None:
    """The number of a new version is the one that its tag asks for, where that is free; else it follows the highest of
    its name in any workspace, and whatever number a version of that name is called by."""
    import sqlalchemy as sa
    from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag

    @sa.event.listens_for(SqlModelVersion, "before_insert")
    def number(_mapper: Any, connection: sa.Connection, target: Any) -> None:
        of, tag = SqlModelVersion, SqlModelVersionTag
        taken: set[int] = set(connection.scalars(sa.select(of.version).where(of.name == target.name)))
        called: Any = connection.scalars(sa.select(tag.value).where(tag.name == target.name, tag.key == mlflow.VERSION))
        taken |= {found for each in called if (found := ports.number_of(each))}
        asked = next((each.value for each in target.model_version_tags if each.key == mlflow.VERSION), None)
        wanted = ports.number_of(asked)
        target.version = wanted if wanted and wanted not in taken else max(taken, default=0) + 1


def use_own_defaults() -> None:
    """Experiment 0 is the workspace's own, whichever of the store's methods is told of it."""
    from mlflow.entities import Experiment
    from mlflow.server import handlers
    from mlflow.store.tracking.dbmodels.models import SqlExperiment
    from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore

    class Store(WorkspaceAwareSqlAlchemyStore):  # type: ignore[misc, unused-ignore]
        def own_default(self) -> str:
            with self.ManagedSessionMaker(read_only=False) as session:
                self._create_default_experiment(session)
                query = self._get_query(session, SqlExperiment)
                found = query.filter(SqlExperiment.name == Experiment.DEFAULT_EXPERIMENT_NAME).one()
                return str(found.experiment_id)

    for name, method in inspect.getmembers(WorkspaceAwareSqlAlchemyStore, inspect.isfunction):
        if not name.startswith("_") and _speaks_of_experiments(method):
            setattr(Store, name, _with_own_default(method))
    handlers._tracking_store_registry.register("sqlite", lambda store_uri, artifact_uri: Store(store_uri, artifact_uri))


_ONE, _SOME = ("experiment_id",), ("experiment_ids", "locations")


def _speaks_of_experiments(method: Callable[..., Any]) -> bool:
    return not {*_ONE, *_SOME, "trace_info", "location"}.isdisjoint(inspect.signature(method).parameters)


def _with_own_default(method: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(method)

    @functools.wraps(method)
    def asked(self: Any, *given: Any, **named: Any) -> Any:
        bound = signature.bind(self, *given, **named)
        for name, value in bound.arguments.items():
            if name in (*_ONE, "location") and str(value) == UNTOLD:
                bound.arguments[name] = self.own_default()
            elif name in _SOME and value is not None and UNTOLD in map(str, value):
                bound.arguments[name] = [self.own_default() if str(each) == UNTOLD else each for each in value]
            elif name == "trace_info" and value.trace_location.mlflow_experiment is not None:
                place = value.trace_location.mlflow_experiment
                if str(place.experiment_id) == UNTOLD:
                    place.experiment_id = self.own_default()
        return method(*bound.args, **bound.kwargs)

    return asked


def main(folder: Path, socket: str) -> None:
    with garbage.kept():
        served = app(prepare(folder))
    import uvicorn

    uvicorn.run(served, uds=sockets.address(Path(socket)), log_level="warning")


def app(database: Path) -> Any:
    """MLflow's own app on this database, with what is otherwise here."""
    url = f"sqlite:///{database}"
    os.environ["_MLFLOW_SERVER_FILE_STORE"] = os.environ["_MLFLOW_SERVER_REGISTRY_STORE"] = url
    os.environ["MLFLOW_ENABLE_WORKSPACES"] = "true"
    count_versions_over_all()
    use_own_defaults()
    from mlflow.server import fastapi_app

    return fastapi_app.app


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
