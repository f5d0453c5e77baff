"""A bundle goes from one installation to another as a file, and is believed by nothing but its signature and hashes."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from api_server import Prepared, Served, running
from cryptography.hazmat.primitives.asymmetric import ed25519

import databases
from doubleloop import wiring
from doubleloop.api import app
from doubleloop.base import actors, errors, verdicts
from doubleloop.bundles import commands, model
from doubleloop.bundles import store as bundles_store
from doubleloop.environments import commands as environments
from doubleloop.environments import locks
from doubleloop.environments import model as pins
from doubleloop.environments import queries as environment_queries
from doubleloop.events import queries as events
from doubleloop.gates import commands as gates
from doubleloop.models import commands as models
from doubleloop.models import queries as model_queries
from doubleloop.sdk import client as clients
from doubleloop.settings.model import Settings
from doubleloop.storage import ports as storage
from doubleloop.tracking import ports as tracking
from doubleloop.tracking.fake import MemoryTracking

RELEASES = actors.service("releases")
LOCK = pins.Lock("3.11", ("mlflow==3.17.2", "scikit-learn==1.9.0"), locks._platform())
PYTHONS = [pins.Interpreter("3.11.7", Path("/no/such/python"))]
CONDA = "dependencies: [python=3.11, {pip: [mlflow==3.17.2, scikit-learn==1.9.0]}]\n"


@contextmanager
def installation(prepared: Prepared, folder: Path, tokens: dict[str, str]) -> Iterator[Served]:
    settings = Settings(home=Path(shutil.copytree(prepared.home, folder)))
    (settings.home / "secret.key").unlink(missing_ok=True)  # each has a secret of its own, so keys of its own
    made = wiring.contexts(settings, databases.opened(settings.sqlite_path))
    contexts = dataclasses.replace(made, ports={**made.ports, tracking.Tracking: MemoryTracking()})
    with running(app.create(contexts, settings), port=0) as server:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Served(settings, contexts, f"http://127.0.0.1:{port}", tokens)
    contexts.engine.dispose()


@pytest.fixture
def two(prepared: Prepared, tmp_path: Path) -> Iterator[tuple[Served, Served]]:
    with ExitStack() as stack:
        here, there = (stack.enter_context(installation(prepared, tmp_path / name, prepared.tokens)) for name in "ab")
        yield here, there


def client(served: Served, user: str = "admin") -> clients.Client:
    return clients.Client(served.url, served.tokens[user])


def packed(served: Served) -> model.Bundle:
    """A model that ada registered, with evidence and a lock, packed as a release to production does."""
    blobs = served.contexts.port(storage.Blobs)
    files = {"MLmodel": b"flavors: {python_function: {}}\n", "conda.yaml": CONDA.encode(), "model.pkl": b"\x80\x04N."}
    entries = tuple(storage.Entry(name, blobs.put_bytes(text), len(text)) for name, text in files.items())
    made = models.create(
        served.contexts, actors.Actor("ada"), "dev", "fares", f"tree:sha256:{blobs.put_entries(entries).sha256}"
    )
    code = b"import sys\n"
    tree = blobs.put_entries((storage.Entry("score.py", blobs.put_bytes(code), len(code)),)).sha256
    with served.contexts.write(RELEASES, "prod") as ctx:
        environments.keep_lock(ctx, LOCK, "")
        gates.deposit(
            ctx, "release:r1", "0.0:model_quality", verdicts.passed("better"), {"rmse": 1.25, "data_ids": []},
            {"report": f"blob:sha256:{blobs.put_bytes(b'a long report')}"},
        )  # fmt: skip
    wanted = model.Wanted(
        {"id": "r1", "workspace": "prod"}, "release:r1", "prod", ("fares", made.version), LOCK.digest,
        f"tree:sha256:{tree}",
    )  # fmt: skip
    return commands.pack(served.contexts, RELEASES, wanted)


def befriend(here: Served, there: Served) -> None:
    client(there).bundles.trust("here", client(here).bundles.keys()["own"]["public"])


@pytest.fixture
def file(two: tuple[Served, Served], tmp_path: Path) -> Path:
    made = packed(two[0])
    client(two[0]).bundles.export(made.digest, tmp_path / "fares.bundle")
    return tmp_path / "fares.bundle"


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        return {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]


def rewrite(file: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    content = members(file)
    change(content)
    target = file.with_name("changed.bundle")
    with tarfile.open(target, "w") as archive:
        for name, body in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return target


def edit(content: dict[str, bytes], change: Callable[[Any], None]) -> None:
    """Change what the manifest says, in its canonical form, as somebody with an editor would."""
    manifest = json.loads(content["manifest.json"])
    change(manifest)
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    content["manifest.json"] = text.encode()


def test_the_signature_holds_by_the_standards_own_words(two: tuple[Served, Served], file: Path) -> None:
    """Checked with nothing of ours: SHA-256 of the text, Ed25519 over the format and that."""
    content = members(file)
    head = json.loads(content["bundle.json"])
    digest = hashlib.sha256(content["manifest.json"]).hexdigest()
    public = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(head["public"]))
    public.verify(base64.b64decode(head["signature"]), f"doubleloop/bundle/1\n{digest}\n".encode())
    assert head["digest"] == digest
    assert head["key"] == hashlib.sha256(base64.b64decode(head["public"])).hexdigest()[:16]
    for name, body in content.items():
        if name.startswith("files/"):
            assert hashlib.sha256(body).hexdigest() == name.removeprefix("files/")


def test_a_bundle_holds_all_that_the_model_depends_on(two: tuple[Served, Served], file: Path) -> None:
    content = members(file)
    manifest = json.loads(content["manifest.json"])
    assert manifest["environment"]["requirements"] == list(LOCK.requirements)
    assert (manifest["model"]["authors"], manifest["model"]["version"]) == (["ada"], "1")
    assert manifest["evidence"][0]["body"] == {"rmse": 1.25, "data_ids": []}
    bodies = set(content.values())
    assert {b"\x80\x04N.", CONDA.encode(), b"import sys\n", b"a long report"} <= bodies
    assert {f"files/{sha256}" for sha256 in manifest["files"]} == set(content) - {"bundle.json", "manifest.json"}


def test_it_is_taken_in_once_the_key_is_trusted_and_the_model_is_there(
    two: tuple[Served, Served], file: Path
) -> None:  # fmt: skip
    here, there = two
    with pytest.raises(errors.NotPermitted, match="not trusted here"):
        client(there).bundles.take_in(file)
    befriend(here, there)
    told = client(there).bundles.take_in(file)
    assert (told["model"], told["version"], told["imported"], told["authors"]) == ("fares", "1", True, ["ada"])
    assert client(there).bundles.take_in(file) == told, "a second time it is the same one"
    with there.contexts.read(RELEASES, "prod") as ctx:
        version = model_queries.get(ctx, "fares", "1")
        assert environment_queries.lock(ctx, LOCK.digest) == LOCK
        (fact,) = events.facts(ctx, types=["bundle.imported"])
        assert (fact.data["model"], fact.data["authors"]) == ("fares:1", ["ada"])
    laid = there.contexts.port(storage.Blobs).materialise(version.reference, there.settings.home / "laid")
    assert (laid / "model.pkl").read_bytes() == b"\x80\x04N."
    # What the model asks for is answered with the lock that it was tested with, without asking an index.
    source = environments.source_of_model(laid)
    assert locks.resolve(source.spec, there.settings.home / "environments" / "locks", pythons=PYTHONS) == LOCK


def test_export_and_trust_are_on_record(two: tuple[Served, Served], file: Path) -> None:
    befriend(*two)
    with two[0].contexts.read(RELEASES, None) as ctx:
        assert [each.actor for each in events.facts(ctx, types=["bundle.exported"])] == ["admin"]
    key = client(two[1]).bundles.keys()["items"][0]["id"]
    client(two[1]).bundles.distrust(key)
    with pytest.raises(errors.NotPermitted):
        client(two[1]).bundles.take_in(file)
    with two[1].contexts.read(RELEASES, None) as ctx:
        found = [each.type for each in events.facts(ctx, subject=f"key:{key}")]
    assert found == ["bundle.key_trusted", "bundle.key_distrusted"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m["model"]["authors"].clear(), "not what was signed"),
        (lambda m: m["evidence"].clear(), "not what was signed"),
        (lambda m: m["evidence"][0]["body"].update(rmse=0.1), "changed after it was deposited"),
        (lambda m: m["environment"]["requirements"].append("evil==1.0"), "not what was signed"),
        (lambda m: m["model"].update(name="other"), "not what was signed"),
        (lambda m: m.update(format="doubleloop/bundle/9"), "no bundle of the form"),
        (lambda m: m.pop("approvals"), "no 'approvals'"),
        (lambda m: m["model"].update(reference="tree:sha256:" + "0" * 64), "not among its files"),
    ],
)
def test_what_was_altered_on_the_way_is_refused(
    two: tuple[Served, Served], file: Path, change: Callable[[Any], None], told: str
) -> None:
    befriend(*two)
    altered = rewrite(file, lambda content: edit(content, change))
    with pytest.raises(errors.InvalidInput, match="not what was signed"):
        client(two[1]).bundles.take_in(altered)
    # Another client may leave that check out; the server does not.
    content = members(altered)
    head = json.loads(content["bundle.json"])
    body = {"manifest": content["manifest.json"].decode(), "key": head["key"], "signature": head["signature"]}
    answer = two[1].as_("admin").post("/api/v1/bundles", json=body)
    assert (answer.status_code, told in answer.text) == (400, True), answer.text
    nothing_came(two[1])


def _swap(content: dict[str, bytes]) -> None:
    name = next(name for name, body in content.items() if body == b"\x80\x04N.")
    content[name] = b"\x80\x04X."


def _drop(content: dict[str, bytes]) -> None:
    content.popitem()


def _smuggle(content: dict[str, bytes]) -> None:
    content["files/../../evil"] = b"x"


@pytest.mark.parametrize(
    ("change", "told"), [(_swap, "another hash"), (_drop, "are missing"), (_smuggle, "not one of its files")]
)
def test_files_that_are_not_the_manifests_are_refused(
    two: tuple[Served, Served], file: Path, change: Callable[[dict[str, bytes]], None], told: str
) -> None:
    befriend(*two)
    with pytest.raises(errors.InvalidInput, match=told):
        client(two[1]).bundles.take_in(rewrite(file, change))
    nothing_came(two[1])


@pytest.mark.parametrize("body", [b"", b"not a tar", b"\x1f\x8b\x08\x00" + b"0" * 600, b"\x00" * 1024])
def test_a_file_that_is_no_bundle_says_so(two: tuple[Served, Served], tmp_path: Path, body: bytes) -> None:
    (tmp_path / "x").write_bytes(body)
    with pytest.raises(errors.InvalidInput, match="no bundle, or a damaged one"):
        client(two[1]).bundles.take_in(tmp_path / "x")


def test_a_signature_by_another_key_is_refused_even_for_a_trusted_name(two: tuple[Served, Served], file: Path) -> None:
    befriend(*two)
    forger = ed25519.Ed25519PrivateKey.generate()

    def forge(content: dict[str, bytes]) -> None:
        edit(content, lambda manifest: manifest["model"].update(authors=["eve"]))
        head = json.loads(content["bundle.json"])
        digest = hashlib.sha256(content["manifest.json"]).hexdigest()
        signature = forger.sign(f"doubleloop/bundle/1\n{digest}\n".encode())
        content["bundle.json"] = json.dumps({**head, "signature": base64.b64encode(signature).decode()}).encode()

    with pytest.raises(errors.InvalidInput, match="not what was signed"):
        client(two[1]).bundles.take_in(rewrite(file, forge))


def test_a_manifest_that_was_changed_in_the_store_does_not_leave(two: tuple[Served, Served], tmp_path: Path) -> None:
    made = packed(two[0])
    place = two[0].contexts.port(storage.Blobs).path(made.digest)
    place.chmod(0o644)
    place.write_bytes(place.read_bytes().replace(b'"rmse":1.25', b'"rmse":0.25'))
    with pytest.raises(errors.Failed, match="changed where it is stored"):
        client(two[0]).bundles.export(made.digest, tmp_path / "x")
    assert list(tmp_path.glob("x*")) == []


def test_a_broken_export_goes_on_where_it_stopped(two: tuple[Served, Served], tmp_path: Path) -> None:
    made = packed(two[0])
    file = tmp_path / "fares.bundle"
    seen: list[str] = []

    def stop(what: str, done: int, total: int) -> None:
        seen.append(what)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client(two[0]).bundles.export(made.digest, file, stop)
    assert not file.exists()
    kept = {each.name: each.stat().st_mtime_ns for each in (tmp_path / "fares.bundle.parts").iterdir()}
    assert len(kept) == 2
    client(two[0]).bundles.export(made.digest, file)
    assert file.exists() and not (tmp_path / "fares.bundle.parts").exists()
    first = file.read_bytes()
    client(two[0]).bundles.export(made.digest, file)
    assert file.read_bytes() == first, "the same bundle gives the same bytes"


def test_who_may(two: tuple[Served, Served], file: Path) -> None:
    befriend(*two)
    with pytest.raises(errors.NotPermitted):
        client(two[1], "nobody").bundles.take_in(file)
    with pytest.raises(errors.NotPermitted):
        client(two[0], "nobody").bundles.list()
    with pytest.raises(errors.NotPermitted):
        client(two[1], "ada").bundles.trust("mine", client(two[0]).bundles.keys()["own"]["public"])
    for key in ("", "x", "A" * 44, base64.b64encode(b"short").decode()):
        with pytest.raises(errors.InvalidInput):
            client(two[1]).bundles.trust("mine", key)


def written(file: Path, added: Callable[[tarfile.TarFile, dict[str, bytes]], None]) -> Path:
    """The bundle's head and manifest as they were, and after them what ``added`` writes."""
    content = members(file)
    target = file.with_name("attack.bundle")
    with tarfile.open(target, "w") as archive:
        for name in ("bundle.json", "manifest.json"):
            _member(archive, name, content[name])
        added(archive, {name: body for name, body in content.items() if name.startswith("files/")})
    return target


