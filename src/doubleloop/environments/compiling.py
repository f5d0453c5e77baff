"""Run by an environment's own Python: compiles packages, each source once on this machine.

``python -I -S compiling.py FOLDER KEPT`` writes ``__pycache__`` for what lies in FOLDER, except for packages' tests:
half of all code, and nobody imports it. A file that cannot be compiled is left, as installers leave it; who imports it
is told.

KEPT holds the code of every source that was compiled before, by the digest of the source and the interpreter's magic
number, with a checksum before it. What a ``.pyc`` has beyond that (PEP 552: time and size of the source) is written for
each environment, and the path in the code is set by whoever imports it, so it serves wherever the same source lies.

Standard library only, and for old Pythons too.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import marshal
import os
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

AT_ONCE = 100  # files that one process takes
PASSED_OVER = ("__pycache__", "test", "tests")


def sources(folder: str) -> Iterator[str]:
    """Paths below ``folder``, relative to it."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if each not in PASSED_OVER)
        yield from (os.path.relpath(os.path.join(place, each), folder) for each in files if each.endswith(".py"))


def compile_all(folder: str, kept: str, names: Sequence[str]) -> None:
    for name in names:
        with contextlib.suppress(OSError):
            compile_one(folder, kept, name)


def compile_one(folder: str, kept: str, name: str) -> None:
    path = os.path.join(folder, name)
    with open(path, "rb") as file:
        source, seen = file.read(), os.fstat(file.fileno())
    digest = hashlib.sha256(source).hexdigest()
    place = os.path.join(kept, digest[:2], digest)
    code = _read(place)
    if code is None:
        code = _compiled(source, name)
        if code is None:
            return
        with contextlib.suppress(OSError):  # a full or protected disk; it is compiled all the same
            _put(place, struct.pack("<I", zlib.crc32(code)) + code)
    header = struct.pack("<III", 0, int(seen.st_mtime) & 0xFFFFFFFF, seen.st_size & 0xFFFFFFFF)
    _put(importlib.util.cache_from_source(path, optimization=""), importlib.util.MAGIC_NUMBER + header + code)


def _read(place: str) -> bytes | None:
    """The code that is kept there; None when there is none, or not as it was written."""
    try:
        with open(place, "rb") as file:
            data = file.read()
    except OSError:
        return None
    code = data[4:]
    return code if code and data[:4] == struct.pack("<I", zlib.crc32(code)) else None


def _compiled(source: bytes, name: str) -> bytes | None:
    try:
        return marshal.dumps(compile(source, name, "exec", dont_inherit=True))
    except Exception:  # not Python, or not this one's
        return None


def _put(place: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(place), exist_ok=True)
    beside = f"{place}.{os.getpid()}"
    try:
        with open(beside, "wb") as file:
            file.write(data)
        os.replace(beside, place)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def main(folder: str, kept: str) -> None:
    warnings.simplefilter("ignore")
    kept = os.path.join(kept, f"{sys.implementation.cache_tag}-{importlib.util.MAGIC_NUMBER[:2].hex()}")
    names = list(sources(folder))
    parts = [names[at : at + AT_ONCE] for at in range(0, len(names), AT_ONCE)]
    processes = min(len(parts), os.cpu_count() or 1)
    if processes < 2:
        compile_all(folder, kept, names)
        return
    with ProcessPoolExecutor(processes) as pool:
        for running in [pool.submit(compile_all, folder, kept, part) for part in parts]:
            running.result()


if __name__ == "__main__":
    main(*sys.argv[1:])
