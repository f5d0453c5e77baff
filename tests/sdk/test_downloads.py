"""What is fetched is what was stored, goes on where it stopped, and stays inside its folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from small_server import Reply, SmallServer

from doubleloop.base import errors
from doubleloop.sdk import client as clients
from doubleloop.storage import ports


@pytest.fixture
def tree(server: SmallServer, tmp_path: Path) -> str:
    source = tmp_path / "source"
    (source / "model/data").mkdir(parents=True)
    (source / "model/MLmodel").write_text("flavors")
    (source / "model/data/weights").write_bytes(b"w" * 3_000_000)
    (source / "run.sh").write_text("x")
    (source / "run.sh").chmod(0o755)
    (source / "empty").write_text("")
    return f"tree:sha256:{server.blobs.put_tree(source).sha256}"


def listing(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def test_a_folder_arrives_as_it_was(client: clients.Client, tree: str, tmp_path: Path) -> None:
    client.blobs.fetch(tree, tmp_path / "target")
    assert listing(tmp_path / "target") == {
        "model/MLmodel": 7,
        "model/data/weights": 3_000_000,
        "run.sh": 1,
        "empty": 0,
    }
    assert (tmp_path / "target/run.sh").stat().st_mode & 0o111


def test_part_of_a_folder_or_one_file_of_it_can_be_had(client: clients.Client, tree: str, tmp_path: Path) -> None:
    client.blobs.fetch(f"{tree}/model", tmp_path / "part")
    assert set(listing(tmp_path / "part")) == {"MLmodel", "data/weights"}
    client.blobs.fetch(f"{tree}/model/MLmodel", tmp_path / "one")
    assert set(listing(tmp_path / "one")) == {"MLmodel"}
    with pytest.raises(errors.NotFound, match="'mode' is not in that folder"):
        client.blobs.fetch(f"{tree}/mode", tmp_path / "none")


def test_what_is_there_is_kept_and_what_is_wrong_is_replaced(
    client: clients.Client, server: SmallServer, tree: str, tmp_path: Path
) -> None:
    client.blobs.fetch(tree, tmp_path / "target")
    (tmp_path / "target/model/MLmodel").write_text("flavorz")
    (tmp_path / "target/run.sh").unlink()
    before = len(server.requests("GET", "blobs/.*"))
    client.blobs.fetch(tree, tmp_path / "target")
    assert len(server.requests("GET", "blobs/.*")) - before == 2
    assert (tmp_path / "target/model/MLmodel").read_text() == "flavors"


def test_a_download_that_breaks_leaves_no_half_file(
    client: clients.Client, server: SmallServer, tmp_path: Path
) -> None:
    content = b"c" * 100_000
    sha256 = server.blobs.put_bytes(content)
    server.on("GET", f"blobs/{sha256}", Reply(200, content, cut=500), Reply(200, content))
    with pytest.raises(errors.Unavailable):
        client.blobs.fetch(f"blob:sha256:{sha256}", tmp_path / "file")
    assert list(tmp_path.glob("*file*")) == [] and list(tmp_path.glob(".incoming*")) == []
    assert client.blobs.fetch(f"blob:sha256:{sha256}", tmp_path / "file").read_bytes() == content


def test_damaged_content_is_refused(client: clients.Client, server: SmallServer, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(b"right").hexdigest()
    server.on("GET", f"blobs/{sha256}", Reply(200, b"wrong"))
    with pytest.raises(errors.Unavailable, match="arrived damaged"):
        client.blobs.fetch(f"blob:sha256:{sha256}", tmp_path / "file")
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("path", ["../evil", "/etc/evil", "a/../../evil"])
def test_a_server_cannot_write_outside_the_folder(
    path: str, client: clients.Client, server: SmallServer, tmp_path: Path
) -> None:
    entry = ports.Entry(path, server.blobs.put_bytes(b"evil"), 4)
    server.on("GET", "trees/*", {"sha256": "0" * 64, "entries": [[entry.path, entry.sha256, entry.size, False]]})
    with pytest.raises(errors.InvalidInput, match="not inside the folder"):
        client.blobs.fetch(f"tree:sha256:{'0' * 64}", tmp_path / "target")


def test_an_address_elsewhere_is_not_fetched(client: clients.Client, tmp_path: Path) -> None:
    for reference in ("https://x/y.csv", "azureml:bikes:1", "blob:sha256:xyz", f"blob:sha256:{'0' * 64}/below"):
        with pytest.raises(errors.InvalidInput, match="not stored on the server"):
            client.blobs.fetch(reference, tmp_path / "target")