def _member(archive: tarfile.TarFile, name: str, body: bytes, **more: Any) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(body)
    for key, value in more.items():
        setattr(entry, key, value)
    archive.addfile(entry, io.BytesIO(body))


def _first_as(**more: Any) -> Callable[[tarfile.TarFile, dict[str, bytes]], None]:
    """All files, the first of them as another kind of member."""

    def add(archive: tarfile.TarFile, files: dict[str, bytes]) -> None:
        for number, (name, body) in enumerate(files.items()):
            _member(archive, name, body if number or "type" not in more else b"", **({} if number else more))

    return add


def _named(name: str) -> Callable[[tarfile.TarFile, dict[str, bytes]], None]:
    def add(archive: tarfile.TarFile, files: dict[str, bytes]) -> None:
        _member(archive, name, b"outside")
        _first_as()(archive, files)

    return add


def _twice(archive: tarfile.TarFile, files: dict[str, bytes]) -> None:
    for name, body in files.items():
        _member(archive, name, body)
        _member(archive, name, bytes(len(body)))


def _larger(archive: tarfile.TarFile, files: dict[str, bytes]) -> None:
    for name, body in files.items():
        _member(archive, name, body + b"and more")


def _sparse(map_: str) -> Callable[[tarfile.TarFile, dict[str, bytes]], None]:
    """Members of no bytes that unpack to as many zeros as they like."""

    def add(archive: tarfile.TarFile, files: dict[str, bytes]) -> None:
        for name, body in files.items():
            entry = tarfile.TarInfo(name)
            entry.pax_headers = {"GNU.sparse.size": str(len(body)), "GNU.sparse.map": map_}
            archive.addfile(entry)

    return add


