"""Where an installation runs is known to whoever asks for it by its home folder alone; what keeps it from starting."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy.exc

from doubleloop.base import errors, sockets
from doubleloop.main import addresses, home, mlflow_server, processes, starting, supervisor
from doubleloop.settings import model as settings_model


def at(folder: Path, **flags: object) -> settings_model.Settings:
    return settings_model.load({}, home=str(folder), **flags)


@pytest.fixture
def started(tmp_path: Path) -> settings_model.Settings:
    settings = at(tmp_path, port=7001, gateway_port=7010)
    home.create(settings)
    addresses.write_private(tmp_path / "client.json", {"user": "admin", "token": "t"})
    addresses.write_address(settings)
    return settings


def test_the_flags_of_up_need_not_be_said_again(started: settings_model.Settings, tmp_path: Path) -> None:
    asked = at(tmp_path)
    assert (asked.port, addresses.as_started(asked)) == (8600, started)
    # A login to another server, as the command line stores it: it says nothing of this installation.
    addresses.write_private(tmp_path / "client.json", {"url": "https://elsewhere.example", "token": "x"})
    assert addresses.address(asked) == {"url": "http://127.0.0.1:7001", "gateway_url": "http://127.0.0.1:7010"}


def test_a_status_asks_the_port_that_it_was_started_on(
    started: settings_model.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(processes, "health", lambda settings: asked.append(settings.port) or {"api": True})
    lock = supervisor.Lock(tmp_path)
    assert lock.acquire()
    try:
        assert processes.status(at(tmp_path))["parts"] == {"api": True}
        assert starting.up(at(tmp_path), say=lambda _text: None)["url"] == "http://127.0.0.1:7001"
    finally:
        lock.release()
    assert asked == [7001, 7001]


@pytest.mark.parametrize(
    "flags", [{"port": 0}, {"port": 65536}, {"port": 65535}, {"port": 7, "gateway_port": 7}, {"gateway_port": -1}]
)
def test_a_port_that_cannot_be_is_refused(flags: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput, match="port"):
        at(tmp_path, **flags)


def test_what_failed_under_a_supervisor_that_was_killed_is_not_held_against_the_next(tmp_path: Path) -> None:
    settings = at(tmp_path)
    (tmp_path / "run").mkdir()
    gone = {"pid": 2**22 + 1, "start_time": "1", "failures": 7}
    (tmp_path / "run" / "processes.json").write_text(json.dumps({"worker": gone}))
    assert supervisor.hopeless(settings) == ["worker"]
    supervisor.end_leftovers(settings)
    assert supervisor.hopeless(settings) == []


def test_a_setting_below_zero_is_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="DOUBLELOOP_STEP_QUOTA=-1 is below 0"):
        settings_model.load({"DOUBLELOOP_STEP_QUOTA": "-1"})


def test_settings_of_secrets_that_no_process_starts_with_are_told_by_up(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput, match="DOUBLELOOP_SECRETS_SAFE='attic' is not known"):
        starting.up(at(tmp_path, port=free_port(), gateway_port=free_port(), secrets_safe="attic"))
    assert not (tmp_path / "doubleloop.sqlite").exists()


@pytest.mark.parametrize(
    "full",
    [OSError(28, "No space left on device"), sqlalchemy.exc.OperationalError("COMMIT", {}, Exception("No space"))],
)
def test_a_full_disk_is_said_of_the_home_folder(
    full: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(_settings: object) -> None:
        raise full

    monkeypatch.setattr(home, "prepare", prepare)
    with pytest.raises(errors.Unavailable, match=f"{tmp_path} cannot be used: No space") as caught:
        starting.up(at(tmp_path, port=free_port(), gateway_port=free_port()))
    assert "Make room" in caught.value.cure
    assert supervisor.Lock(tmp_path).acquire()


def test_nobody_waits_for_a_child_that_ends_each_time(
    started: settings_model.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = {
        "api": {"pid": 1, "start_time": "1", "failures": 0},
        "mlflow": {"pid": 2, "start_time": "2", "failures": 5},
    }
    (tmp_path / "run" / "processes.json").write_text(json.dumps(record))
    monkeypatch.setattr(processes, "health", lambda _settings: {"api": True, "mlflow": False})
    with pytest.raises(errors.Unavailable, match="mlflow ends each time") as caught:
        processes.wait_until_ready(started, lambda _text: None)
    assert str(tmp_path / "logs" / "mlflow.log") in caught.value.cure


def test_a_file_that_could_not_be_written_leaves_nothing_beside_it(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        addresses.write_private(tmp_path / "client.json", {"token": object()})
    assert list(tmp_path.iterdir()) == []


def test_a_socket_may_lie_in_a_folder_of_any_length(tmp_path: Path) -> None:
    path = tmp_path / ("d" * 120) / "run" / "s.sock"
    assert len(os.fsencode(path)) > sockets.LONGEST >= len(sockets.address(path))
    assert sockets.address(Path("/run/s.sock")) == "/run/s.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as caller:
        listener.bind(sockets.address(path))
        listener.listen()
        caller.connect(sockets.address(path))
    assert path.is_socket()


def test_a_newer_mlflow_starts_from_all_that_the_older_one_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mlflow").mkdir()
    with sqlite3.connect(tmp_path / "mlflow" / "mlflow.sqlite") as old:
        old.execute("PRAGMA journal_mode=WAL")
        old.execute("CREATE TABLE runs (name TEXT)")
        old.execute("INSERT INTO runs VALUES ('kept')")
        old.commit()  # in the log beside the database, which is still open: as after a kill
        monkeypatch.setattr(mlflow_server, "make_tables", lambda _database: None)
        made = mlflow_server.prepare(tmp_path / "mlflow")
    assert sqlite3.connect(made).execute("SELECT name FROM runs").fetchall() == [("kept",)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
