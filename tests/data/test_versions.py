"""Data versions: content that never changes under a name and number, wherever it came from."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doubleloop.base import errors
from doubleloop.catalog import queries as catalog
from doubleloop.data import commands, queries
from doubleloop.storage import ports as storage


@pytest.fixture
def stored(house: Any, tmp_path: Path) -> str:
    """A reference to one file, rides.csv."""
    (tmp_path / "rides.csv").write_text("hour,count\n8,300\n")
    return commands.store_path(house.contexts.port(storage.Blobs), tmp_path / "rides.csv")


def test_the_same_content_is_the_same_version_however_it_was_uploaded(house: Any, stored: str, tmp_path: Path) -> None:
    blobs = house.contexts.port(storage.Blobs)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "renamed.csv").write_bytes((tmp_path / "rides.csv").read_bytes())
    renamed = commands.store_path(blobs, tmp_path / "other" / "renamed.csv")
    assert renamed != stored
    with house.write() as ctx:
        versions = [commands.add_version(ctx, "rides", each, "uri_file").version for each in (stored, renamed, stored)]
    assert versions == ["1", "1", "1"]
    assert commands.content_digest(blobs, stored) == commands.content_digest(blobs, renamed)


def test_a_version_is_found_by_number_label_and_name(house: Any, stored: str) -> None:
    with house.write() as ctx:
        made = commands.add_version(ctx, "rides", stored, "uri_file", label="production", rows=1, tags={"a": "b"})
        for reference in ("rides:1", "azureml:rides@production", "rides"):
            found = queries.resolve(ctx, reference)
            assert (found.id, found.type, found.reference) == (made.id, "uri_file", stored)
        assert made.spec["rows"] == 1


def test_what_it_was_made_from_is_on_record(house: Any, stored: str) -> None:
    with house.write() as ctx:
        made = commands.add_version(ctx, "rides", stored, "uri_file", job="job-1", sources=("step:job-1/prep",))
        assert [edge.source for edge in catalog.upstream(ctx, made.id)] == ["step:job-1/prep"]
        assert made.job == "job-1"


def test_content_that_was_never_stored_is_not_a_version(house: Any) -> None:
    nothing = "0" * 64
    for reference in (f"blob:sha256:{nothing}", f"tree:sha256:{nothing}", f"tree:sha256:{nothing}/x"):
        with house.write() as ctx, pytest.raises(errors.NotFound):
            commands.add_version(ctx, "rides", reference, "uri_file")
    for reference in ("", "x", "tree:sha256:", "file:///etc/passwd", "tree:sha256:../../x"):
        with house.write() as ctx, pytest.raises(errors.InvalidInput):
            commands.add_version(ctx, "rides", reference, "uri_file")


def test_a_path_that_is_not_in_the_folder_is_not_a_version(house: Any, stored: str) -> None:
    with house.write() as ctx, pytest.raises(errors.NotFound, match=r"other\.csv"):
        commands.add_version(ctx, "rides", stored.replace("rides.csv", "other.csv"), "uri_file")


def test_a_type_that_is_none_is_refused(house: Any, stored: str) -> None:
    with house.write() as ctx, pytest.raises(errors.InvalidInput, match="not a data type") as caught:
        commands.add_version(ctx, "rides", stored, "csv")
    assert "uri_file, uri_folder, mltable" in caught.value.cure


def test_who_may_not_write_data_adds_moves_and_hides_none(house: Any, stored: str) -> None:
    with house.write("ada") as ctx:
        commands.add_version(ctx, "rides", stored, "uri_file")
    with house.write("eve") as ctx:
        for act in (
            lambda: commands.add_version(ctx, "rides", stored, "uri_file"), lambda: commands.label(ctx, "rides", "x"),
            lambda: commands.archive(ctx, "rides", True), lambda: commands.put_datastore(ctx, "x", {"type": "local"}),
        ):  # fmt: skip
            with pytest.raises(errors.NotPermitted):
                act()
        assert queries.names(ctx)
    with house.read("eve", "prod") as ctx:
        for look in (lambda: queries.names(ctx), lambda: queries.versions(ctx, "rides")):
            with pytest.raises(errors.NotPermitted):
                look()


def test_a_label_of_the_registry_is_moved_from_any_workspace_by_who_may_there(house: Any, stored: str) -> None:
    with house.write("ada", "registry") as ctx:
        commands.add_version(ctx, "rides", stored, "uri_file")
    with house.write("ada", "dev") as ctx:
        commands.label(ctx, "rides:1", "production")
        assert queries.resolve(ctx, "rides@production").asset.workspace == "registry"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A server of files on this machine."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "rides.csv").write_text("hour,count\n8,300\n")

    class Files(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path / "web"))

        def log_message(self, *args: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_an_address_is_fetched_once_and_kept_by_its_content(house: Any, web: str, stored: str, tmp_path: Path) -> None:
    actor = house.actor("ada")
    kept = commands.keep(house.contexts, actor, "dev", f"{web}/rides.csv?version=1")
    assert kept == stored
    (tmp_path / "web" / "rides.csv").write_text("changed")
    assert house.contexts.port(storage.Blobs).materialise(kept, tmp_path / "out").read_text() == "hour,count\n8,300\n"


def test_an_address_that_cannot_be_had_says_so(house: Any, web: str) -> None:
    for address in (f"{web}/nothing.csv", "http://127.0.0.1:1/x.csv", "https://", "http://[", "http://127.0.0.1:x/"):
        with pytest.raises((errors.Unavailable, errors.InvalidInput)) as caught:
            commands.keep(house.contexts, house.actor("ada"), "dev", address)
        assert "could not be fetched" in caught.value.what or "not an http or https address" in caught.value.what


@pytest.mark.parametrize("path", ["ftp://x/y", "abfss://c@a.dfs.core.windows.net/x", "/etc/passwd", "file:///etc/passwd",
                                  "wasbs://x", "", "s3://b/k", "../x"])  # fmt: skip
def test_what_cannot_be_reached_says_what_can(house: Any, path: str) -> None:
    with pytest.raises((errors.NotSupported, errors.InvalidInput)) as caught:
        commands.keep(house.contexts, house.actor("ada"), "dev", path)
    assert "azureml:NAME:VERSION" in caught.value.cure


def test_another_asset_is_kept_as_what_it_stands_for(house: Any, stored: str) -> None:
    with house.write() as ctx:
        commands.add_version(ctx, "rides", stored, "uri_file")
    assert commands.keep(house.contexts, house.actor("ada"), "dev", "azureml:rides@latest") == stored
    assert commands.keep(house.contexts, house.actor("ada"), "dev", stored) == stored


def test_a_datastore_s_files_are_kept_and_nothing_beside_them(house: Any, tmp_path: Path) -> None:
    place = tmp_path / "lake"
    (place / "raw").mkdir(parents=True)
    (place / "raw" / "rides.csv").write_text("x")
    (tmp_path / "secret.csv").write_text("secret")
    (place / "link.csv").symlink_to(tmp_path / "secret.csv")
    with house.write() as ctx:
        commands.put_datastore(ctx, "lake", {"type": "local", "path": str(place)})
        assert set(queries.datastores(ctx)) == {"workspaceblobstore", "lake"}
    actor = house.actor("ada")
    kept = commands.keep(house.contexts, actor, "dev", "azureml://datastores/lake/paths/raw/rides.csv")
    assert kept.endswith("/rides.csv")
    folder = commands.keep(house.contexts, actor, "dev", "azureml://datastores/lake/paths/raw/")
    assert folder.startswith("tree:sha256:") and "/" not in folder
    for path in ("../secret.csv", "raw/../../secret.csv", "link.csv", "/etc/passwd"):
        with pytest.raises((errors.InvalidInput, errors.NotFound)):
            commands.keep(house.contexts, actor, "dev", f"azureml://datastores/lake/paths/{path}")
    for uri in ("azureml://datastores/sea/paths/x", "azureml://datastores/lake/paths/none"):
        with pytest.raises(errors.NotFound):
            commands.keep(house.contexts, actor, "dev", uri)


def test_a_datastore_of_the_cloud_says_that_it_cannot_be_reached(house: Any) -> None:
    with house.write() as ctx:
        commands.put_datastore(ctx, "cloud", {"type": "azure_blob", "container_name": "x"})
        with pytest.raises(errors.NotSupported, match="azure_blob"):
            queries.datastore_path(ctx, "azureml://datastores/cloud/paths/x")


def test_a_datastore_that_has_not_changed_makes_no_fact(house: Any) -> None:
    from doubleloop.events import queries as events

    with house.write() as ctx:
        for path in ("/a", "/a", "/b"):
            commands.put_datastore(ctx, "lake", {"type": "local", "path": path})
        assert len(events.facts(ctx, types=["datastore.changed"])) == 2


def test_an_archived_version_is_out_of_sight_and_can_come_back(house: Any, stored: str, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text("x")
    more = commands.store_path(house.contexts.port(storage.Blobs), tmp_path / "more.csv")
    with house.write() as ctx:
        for each in (stored, more):
            commands.add_version(ctx, "rides", each, "uri_file")
        assert commands.archive(ctx, "rides:2", True).archived
        assert queries.resolve(ctx, "rides").asset.version == "1"
        assert not commands.archive(ctx, "rides:2", False).archived
        assert queries.resolve(ctx, "rides").asset.version == "2"


def test_bytes_are_stored_under_a_name(house: Any, tmp_path: Path) -> None:
    blobs = house.contexts.port(storage.Blobs)
    kept = commands.store_bytes(blobs, "x.csv", b"a\n1\n")
    assert commands.materialise(house.contexts, kept, tmp_path / "out.csv").read_bytes() == b"a\n1\n"
    with pytest.raises(errors.NotFound):
        commands.store_path(blobs, tmp_path / "nothing")
