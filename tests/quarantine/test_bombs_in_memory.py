"""Archives that grow a thousandfold are looked into piece by piece: what they hold is never in memory at once."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doubleloop.quarantine import pickles

UNPACKED = 64 << 20
MOST = 32 << 20
# A sound pickle of one long value: it is walked to its end.
HEAD, END = b"\x80\x04B" + struct.pack("<I", UNPACKED), b"."


def pieces() -> Iterator[bytes]:
    yield HEAD
    for _ in range(UNPACKED >> 20):
        yield bytes(1 << 20)
    yield END


class Stream(io.RawIOBase):
    """The pieces as a file, for who reads by size."""

    def __init__(self) -> None:
        self._pieces, self._kept = pieces(), b""

    def read(self, size: int = -1) -> bytes:
        while len(self._kept) < size and (piece := next(self._pieces, b"")):
            self._kept += piece
        taken, self._kept = self._kept[:size], self._kept[size:]
        return taken


def zipped(place: Path) -> None:
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("data.pkl", "w") as member:
        for piece in pieces():
            member.write(piece)


def gzipped(place: Path) -> None:
    with gzip.open(place, "wb", compresslevel=1) as file:
        for piece in pieces():
            file.write(piece)


def taped(place: Path) -> None:
    with tarfile.open(place, "w:gz", compresslevel=1) as archive:
        member = tarfile.TarInfo("model.pkl")
        member.size = len(HEAD) + UNPACKED + len(END)
        archive.addfile(member, Stream())  # type: ignore[arg-type]


@pytest.mark.parametrize("pack", [zipped, gzipped, taped])
def test_a_bomb_does_not_go_off_in_memory(tmp_path: Path, pack: Any) -> None:
    place = tmp_path / "model.pkl"
    pack(place)
    assert place.stat().st_size < UNPACKED / 100
    tracemalloc.start()
    try:
        whole = pickles.scan(place)
        limited = pickles.scan(place, limit=1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MOST, f"{peak >> 20} MiB"
    assert not any("bytes than the limit" in each.why for each in whole), whole
    assert any("bytes than the limit" in each.why for each in limited), limited
