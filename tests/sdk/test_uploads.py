"""What a file points at arrives whole, is sent once, and leaves behind what git and az would leave behind."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from small_server import SmallServer

from doubleloop.base import errors
from doubleloop.sdk import client as clients
from doubleloop.sdk import documents as shipping
from doubleloop.sdk import ignores, uploads
from doubleloop.specs import documents
from doubleloop.storage.local import LocalBlobs


def fill(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = fill(tmp_path / "src", {"train.py": "print(1)", "lib/a.py": "a", "lib/b.py": "b", "empty": "", "again": "a"})
    (made / "run.sh").write_text("#!/bin/sh")
    (made / "run.sh").chmod(0o755)
    return made


def send(client: clients.Client, *wants: uploads.Want) -> list[str]:
    return [sent.reference for sent in uploads.send(client.blobs, wants)]


def puts(server: SmallServer) -> int:
    return len(server.requests("PUT", "blobs/.*"))


def test_a_folder_has_the_hash_that_the_server_would_give_it(
    client: clients.Client, folder: Path, tmp_path: Path
) -> None:
    own = LocalBlobs(tmp_path / "own").put_tree(folder)
    assert send(client, uploads.Want(folder)) == [f"tree:sha256:{own.sha256}"]


def test_equal_content_is_sent_once_and_never_again(client: clients.Client, server: SmallServer, folder: Path) -> None:
    first = send(client, uploads.Want(folder))
    assert puts(server) == 5  # six files, two of them equal
    (folder / "lib/new.py").write_text("new")
    assert send(client, uploads.Want(folder)) != first
    assert puts(server) == 6
    assert server.seen[-2].method == "PUT"
    assert server.seen[-2].path.endswith(hashlib.sha256(b"new").hexdigest())


def test_a_broken_upload_goes_on_where_it_stopped(client: clients.Client, server: SmallServer, tmp_path: Path) -> None:
    folder = fill(tmp_path / "many", {f"{number}.txt": str(number) for number in range(40)})
    server.put_limit = 15
    with pytest.raises(errors.Unavailable):
        send(client, uploads.Want(folder))
    stored = sum(server.blobs.has(hashlib.sha256(str(number).encode()).hexdigest()) for number in range(40))
    assert stored == 15
    server.put_limit, before = None, puts(server)
    send(client, uploads.Want(folder))
    assert puts(server) - before == 25


def test_a_file_keeps_its_name(client: clients.Client, server: SmallServer, tmp_path: Path) -> None:
    fill(tmp_path, {"train.csv": "a,b\n1,2\n"})
    (reference,) = send(client, uploads.Want(tmp_path / "train.csv"))
    assert reference.startswith("tree:sha256:")
    assert reference.endswith("/train.csv")
    laid = server.blobs.materialise(reference, tmp_path / "laid")
    assert laid.read_text() == "a,b\n1,2\n"


def test_a_code_file_becomes_a_folder_with_that_file(
    client: clients.Client, server: SmallServer, tmp_path: Path
) -> None:
    fill(tmp_path, {"train.py": "print(1)"})
    (reference,) = send(client, uploads.Want(tmp_path / "train.py", code=True))
    assert [path.name for path in server.blobs.materialise(reference, tmp_path / "laid").iterdir()] == ["train.py"]


def test_a_models_folder_keeps_its_name(client: clients.Client, server: SmallServer, tmp_path: Path) -> None:
    fill(tmp_path / "model", {"weights.pkl": "w"})
    (reference,) = send(client, uploads.Want(tmp_path / "model", named=True))
    tree, _, below = reference.removeprefix("tree:sha256:").partition("/")
    assert below == "model"
    assert [entry.path for entry in server.blobs.tree(tree).entries] == ["model/weights.pkl"]


def test_whether_a_file_is_executable_is_kept(client: clients.Client, server: SmallServer, folder: Path) -> None:
    (reference,) = send(client, uploads.Want(folder))
    tree = server.blobs.tree(reference.removeprefix("tree:sha256:"))
    assert [entry.path for entry in tree.entries if entry.executable] == ["run.sh"]


def test_a_file_that_changes_while_it_is_sent_is_an_error_that_names_it(client: clients.Client, tmp_path: Path) -> None:
    fill(tmp_path, {"log.txt": "before"})
    with pytest.raises(errors.InvalidInput, match=r"log\.txt was not taken") as caught:
        client.blobs.put(tmp_path / "log.txt", hashlib.sha256(b"after").hexdigest(), 6)
    assert "written to" in caught.value.cure


def test_links_inside_are_followed_and_links_to_the_outside_refused(
    client: clients.Client, server: SmallServer, folder: Path, tmp_path: Path
) -> None:
    (folder / "same.py").symlink_to("train.py")
    (folder / "more").symlink_to("lib", target_is_directory=True)
    (reference,) = send(client, uploads.Want(folder))
    names = {entry.path for entry in server.blobs.tree(reference.removeprefix("tree:sha256:")).entries}
    assert {"same.py", "more/a.py"} <= names
    fill(tmp_path, {"secret": "s"})
    (folder / "out").symlink_to(tmp_path / "secret")
    where = errors.Where("job.yml", 4, "code")
    with pytest.raises(errors.InvalidInput, match="link to a place outside") as caught:
        send(client, uploads.Want(folder, code=True, where=where))
    assert caught.value.where == where
    (folder / ".amlignore").write_text("out\n")
    send(client, uploads.Want(folder, code=True))


@pytest.mark.parametrize(
    ("target", "message"), [("nowhere", "which is not there"), (".", "link to a folder around it")]
)
def test_links_that_lead_nowhere_or_in_circles_are_refused(
    target: str, message: str, client: clients.Client, folder: Path
) -> None:
    (folder / "link").symlink_to(target)
    with pytest.raises(errors.InvalidInput, match=message):
        send(client, uploads.Want(folder))


def test_pipes_are_refused(client: clients.Client, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(errors.InvalidInput, match="not a regular file"):
        send(client, uploads.Want(folder))


def test_a_path_that_is_not_there_names_the_place_it_was_written(client: clients.Client, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput, match="There is no file or folder") as caught:
        send(client, uploads.Want(tmp_path / "no", where=errors.Where("data.yml", 7, "path")))
    assert caught.value.where == errors.Where("data.yml", 7, "path")


def test_progress_ends_at_the_whole(client: clients.Client, folder: Path) -> None:
    told: list[tuple[str, int, int]] = []
    uploads.send(client.blobs, [uploads.Want(folder)], lambda *step: told.append(step))
    assert told[0][1] == 0
    assert told[-1][1] == told[-1][2] == len("print(1)") + len("a") + len("b") + len("#!/bin/sh")
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_a_document_goes_out_with_content_addresses_for_all_its_paths(
    client: clients.Client, server: SmallServer, folder: Path
) -> None:
    (folder.parent / "bikes.csv").write_text("a\n1\n")
    file = folder.parent / "job.yml"
    file.write_text(
        "$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json\n"
        "command: python train.py ${{inputs.bikes}}\ncode: src\ncompute: azureml:cpu\nenvironment: azureml:e:1\n"
        "inputs:\n  bikes:\n    type: uri_file\n    path: bikes.csv\n"
    )
    wire = shipping.ship(client.blobs, documents.load(file))
    found = documents.from_wire(wire).model
    assert found.code.startswith("tree:sha256:")
    assert found.inputs["bikes"].path.endswith("/bikes.csv")
    assert documents.local_paths(documents.from_wire(wire)) == []
    assert str(folder.parent) not in found.inputs["bikes"].path


def test_what_a_component_includes_arrives_in_its_code(
    client: clients.Client, server: SmallServer, folder: Path
) -> None:
    fill(folder.parent, {"shared/x.py": "x", "shared/__pycache__/x.pyc": "", "assets/deep/a.txt": "a", "one.py": "1"})
    text = "name: c\nversion: 1\ncommand: x\nenvironment: azureml:e:1\n"
    file = folder.parent / "c.yml"
    file.write_text(f"{text}code: src\nadditional_includes: [shared, assets.zip, one.py]\n")

    def sent() -> Path:
        code = documents.from_wire(shipping.ship(client.blobs, documents.load(file))).model.code
        return client.blobs.fetch(code, folder.parent / "fetched" / code.rpartition(":")[2])

    laid = sent()
    assert sorted(each.relative_to(laid).as_posix() for each in laid.rglob("*") if each.is_file()) == [
        "again", "assets.zip", "empty", "lib/a.py", "lib/b.py", "one.py", "run.sh", "shared/x.py", "train.py",
    ]  # fmt: skip
    with zipfile.ZipFile(laid / "assets.zip") as archive:
        assert archive.read("assets/deep/a.txt") == b"a"
    before = puts(server)
    sent()
    assert puts(server) == before  # the same again, the packed folder too
    file.write_text(f"{text}additional_includes: [assets.zip, shared]\n")
    laid = sent()
    assert sorted(each.relative_to(laid).as_posix() for each in laid.rglob("*") if each.is_file()) == [
        "assets.zip", "shared/x.py",
    ]  # fmt: skip


PATTERNS = """
# a comment
*.log
!keep.log
/root.txt
build/
docs/*.md
**/deep.bin
data/**
!data/keep.csv
a/**/z
temp?
file[0-9].txt
x[!ab]y
\\#literal
\\!bang
trailing\\
space\\ end
spaces   
foo/*
!foo/bar/
[]a]b
sub/dir/
*.tar.*
**
"""  # noqa: W291
FILES = [
    "a.log", "keep.log", "deep/keep.log", "root.txt", "deep/root.txt", "build/x", "deep/build/x", "docs/a.md",
    "docs/deep/a.md", "deep.bin", "q/deep.bin", "q/r/deep.bin", "data/a.csv", "data/keep.csv", "data/q/b.csv", "a/z",
    "a/b/z", "a/b/c/z", "a/b/c/zz", "temp1", "temp12", "deep/temp1", "file1.txt", "filex.txt", "xcy", "xay", "xa/y",
    "#literal", "!bang", "trailing", "space end", "spaces", "foo/x", "foo/bar/y", "foo/bar/q/z", "]b", "ab",
    "sub/dir/f", "sub/dirx/f", "up/sub/dir/f", "x.tar.gz", "plain",
]  # fmt: skip


def test_the_grammar_is_gits(tmp_path: Path) -> None:
    """Every pattern alone, and all in a row, decide as `git check-ignore` does."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    fill(tmp_path, dict.fromkeys(FILES, ""))
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    lines = PATTERNS.strip("\n").split("\n")
    cases = [[line] for line in lines] + [lines[:-1], ["*", "!*/", "!*.csv"], ["/*", "!/foo", "/foo/*", "!/foo/bar"]]
    for case in cases:
        (tmp_path / ".gitignore").write_text("\n".join(case) + "\n")
        asked = subprocess.run(
            ["git", "-c", "core.excludesFile=", "check-ignore", "--stdin", "-z"], cwd=tmp_path,
            input="\0".join(FILES), capture_output=True, text=True, check=False,
        )  # fmt: skip
        theirs = {name for name in asked.stdout.split("\0") if name}
        rules = ignores.parse(case)
        ours = {name for name in FILES if _skipped(rules, name)}
        assert ours == theirs, case


def _skipped(rules: ignores.Ignores, name: str) -> bool:
    parts = name.split("/")
    return any(rules.skips("/".join(parts[:end]), end < len(parts)) for end in range(1, len(parts) + 1))


def test_amlignore_wins_over_gitignore_and_data_heeds_it_alone(tmp_path: Path) -> None:
    fill(tmp_path, {"a.csv": "", "a.tmp": "", ".git/config": "", "lib/__pycache__/x.pyc": "", ".gitignore": "*.csv\n"})

    def sent(code: bool) -> set[str]:
        want = uploads.Want(tmp_path, code=code)
        return {
            path.relative_to(tmp_path).as_posix()
            for path in uploads._walk(tmp_path, ignores.read(tmp_path, code=code), want)
        }

    assert sent(True) == {"a.tmp"}
    assert sent(False) == {"a.csv", "a.tmp", ".git/config", "lib/__pycache__/x.pyc", ".gitignore"}
    (tmp_path / ".amlignore").write_text("*.tmp\n.git*\n")
    assert sent(True) == {"a.csv"}
    assert sent(False) == {"a.csv", "lib/__pycache__/x.pyc"}
