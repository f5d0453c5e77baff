"""Who looks at the database again and again is told whether anything was written since, in this process or another."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from doubleloop.db import changes, engine


def test_a_look_is_due_when_somebody_has_written_and_only_then(tmp_path: Path) -> None:
    store = engine.create(f"sqlite:///{tmp_path / 'd.sqlite'}")
    with store.begin() as tx:
        tx.exec_driver_sql("CREATE TABLE t (x INTEGER)")
    looking = changes.Changes(store, 3600)
    assert looking.due(), "the first look"
    assert not looking.due()
    with store.begin() as tx:
        tx.exec_driver_sql("INSERT INTO t VALUES (1)")
    assert looking.due()
    assert not looking.due()
    with store.connect().execution_options(**{engine.READ_ONLY: True}) as tx:
        assert tx.exec_driver_sql("SELECT x FROM t").scalar() == 1
    assert not looking.due(), "reading changes nothing"
    other = sqlite3.connect(tmp_path / "d.sqlite")  # as another process has it
    other.execute("INSERT INTO t VALUES (2)")
    assert not looking.due(), "nothing is committed yet"
    other.commit()
    assert looking.due()
    looking.again()
    assert looking.due(), "the last look found something to do"
    looking.close()


def test_where_nobody_can_tell_and_after_a_time_every_look_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(changes.time, "monotonic", lambda: now[0])
    looking = changes.Changes(engine.create(f"sqlite:///{tmp_path / 'd.sqlite'}"), 5.0)
    assert [looking.due(), looking.due()] == [True, False]
    now[0] = 5.0
    assert [looking.due(), looking.due()] == [True, False]
    looking.within(60.0)
    now[0] = 64.0
    assert not looking.due()
    now[0] = 65.0
    assert looking.due()
    looking.close()
    elsewhere = changes.Changes(sa.create_mock_engine("mysql://", lambda *_: None, module=sqlite3), 5.0)  # type: ignore[arg-type]
    assert [elsewhere.due(), elsewhere.due()] == [True, True]
