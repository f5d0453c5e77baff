"""A folder as a zip file that is the same, byte by byte, whenever the folder is."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

# The earliest time that the format knows.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_FILE = 0o100644


def write(folder: Path, files: Iterable[Path], scratch: Path) -> Path:
    """``files`` of ``folder`` as a new zip file in ``scratch``, below the folder's own name. Its path."""
    place = scratch / str(len(list(scratch.iterdir()))) / f"{folder.name}.zip"
    place.parent.mkdir()
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            info = zipfile.ZipInfo(f"{folder.name}/{file.relative_to(folder).as_posix()}", _EPOCH)
            info.external_attr = (_FILE | (file.stat().st_mode & 0o111)) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            with file.open("rb") as source, archive.open(info, "w", force_zip64=True) as target:
                while block := source.read(1024 * 1024):
                    target.write(block)
    return place
