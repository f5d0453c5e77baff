"""The reference part of docs/commands.md, written from the commands themselves.

``python -m doubleloop.cli.reference docs/commands.md`` rewrites the part after the marker; a test keeps it in step.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from doubleloop.cli import app, tree

MARKER = "<!-- From here on written by `python -m doubleloop.cli.reference docs/commands.md`. -->\n"
# Explained once, above the marker.
_SHARED = frozenset({"--output", "--query", "--workspace", "--registry-name", "--only-show-errors", "--help"})


def markdown() -> str:
    """A section per noun, an entry per verb with its own options."""
    lines: list[str] = []
    with click.Context(app.program, info_name="doubleloop") as root:
        sections = dict.fromkeys(entry.section for entry in tree.ENTRIES.values())
        for section in sections:
            lines += [f"## {section}", ""]
            for name, entry in tree.ENTRIES.items():
                if entry.section == section:
                    lines += _command(root, name)
    return "\n".join(lines)


def _command(root: click.Context, name: str) -> Iterator[str]:
    command = app.program.get_command(root, name)
    assert command is not None
    if not isinstance(command, click.Group):
        yield from _verb(root, command, name)
        return
    yield from (f"### {name}", "", _sentence(command), "")
    for verb in sorted(command.commands):
        yield from _verb(root, command.commands[verb], f"{name} {verb}")


def _verb(root: click.Context, command: click.Command, words: str) -> Iterator[str]:
    arguments = [
        parameter.make_metavar(root) for parameter in command.params if isinstance(parameter, click.Argument)
    ]  # fmt: skip
    usage = " ".join(["doubleloop", words, *(argument for argument in arguments if "words" not in argument.lower())])
    yield from (f"**`{usage}`**", "", _sentence(command), "")
    shown = [
        parameter
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden and not _SHARED & set(parameter.opts)
        and parameter.name != "acting"
    ]  # fmt: skip
    for option in shown:
        metavar = "" if option.is_flag else f" {option.make_metavar(root)}"
        needed = " *(needed)*" if option.required else ""
        yield f"- `{', '.join(option.opts)}{metavar}`{needed}: {option.help}"
    if shown:
        yield ""


def _sentence(command: click.Command) -> str:
    return " ".join((command.help or "").split())


def main(path: str) -> None:
    """Rewrite the part of ``path`` after the marker."""
    file = Path(path)
    head, _, _ = file.read_text().partition(MARKER)
    file.write_text(head + MARKER + "\n" + markdown())


if __name__ == "__main__":
    main(sys.argv[1])
