"""What the house needs of a tracking server, of MLflow's own and of the one in memory alike."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import pytest

from doubleloop.base import errors
from doubleloop.tracking import ports
from doubleloop.tracking.fake import MemoryTracking
from doubleloop.tracking.mlflow import Mlflow

NAMES = (f"name-{number}" for number in itertools.count())


@pytest.fixture(params=["memory", pytest.param("mlflow", marks=pytest.mark.slow)])
def server(request: pytest.FixtureRequest) -> Any:
    return MemoryTracking() if request.param == "memory" else request.getfixturevalue("mlflow_port")


@pytest.fixture
def name() -> str:
    """One that no other test uses: MLflow's server is shared."""
    return next(NAMES)


def folder(place: Path, text: str) -> Path:
    place.mkdir(parents=True)
    (place / "MLmodel").write_text("flavors: {}")
    (place / "weights").write_text(text)
    return place


def test_a_run_keeps_what_it_was_made_with(server: ports.Tracking, name: str) -> None:
    run = server.create_run(name, "training", {"doubleloop.step": "job-1/train"}, "ada")
    tags = server.tags(run)
    assert tags["doubleloop.step"] == "job-1/train"
    server.set_tag(run, "doubleloop.step", "other")
    server.set_tag(run, "note", "it's ß")
    assert (server.tags(run)["doubleloop.step"], server.tags(run)["note"]) == ("other", "it's ß")
    assert (server.metrics(run), server.params(run)) == ({}, {})


def test_a_run_is_found_by_its_tag_and_only_in_its_experiment(server: ports.Tracking, name: str) -> None:
    value = f"it's {name}"
    run = server.create_run(name, "training", {"doubleloop.step": value}, "ada")
    assert server.find_run(name, "doubleloop.step", value) == run
    assert server.find_run(name, "doubleloop.step", "another") is None
    assert server.find_run(f"{name}-other", "doubleloop.step", value) is None


def test_ending_twice_is_harmless(server: ports.Tracking, name: str) -> None:
    run = server.create_run(name, "training", {}, "ada")
    for status in ("FINISHED", "FINISHED", "FAILED"):
        server.end_run(run, status)


def test_an_experiment_is_made_once_also_by_two_at_a_time(server: ports.Tracking, name: str) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(server.experiment_id(name))) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 4 and len(set(found)) == 1


def test_a_run_that_is_not_there_is_not_found(server: ports.Tracking) -> None:
    for ask in (server.metrics, server.params, server.tags):
        with pytest.raises(errors.NotFound):
            ask("0" * 32)
    with pytest.raises(errors.NotFound):
        server.end_run("0" * 32, "FINISHED")
    with pytest.raises(errors.NotFound):
        server.set_tag("0" * 32, "a", "b")


def test_files_are_registered_once_under_a_key(server: ports.Tracking, name: str, tmp_path: Path) -> None:
    first, other = folder(tmp_path / "first", "1"), folder(tmp_path / "other", "2")
    assert [server.register(name, first, None, "k1"), server.register(name, first, None, "k1")] == ["1", "1"]
    assert server.register(name, other, None, "k2") == "2"
    assert (server.files_of(name, "1") / "weights").read_text() == "1"
    assert (server.files_of(name, "2") / "weights").read_text() == "2"
    found = server.registered_version(name, "2")
    assert found and (found.name, found.version, found.status) == (name, "2", "READY")
    assert server.registered_version(name, "3") is None
    mine = [each.version for each in server.registered() if each.name == name]
    assert mine == ["1", "2"]
    about = ports.About("1795759200", "what it is", {"team": "a"}, {"p": "q"})
    assert server.register(name, first, None, "k3", about) == "1795759200"
    found = server.registered_version(name, "1795759200")
    assert found and (found.version, found.description, found.tags, found.properties) == (
        "1795759200", "what it is", {"team": "a"}, {"p": "q"},
    )  # fmt: skip
    # A name that is no number, and a number that is taken, leave the counting to the server.
    assert server.register(name, first, None, "k4", ports.About("v4")) == "1795759201"
    assert server.register(name, first, None, "k5", ports.About("1795759201")) == "1795759202"
    assert server.register(name, first, None, "k6") == "1795759203"
    mine = [each.version for each in server.registered() if each.name == name]
    assert mine == ["1", "2", "1795759200", "v4", "1795759201", "1795759203"]


def test_a_single_file_is_registered_under_its_own_name(server: ports.Tracking, name: str, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"x")
    number = server.register(name, tmp_path / "weights.bin", None, "k")
    place = server.files_of(name, number)
    assert (place.name, place.read_bytes()) == ("weights.bin", b"x")


def test_what_was_registered_does_not_change_with_its_source(server: ports.Tracking, name: str, tmp_path: Path) -> None:
    source = folder(tmp_path / "first", "1")
    number = server.register(name, source, None, "k1")
    (source / "weights").write_text("changed")
    assert (server.files_of(name, number) / "weights").read_text() == "1"


def test_a_version_takes_tags(server: ports.Tracking, name: str, tmp_path: Path) -> None:
    number = server.register(name, folder(tmp_path / "first", "1"), None, "k1")
    server.set_version_tag(name, number, "release", "release-1")
    with pytest.raises(errors.NotFound):
        server.set_version_tag(name, "99", "release", "release-1")
    with pytest.raises(errors.NotFound):
        server.files_of(name, "99")


def test_without_a_server_it_is_unavailable_and_nothing_else(tmp_path: Path) -> None:
    server = Mlflow(tmp_path / "nobody.sock", tmp_path)
    for ask in (
        lambda: server.create_run("e", "r", {}, "ada"), lambda: server.metrics("x"), lambda: server.registered(),
        lambda: server.end_run("x", "FINISHED"), lambda: server.registered_version("x", "1"),
        lambda: server.files_of("x", "1"), lambda: server.register("x", tmp_path, None, "k"),
    ):  # fmt: skip
        with pytest.raises(errors.Unavailable, match="does not answer"):
            ask()


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "s3://bucket/x", "mlflow-artifacts:/../../etc", "runs:/x/model"])
def test_a_source_outside_the_artifacts_is_refused(tmp_path: Path, uri: str) -> None:
    server = Mlflow(tmp_path / "nobody.sock", tmp_path / "artifacts")
    with pytest.raises((errors.NotSupported, errors.InvalidInput)):
        server._folder(uri)