ODD_MEMBERS = (
    _first_as(type=tarfile.SYMTYPE, linkname="/etc/passwd"), _first_as(type=tarfile.LNKTYPE, linkname="bundle.json"),
    _first_as(type=tarfile.FIFOTYPE), _first_as(type=tarfile.CHRTYPE), _first_as(type=tarfile.DIRTYPE),
    _named("../evil"), _named("/tmp/doubleloop-evil"), _named("files/../evil"), _named("files/"),
    _named("manifest.json"), _named("bundle.json"), _named("files\\evil"), _twice, _larger, _sparse("0,0"), _sparse(""),
)  # fmt: skip


def test_members_that_no_export_writes_are_refused(two: tuple[Served, Served], file: Path) -> None:
    befriend(*two)
    for added in ODD_MEMBERS:
        with pytest.raises(errors.InvalidInput, match=r"no bundle, or a damaged one"):
            client(two[1]).bundles.take_in(written(file, added))
    nothing_came(two[1])
    outside = [file.parent / "evil", Path("/tmp/doubleloop-evil"), Path.cwd() / "evil"]
    assert [each for each in outside if each.exists()] == []


def nothing_came(there: Served) -> None:
    with there.contexts.read(RELEASES, None) as ctx:
        assert [each.model for each in bundles_store.select(ctx) if each.imported] == []
        assert model_queries.versions(ctx.in_workspace("registry"), "fares") == []
        assert events.facts(ctx, types=["bundle.imported", "model.registered"]) == []
        with pytest.raises(errors.NotFound):
            environment_queries.lock(ctx, LOCK.digest)


