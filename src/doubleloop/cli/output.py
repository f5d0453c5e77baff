"""Printing an answer: a table for people, JSON, YAML or tab-separated values for programs.

``tsv`` and the values of ``json`` and ``yaml`` are those that ``az`` prints for the same answer.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from doubleloop.base import clock, errors

Cell = Callable[[Any], str]


@dataclass(frozen=True)
class Column:
    """``path`` is dotted (``window.start``); ``render`` makes its text."""

    title: str
    path: str
    render: Cell | None = None

    def text(self, item: Any) -> str:
        value = at(item, self.path)
        return self.render(value) if self.render else plain(value)


@dataclass(frozen=True)
class Shown:
    """A value, and how a person would like to see it: columns of a listing, or a text of its own."""

    value: Any
    columns: Sequence[Column] = ()
    text: Callable[[Any], str] | None = None


def show(shown: Any, format_: str | None, query: str | None) -> None:
    """Print ``shown`` (a value or ``Shown``) on stdout. Raises InvalidInput for a query that is not JMESPath."""
    answer = shown if isinstance(shown, Shown) else Shown(shown)
    chosen = format_ or ("table" if sys.stdout.isatty() and not query else "json")
    value = _searched(query, answer.value) if query else answer.value
    if query:
        answer = Shown(value)
    if value is None or chosen == "none":
        return
    if chosen == "table":
        click.echo(table(answer), nl=False)
    else:
        click.echo(_WRITERS[chosen](value), nl=False)


def _searched(query: str, value: Any) -> Any:
    import jmespath
    from jmespath import exceptions

    try:
        return jmespath.search(query, value)
    except exceptions.JMESPathError as error:
        raise errors.InvalidInput(
            f"The query cannot be read: {' '.join(str(error).split())}", where=errors.Where("--query"),
            cure="See https://jmespath.org; quote it for the shell.",
        ) from error  # fmt: skip


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def as_yaml(value: Any) -> str:
    import io

    from ruamel.yaml import YAML

    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.allow_unicode = True
    writer.width = 4096
    writer.representer.add_representer(str, _yaml_text)
    stream = io.StringIO()
    writer.dump(value, stream)
    return stream.getvalue().removesuffix("...\n")


def _yaml_text(representer: Any, text: str) -> Any:
    """Quotes words that YAML 1.1 readers, which are many, take for booleans: the field ``on`` of a rule."""
    style = "'" if text.lower() in ("yes", "no", "on", "off") else None
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def tsv(value: Any) -> str:
    """The rules of az (knack): a row a list item; columns of a mapping by sorted key; a list inside is its length,
    a mapping inside is empty."""
    rows = value if isinstance(value, list) else [value]
    return "".join(_tsv_row(row) + "\n" for row in rows)


def _tsv_row(row: Any) -> str:
    if isinstance(row, dict):
        return "\t".join(_tsv_cell(row[key]) for key in sorted(row))
    if isinstance(row, list):
        return "\t".join(_tsv_cell(cell) for cell in row)
    return str(row).lower() if isinstance(row, bool) else _tsv_cell(row)


def _tsv_cell(cell: Any) -> str:
    if isinstance(cell, list):
        return str(len(cell))
    return "" if isinstance(cell, dict) else str(cell)


# az's coloured formats are the plain ones here: colours would only be in the way of a script.
_WRITERS: dict[str, Callable[[Any], str]] = {
    "json": as_json, "jsonc": as_json, "yaml": as_yaml, "yamlc": as_yaml, "tsv": tsv,
}  # fmt: skip


def table(shown: Shown) -> str:
    """A listing as columns, one thing as its fields below each other, a plain value as itself."""
    if shown.text:
        return shown.text(shown.value).rstrip("\n") + "\n"
    value = shown.value
    if isinstance(value, list):
        if not value:
            return "" if not shown.columns else "Nothing there.\n"
        if isinstance(value[0], list):
            width = max(len(row) for row in value if isinstance(row, list))
            cells = [[plain(cell) for cell in [*row, *[None] * (width - len(row))]] for row in value]
            return rows([f"Column{number + 1}" for number in range(width)], cells)
        if not isinstance(value[0], dict):
            return rows(["Result"], [[plain(item)] for item in value])
        columns = shown.columns or [Column(_title(key), key) for key in _scalar_keys(value)]
        return rows([column.title for column in columns], [[column.text(item) for column in columns] for item in value])
    if isinstance(value, dict):
        return fields(value)
    return plain(value) + "\n"


def rows(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Aligned columns under dashes; the last one is cut to the terminal's width."""
    clean = [[" ".join(cell.split()) for cell in row] for row in cells]
    widths = [
        max(len(title), *(len(row[i]) for row in clean)) if clean else len(title) for i, title in enumerate(titles)
    ]
    lines = [list(titles), ["-" * width for width in widths], *clean]
    limit = shutil.get_terminal_size((200, 24)).columns if sys.stdout.isatty() else 100_000
    out = []
    for line in lines:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        out.append(text if len(text) <= limit else text[: limit - 1] + "…")
    return "\n".join(out) + "\n"


def fields(value: dict[str, Any], indent: str = "") -> str:
    """``Name   value`` lines; what is nested stands indented below its name."""
    flat = {key: item for key, item in value.items() if item not in (None, {}, [], "")}
    width = max((len(_title(key)) for key, item in flat.items() if not _nested(item)), default=0)
    out = []
    for key, item in flat.items():
        if not _nested(item):
            text = when(item) if key.endswith("_at") else plain(item)
            out.append(f"{indent}{_title(key).ljust(width)}  {text}\n")
        elif isinstance(item, dict):
            out.append(f"{indent}{_title(key)}:\n{fields(item, indent + '  ')}")
        else:
            out.append(f"{indent}{_title(key)}:\n" + "".join(f"{indent}  - {plain(each)}\n" for each in item))
    return "".join(out)


def _nested(item: Any) -> bool:
    return isinstance(item, dict) or (isinstance(item, list) and any(isinstance(each, (dict, list)) for each in item))


def _scalar_keys(items: list[dict[str, Any]]) -> list[str]:
    return [key for key in dict.fromkeys(key for item in items for key in item) if not _nested(items[0].get(key))]


def _title(key: str) -> str:
    words = str(key).replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def at(item: Any, path: str) -> Any:
    for part in path.split("."):
        item = item.get(part) if isinstance(item, dict) else None
    return item


def plain(value: Any) -> str:
    """A value as a person would write it; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and not _nested(value):
        return ", ".join(plain(item) for item in value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def when(value: Any) -> str:
    """A time as ``2026-11-22 21:56:00Z``: without the microseconds."""
    try:
        return clock.parse(str(value)).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if value else ""
    except ValueError:
        return str(value)


def short(value: Any) -> str:
    """The first twelve characters of a hash."""
    return str(value)[:12] if value else ""


def shares(value: Any) -> str:
    """``blue 90 %, green 10 %``."""
    return ", ".join(f"{name} {share} %" for name, share in (value or {}).items())


def span(start: Any, end: Any) -> str:
    """Time between two moments, ``2m 05s``; until now when it has not ended."""
    if not start:
        return ""
    finish = clock.parse(str(end)) if end else datetime.now(UTC)
    seconds = max(0, int((finish - clock.parse(str(start))).total_seconds()))
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}h {minutes:02d}m" if hours else f"{minutes}m {left:02d}s" if minutes else f"{left}s"
