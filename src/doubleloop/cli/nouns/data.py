"""``doubleloop data``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.cli import options, output, tree
from doubleloop.cli.nouns import asset

if TYPE_CHECKING:
    from doubleloop.cli.session import Session


@click.group("data", cls=tree.Verbs)
def GROUP() -> None:
    """Data assets and their versions."""


asset.add(GROUP, "data")
# The name it has in SPECS; `label` is the same verb.
GROUP.add_command(GROUP.commands["label"], "set-label")


@GROUP.command("create", cls=options.Verb)
@options.file()
@options.name(required=False)
@click.option("-v", "--version", metavar="VERSION", help="Version  [default: the next]")
@click.option("--path", metavar="PATH", help="File, folder or address.")
@click.option("-t", "--type", "type_", metavar="TYPE", help="uri_file, uri_folder or mltable.")
@click.option("--description", metavar="TEXT", help="What it is.")
@click.option("-l", "--label", metavar="LABEL", help="Label the new version at once.")
@click.option("--tags", multiple=True, metavar="KEY=VALUE", help="Free labels.")
@options.shared()
def create(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, version: str | None, path: str | None,
    type_: str | None, description: str | None, label: str | None, tags: tuple[str, ...],
) -> Any:  # fmt: skip
    """A new version: from a file, or from --name, --path and --type. The same content again is the same version."""
    from doubleloop.cli import files

    document = files.read(
        session, file, "data", [*options.pairs(sets, "--set"), *options.tags(tags)], name=name, version=version,
        path=path, type=type_, description=description,
    )  # fmt: skip
    return session.workspace.data.create(files.ship(session, document), label)


@GROUP.command("profile", cls=options.Verb)
@options.name()
@click.option("-v", "--version", default="@latest", metavar="VERSION", help="Version or @LABEL  [default: @latest]")
@click.option("--target", metavar="COLUMN", help="What is to be predicted: looks for columns that give it away.")
@click.option("--against", metavar="VERSION", help="Compare with this version, @LABEL or NAME:VERSION.")
@options.shared()
def profile(session: Session, name: str, version: str, target: str | None, against: str | None) -> output.Shown:
    """What a version's table holds: distributions, what is missing, correlations, and what may spoil a model."""
    found = session.workspace.data.look(name, version, target=target, against=against, progress=session.note)
    return output.Shown(found, text=_profile)


def _profile(found: dict[str, Any]) -> str:
    page = f"{found['data']}: {_rows(found)}, {found['duplicate_rows']:,} of them copies\n\n"
    page += output.rows(
        ("Column", "Type", "Kind", "Missing", "Distinct", "Values"), [_column(each) for each in found["columns"]]
    )
    related = [f"  {each['one']} and {each['two']}: {each['value']:+.3f}" for each in found["correlations"]]
    page += "\nCorrelations:\n" + "\n".join(related) + "\n" if related else ""
    hints = [f"  {each['sentence']}" for each in found["hints"]]
    page += "\nLook at:\n" + "\n".join(hints) + "\n" if hints else ""
    return page + (_comparison(found["comparison"]) if "comparison" in found else "")


def _rows(found: dict[str, Any]) -> str:
    looked, there = found["rows"], found.get("rows_in_all", found["rows"])
    return f"{looked:,} rows" if looked == there else f"looked at {looked:,} of {there:,} rows, evenly spaced"


def _column(each: dict[str, Any]) -> list[str]:
    said = ", ".join(f"{label} {share:.1%}" for label, share in each.get("top", [])[:3])
    if each["kind"] == "numerical" and each.get("mean") is not None:
        middle = each["quantiles"].get("0.5")
        ends = f"{_short(each['minimum'])} … {_short(middle)} … {_short(each['maximum'])}"
        said = f"{ends}, mean {_short(each['mean'])}, std {_short(each['std'])}"
    distinct = "" if each["distinct"] is None else f"{each['distinct']:,}"
    return [each["name"], each["type"], each["kind"], f"{each['missing_rate']:.1%}", distinct, said]


def _comparison(found: dict[str, Any]) -> str:
    lines = [f"\nSince {found['with']}: {found['rows']['before']:,} rows then, {found['rows']['after']:,} now"]
    lines += [f"  {name}: new column" for name in found["added"]]
    lines += [f"  {name}: column is gone" for name in found["removed"]]
    lines += [f"  {each['column']}: was {each['before']}, is {each['after']}" for each in found["retyped"]]
    lines += [f"  {each['distance']:.3f}  {each['sentence']}" for each in found["moved"]]
    return "\n".join(lines) + "\n"


def _short(number: Any) -> str:
    return "none" if number is None else f"{float(number):.4g}"
