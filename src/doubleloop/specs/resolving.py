"""Local paths on the machine of the file: made absolute, and checked to be there."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.specs import beside, fields, model, pointers, references, sources
from doubleloop.specs.kinds import releases


def resolved(checked: fields.Spec, source: sources.Source) -> dict[str, Any] | None:
    """The plain data of a model with its local paths made absolute; None when it has none.

    Raises InvalidInput, with file and line, for a path that does not exist or is a file in place of a folder.
    """
    data = model.plain(checked)
    changed = beside.resolved(checked, data, source)
    for visit in list(fields.walk(checked)):
        if isinstance(visit.owner, releases.UnitTestsCheck) and visit.name == "command":
            changed |= _default_test_code(data, visit, source)
        if visit.path_role and isinstance(visit.value, str) and references.is_local(visit.value):
            path = _existing(visit, source)
            pointers.put(data, visit.pointer, str(path))
            changed = True
    return data if changed else None


def _existing(visit: fields.Visit, source: sources.Source) -> Path:
    where = source.where(visit.pointer)
    reference = references.parse(visit.value, where)
    written = reference.path if isinstance(reference, references.Local) else visit.value
    path = Path(os.path.normpath(source.base_at(visit.pointer) / os.path.expanduser(written)))
    what = f"the path '{visit.value}' of '{visit.name}'"
    if not path.exists():
        raise errors.InvalidInput(
            f"{what} does not exist",
            where=where,
            cure=f"looked for {path}; paths start at the folder of the file they are written in",
        )
    kind = str(getattr(visit.owner, "type", None) or "")
    if visit.path_role == "folder" and not path.is_dir():
        raise errors.InvalidInput(f"{what} is a file, and a folder is needed", where=where)
    if kind == "uri_file" and path.is_dir():
        raise errors.InvalidInput(f"{what} is a folder", where=where, cure="write 'type: uri_folder', or name a file")
    if kind in ("uri_folder", "mltable") and not path.is_dir():
        raise errors.InvalidInput(f"{what} is a file", where=where, cure="write 'type: uri_file', or name its folder")
    if kind == "mltable" and not (path / "MLTable").is_file():
        raise errors.InvalidInput(
            f"{what} holds no file named MLTable, which says how the table is read",
            where=where,
            cure="write one, or 'type: uri_folder'",
        )
    return path


def _default_test_code(data: dict[str, Any], visit: fields.Visit, source: sources.Source) -> bool:
    """Fills in ``code`` and ``directory`` of a unit_tests check: the smallest folder that holds all it names."""
    check = visit.pointer[:-1]
    if pointers.get(data, (*check, "code")) is not None:
        return False
    base = source.base_at(check)
    try:
        words = shlex.split(str(visit.value))
    except ValueError:
        words = str(visit.value).split()
    named = [Path(os.path.normpath(base / word)) for word in words if "/" in word or (base / word).is_dir()]
    common = Path(os.path.commonpath([base, *(path for path in named if path.exists())]))
    pointers.put(data, (*check, "code"), str(common))
    if common != base:
        pointers.put(data, (*check, "directory"), str(base.relative_to(common)))
    return True
