"""Promotion bundles as files: a tar of ``bundle.json`` (who signed it), ``manifest.json`` (what was signed) and
``files/<sha256>``. Nothing is unpacked to a path that the file names."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from doubleloop.base import errors, signing
from doubleloop.sdk import blobs, routes, transport

# What a signature is over, with the hash of the manifest's text.
FORM = "doubleloop/bundle/1"
HEAD, MANIFEST, FILES = "bundle.json", "manifest.json", "files/"
_MOST_HEAD, _MOST_MANIFEST = 64 << 10, 32 << 20


class Bundles(routes.Routes):
    def __init__(self, link: transport.Transport, content: blobs.Blobs) -> None:
        super().__init__(link)
        self._content = content

    def list(self, *, model: str | None = None, release: str | None = None) -> routes.Bodies:
        """Newest first."""
        return self._list("bundles", model=model, release=release)

    def show(self, digest: str) -> routes.Body:
        """With its ``manifest``; its signature and its evidence are checked on the way."""
        return dict(self._get("bundles", digest))

    def export(self, digest: str, file: Path, progress: blobs.Progress = blobs.silent) -> routes.Body:
        """Write the bundle to ``file``. What has been fetched is kept beside it until the file is complete, so a broken
        export goes on where it stopped. Raises NotFound, Failed when it is no longer what was signed."""
        told = dict(self._post("bundles", digest, "export"))
        manifest = json.loads(told["manifest"])
        parts = file.with_name(f"{file.name}.parts")
        parts.mkdir(parents=True, exist_ok=True)
        done, total = 0, sum(manifest["files"].values())
        for sha256, size in manifest["files"].items():
            progress(sha256[:12], done, total)
            self._content.fetch(f"blob:sha256:{sha256}", parts / sha256)
            done += size
        progress("", total, total)
        _write(file, told, manifest["files"], parts)
        shutil.rmtree(parts)
        return told

    def take_in(self, file: Path, progress: blobs.Progress = blobs.silent) -> routes.Body:
        """Import a bundle's file: what the server lacks is uploaded, each file checked against its hash, then the
        server checks the whole. Raises InvalidInput for a file that is none or is damaged, NotPermitted for a key
        that is not trusted."""
        with _opened(file) as archive:
            head, text = _heads(file, archive)
            wanted = _files(file, text)
            self._check_signature(head, text)
            seen: set[str] = set()
            lacking = self._content.missing(wanted)
            done, total = 0, sum(wanted[sha256] for sha256 in lacking)
            while member := archive.next():
                sha256 = member.name.removeprefix(FILES)
                known = member.isreg() and not member.issparse() and member.name.startswith(FILES)
                if not known or wanted.get(sha256) != member.size or sha256 in seen:
                    raise _damaged(file, f"'{member.name[:80]}' is not one of its files, or there twice")
                seen.add(sha256)
                if sha256 in lacking:
                    progress(sha256[:12], done, total)
                    self._upload(file, archive, member, sha256)
                    lacking.discard(sha256)
                    done += member.size
            if lacking:
                raise _damaged(file, f"{len(lacking)} of its files are missing")
        body = {"manifest": text, "key": head["key"], "signature": head["signature"]}
        return dict(self._post("bundles", body=body, repeatable=True))

    def _check_signature(self, head: dict[str, Any], text: str) -> None:
        """Before anything is read or sent by the word of a manifest; the server looks for itself again."""
        known = self.keys()
        trusted = {each["id"]: each["public"] for each in (known["own"], *known["items"])}
        public = trusted.get(head["key"])
        if public is None:
            raise errors.NotPermitted(
                f"The bundle is signed with the key {head['key'][:16]}, which is not trusted here",
                cure="Compare the key with its owner (`doubleloop registry key` there), then `registry trust` it.",
            )
        digest = hashlib.sha256(text.encode()).hexdigest()
        if not signing.verify(public, FORM, digest, head["signature"]):
            raise errors.InvalidInput(
                "The bundle is not what was signed", cure="It was altered on its way; get it again."
            )

    def _upload(self, file: Path, archive: tarfile.TarFile, member: tarfile.TarInfo, sha256: str) -> None:
        source = archive.extractfile(member)
        assert source is not None
        descriptor, name = tempfile.mkstemp(prefix="doubleloop-")
        try:
            digest = hashlib.sha256()
            with os.fdopen(descriptor, "wb") as target:
                while chunk := source.read(transport.CHUNK):
                    digest.update(chunk)
                    target.write(chunk)
            if digest.hexdigest() != sha256:
                raise _damaged(file, f"the content of {sha256[:12]}… has another hash")
            self._content.put(Path(name), sha256, member.size)
        finally:
            Path(name).unlink(missing_ok=True)

    def keys(self) -> routes.Body:
        """Trusted keys as ``items``, and this installation's ``own``."""
        return dict(self._get("bundle-keys"))

    def trust(self, name: str, public: str) -> routes.Body:
        return dict(self._post("bundle-keys", body={"name": name, "public": public}))

    def distrust(self, id_: str) -> None:
        self._delete("bundle-keys", id_)


