"""What is finished, in a folder that outlives the process: after a crash the rest is done, and nothing twice.

``plan.json`` says which mini-batches there are, ``native.json`` that the model itself must score, and why;
``done/<number>.json`` that one is finished, and how; ``why.json`` why a run failed; ``parts`` holds
its rows, ``written`` the files that scripts wrote by themselves. A part is complete when its ``done`` file is there.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from typing import Any, Dict, List, Optional, Sequence

WHY = "why.json"


def is_full(error: BaseException) -> bool:
    """Whether it says that the disk has no room: no fault of the files that were being scored."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


class Ledger:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._done = os.path.join(folder, "done")
        self.parts_folder = os.path.join(folder, "parts")
        self.written = os.path.join(folder, "written")

    def open(self, plan: Any) -> None:
        """Make the folder ready for ``plan``; what it holds of another plan is thrown away."""
        digest = hashlib.sha256(json.dumps(plan, sort_keys=True).encode("utf-8")).hexdigest()
        path = os.path.join(self._folder, "plan.json")
        if _read(path) != {"digest": digest}:
            shutil.rmtree(self._folder, ignore_errors=True)
        for folder in (self._done, self.parts_folder, self.written):
            os.makedirs(folder, exist_ok=True)
        write(path, {"digest": digest})
        if os.path.exists(os.path.join(self._folder, WHY)):
            os.unlink(os.path.join(self._folder, WHY))

    def finished(self, number: int) -> Optional[Dict[str, Any]]:
        """How mini-batch ``number`` ended well, or None."""
        return _read(os.path.join(self._done, "%d.json" % number))

    def finish(self, number: int, told: Dict[str, Any]) -> None:
        write(os.path.join(self._done, "%d.json" % number), told)

    def forget(self, number: int) -> None:
        os.unlink(os.path.join(self._done, "%d.json" % number))

    @property
    def native(self) -> str:
        """Why the model itself must score, and no plan in its place; empty when it need not."""
        return str((_read(os.path.join(self._folder, "native.json")) or {}).get("why", ""))

    def go_native(self, why: str) -> None:
        write(os.path.join(self._folder, "native.json"), {"why": why})

    def parts(self, numbers: Sequence[int]) -> List[str]:
        """Files with the rows of these mini-batches, in their order."""
        found = {}  # type: Dict[int, List[str]]
        for name in os.listdir(self.parts_folder):
            stem, _, end = name.rpartition(".")
            if end == "part":
                found.setdefault(int(stem.partition("-")[0]), []).append(name)
        return [os.path.join(self.parts_folder, name) for number in numbers for name in sorted(found.get(number, ()))]

    def drop_parts(self, number: int) -> None:
        """What an earlier try of mini-batch ``number`` left."""
        for path in self.parts([number]):
            os.unlink(path)

    def failed(self, why: str) -> None:
        """For who started the run, and is told no more than that it failed."""
        os.makedirs(self._folder, exist_ok=True)
        write(os.path.join(self._folder, WHY), {"why": why})

    def clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def part_name(number: int, index: int, piece: int = 0) -> str:
    """``piece``: rows of one file whose columns change their types lie in several."""
    return "%d-%08d-%06d.part" % (number, index, piece)


def write(path: str, value: Any) -> None:
    """JSON that is there whole or not at all, also after a power cut."""
    beside = path + ".new"
    with open(beside, "w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def _read(path: str) -> Optional[Dict[str, Any]]:
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