def test_a_bundle_that_ends_too_early_is_refused(two: tuple[Served, Served], file: Path) -> None:
    befriend(*two)
    whole = file.read_bytes().rstrip(b"\0")
    for share in (0.1, 0.5, 0.9, 0.99):
        file.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(errors.InvalidInput, match="no bundle, or a damaged one"):
            client(two[1]).bundles.take_in(file)
    nothing_came(two[1])


def test_nothing_is_sent_of_a_bundle_whose_signature_does_not_hold(two: tuple[Served, Served], file: Path) -> None:
    befriend(*two)

    def add(content: dict[str, bytes]) -> None:
        body = b"a file that nobody signed"
        name = hashlib.sha256(body).hexdigest()
        edit(content, lambda manifest: manifest["files"].update({name: len(body)}))
        content[f"files/{name}"] = body

    with pytest.raises(errors.InvalidInput, match="not what was signed"):
        client(two[1]).bundles.take_in(rewrite(file, add))
    assert not two[1].contexts.port(storage.Blobs).has(hashlib.sha256(b"a file that nobody signed").hexdigest())


def places_in(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Every place in a manifest, as the keys that lead there."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield from places_in(each, *path, key)


def test_a_signed_manifest_of_any_shape_is_taken_whole_or_refused(two: tuple[Served, Served], file: Path) -> None:
    """A friend's key is no reason to believe the form of what it signed: every place, with every kind of value."""
    there = two[1]
    friend = ed25519.Ed25519PrivateKey.generate()
    public = base64.b64encode(friend.public_key().public_bytes_raw()).decode()
    key = client(there).bundles.trust("a careless friend", public)["id"]
    blobs = there.contexts.port(storage.Blobs)
    content = members(file)
    for name, body in content.items():
        if name.startswith("files/"):
            blobs.put_bytes(body)
    original = json.loads(content["manifest.json"])
    admin = there.as_("admin")
    wrong = []
    for path in places_in(original):
        if path[0] in ("facts", "files") and len(path) > 2:
            continue  # what happened is kept as it was told
        for value in (None, 1, "x", [1], {"x": 1}):
            manifest = json.loads(content["manifest.json"])
            holder = manifest
            for part in path[:-1]:
                holder = holder[part]
            if type(holder[path[-1]]) is type(value):
                continue
            holder[path[-1]] = value
            text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            digest = hashlib.sha256(text.encode()).hexdigest()
            signature = base64.b64encode(friend.sign(f"doubleloop/bundle/1\n{digest}\n".encode())).decode()
            answer = admin.post("/api/v1/bundles", json={"manifest": text, "key": key, "signature": signature})
            if answer.status_code not in (200, 400):
                wrong.append((path, value, answer.status_code, answer.text[:200]))
            elif answer.status_code == 400:
                with there.contexts.read(RELEASES, "registry") as ctx:
                    if model_queries.versions(ctx, "fares") and not bundles_store.select(ctx):
                        wrong.append((path, value, "half of it is there"))
    assert wrong == []