def _write(file: Path, told: routes.Body, sizes: dict[str, int], parts: Path) -> None:
    """Beside, then renamed; the same bundle gives the same bytes."""
    head = {name: told[name] for name in ("digest", "key", "public", "signature")}
    beside = file.with_name(f".{file.name}.incoming")
    try:
        with tarfile.open(beside, "w", format=tarfile.PAX_FORMAT) as archive:
            _add(archive, HEAD, json.dumps(head, indent=1, sort_keys=True).encode())
            _add(archive, MANIFEST, told["manifest"].encode())
            for sha256, size in sizes.items():
                with (parts / sha256).open("rb") as stream:
                    archive.addfile(_member(f"{FILES}{sha256}", size), stream)
        os.replace(beside, file)
    finally:
        beside.unlink(missing_ok=True)


def _member(name: str, size: int) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.mode = size, 0o444
    return made


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    archive.addfile(_member(name, len(content)), io.BytesIO(content))


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(file, "r:") as archive:
            yield archive
    except FileNotFoundError:
        raise errors.NotFound(f"There is no file {file}") from None
    except (tarfile.TarError, OSError, EOFError, ValueError, KeyError) as error:  # tarfile's own on odd headers
        raise _damaged(file, str(error) or type(error).__name__) from error


def _heads(file: Path, archive: tarfile.TarFile) -> tuple[dict[str, Any], str]:
    head = json.loads(_read(file, archive, HEAD, _MOST_HEAD))
    if not isinstance(head, dict) or not all(isinstance(head.get(name), str) for name in ("key", "signature")):
        raise _damaged(file, f"{HEAD} does not say who signed it")
    return head, _read(file, archive, MANIFEST, _MOST_MANIFEST)


def _read(file: Path, archive: tarfile.TarFile, name: str, most: int) -> str:
    member = archive.next()
    if member is None or member.name != name or not member.isreg() or member.size > most:
        raise _damaged(file, f"it has no {name}")
    stream: IO[bytes] | None = archive.extractfile(member)
    assert stream is not None
    try:
        text = stream.read().decode()
        json.loads(text)
    except (ValueError, RecursionError):
        raise _damaged(file, f"{name} cannot be read") from None
    return text


def _files(file: Path, text: str) -> dict[str, int]:
    found = json.loads(text)
    files = found.get("files") if isinstance(found, dict) else None
    if not isinstance(files, dict) or not all(isinstance(size, int) for size in files.values()):
        raise _damaged(file, f"{MANIFEST} has no list of files")
    return files


def _damaged(file: Path, why: str) -> errors.InvalidInput:
    return errors.InvalidInput(f"{file} is no bundle, or a damaged one: {why}", cure="Export it again.")
