"""Content at its hash: stored once, whole or not at all, laid down as private copies."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubleloop.base import canonical, errors
from doubleloop.storage import local, rules
from doubleloop.storage.ports import Entry

HELLO = hashlib.sha256(b"hello").hexdigest()
LINUX_NAMES = st.text(st.characters(exclude_characters="/\0\\", exclude_categories=["Cs"]), min_size=1, max_size=40)


@pytest.fixture
def blobs(tmp_path: Path) -> local.LocalBlobs:
    return local.LocalBlobs(tmp_path / "blobs")


def files(root: Path) -> dict[str, bytes]:
    return {each.relative_to(root).as_posix(): each.read_bytes() for each in root.rglob("*") if each.is_file()}


def test_a_hash_is_that_of_the_content(blobs: local.LocalBlobs, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"hello")
    ways = {blobs.put_bytes(b"hello"), blobs.put_file(tmp_path / "file"), blobs.put(io.BytesIO(b"hello"))}
    assert ways == {HELLO} == {"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}
    assert blobs.read(HELLO) == b"hello"
    assert len(files(tmp_path / "blobs")) == 1


def test_kept_content_cannot_be_written_to(blobs: local.LocalBlobs) -> None:
    path = blobs.path(blobs.put_bytes(b"hello"))
    assert path.stat().st_mode & 0o777 == 0o444


def test_content_that_is_not_as_announced_is_not_kept(blobs: local.LocalBlobs, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput, match=f"not {HELLO[:12]}"):
        blobs.put(io.BytesIO(b"hell"), HELLO)
    assert not blobs.has(HELLO)
    assert files(tmp_path / "blobs") == {}


def test_a_stream_that_breaks_leaves_nothing(blobs: local.LocalBlobs, tmp_path: Path) -> None:
    class Breaking(io.RawIOBase):
        def read(self, _size: int = -1) -> bytes:
            self.count = getattr(self, "count", 0) + 1
            if self.count == 3:
                raise ConnectionError("gone")
            return b"x" * 100

    with pytest.raises(ConnectionError):
        blobs.put(Breaking())  # type: ignore[arg-type]
    assert files(tmp_path / "blobs") == {}


@pytest.mark.parametrize("name", ["", "x", "A" * 64, "0" * 63, "0" * 65, "../" + "0" * 61, "0" * 63 + "\n", "٠" * 64])
def test_what_is_no_hash_is_refused(blobs: local.LocalBlobs, name: str) -> None:
    for look in (blobs.has, blobs.path, blobs.read, blobs.tree):
        with pytest.raises(errors.InvalidInput, match="SHA-256"):
            look(name)


def test_what_is_not_there_is_not_found(blobs: local.LocalBlobs) -> None:
    assert not blobs.has(HELLO)
    for look in (blobs.path, blobs.read, blobs.tree):
        with pytest.raises(errors.NotFound):
            look(HELLO)


def test_many_writers_of_the_same_content_keep_it_once(blobs: local.LocalBlobs, tmp_path: Path) -> None:
    content, found = os.urandom(1 << 20), []
    threads = [threading.Thread(target=lambda: found.append(blobs.put(io.BytesIO(content)))) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [hashlib.sha256(content).hexdigest()] * 8
    assert list(files(tmp_path / "blobs").values()) == [content]


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.lists(LINUX_NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=40), max_size=6))
def test_a_folder_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, content: dict[str, bytes]) -> None:
    root = tmp_path_factory.mktemp("folder")
    blobs, folder = local.LocalBlobs(root / "blobs"), root / "in"
    folder.mkdir()
    for path, text in content.items():
        parts = path.split("/")
        if any(part in (".", "..") or len(part.encode()) > 255 for part in parts):
            return
        try:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(text)
        except OSError:  # one path is a folder of another
            return
    tree = blobs.put_tree(folder)
    laid = blobs.materialise(f"tree:sha256:{tree.sha256}", root / "out")
    assert files(laid) == files(folder)
    assert blobs.put_tree(laid).sha256 == tree.sha256
    assert blobs.tree(tree.sha256) == tree
    assert tree.size == sum(map(len, files(folder).values()))


def test_the_hash_of_a_folder_is_that_of_its_list(blobs: local.LocalBlobs, tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "run.sh").write_bytes(b"hello")
    (tmp_path / "in" / "sub" / "run.sh").chmod(0o755)
    (tmp_path / "in" / "a").write_bytes(b"")
    empty = hashlib.sha256(b"").hexdigest()
    text = f'[["a","{empty}",0,false],["sub/run.sh","{HELLO}",5,true]]'
    tree = blobs.put_tree(tmp_path / "in")
    assert tree.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert blobs.put_entries(tuple(reversed(tree.entries))).sha256 == tree.sha256
    assert canonical.sha256([["a", empty, 0, False], ["sub/run.sh", HELLO, 5, True]]) == tree.sha256


def test_what_is_laid_down_is_a_copy_of_ones_own(blobs: local.LocalBlobs, tmp_path: Path) -> None:
    tree = blobs.put_entries((Entry("a", blobs.put_bytes(b"hello"), 5), Entry("x.sh", blobs.put_bytes(b"x"), 1, True)))
    for writable, modes in ((False, (0o444, 0o555)), (True, (0o644, 0o755))):
        laid = blobs.materialise(f"tree:sha256:{tree.sha256}", tmp_path / f"out-{writable}", writable=writable)
        assert tuple((laid / name).stat().st_mode & 0o777 for name in ("a", "x.sh")) == modes
    (laid / "a").write_bytes(b"changed")
    assert blobs.read(HELLO) == b"hello"


def test_a_part_of_a_folder_is_laid_down_alone(blobs: local.LocalBlobs, tmp_path: Path) -> None:
    entries = (Entry("m/MLmodel", blobs.put_bytes(b"hello"), 5), Entry("mm/x", blobs.put_bytes(b"x"), 1))
    reference = f"tree:sha256:{blobs.put_entries(entries).sha256}"
    assert files(blobs.materialise(f"{reference}/m", tmp_path / "m")) == {"MLmodel": b"hello"}
    assert files(blobs.materialise(f"{reference}/m/", tmp_path / "m2")) == {"MLmodel": b"hello"}
    assert blobs.materialise(f"{reference}/m/MLmodel", tmp_path / "file").read_bytes() == b"hello"
    with pytest.raises(errors.NotFound, match="'n'"):
        blobs.materialise(f"{reference}/n", tmp_path / "n")
    assert blobs.materialise(f"blob:sha256:{HELLO}", tmp_path / "blob").read_bytes() == b"hello"


def test_laying_down_replaces_what_was_there_or_leaves_it(blobs: local.LocalBlobs, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(errors.NotFound):
        blobs.materialise(f"tree:sha256:{'0' * 64}", target)
    assert files(target) == {"old": b"old"}
    tree = blobs.put_entries((Entry("new", blobs.put_bytes(b"hello"), 5),))
    assert files(blobs.materialise(f"tree:sha256:{tree.sha256}", target)) == {"new": b"hello"}
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


@pytest.mark.parametrize(
    "reference", ["", "x", "tree:sha256", f"tree:md5:{HELLO}", f"blob:sha256:{HELLO}/a", f"file:{HELLO}"]
)
def test_what_is_no_reference_is_refused(blobs: local.LocalBlobs, tmp_path: Path, reference: str) -> None:
    blobs.put_bytes(b"hello")
    with pytest.raises(errors.InvalidInput):
        blobs.materialise(reference, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_are_followed_inside_and_refused_outside(blobs: local.LocalBlobs, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a").write_bytes(b"hello")
    (folder / "link").symlink_to("a")
    (folder / "sub").mkdir()
    (folder / "sub" / "b").write_bytes(b"b")
    (folder / "other").symlink_to("sub")
    assert [each.path for each in blobs.put_tree(folder).entries] == ["a", "link", "other/b", "sub/b"]
    (tmp_path / "secret").write_text("secret")
    (folder / "out").symlink_to(tmp_path / "secret")
    with pytest.raises(errors.InvalidInput, match="outside"):
        blobs.put_tree(folder)


def test_links_that_lead_nowhere_or_around_are_refused(blobs: local.LocalBlobs, tmp_path: Path) -> None:
    for name, to in (("gone", "nothing"), ("around", "around"), ("itself", "."), ("above", "../above")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).symlink_to(to)
        with pytest.raises(errors.InvalidInput, match="link"):
            blobs.put_tree(folder)


def test_what_is_no_file_is_refused(blobs: local.LocalBlobs, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / "pipe")
    with pytest.raises(errors.InvalidInput, match="regular file"):
        blobs.put_tree(tmp_path / "in")


def test_a_name_that_is_no_text_is_refused(blobs: local.LocalBlobs, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/\xff"))).write_bytes(b"x")
    with pytest.raises(errors.InvalidInput, match="UTF-8"):
        blobs.put_tree(tmp_path / "in")


@pytest.mark.parametrize(
    "path",
    ["/a", "../a", "a/../b", ".", "", "a//b", "./a", "a/", "a/./b", "a\\b", "a\0", "x" * 256, "é" * 130, "a/" * 2500],
)
def test_a_path_that_leads_elsewhere_is_none(path: str) -> None:
    with pytest.raises(errors.InvalidInput):
        rules.check_path(path)


@pytest.mark.parametrize("path", ["a", "a/b", "..a", "a..", ".hidden", "a b", "ß/é", "x" * 255, "a:b*?", "-"])
def test_a_path_inside_is_one(path: str) -> None:
    rules.check_path(path)


def test_files_in_each_others_way_are_no_folder() -> None:
    for paths in (("a", "a"), ("a", "a/b"), ("a/b", "a/b/c/d")):
        with pytest.raises(errors.InvalidInput, match="a"):
            rules.check_entries([Entry(path, HELLO, 5) for path in paths])
    rules.check_entries([Entry(path, HELLO, 5) for path in ("a", "ab/c", "a.b")])
