"""A migrated database refuses to change or remove what is on record, whoever asks it to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from doubleloop.base import actors, clock
from doubleloop.db import engine, migrations, tables
from doubleloop.db.context import Contexts
from doubleloop.events import commands
from doubleloop.gates import store as gates

TABLES = {"facts": None, "gate_evidence": gates.EVIDENCE, "gate_decisions": gates.DECISIONS}


@pytest.fixture
def migrated(tmp_path: Path) -> Contexts:
    """A database as `doubleloop up` makes it, with one row in each table that may only grow."""
    db = engine.create(f"sqlite:///{tmp_path / 'migrated.sqlite'}")
    migrations.upgrade(db)
    contexts = Contexts(db, {})
    with contexts.write(actors.service("setup")) as ctx:
        commands.record(ctx, "thing.made", "thing:1")
        # Decisions belong to an approval, so that one has to be there.
        for table in (gates.APPROVALS, *TABLES.values()):
            if table is not None:
                ctx.tx.execute(table.insert().values({each.name: _some(each) for each in table.columns}))
    return contexts


def _some(column: sa.Column[Any]) -> Any:
    if isinstance(column.type, tables.Moment):
        return clock.now()
    return 1 if isinstance(column.type, sa.Integer) else "x"


def rows(contexts: Contexts, table: str) -> list[Any]:
    with contexts.engine.connect() as connection:
        return list(connection.exec_driver_sql(f"select * from {table}").all())


@pytest.mark.parametrize("table", TABLES)
def test_no_column_of_a_record_can_be_changed(migrated: Contexts, table: str) -> None:
    before = rows(migrated, table)
    assert len(before) == 1
    for column in sa.inspect(migrated.engine).get_columns(table):
        with pytest.raises(sa.exc.IntegrityError, match=f"{table} is append-only"), migrated.engine.begin() as tx:
            tx.exec_driver_sql(f'update {table} set "{column["name"]}" = 9')
    assert rows(migrated, table) == before


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("statement", ["delete from {}", "delete from {} where 1 = 1"])
def test_no_record_can_be_removed(migrated: Contexts, table: str, statement: str) -> None:
    before = rows(migrated, table)
    with pytest.raises(sa.exc.IntegrityError, match=f"{table} is append-only"), migrated.engine.begin() as tx:
        tx.exec_driver_sql(statement.format(table))
    assert rows(migrated, table) == before


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("facts", {"seq"}),
        ("gate_evidence", {"seq"}), ("gate_evidence", {"id"}), ("gate_evidence", {"subject", "check"}),
        ("gate_decisions", {"seq"}), ("gate_decisions", {"approval", "actor"}),
    ],
)  # fmt: skip
def test_a_record_cannot_be_replaced_by_another_of_its_key(migrated: Contexts, table: str, key: set[str]) -> None:
    """SQLite's `insert or replace` deletes without asking the delete trigger."""
    before = rows(migrated, table)
    names = [each["name"] for each in sa.inspect(migrated.engine).get_columns(table)]
    kept = {*key, "approval"}  # the approval must be there
    chosen = ", ".join(f'"{name}"' if name in kept else "9" for name in names)
    columns = ", ".join(f'"{name}"' for name in names)
    for verb in ("insert or replace", "replace"):
        with pytest.raises(sa.exc.IntegrityError, match="append-only"), migrated.engine.begin() as tx:
            tx.exec_driver_sql(f"{verb} into {table} ({columns}) select {chosen} from {table}")
    assert rows(migrated, table) == before
