"""``doubleloop schema``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, tree

_COLUMNS = (output.Column("Kind", "kind"), output.Column("File", "file"), output.Column("Line", "line"))


@click.group("schema", cls=tree.Verbs)
def GROUP() -> None:
    """JSON schemas of files, for editors."""


def _file(kind: str) -> str:
    return f"{kind}.schema.json"


@GROUP.command("list", cls=options.Verb)
@options.shared(workspace=False)
def list_(session: Any) -> output.Shown:
    """The kinds of files, and the line that a file of each may begin with."""
    from doubleloop.specs import schemas

    found = [{"kind": kind, "file": _file(kind), "line": _line(_file(kind))} for kind in schemas.names()]
    return output.Shown(found, _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name("kind")
@options.shared(workspace=False)
def show(session: Any, name: str) -> Any:
    """One schema."""
    from doubleloop.specs import schemas

    if name not in schemas.names():
        raise errors.NotFound(f"'{name}' is not a kind of file", cure=tree.nearest(name, schemas.names()))
    return output.Shown(schemas.schema(name.replace("-", "_")), text=output.as_json)


@GROUP.command("export", cls=options.Verb)
@click.argument("folder", metavar="DIR")
@options.shared(workspace=False)
def export(session: Any, folder: str) -> output.Shown:
    """Write one schema per kind into DIR, for `# yaml-language-server: $schema=DIR/KIND.schema.json`."""
    from doubleloop.specs import schemas

    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    made = []
    for kind in schemas.names():
        file = path / _file(kind)
        file.write_text(json.dumps(schemas.schema(kind.replace("-", "_")), indent=2) + "\n", encoding="utf-8")
        made.append({"kind": kind, "file": str(file), "line": _line(str(file))})
    return output.Shown(made, _COLUMNS)


def _line(file: str) -> str:
    return f"# yaml-language-server: $schema={file}"
