"""``doubleloop labeling``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

ITEM = click.option("--item", "item", type=click.IntRange(1), required=True, metavar="NUMBER", help="Item's number.")
_FORMATS = ["csv", "jsonl", "conll", "coco", "yolo", "labelstudio"]
_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Task", "task"),
    output.Column("Status", "status"),
    output.Column("Items", "items"),
    output.Column("Progress", "states", lambda states: _counts(states)),
    output.Column("Output", "output"),
    output.Column("Created", "created_at", output.when),
    output.Column("By", "created_by"),
)
_ITEMS = (
    output.Column("Item", "number"),
    output.Column("State", "state"),
    output.Column("Content", "content", lambda content: " ".join(str(content or "").split())[:60]),
    output.Column("Path", "path"),
    output.Column("Proposed", "prelabel"),
)


def _counts(found: dict[str, int] | None) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted((found or {}).items()))


@click.group("labeling", cls=tree.Verbs)
def GROUP() -> None:
    """Projects in which people label data, and what they say."""


@GROUP.command("create", cls=options.Verb)
@options.file(required=True)
@options.name(required=False)
@options.shared()
def create(session: Session, file: str, sets: tuple[str, ...], name: str | None) -> Any:
    """Open a project on a data version."""
    from doubleloop.cli import files

    document = files.read(session, file, "labeling", options.pairs(sets, "--set"), name=name)
    return session.workspace.labeling.create(files.ship(session, document))


@GROUP.command("list", cls=options.Verb)
@options.limit()
@options.shared()
def list_(session: Session, limit: int | None) -> output.Shown:
    """The projects of the workspace, newest first."""
    return output.Shown(session.workspace.labeling.list(limit), _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name()
@options.shared()
def show(session: Session, name: str) -> Any:
    """One project: progress by state, who labelled how many, how far they agree."""
    return session.workspace.labeling.show(name)


@GROUP.command("items", cls=options.Verb)
@options.name()
@click.option("--state", metavar="STATE", help="queued, labelled, conflicting, reviewed or skipped  [default: all]")
@options.limit()
@options.shared()
def items(session: Session, name: str, state: str | None, limit: int | None) -> output.Shown:
    """The items of a project."""
    return output.Shown(session.workspace.labeling.items(name, state, limit), _ITEMS)


@GROUP.command("item", cls=options.Verb)
@options.name()
@ITEM
@options.shared()
def item_(session: Session, name: str, item: int) -> Any:
    """One item, and all that was said of it."""
    return session.workspace.labeling.item(name, item)


@GROUP.command("next", cls=options.Verb)
@options.name()
@options.shared()
def next_(session: Session, name: str) -> Any:
    """An item for me to label, held for me for a time."""
    found = session.workspace.labeling.next(name)
    if found is None:
        session.note(f"Nothing of {name} is left for you.")
    return found


@GROUP.command("label", cls=options.Verb)
@options.name()
@ITEM
@click.option("--value", required=True, metavar="LABEL", help="A label, or JSON: spans, shapes, labels in their order.")
@options.shared()
def label(session: Session, name: str, item: int, value: str) -> Any:
    """Say what an item is; a later label of yours stands over an earlier one."""
    return session.workspace.labeling.label(name, item, _value(value))


@GROUP.command("skip", cls=options.Verb)
@options.name()
@ITEM
@options.shared()
def skip(session: Session, name: str, item: int) -> Any:
    """Say that you cannot label an item."""
    return session.workspace.labeling.skip(name, item)


@GROUP.command("undo", cls=options.Verb)
@options.name()
@click.option("--item", "item", type=click.IntRange(1), metavar="NUMBER", help="Item  [default: your last]")
@options.shared()
def undo(session: Session, name: str, item: int | None) -> Any:
    """Take back what you said; the item is yours again."""
    return session.workspace.labeling.undo(name, item)


@GROUP.command("review", cls=options.Verb)
@options.name()
@ITEM
@click.option("--value", metavar="LABEL", help="The right label  [default: what was said]")
@click.option("--leave-out", is_flag=True, help="Keep the item out of the result.")
@options.shared()
def review(session: Session, name: str, item: int, value: str | None, leave_out: bool) -> Any:
    """Decide on an item that others labelled."""
    return session.workspace.labeling.review(name, item, None if value is None else _value(value), leave_out)


@GROUP.command("export", cls=options.Verb)
@options.name()
@click.option(
    "--format", "format_", type=click.Choice(_FORMATS), default="csv",
    help="Form of the file  [default: csv]",
)  # fmt: skip
@click.option("--partial", is_flag=True, help="Although items still wait.")
@options.shared()
def export(session: Session, name: str, format_: str, partial: bool) -> Any:
    """Make what was labelled a new version of the project's output."""
    found = session.workspace.labeling.export(name, format_, partial)
    session.note(f"Data {found['name']}:{found['version']} is there.")
    return found


@GROUP.command("import", cls=options.Verb)
@options.name()
@click.option("--data", required=True, metavar="PATH", help="File or folder with labels, or azureml:NAME:VERSION.")
@click.option("--format", "format_", type=click.Choice(_FORMATS), help="Form of the files  [default: by their names]")
@click.option("--annotator", metavar="NAME", help="Whose labels they are  [default: mine]")
@click.option("--proposals", is_flag=True, help="They are what a model proposes.")
@options.shared()
def import_(session: Session, name: str, data: str, format_: str | None, annotator: str | None, proposals: bool) -> Any:
    """Take in labels that were made elsewhere: all of them, or none and the line that is wrong."""
    found = session.workspace.labeling.import_(name, data, format_, annotator, proposals)
    session.note(f"{found['labels']} new, {found['unchanged']} known before; {found['left']} items are not in it.")
    return found


@GROUP.command("sync", cls=options.Verb)
@options.name()
@options.shared()
def sync(session: Session, name: str) -> None:
    """Ask the Label Studio server for labels now."""
    session.workspace.labeling.sync(name)
    session.note(f"Label Studio is asked; see `tool` in `doubleloop labeling show {name}`.")


@GROUP.command("train", cls=options.Verb)
@options.name()
@click.option("--input", "input_", metavar="NAME", help="Input that gets the labels  [default: the only one of data]")
@options.shared()
def train(session: Session, name: str, input_: str | None) -> Any:
    """Start the job that is proposed: training on what was labelled."""
    found = session.workspace.labeling.train(name, input_)
    session.note(f"Job {found['id']} is started.")
    return found


@GROUP.command("close", cls=options.Verb)
@options.name()
@options.shared()
def close(session: Session, name: str) -> Any:
    """End a project; what was said stays."""
    return session.workspace.labeling.close(name)


@GROUP.command("delete", cls=options.Verb)
@options.name()
@options.yes()
@options.shared()
def delete(session: Session, name: str, yes: bool) -> None:
    """Delete a project with its labels. Data versions that were made of it stay."""
    session.confirm(f"Delete labelling project {name} and what was said in it?", yes)
    session.workspace.labeling.delete(name)
    session.note(f"Labelling project {name} is deleted.")


def _value(text: str) -> Any:
    """What stands between brackets is JSON."""
    import json

    from doubleloop.base import errors

    if not text.startswith("["):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise errors.InvalidInput(f"--value is not JSON: {error}", cure="Give a label, or a JSON list.") from None
