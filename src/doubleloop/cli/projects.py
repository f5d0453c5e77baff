"""``doubleloop init``: a project to begin with, written from the templates of the package."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import doubleloop
from doubleloop.base import errors
from doubleloop.cli import options, output

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

# A scenario's project is the files of ``shared`` and its own, which stand before them.
TEMPLATES = Path(doubleloop.__file__).parent / "templates"
SHARED = "shared"
SCENARIOS = ("classical", "vision", "language")
# What the files of the templates call the project; each is a valid file as it is.
TOKEN = "project-name"
# Of a file that begins with a dot, which packaging and git would take for their own.
DOT = "dot-"
# It begins the names of workspaces, endpoints and assets, so it is kept to what all of them allow.
_NAME = re.compile(r"^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$")
_LONGEST = 20


@click.command("init", cls=options.Verb)
@click.argument("name")
@click.option("--scenario", type=click.Choice(SCENARIOS), required=True, help="What kind of model it is about.")
@click.option("--folder", metavar="FOLDER", help="Where it is written  [default: ./NAME]")
@options.shared(workspace=False, user=False)
def init(session: Session, name: str, scenario: str, folder: str | None) -> output.Shown:
    """Write a project that runs as it is: data, pipeline, tests, release, monitor, rule, CI."""
    place = Path(folder or name)
    written = write(name, scenario, place)
    told: dict[str, Any] = {"name": name, "scenario": scenario, "folder": str(place), "files": written}
    return output.Shown(
        told, text=lambda _: f"{len(written)} files are in {place}. {place / 'README.md'} says how it runs."
    )


def write(name: str, scenario: str, place: Path) -> list[str]:
    """The project's files, in alphabetical order; all of them are there, or none.

    Raises InvalidInput for a name that its assets could not have, Conflict for a folder that is not empty.
    """
    if not _NAME.match(name) or len(name) > _LONGEST:
        raise errors.InvalidInput(
            f"'{name}' cannot be the name of a project", where=errors.Where("NAME"),
            cure=f"Use small letters, digits and single dashes, beginning with a letter; at most {_LONGEST} of them.",
        )  # fmt: skip
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise errors.Conflict(f"{place} is there and is no folder", cure="Give another --folder, or move it away.")
    if place.is_dir() and any(place.iterdir()):
        raise errors.Conflict(
            f"The folder {place} is not empty, and nothing in it is touched", cure="Give another --folder, or empty it."
        )
    try:
        return _laid(name, scenario, place)
    except OSError as error:
        raise errors.InvalidInput(
            f"The project cannot be written to {place}: {error.strerror or error}", cure="Give another --folder."
        ) from error


def _laid(name: str, scenario: str, place: Path) -> list[str]:
    """Written beside its place, then moved there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".doubleloop-init-", dir=place.parent) as scratch:
        whole = Path(scratch) / "project"
        for source in (SHARED, scenario):
            for file in sorted((TEMPLATES / source).rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    _copy(file, whole / _named(file.relative_to(TEMPLATES / source), name), name)
        os.replace(whole, place)  # an empty folder gives way
    return sorted(each.relative_to(place).as_posix() for each in place.rglob("*") if each.is_file())


def _named(file: Path, name: str) -> Path:
    parts = (f".{part.removeprefix(DOT)}" if part.startswith(DOT) else part for part in file.parts)
    return Path(*(part.replace(TOKEN, name) for part in parts))


def _copy(file: Path, target: Path, name: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.write_text(file.read_text(encoding="utf-8").replace(TOKEN, name), encoding="utf-8", newline="")
    except UnicodeDecodeError:
        shutil.copyfile(file, target)
