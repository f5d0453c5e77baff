"""Data versions: content that never changes under a name and number, wherever it came from."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doubleloop.base import errors
from doubleloop.catalog import queries as catalog
from doubleloop.data import commands, fetching, queries
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


class Web:
    """A server of one file on this machine: its versions, its bad days, and how often it was asked for what."""

    def __init__(self) -> None:
        self.content, self.etag, self.bad, self.cut = b"hour,count\n8,300\n", '"1"', [0], 0
        self.asked: list[int] = []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                bad = web.bad.pop() if web.bad else 0
                there = self.path.startswith("/rides.csv")
                same = web.etag and self.headers.get("if-none-match") == web.etag
                status = bad or (404 if not there else 304 if same else 200)
                web.asked.append(status)
                self.send_response(status)
                self.send_header("content-length", str(len(web.content) if status == 200 else 0))
                self.send_header("etag", web.etag)
                self.end_headers()
                if status == 200:
                    self.wfile.write(web.content[: len(web.content) - web.cut])
                    web.cut = 0

            def log_message(self, *args: Any) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    made = Web()
    monkeypatch.setattr(fetching, "PAUSES_S", (0.0, 0.0))
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_an_address_is_fetched_once_and_kept_by_its_content(house: Any, web: Web, stored: str, tmp_path: Path) -> None:
    actor = house.actor("ada")

    def keep() -> str:
        return commands.keep(house.contexts, actor, "dev", f"{web.url}/rides.csv?version=1")

    assert keep() == stored == keep() and web.asked == [200, 304]
    web.content, web.etag = b"changed", '"2"'
    changed = keep()
    assert changed != stored and web.asked == [200, 304, 200]
    assert house.contexts.port(storage.Blobs).materialise(stored, tmp_path / "out").read_text() == "hour,count\n8,300\n"
    web.server.shutdown()
    web.server.server_close()
    assert keep() == changed  # without the network
    with pytest.raises(errors.Unavailable):  # another workspace has not fetched it
        commands.keep(house.contexts, actor, "staging", f"{web.url}/rides.csv?version=1")


def test_a_server_that_answers_badly_is_asked_again(house: Any, web: Web, stored: str) -> None:
    url = f"{web.url}/rides.csv"
    web.bad = [0, 503, 429]
    assert commands.keep(house.contexts, house.actor("ada"), "dev", url) == stored and web.asked == [429, 503, 200]
    web.etag, web.cut = '"2"', 3
    assert commands.keep(house.contexts, house.actor("ada"), "dev", url) == stored and web.asked[3:] == [200, 200]
    web.bad, web.asked = [500] * 9, []
    with pytest.raises(errors.Unavailable, match="could not be fetched: the server answered 500"):
        commands.keep(house.contexts, house.actor("ada"), "dev", f"{web.url}/rides.csv?other")
    assert web.asked == [500] * 3


def test_an_address_that_cannot_be_had_says_so(house: Any, web: Web) -> None:
    web.bad = [0, 403]
    places = (
        f"{web.url}/rides.csv", f"{web.url}/nothing.csv", "http://127.0.0.1:1/x.csv", "https://", "http://[",
        "http://127.0.0.1:x/",
    )  # fmt: skip
    for address in places:
        with pytest.raises((errors.Unavailable, errors.InvalidInput, errors.NotFound)) as caught:
            commands.keep(house.contexts, house.actor("ada"), "dev", address)
        assert "could not be fetched" in caught.value.what or "not an http or https address" in caught.value.what
    assert web.asked == [403, 404]


def test_without_internet_it_is_said_that_the_name_is_not_known(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setattr(fetching, "PAUSES_S", ())
    with pytest.raises(errors.Unavailable, match=r"far\.example could not be looked up") as caught:
        commands.keep(house.contexts, house.actor("ada"), "dev", "https://far.example/x.csv")
    assert "no way to the internet" in caught.value.cure


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
