"""The engine as a real process on a real database: what was begun goes on, whatever ends the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

sys.path.append(str(Path(__file__).parents[1] / "db"))

import postgres_cluster

from doubleloop.base import actors
from doubleloop.db import engine as engines
from doubleloop.db import tables
from doubleloop.db.context import Contexts
from doubleloop.durable import commands

WORKER = Path(__file__).with_name("engine_worker.py")
ACTOR = actors.service("durable")
STARTED: list[subprocess.Popen[str]] = []

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[postgres_cluster.Cluster]:
    with postgres_cluster.running() as made:
        yield made


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=postgres_cluster.needed)])
def contexts(tmp_path: Path, request: pytest.FixtureRequest) -> Contexts:
    """On SQLite in two files, on Postgres in one database, as ``Settings`` has it."""
    if request.param == "sqlite":
        urls = [f"sqlite:///{tmp_path / name}.sqlite" for name in ("doubleloop", "durable")]
    else:
        urls = [request.getfixturevalue("cluster").create(f"t{abs(hash(request.node.nodeid))}")] * 2
    (tmp_path / "databases").write_text("\n".join(urls))
    database = engines.create(urls[0])
    tables.METADATA.create_all(database)
    return Contexts(database, {})


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    while STARTED:
        process = STARTED.pop()
        process.kill()
        process.wait()


def worker(home: Path, threads: int = 16, kind: str = "old") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(WORKER), str(home), str(threads), kind], stdout=subprocess.PIPE, text=True
    )
    STARTED.append(process)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    return process


def log(home: Path) -> list[str]:
    file = home / "log"
    return file.read_text().splitlines() if file.exists() else []


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_what_waits_goes_on_after_the_process_ended(tmp_path: Path, contexts: Contexts, end: signal.Signals) -> None:
    first = worker(tmp_path)
    with contexts.write(ACTOR) as ctx:
        commands.start(ctx, "story", "one", {})
    until(lambda: log(tmp_path) == ["one first"])
    os.kill(first.pid, end)
    first.wait(timeout=30)
    with contexts.write(ACTOR) as ctx:  # said while nobody listens
        commands.signal(ctx, "one", "go", "now", "key")
        commands.signal(ctx, "one", "go", "now", "key")
    second = worker(tmp_path)
    until(lambda: "one second now" in log(tmp_path))
    # A step that was cut off before its result was kept may run again; what comes after the wait runs once.
    assert set(log(tmp_path)) == {"one first", "one second now"}
    assert log(tmp_path).count("one second now") == 1
    second.terminate()
    assert second.wait(timeout=30) == 0


def test_more_workflows_may_wait_than_there_are_threads(tmp_path: Path, contexts: Contexts) -> None:
    worker(tmp_path, threads=4)
    names = [f"w{number}" for number in range(12)]
    with contexts.write(ACTOR) as ctx:
        for name in names:
            commands.start(ctx, "story", name, {})
    until(lambda: len(log(tmp_path)) == 12)
    with contexts.write(ACTOR) as ctx:
        for name in names:
            commands.signal(ctx, name, "go", 1, name)
    until(lambda: len(log(tmp_path)) == 24)
    assert {line.split()[0] for line in log(tmp_path) if "second 1" in line} == set(names)


def test_a_start_that_is_rolled_back_never_happens(tmp_path: Path, contexts: Contexts) -> None:
    worker(tmp_path)
    with pytest.raises(ZeroDivisionError), contexts.write(ACTOR) as ctx:
        commands.start(ctx, "story", "never", {})
        raise ZeroDivisionError
    with contexts.write(ACTOR) as ctx:
        commands.start(ctx, "story", "ever", {})
    until(lambda: bool(log(tmp_path)))
    assert log(tmp_path) == ["ever first"]


def test_equal_ids_start_once(tmp_path: Path, contexts: Contexts) -> None:
    process = worker(tmp_path)
    with contexts.write(ACTOR) as ctx:
        for _ in range(3):
            commands.start(ctx, "story", "same", {})
        commands.signal(ctx, "same", "go", 1, "k")
    until(lambda: len(log(tmp_path)) == 2)
    assert log(tmp_path) == ["same first", "same second 1"]
    process.kill()
    process.wait()


def begun_by_old_code(home: Path, contexts: Contexts) -> None:
    """The workflow ``one`` waits, is looked after, and the process with the code that began it is gone."""
    first = worker(home)
    with contexts.write(ACTOR) as ctx:
        commands.start(ctx, "story", "one", {})
    (home / "unfinished").write_text("one")  # rooms commit both at once: never what nobody has started
    until(lambda: log(home) == ["one first"])
    time.sleep(0.3)  # several looks: what is at work is left alone
    assert log(home) == ["one first"]
    first.kill()
    first.wait()


def test_what_died_because_its_code_has_other_steps_now_is_begun_anew(tmp_path: Path, contexts: Contexts) -> None:
    begun_by_old_code(tmp_path, contexts)
    second = worker(tmp_path, kind="new")
    until(lambda: "one first of the new" in log(tmp_path))
    second.kill()
    second.wait()
    with contexts.write(ACTOR) as ctx:
        commands.signal(ctx, "one", "go", "now", "key")
    worker(tmp_path, kind="new")
    until(lambda: "one second now" in log(tmp_path))
    assert not [line for line in log(tmp_path) if "given up" in line]


def test_what_died_twice_is_given_up_with_the_reason(tmp_path: Path, contexts: Contexts) -> None:
    begun_by_old_code(tmp_path, contexts)
    worker(tmp_path, kind="broken")
    until(lambda: len(log(tmp_path)) == 2)
    assert log(tmp_path)[1] == "one given up: Doubleloop itself failed twice here: StepFailed: it does not work"


def test_what_the_engine_has_never_heard_of_is_begun(tmp_path: Path, contexts: Contexts) -> None:
    (tmp_path / "unfinished").write_text("lost")
    worker(tmp_path)
    until(lambda: log(tmp_path) == ["lost first"])


@postgres_cluster.needed
@pytest.mark.parametrize("contexts", ["postgres"], indirect=True)
def test_a_database_that_went_away_for_a_while_costs_nothing(
    tmp_path: Path, contexts: Contexts, cluster: postgres_cluster.Cluster
) -> None:
    first = worker(tmp_path)
    with contexts.write(ACTOR) as ctx:
        commands.start(ctx, "story", "one", {})
    until(lambda: log(tmp_path) == ["one first"])
    cluster.stop()
    time.sleep(1.0)
    cluster.start()
    until(lambda: _said(contexts), 30)
    if first.poll() is not None:  # it may end: the supervisor starts another
        worker(tmp_path)
    until(lambda: "one second now" in log(tmp_path))
    assert log(tmp_path).count("one second now") == 1


def _said(contexts: Contexts) -> bool:
    try:
        with contexts.write(ACTOR) as ctx:
            commands.signal(ctx, "one", "go", "now", "key")
    except sa.exc.OperationalError:  # a connection of the pool that is dead
        return False
    return True
