"""Homes of every version: made new, brought up, and refused when a newer version wrote them."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import doubleloop
from doubleloop.base import errors
from doubleloop.db import engine, migrations, tables
from doubleloop.main import home as homes
from doubleloop.main import processes
from doubleloop.settings.model import Settings


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sa.Engine]:
    made = engine.create(f"sqlite:///{tmp_path / 'doubleloop.sqlite'}")
    yield made
    made.dispose()


def revisions(connection: sa.Connection) -> list[str]:
    """Oldest first."""
    script = ScriptDirectory.from_config(migrations._config(connection))
    return [each.revision for each in script.walk_revisions()][::-1]


def every_table() -> sa.MetaData:
    """All rooms' tables: every ``store.py`` is imported, also of rooms that nothing imports yet."""
    for module in pkgutil.walk_packages(doubleloop.__path__, "doubleloop."):
        if module.name.rpartition(".")[2] == "store":
            importlib.import_module(module.name)
    return tables.METADATA


def test_a_migrated_database_has_exactly_the_tables_that_the_rooms_declare(db: sa.Engine) -> None:
    wanted = every_table()
    migrations.upgrade(db)
    with db.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": wanted})
        assert compare_metadata(context, wanted) == []


def test_what_alembic_does_not_compare_is_equal_too(db: sa.Engine, tmp_path: Path) -> None:
    """Nullability, keys, unique and check constraints, of each table as SQLite itself tells them."""
    other = engine.create(f"sqlite:///{tmp_path / 'other.sqlite'}")
    every_table().create_all(other)
    migrations.upgrade(db)
    migrated, declared = sa.inspect(db), sa.inspect(other)
    assert set(migrated.get_table_names()) - {"alembic_version"} == set(declared.get_table_names())
    for table in declared.get_table_names():
        for look in ("get_columns", "get_pk_constraint", "get_foreign_keys", "get_unique_constraints", "get_indexes",
                     "get_check_constraints"):  # fmt: skip
            found, wanted = (getattr(each, look)(table) for each in (migrated, declared))
            assert sorted(map(str, found)) == sorted(map(str, wanted)), (table, look)


def test_a_second_upgrade_changes_nothing(db: sa.Engine) -> None:
    migrations.upgrade(db)
    with sqlite3.connect(db.url.database or "") as raw:
        before = list(raw.iterdump())
    migrations.upgrade(db)
    with sqlite3.connect(db.url.database or "") as raw:
        assert list(raw.iterdump()) == before


def test_the_revisions_are_one_line_and_each_can_be_taken_back(db: sa.Engine) -> None:
    with db.begin() as connection:
        script = ScriptDirectory.from_config(migrations._config(connection))
        assert len(script.get_heads()) == len(script.get_bases()) == 1
        ordered = revisions(connection)
    for revision in ordered:
        with db.begin() as connection:
            command.upgrade(migrations._config(connection), revision)
            assert migrations.current(connection) == revision
    with db.begin() as connection:
        command.downgrade(migrations._config(connection), "base")
    assert set(sa.inspect(db).get_table_names()) <= {"alembic_version"}
    migrations.upgrade(db)


def test_an_older_database_is_brought_up_with_what_it_holds(db: sa.Engine) -> None:
    with db.begin() as connection:
        command.upgrade(migrations._config(connection), revisions(connection)[0])
        connection.exec_driver_sql("insert into fact_cursors (consumer, seq) values ('reader', 3)")
    migrations.upgrade(db)
    with db.connect() as connection:
        assert migrations.current(connection) == revisions(connection)[-1]
        assert connection.exec_driver_sql("select * from fact_cursors").all() == [("reader", 3)]


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(db: sa.Engine) -> None:
    migrations.upgrade(db)
    with db.begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '9999'")
        connection.exec_driver_sql("create table of_the_future (x integer)")
    db.dispose()
    with sqlite3.connect(db.url.database or "") as raw:
        before = list(raw.iterdump())
    with pytest.raises(errors.Conflict, match=r"newer version of Doubleloop \(revision 9999\)") as caught:
        migrations.upgrade(db)
    assert "--home" in caught.value.cure
    with sqlite3.connect(db.url.database or "") as raw:
        assert list(raw.iterdump()) == before


def test_a_home_of_a_newer_version_does_not_start(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", port=1, gateway_port=2)
    homes.create(settings)
    homes.prepare(settings)
    with sqlite3.connect(settings.sqlite_path) as raw:
        raw.execute("update alembic_version set version_num = '9999'")
    raw.close()
    with pytest.raises(errors.Conflict, match="newer version"):
        homes.prepare(settings)


def test_a_failed_upgrade_leaves_the_database_where_it_was(db: sa.Engine, tmp_path: Path) -> None:
    """All of it or nothing: the last revision cannot be made, so none is."""
    with db.begin() as connection:
        connection.exec_driver_sql("create table gate_evidence (in_the_way integer)")
    with pytest.raises(sa.exc.DatabaseError):
        migrations.upgrade(db)
    assert [each for each in sa.inspect(db).get_table_names() if each != "alembic_version"] == ["gate_evidence"]


def test_the_first_start_makes_one_administrator_and_a_private_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    for _ in range(2):
        homes.create(settings)
        homes.prepare(settings)
    assert settings.home.stat().st_mode & 0o777 == 0o700
    assert (settings.home / "client.json").stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(settings.sqlite_path) as raw:
        assert raw.execute("select name, is_admin from users").fetchall() == [("admin", 1)]
        assert raw.execute("select count(*) from tokens").fetchone() == (1,)
        assert raw.execute("select name from workspaces").fetchall() == [("registry",)]


def test_nothing_runs_on_a_fresh_home(tmp_path: Path) -> None:
    told: list[str] = []
    settings = Settings(home=tmp_path / "home")
    assert processes.down(settings, told.append) is False
    assert told == [f"Nothing is running on {settings.home}."]
    assert processes.status(settings)["running"] is False
    shutil.rmtree(settings.home, ignore_errors=True)
