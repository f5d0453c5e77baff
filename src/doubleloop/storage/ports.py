"""The port that object stores fill, and the two shapes that are stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True)
class Entry:
    """One file of a tree: POSIX path relative to the tree's root, size in bytes, content hash, executable or not."""

    path: str
    sha256: str
    size: int
    executable: bool = False


@dataclass(frozen=True)
class Tree:
    """Files sorted by path. Its hash is that of the canonical JSON of its entries."""

    entries: tuple[Entry, ...]
    sha256: str

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries)


class Blobs(Protocol):
    """Content-addressed storage. Hashes are hex SHA-256. Every ``get`` checks nothing: ``verify`` does."""

    def put(self, stream: BinaryIO, expected: str | None = None) -> str:
        """Store a stream and return its hash. Raises InvalidInput when it is not the ``expected`` one."""

    def put_bytes(self, content: bytes) -> str: ...

    def put_file(self, path: Path) -> str: ...

    def has(self, sha256: str) -> bool: ...

    def path(self, sha256: str) -> Path:
        """A local, read-only file with the content. Raises NotFound."""

    def read(self, sha256: str) -> bytes: ...

    def put_tree(self, folder: Path) -> Tree:
        """Store a folder. Symbolic links are followed inside it and refused when they point outside.

        Raises NotFound, InvalidInput naming the file that cannot be kept.
        """

    def put_entries(self, entries: tuple[Entry, ...]) -> Tree:
        """Store a tree whose blobs are there already. Raises InvalidInput for one that is not, or a bad path."""

    def tree(self, sha256: str) -> Tree: ...

    def materialise(self, reference: str, target: Path, *, writable: bool = False) -> Path:
        """Lay ``blob:sha256:H``, ``tree:sha256:H`` or ``tree:sha256:H/sub/path`` at ``target`` as a private copy.

        Complete or not there at all (it is built beside and renamed). Returns ``target``.
        """
