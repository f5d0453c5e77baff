"""``additional_includes`` of a component: files and folders that are copied into its code, each under its own name.

They are written in the component, or in a file beside it that is named like it (``train.additional_includes`` beside
``train.yml``): a list under ``additional_includes``, or one path a line. A path ``x.zip`` that is not there stands for
the folder ``x``, packed. On their way to the server they become part of the code and are then no longer named.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.specs import fields, pointers, references, sources
from doubleloop.specs.kinds import jobs

NAME = "additional_includes"
SUFFIX = ".additional_includes"


def read(text: str, file: str) -> tuple[list[Any], sources.Source]:
    """The paths in a file beside a component, each with its line. Raises InvalidInput for what is no list of paths."""
    lines = [line.strip() for line in text.splitlines()]
    if any(line.startswith(f"{NAME}:") for line in lines):
        data, source = sources.read(text, file, Path())
        listed = data[NAME] if data[NAME] is not None else []
        if not isinstance(listed, list):
            raise errors.InvalidInput(
                f"'{NAME}' is not a list of paths", where=source.where(NAME), cure="Write - PATH."
            )
        return listed, source.part((NAME,))
    written = [(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]
    places: dict[pointers.Pointer, sources.Place] = {(): sources.Place(file, 1)}
    places |= {(str(index),): sources.Place(file, number) for index, (number, _) in enumerate(written)}
    return [line for _, line in written], sources.Source(file, Path(), places)


def components(checked: fields.Spec) -> Iterator[tuple[pointers.Pointer, jobs.CommandComponent]]:
    """The components in a document that include something."""
    for at, found in fields.models(checked):
        if isinstance(found, jobs.CommandComponent) and found.additional_includes:
            yield at, found


def resolved(checked: fields.Spec, data: dict[str, Any], source: sources.Source) -> bool:
    """Make the paths in ``data`` absolute; whether there were any. Raises InvalidInput for one that is not there, or
    whose name is taken in the code or by another."""
    changed = False
    for at, component in components(checked):
        taken = _names_in_code(component, source.base_at((*at, "code")), source.where(at))
        for index, written in enumerate(component.additional_includes or ()):
            pointer = (*at, NAME, str(index))
            path, where = _existing(written, source, pointer), source.where(pointer)
            if path.name in taken:
                raise errors.InvalidInput(
                    f"'{written}' would take the place of {taken[path.name]} in the code", where=where,
                    cure="Give one of them another name, or leave one out.",
                )  # fmt: skip
            taken[path.name] = f"'{written}'"
            pointers.put(data, pointer, str(path))
            changed = True
    return changed


def is_packed(path: Path) -> bool:
    """Whether the path stands for the folder of its name, as a zip file."""
    return path.suffix == ".zip" and not path.exists() and path.with_suffix("").is_dir()


def _existing(written: str, source: sources.Source, pointer: pointers.Pointer) -> Path:
    path = Path(os.path.normpath(source.base_at(pointer) / os.path.expanduser(written.removeprefix("file:"))))
    if not path.exists() and not is_packed(path):
        raise errors.InvalidInput(
            f"the path '{written}' of '{NAME}' does not exist", where=source.where(pointer),
            cure=f"looked for {path}; paths start at the folder of the component's file",
        )  # fmt: skip
    if not path.name:
        raise errors.InvalidInput(f"'{written}' is the root of the file system", where=source.where(pointer))
    return path


def _names_in_code(component: jobs.CommandComponent, base: Path, where: errors.Where) -> dict[str, str]:
    if component.code is None:
        return {}
    if not references.is_local(component.code):
        raise errors.NotSupported(
            f"'{NAME}' are copied into local code, and '{component.code}' is none", where=where,
            cure="Name a folder of this machine as 'code', or leave it out.",
        )  # fmt: skip
    code = Path(os.path.normpath(base / os.path.expanduser(component.code.removeprefix("file:"))))
    names = [each.name for each in code.iterdir()] if code.is_dir() else [code.name]
    return {name: f"the code's own {name}" for name in names}
