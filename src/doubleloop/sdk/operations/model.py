"""What all groups of operations share: the server, sending documents, things that take their time."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from doubleloop.base import errors
from doubleloop.sdk import client as clients
from doubleloop.sdk import routes
from doubleloop.sdk.entities.model import Entity

if TYPE_CHECKING:
    import pandas

    from doubleloop.specs.model import Document

T = TypeVar("T")
LOG = logging.getLogger("doubleloop.sdk")
# Between two looks while nothing happens, in seconds, rising from the first to the last.
FIRST, LAST = 0.1, 1.0


class Place:
    """One workspace (or registry) of a server, as one user."""

    def __init__(self, http: clients.Client, workspace: str) -> None:
        self.http = http
        self.name = workspace
        self.routes = http.workspace(workspace)

    @cached_property
    def scratch(self) -> tempfile.TemporaryDirectory[str]:
        """Where outputs are laid that nobody gave a place: gone when the program ends."""
        return tempfile.TemporaryDirectory(prefix="doubleloop-")

    def ship(self, entity: Entity) -> tuple[Document, routes.Body]:
        """Check an entity, upload what it points at; the document and what to send of it."""
        from doubleloop.sdk import documents

        if not isinstance(entity, Entity):
            raise errors.InvalidInput(
                f"{getattr(entity, '__name__', type(entity).__name__)} is nothing that can be sent",
                cure="A pipeline's function is called first: client.jobs.create_or_update(my_pipeline(...)).",
            )
        document = entity.document()
        for notice in document.notices:
            LOG.warning("%s", notice)
        return document, documents.ship(self.http.blobs, document)

    def laid(self, reference: str, name: str) -> Path:
        """What is stored at a content address, in the scratch folder: a file, or a folder. Once for each address."""
        target = Path(self.scratch.name) / reference.replace(":", "-").replace("/", "_")
        if not target.exists():
            self.http.blobs.fetch(reference, target, name=name)
        return single(target, reference)

    def frame(self, reference: str, name: str) -> pandas.DataFrame:
        from doubleloop.sdk import frames

        return frames.read(self.laid(reference, name))


def single(target: Path, reference: str) -> Path:
    """The file itself, where an address names one file of a folder."""
    below = reference.partition("/")[2]
    inside = list(target.iterdir()) if target.is_dir() else []
    if below and len(inside) == 1 and inside[0].is_file() and inside[0].name == Path(below).name:
        return inside[0]
    return target


class Poller(Generic[T]):
    """Something that takes its time: ``result()`` waits for it."""

    def __init__(self, look: Callable[[], T | None], status: Callable[[], str]) -> None:
        """``look`` gives the result once it is there and None before; it raises when it has come to a bad end."""
        self._look, self._status = look, status
        self._found: T | None = None

    def done(self) -> bool:
        """Whether it has ended. Raises the error that it ended with."""
        if self._found is None:
            self._found = self._look()
        return self._found is not None

    def status(self) -> str:
        return self._status()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it has ended, ``timeout`` seconds at most."""
        end, pause = None if timeout is None else time.monotonic() + timeout, FIRST
        while not self.done() and (end is None or time.monotonic() < end):
            time.sleep(pause)
            pause = min(LAST, pause * 1.5)

    def result(self, timeout: float | None = None) -> T:
        """What it came to. Raises Failed, or Unavailable when it has not ended after ``timeout`` seconds."""
        self.wait(timeout)
        if self._found is None:
            raise errors.Unavailable(f"It has not ended after {timeout:g} s: {self.status()}", cure="Wait longer.")
        return self._found


def done(value: T) -> Poller[T]:
    """Something that is done already."""
    return Poller(lambda: value, lambda: "Succeeded")


def because(error: object) -> str:
    """The reason of a bad end, as part of a sentence."""
    if isinstance(error, dict):
        return f": {error.get('message') or error.get('code')}"
    return f": {error}" if error else ""


def cure(error: object) -> str:
    return str(error.get("cure") or "") if isinstance(error, dict) else ""
